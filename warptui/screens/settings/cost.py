"""What a change of the settings costs, as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cost(preview: Mapping[str, Any]) -> str:
    """The engine's preview as text: "12 items outdated: motion and average, about 2 min"."""
    n_items, n_restored = preview.get("n_items", 0), preview.get("n_restored", 0)
    phrases = []
    if n_items:
        stages = [stage for stage, count in preview.get("outdated", {}).items() if count]
        phrases.append(
            f"{n_items:,} {'item' if n_items == 1 else 'items'} outdated: "
            f"{listed(stages)}, {about(preview.get('seconds'))}"
        )
    if n_restored:
        are = "item is" if n_restored == 1 else "items are"
        phrases.append(f"{n_restored:,} outdated {are} current again")
    return "; ".join(phrases) or "no item becomes outdated"


def about(seconds: float | None) -> str:
    """An estimated duration as text."""
    if seconds is None:
        return "for an unknown time"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    if seconds < 172_800:
        return f"about {seconds / 3600:.1f} h"
    return f"about {seconds / 86_400:.1f} days"


def listed(names: list[str]) -> str:
    """Names as a list in a sentence: motion, ctf and average."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
