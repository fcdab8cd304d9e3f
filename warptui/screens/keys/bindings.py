"""The keys that mean the same on every screen; their ids are what [keys] of config.toml names."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.dom import DOMNode

APP_BINDINGS = [
    Binding(
        "space",
        "choose",
        "choice",
        id="toggle-include",
        tooltip="cycle auto → exclude → include, also for a range",
    ),
    Binding(
        "f",
        "exclude",
        "exclude",
        id="toggle-exclude",
        tooltip="exclude, or back to auto, also for a range",
    ),
    Binding(
        "s",
        "process",
        "run/pause",
        id="start-pause",
        tooltip="start or pause processing; start a dead engine",
    ),
    Binding("question_mark", "help", "help", id="help", key_display="?"),
    Binding(
        "exclamation_mark",
        "problem",
        "problem",
        id="next-problem",
        tooltip="next item that failed, is missing or lacks a number",
        key_display="!",
    ),
    Binding(
        "L",
        "follow",
        "follow newest",
        id="follow",
        tooltip="the cursor goes with the newest processed item",
        show=False,
    ),
    Binding(
        "P",
        "app.reprocess",
        "process again",
        id="reprocess",
        tooltip="process again, also for a range; failed: retry",
        show=False,
    ),
    Binding(
        "y",
        "copy_path",
        "copy path",
        id="copy-path",
        tooltip="copy the path of the average, or else of the raw file, to the clipboard",
        show=False,
    ),
    Binding(
        "K",
        "seen",
        "notice seen",
        id="notice-seen",
        tooltip="the notice above was seen, for all viewers",
        show=False,
    ),
    Binding(
        "o",
        "export",
        "export",
        id="export",
        tooltip="write a list of items for another program",
        show=False,
    ),
    Binding("n", "match(1)", "next match", id="next-match", show=False),
    Binding("N", "match(-1)", "previous match", id="previous-match", show=False),
    Binding("right", "step(1)", "next item", id="next-item", show=False),
    Binding("left", "step(-1)", "previous item", id="previous-item", show=False),
    Binding("1,w", "overview", "overview", id="overview", show=False),
    Binding("2", "item", "item", id="item", show=False),
    Binding(
        "4",
        "training",
        "training",
        id="training",
        tooltip="teach BoxNet from marked micrographs; choose the model that picks",
        show=False,
    ),
    Binding("5", "jobs", "jobs and log", id="jobs", show=False),
    Binding(
        "e",
        "side('fourier')",
        "Fourier",
        id="fourier",
        tooltip="the Fourier side as wide as the window; again: both",
        show=False,
    ),
    Binding("6", "settings", "settings", id="settings", show=False),
    Binding(
        "A",
        "adopt",
        "adopt settings",
        id="adopt",
        tooltip="the settings that the item was processed with, as changes to look at",
        show=False,
    ),
    Binding(
        "r",
        "side('real')",
        "real space",
        id="real-space",
        tooltip="the pictures as wide as the window; again: both sides",
        show=False,
    ),
    Binding(
        "comma",
        "drawing",
        "glyphs",
        id="glyphs",
        tooltip="quadrants, half blocks, braille, ASCII",
        show=False,
        key_display=",",
    ),
    Binding(
        "colon,ctrl+p", "command_palette", "commands", id="palette", show=False, key_display=":"
    ),
    Binding(
        "escape",
        "back",
        "back",
        id="back",
        tooltip="back; clears a mark or a filter",
        show=False,
    ),
    Binding("q", "quit", "detach", id="detach", tooltip="leave; the engine goes on"),
]


def all_bindings() -> Iterable[Binding]:
    """Those of the app and of every screen and widget, also of Textual's own."""
    return (binding for _, binding in _owned_bindings())


def clashes(keys: dict[str, str]) -> list[str]:
    """Which keys of the user's key map two actions would have at the same time.

    Actions of different panes may share a key; one of the app works everywhere.
    """
    given: dict[tuple[str, str], set[str]] = {}  # owner and id: its keys
    for owner, binding in _owned_bindings():
        if binding.id:
            known = given.setdefault((owner, binding.id), set())
            known |= set(keys.get(binding.id, binding.key).replace(" ", "").split(","))
    found: dict[str, None] = {}
    for (owner, name), own in given.items():
        if name not in keys:
            continue
        for (other_owner, other), others in given.items():
            together = other_owner in (owner, _APP) or owner == _APP
            for key in sorted(own & others) if other != name and together else ():
                found[f"{key}: {' and '.join(sorted((name, other)))}"] = None
    return list(found)


_APP = "WarptuiApp"


def _owned_bindings() -> Iterable[tuple[str, Binding]]:
    import warptui.screens.item.trial  # noqa: F401

    pending: list[type] = [DOMNode]
    seen: set[type] = set()
    while pending:
        kind = pending.pop()
        if kind in seen:
            continue
        seen.add(kind)
        pending.extend(kind.__subclasses__())
        for binding in kind.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding):
                yield kind.__name__, binding
