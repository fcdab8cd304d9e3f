"""A scatter plot of two values over all items, with the limits of both and the cursor's item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from warptui.screens import words
from warptui.screens.keys.tables.plots import SCATTER
from warptui.screens.widgets.line import BOLD, LineWidget, Piece
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.axis import (
    Spread,
    decimals,
    round_step,
    short,
    ticks,
    value_range,
)
from warptui.screens.widgets.plots.dots import Layer, dot_cells

AXIS_WIDTH = 7
ROWS_A_LABEL, COLUMNS_A_LABEL = 3, 9
_DIM, _DOTS, _BEYOND, _CURSOR, _MUTED, _LIMIT = range(6)
_COLOURS = ("plot-dim", "plot-dots", "warning-text", "plot-cursor", "muted", "plot-limit")


@dataclass(frozen=True)
class Values:
    """The values on one axis of a `ScatterPlot`."""

    label: str
    unit: str
    digits: int
    values: np.ndarray  # (item,) NaN = unknown
    limits: tuple[float | None, float | None] = (None, None)


class ScatterPlot(LineWidget, can_focus=True):
    """Dots between two axes with round numbers; outliers are drawn at the edges."""

    BINDINGS = list(SCATTER)

    @dataclass
    class Moved(Message):
        """The cursor moves by so many items."""

        step: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._x: Values | None = None
        self._y: Values | None = None
        self._kept = np.zeros(0, dtype=bool)
        self._current: int | None = None
        self._plot: tuple[tuple, Cells, tuple[float, float, float, float]] | None = None

    def show(self, x: Values, y: Values, kept: np.ndarray, current: int | None) -> None:
        """Show two values of all items; ``kept``: those that exports include."""
        self._x, self._y, self._kept, self._current = x, y, kept, current
        self._plot = None
        self.repaint()

    def show_cursor(self, current: int | None) -> None:
        """Move the cursor; the values are unchanged."""
        self._current = current
        self.repaint()

    def action_move(self, step: int) -> None:
        self.post_message(self.Moved(step))

    def paint(self, width: int, height: int) -> list[Strip]:
        if self._x is None or self._y is None:
            return []
        title = self._title(self._x, self._y, width)
        both = np.isfinite(self._x.values) & np.isfinite(self._y.values)
        if height < 4 or width < 3 * AXIS_WIDTH or not both.any():
            sentence = "" if both.any() else " no item has both values yet"
            return [title, self.line((sentence, self.colours["muted"]))][:height]
        made_for = (width, height, self.drawing)
        if self._plot is None or self._plot[0] != made_for:
            cells, edges = self._draw(self._x, self._y, both, width, height - 1)
            self._plot = (made_for, cells, edges)
        _, cells, edges = self._plot
        return [title, *self._with_cursor(cells, edges).strips(self._style)]

    def _draw(
        self, x: Values, y: Values, both: np.ndarray, width: int, height: int
    ) -> tuple[Cells, tuple[float, float, float, float]]:
        cells = Cells.blank(height, width)
        rows, columns = height - 1, width - AXIS_WIDTH
        left, right = value_range(Spread.of(x.values[both]), x.limits)
        bottom, top = value_range(Spread.of(y.values[both]), y.limits)
        self._draw_limits(cells, x, y, (left, right, bottom, top))
        self._draw_axes(cells, x, y, (left, right, bottom, top))
        across = (x.values - left) / (right - left)
        down = (top - y.values) / (top - bottom)
        beyond = (across < 0) | (across > 1) | (down < 0) | (down > 1)
        layers = (
            Layer(both & ~self._kept & ~beyond, _DIM, "."),
            Layer(both & self._kept & ~beyond, _DOTS, "*"),
            Layer(both & beyond, _BEYOND, "#"),
        )
        part = dot_cells(
            np.clip(down, 0, 1), np.clip(across, 0, 1), layers, (rows, columns), self.drawing
        )
        drawn = part.codes != ord(" ")
        cells.codes[:rows, AXIS_WIDTH:][drawn] = part.codes[drawn]
        cells.front[:rows, AXIS_WIDTH:][drawn] = part.front[drawn]
        return cells, (left, right, bottom, top)

    def _draw_axes(
        self, cells: Cells, x: Values, y: Values, edges: tuple[float, float, float, float]
    ) -> None:
        left, right, bottom, top = edges
        height, width = cells.codes.shape
        rows, columns, room = height - 1, width - AXIS_WIDTH, AXIS_WIDTH - 1
        for row in range(rows):
            cells.write(row, room, self.glyphs.vertical, _MUTED)
        n = max(1, rows // ROWS_A_LABEL)
        digits = decimals(round_step(top - bottom, n))
        for value in ticks(bottom, top, n):
            row = _row(value, bottom, top, rows)
            cells.write(row, 0, short(value, digits, room).rjust(room), _MUTED)
        n = max(1, columns // COLUMNS_A_LABEL)
        digits = decimals(round_step(right - left, n))
        for value in ticks(left, right, n):
            text = f"{value:,.{digits}f}"
            column = AXIS_WIDTH + _column(value, left, right, columns)
            cells.write(rows, min(column - len(text) // 2, width - len(text)), text, _MUTED)

    def _draw_limits(
        self, cells: Cells, x: Values, y: Values, edges: tuple[float, float, float, float]
    ) -> None:
        left, right, bottom, top = edges
        rows, columns = cells.codes.shape[0] - 1, cells.codes.shape[1] - AXIS_WIDTH
        for limit in y.limits:
            if limit is not None and bottom <= limit <= top:
                row = _row(limit, bottom, top, rows)
                cells.write(row, AXIS_WIDTH, self.glyphs.limit * columns, _LIMIT)
        for limit in x.limits:
            if limit is not None and left <= limit <= right:
                column = AXIS_WIDTH + _column(limit, left, right, columns)
                for row in range(rows):
                    cells.write(row, column, self.glyphs.vertical, _LIMIT)

    def _with_cursor(self, cells: Cells, edges: tuple[float, float, float, float]) -> Cells:
        place = self._here()
        if place is None or not np.isfinite(place).all():
            return cells
        left, right, bottom, top = edges
        rows, columns = cells.codes.shape[0] - 1, cells.codes.shape[1] - AXIS_WIDTH
        row = _row(min(max(place[1], bottom), top), bottom, top, rows)
        column = _column(min(max(place[0], left), right), left, right, columns)
        marked = Cells(cells.codes.copy(), cells.front.copy(), cells.back)
        marked.write(row, AXIS_WIDTH + column, self.glyphs.point, _CURSOR)
        return marked

    def _here(self) -> tuple[float, float] | None:
        if self._current is None or self._x is None or self._y is None:
            return None
        if self._current >= len(self._x.values):
            return None
        return float(self._x.values[self._current]), float(self._y.values[self._current])

    def _title(self, x: Values, y: Values, width: int) -> Strip:
        muted = self.colours["muted"]
        focus = BOLD + Style(reverse=self.has_focus)
        here: list[Piece] = []
        if (place := self._here()) is not None:
            unknown = self.glyphs.unknown
            at = f"{words.number(place[1], y.digits, unknown)} at "
            at += words.number(place[0], x.digits, unknown)
            here = [(f"  {self.glyphs.point} ", self.colours["plot-cursor"]), (at, BOLD)]
        for names in ((_named(y), _named(x)), (y.label, x.label)):
            pieces = [(f" {names[0]} ", focus), (" over ", muted), (names[1], BOLD), *here]
            if sum(len(text) for text, _ in pieces) <= width:
                break
        return self.line(*pieces)

    def _style(self, front: int, back: int) -> Style:
        bold = BOLD if front == _CURSOR else Style()
        return self.rich_style + (self.colours[_COLOURS[front]] + bold if front >= 0 else Style())


def _named(axis: Values) -> str:
    return f"{axis.label} {axis.unit}".strip()


def _row(value: float, bottom: float, top: float, rows: int) -> int:
    return round((top - value) / (top - bottom) * (rows - 1))


def _column(value: float, left: float, right: float, columns: int) -> int:
    return min(int((value - left) / (right - left) * columns), columns - 1)
