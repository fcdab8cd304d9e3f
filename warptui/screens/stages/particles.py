"""Extracted particles on the item screen: their number, box size and notes."""

from __future__ import annotations

from typing import Any

from warptui.screens import words
from warptui.screens.stages.view import Fact, Loaded, StageView


def _facts(loaded: Loaded) -> list[Fact]:
    result = loaded.result("particles")
    if not result or result.get("n_particles") is None:
        return []
    n, box, pixel = (
        int(result["n_particles"]),
        result.get("box_size_px"),
        result.get("pixel_size"),
    )
    if not n:
        return [("cut out", "none")]
    left = int(result.get("n_dropped") or 0)
    size = f"{n:,} of {box} px, {words.with_unit(pixel, 'Å/px', 3)}"
    return [("cut out", f"{size}; {left:,} left out at the edge" if left else size)]


def _compared(result: dict[str, Any]) -> list[Fact]:
    return [("cut out", words.number(result.get("n_particles"), 0))] if result else []


VIEW = StageView("particles", facts=_facts, compared=_compared)
