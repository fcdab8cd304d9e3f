"""A strip plot: a value of all items along the session, with its limits and a histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from warptui.engine.model.summary import Summary
from warptui.screens import words
from warptui.screens.keys.tables.plots import STRIP
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece, fitted
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.axis import Spread, decimals, round_step, short, value_range
from warptui.screens.widgets.plots.dots import Layer, dot_cells
from warptui.screens.widgets.plots.histogram import histogram_cells

HISTOGRAM_WIDTH = 12  # together with the line before it
FEW_PER_COLUMN = 4  # columns per point, at least, from which points are drawn large
HISTOGRAM_FROM = 44  # columns; a narrower strip has dots only
AXIS_WIDTH = 6
STEPS = 50  # steps of a limit along the visible range
CROWDED = 3  # columns; narrower groups have no line between them
_DIM, _DOTS, _BEYOND, _CURSOR, _MUTED, _LIMIT = range(6)
_COLOURS = ("plot-dim", "plot-dots", "warning-text", "plot-cursor", "muted", "plot-limit")


@dataclass(frozen=True)
class StripData:
    """The data of a strip plot: one value of all items."""

    values: np.ndarray  # (item,) NaN = unknown
    x: np.ndarray  # (item,) position from 0 to 1; NaN = not drawn
    kept: np.ndarray  # (item,) bool: exports include it
    limits: tuple[float | None, float | None]
    n_out: int  # (item,) bool: excluded by these limits
    borders: tuple[float, ...] = ()  # from 0 to 1: borders between groups on the axis


class StripPlot(LineWidget, can_focus=True):
    """Dots, cursor, limits and range of a value; outliers are drawn at the edge and counted."""

    BINDINGS = list(STRIP)

    @dataclass
    class Moved(Message):
        """The cursor moves by so many items, or by so many twentieths of the session."""

        step: int
        leap: bool = False

    @dataclass
    class LimitMoved(Message):
        """The user moves a limit one step up or down."""

        summary: Summary
        span: tuple[float, float] | None  # where a new limit starts, see `span_and_step`
        step: float  # size of a step
        upper: bool
        direction: int

    @dataclass
    class LimitsWanted(Message):
        """The user wants to type the limits."""

        summary: Summary

    @dataclass
    class LimitsCleared(Message):
        """The user removes the limits."""

        summary: Summary

    @dataclass
    class Left(Message):
        """The focus moves to the strip so many places below."""

        step: int

    def __init__(self, summary: Summary, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.summary = summary
        self.data: StripData | None = None
        self.current: int | None = None
        self._known = np.zeros(0)
        self._spread: Spread | None = None  # None: no value is known
        self._plot: tuple[tuple, Cells] | None = None  # cells without the cursor
        self._beyond = 0

    def show(self, data: StripData, current: int | None) -> None:
        """Show other values or limits, with the cursor on item number ``current``."""
        self._known = data.values[np.isfinite(data.values)]
        self._spread = Spread.of(self._known) if len(self._known) else None
        self.show_limits(data, current)

    def show_limits(self, data: StripData, current: int | None) -> None:
        """Show other limits for the same values."""
        self.data, self.current, self._plot = data, current, None
        self.repaint()

    def show_cursor(self, current: int | None) -> None:
        """Move the cursor; the values are unchanged. Costs next to nothing."""
        self.current = current
        self.repaint()

    def action_move(self, step: int) -> None:
        self.post_message(self.Moved(step))

    def action_leap(self, step: int) -> None:
        self.post_message(self.Moved(step, leap=True))

    def action_other(self, step: int) -> None:
        self.post_message(self.Left(step))

    def action_limit(self, upper: bool, direction: int) -> None:
        span, step = span_and_step(self._spread, self.summary.digits)
        self.post_message(self.LimitMoved(self.summary, span, step, upper, direction))

    def action_type_limits(self) -> None:
        self.post_message(self.LimitsWanted(self.summary))

    def action_clear_limits(self) -> None:
        self.post_message(self.LimitsCleared(self.summary))

    # drawing the strip

    def paint(self, width: int, height: int) -> list[Strip]:
        if self.data is None:
            return []
        made_for = (width, height, self.drawing)
        if self._plot is None or self._plot[0] != made_for:
            self._plot = (made_for, self._draw(self.data, width, max(0, height - 1)))
        cells = self._plot[1]
        title = self._title(self.data, width)
        if height < 2:
            return [title]
        if self._spread is None:
            return [title, self.line((" no values yet", self.colours["muted"]))]
        return [title, *self._with_cursor(self.data, cells).strips(self._style)]

    def _draw(self, data: StripData, width: int, height: int) -> Cells:
        cells = Cells.blank(height, width)
        self._beyond = 0
        if self._spread is None or not height:
            return cells
        low, high = value_range(self._spread, data.limits)
        room = dots_width(width)
        self._draw_borders(cells, data.borders, room)
        self._draw_limits(cells, low, high, room)
        self._draw_axis(cells, low, high)
        values = data.values
        beyond = (values < low) | (values > high)
        self._beyond = int(np.count_nonzero(beyond))
        y = np.clip((high - values) / (high - low), 0, 1)
        layers = (
            Layer(~data.kept & ~beyond, _DIM, "."),
            Layer(data.kept & ~beyond, _DOTS, "*"),
            Layer(beyond, _BEYOND, "#"),
        )
        few = FEW_PER_COLUMN * len(values) <= room
        dots = dot_cells(y, data.x, layers, (height, room), self.drawing, large=few)
        _overlay(cells, dots, AXIS_WIDTH)
        if room < width - AXIS_WIDTH:
            bars = histogram_cells(
                self._known, (low, high), (height, HISTOGRAM_WIDTH - 2), self.drawing, _DOTS,
                data.limits, _DIM,
            )  # fmt: skip
            _overlay(cells, bars, width - HISTOGRAM_WIDTH + 1)
            for row in range(height):
                cells.write(row, width - HISTOGRAM_WIDTH, self.glyphs.vertical, _MUTED)
        return cells

    def _draw_axis(self, cells: Cells, low: float, high: float) -> None:
        n, room = cells.codes.shape[0], AXIS_WIDTH - 1
        digits = min(decimals(round_step(high - low, 10)), self.summary.digits + 1)
        for row, value in ((0, high), (n - 1, low)):
            if n > 1 or row == 0:
                free = (cells.codes[row, :room] == ord(" ")).all()
                if free:
                    cells.write(row, 0, short(value, digits, room).rjust(room), _MUTED)
        for row in range(n):
            cells.write(row, room, self.glyphs.vertical, _MUTED)

    def _draw_borders(self, cells: Cells, borders: tuple[float, ...], room: int) -> None:
        """Draw lines between groups, unless they would be crowded."""
        last = AXIS_WIDTH
        for border in borders:
            column = AXIS_WIDTH + min(int(border * room), room - 1)
            if column - last >= CROWDED:
                for row in range(cells.codes.shape[0]):
                    cells.write(row, column, self.glyphs.border, _MUTED)
                last = column

    def _draw_limits(self, cells: Cells, low: float, high: float, room: int) -> None:
        n, data = cells.codes.shape[0], self.data
        for limit in data.limits if data is not None else ():
            if limit is None or not low <= limit <= high:
                continue
            row = round((high - limit) / (high - low) * (n - 1))
            text = f"{limit:g}"
            if len(text) < AXIS_WIDTH:
                cells.write(row, 0, text.rjust(AXIS_WIDTH - 1), _LIMIT)
            cells.write(row, AXIS_WIDTH, self.glyphs.limit * room, _LIMIT)

    def _with_cursor(self, data: StripData, cells: Cells) -> Cells:
        x = (
            data.x[self.current]
            if self.current is not None and self.current < len(data.x)
            else None
        )
        width = dots_width(cells.codes.shape[1])
        if x is None or not np.isfinite(x) or width < 1:
            return cells
        column = AXIS_WIDTH + min(int(x * width), width - 1)
        marked = Cells(cells.codes.copy(), cells.front.copy(), cells.back)
        behind = (" ", self.glyphs.limit, self.glyphs.border)
        free = np.isin(marked.codes[:, column], [ord(glyph) for glyph in behind])
        marked.codes[free, column] = ord(self.glyphs.vertical)
        marked.front[:, column] = _CURSOR
        return marked

    def _title(self, data: StripData, width: int) -> Strip:
        """Name, limits, number of excluded items, value at the cursor, median and spread."""
        summary, digits, muted = self.summary, self.summary.digits, self.colours["muted"]
        groups: list[tuple[int, list[Piece]]] = []  # rank: the highest is left out first
        name = f" {summary.label} "
        groups.append((0, [(name, BOLD + Style(reverse=self.has_focus))]))
        if summary.unit:
            groups.append((4, [(f" {summary.unit}", muted)]))
        groups.append((1, self._limits(data)))
        if self._beyond:
            groups.append((5, [(f"  {self._beyond:,} beyond", self.colours["warning-text"])]))
        right: list[tuple[int, list[Piece]]] = []
        if self.current is not None and self.current < len(data.values):
            value = words.number(float(data.values[self.current]), digits, self.glyphs.unknown)
            right.append((2, [(" here ", muted), (value, BOLD)]))
        if self._spread is not None:
            spread = words.number((self._spread.high - self._spread.low) / 2, digits)
            median = words.number(self._spread.median, digits)
            right.append((3, [(f"  {median}{self.glyphs.plus_minus}{spread} ", PLAIN)]))
        return self.line(*fitted(groups, right, width))

    def _limits(self, data: StripData) -> list[Piece]:
        summary, muted = self.summary, self.colours["muted"]
        if not summary.filter_min and not summary.filter_max:
            return [("  no limits here", muted)] if self.has_focus else []
        low, high = ("" if end is None else f"{end:g}" for end in data.limits)
        text = f"  [{low} … {high}]"
        if not low and not high:
            return [(text, muted)]
        out = (f" out {data.n_out:,}", BOLD if data.n_out else muted)
        return [(text, self.colours["plot-limit"]), out]

    def _style(self, front: int, back: int) -> Style:
        return self.rich_style + (self.colours[_COLOURS[front]] if front >= 0 else Style())


def dots_width(width: int) -> int:
    """Columns of the dots in a strip of this width."""
    return width - AXIS_WIDTH - (HISTOGRAM_WIDTH if width >= HISTOGRAM_FROM else 0)


def span_and_step(spread: Spread | None, digits: int) -> tuple[tuple[float, float] | None, float]:
    """The range in which limits start, and the size of a step.

    Limits start at the ends of the visible range: if values lie beyond, the first step of a limit
    excludes just these. A step is a fiftieth of it, or the last digit shown. The range is None if
    no value is known.
    """
    if spread is None:
        return None, 10.0**-digits
    low, high = value_range(spread)
    step = max(round_step(high - low, STEPS), 10.0**-digits)
    return (max(spread.least, low - step), min(spread.most, high + step)), step


def _overlay(cells: Cells, part: Cells, left: int) -> None:
    """Copy the drawn cells of ``part`` onto ``cells``, from the column ``left``."""
    height, width = part.codes.shape
    drawn = part.codes != ord(" ")
    cells.codes[:height, left : left + width][drawn] = part.codes[drawn]
    cells.front[:height, left : left + width][drawn] = part.front[drawn]
