"""Colours by meaning. A theme overrides the variables of the same names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rich.style import Style

from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow

VARIABLES = {
    "state-done": "#7fc97f",
    "state-running": "#5fb7ff",
    "state-queued": "#9aa5b1",
    "state-waiting": "#7d8792",
    "state-outdated": "#f0b040",
    "state-failed": "#ff6b6b",
    "state-missing": "#d08fe0",
    "choice-filtered": "#87c7e8",
    "choice-excluded": "#8c8c8c",
    "choice-included": "#ffd75f",
    "slice-done": "#4a7a4a",  # quiet, so that unfinished slices are seen first
    "plot-dots": "#87c7e8",
    "plot-dim": "#6c7681",
    "plot-limit": "#f0b040",
    "plot-cursor": "#ffffff",
    "axis-x": "#5fb7ff",
    "axis-y": "#ffaf5f",
    "track": "#ffd75f",
    "pick": "#5fe0ff",
    "pick-added": "#7dff7d",
    "pick-removed": "#ff7d7d",
    "pick-uncertain": "#ffb0ff",
    "pick-certain": "#ffffff",
    "mask": "#ff9d5c",
    "muted": "#9aa5b1",
    "strong": "#ffffff",
    "alert": "#ff6b6b",
    "warning-text": "#f0b040",
    "row-cursor": "#264f78",
    "row-cursor-dim": "#2c3440",
    "row-marked": "#3c3a20",
}


# Colours of a map from low to high: dark blue to yellow, distinct for colour-blind people, too.
MAP = (
    (38, 52, 148),
    (30, 105, 175),
    (24, 155, 155),
    (78, 195, 107),
    (175, 220, 50),
    (255, 225, 40),
)
MASK = (200, 60, 40)  # what is masked
PICKED_HUE = (0, 225, 255)  # a place with a particle


def hexadecimal(colour: tuple[int, int, int]) -> str:
    """A colour as text for styles."""
    return "#" + "".join(f"{part:02x}" for part in colour)


@dataclass(frozen=True)
class Palette:
    """Styles by the names of `VARIABLES`."""

    styles: dict[str, Style]
    backgrounds: dict[str, Style]

    def __getitem__(self, name: str) -> Style:
        return self.styles[name]

    def on(self, name: str) -> Style:
        """The colour as a background."""
        return self.backgrounds[name]

    def state(self, state: State) -> Style:
        """The colour of an item's state."""
        return self.styles[f"state-{state}"]

    def choice(self, row: ItemRow) -> Style:
        """The colour of the user's or the filters' decision."""
        if row.choice is Choice.EXCLUDE:
            return self.styles["choice-excluded"]
        if row.choice is Choice.INCLUDE:
            return self.styles["choice-included"]
        return self.styles["choice-filtered"]


@lru_cache(maxsize=8)
def _palette(colours: tuple[tuple[str, str], ...]) -> Palette:
    return Palette(
        {name: Style(color=colour) for name, colour in colours},
        {name: Style(bgcolor=colour) for name, colour in colours},
    )


def palette(app: Any) -> Palette:
    """The palette of the app's current theme."""
    variables = app.theme_variables
    known = _LATEST.get("palette")
    if known is None or known[0] is not variables:  # called for every line that is drawn
        colours = tuple((name, variables.get(name, VARIABLES[name])) for name in VARIABLES)
        known = _LATEST["palette"] = (variables, _palette(colours))
    return known[1]


_LATEST: dict[str, tuple[dict[str, str], Palette]] = {}
