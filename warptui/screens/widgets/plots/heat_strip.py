"""A heat map of a few rows against time, in colours or in characters of growing ink."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from rich.style import Style
from textual.strip import Strip

from warptui.screens.look.glyphs import Drawing, plain
from warptui.screens.look.palette import MAP, hexadecimal
from warptui.screens.widgets.line import LineWidget
from warptui.screens.widgets.pictures.raster import DEFAULT, Cells

_SHADES = " ░▒▓█"
_INK = " .:-=+*#%@"
_UNKNOWN, _TEXT = 100, 101  # colour numbers


@dataclass(frozen=True)
class Heat:
    """The content of a `HeatStrip`; NaN is unknown, and drawn as such."""

    values: np.ndarray  # (row, time)
    labels: tuple[str, ...]  # names of the rows
    unit: str
    low: float
    high: float
    times: tuple[str, str] = ("", "")  # labels of the first and the last time
    heading: str = ""


class HeatStrip(LineWidget, can_focus=True):
    """Shows a `Heat`, or a text in its place. Peaks stay visible where there is little room."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._heat: Heat | None = None
        self._message = ""

    def show(self, content: Heat | str) -> None:
        """Draw other values, or show a text."""
        self._heat = content if isinstance(content, Heat) else None
        self._message = content if isinstance(content, str) else ""
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        if self._heat is None:
            return [self.line(*line) for line in self.wrapped(self._message, width)[:height]]
        inked = self.app.no_color or self.drawing in (Drawing.BRAILLE, Drawing.ASCII)
        ink = _INK if self.drawing is Drawing.ASCII else _SHADES
        heat = replace(self._heat, unit=plain(self._heat.unit, self.drawing))
        cells = draw_heat(heat, width, height, ink if inked else "")
        return cells.strips(self._style)

    def _style(self, front: int, back: int) -> Style:
        style = self.rich_style
        if front in (_UNKNOWN, _TEXT):
            style += self.colours["muted"]
        if back == DEFAULT:
            return style
        return style + Style(bgcolor=hexadecimal(MAP[back]))


def draw_heat(heat: Heat, width: int, height: int, ink: str = "") -> Cells:
    """One line for each row of ``heat`` and a legend; ``ink``: characters instead of colours."""
    cells = Cells.blank(height, width)
    label_width = max((len(label) for label in heat.labels), default=0) + 2
    columns = width - label_width - 1
    rows = min(len(heat.values), height - 1)
    if columns < 4 or rows < 1:
        return cells
    values = fitted(fitted(heat.values, columns).T, rows).T
    levels = len(ink) or len(MAP)
    step = _levels(values, heat.low, heat.high, levels)
    shown = np.linspace(0, len(heat.labels) - 1, rows).round().astype(int)
    for row in range(rows):
        cells.write(row, 1, heat.labels[shown[row]].rjust(label_width - 2), _TEXT)
    area = np.s_[:rows, label_width : label_width + columns]
    unknown = step < 0
    if ink:
        cells.codes[area] = np.array([ord(c) for c in ink], dtype=np.uint32)[step]
    else:
        cells.back[area] = np.where(unknown, DEFAULT, step)
    cells.codes[area][unknown] = ord("?" if ink == _INK else "·")
    cells.front[area][unknown] = _UNKNOWN
    _write_legend(cells, heat, rows, label_width, levels, ink)
    return cells


def fitted(values: np.ndarray, n: int) -> np.ndarray:
    """(row, time) values at ``n`` times: the largest of those that share one, or repeated."""
    n_times = values.shape[1]
    if n_times <= n:
        return values[:, np.arange(n) * n_times // n]
    filled = np.where(np.isnan(values), -np.inf, values)
    largest = np.maximum.reduceat(filled, np.arange(n) * n_times // n, axis=1)
    return np.where(np.isneginf(largest), np.nan, largest)


def _levels(values: np.ndarray, low: float, high: float, n: int) -> np.ndarray:
    """0 .. n-1, or -1 where the value is unknown."""
    with np.errstate(invalid="ignore"):
        step = np.clip((values - low) / ((high - low) or 1.0) * n, 0, n - 1)
    return np.where(np.isnan(values), -1, np.nan_to_num(step)).astype(np.int16)


def _write_legend(cells: Cells, heat: Heat, y: int, left: int, levels: int, ink: str) -> None:
    """Write first and last time below their columns, and the scale between them."""
    width = cells.codes.shape[1]
    cells.write(y, left, heat.times[0], _TEXT)
    cells.write(y, max(left, width - 1 - len(heat.times[1])), heat.times[1], _TEXT)
    low, high = f"{heat.low:.2g} ", f" {heat.high:.2g} {heat.unit}"
    start = left + len(heat.times[0]) + 2
    if start + len(low) + 2 * levels + len(high) > width - len(heat.times[1]) - 2:
        return
    cells.write(y, start, low, _TEXT)
    start += len(low)
    for level in range(levels):
        place = np.s_[y, start + 2 * level : start + 2 * level + 2]
        if ink:
            cells.codes[place] = ord(ink[level])
        else:
            cells.back[place] = level
    cells.write(y, start + 2 * levels, high, _TEXT)
