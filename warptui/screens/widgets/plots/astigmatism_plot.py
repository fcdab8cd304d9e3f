"""The astigmatism of all items as vectors of twice its angle, with the circle of its limit.

One µm is as long along x as along y, so that the circle is round and a direction is true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from warptui.engine.model.status import Astigmatism
from warptui.engine.model.summary import Summary
from warptui.screens import words
from warptui.screens.keys.tables.plots import ASTIGMATISM
from warptui.screens.look.glyphs import Drawing, Glyphs
from warptui.screens.widgets.line import BOLD, LineWidget, Piece, fitted
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.axis import Spread, decimals, round_step, short, ticks
from warptui.screens.widgets.plots.dots import FINE, FINEST, Layer, dot_cells
from warptui.screens.widgets.plots.strip_plot import StripPlot, span_and_step

AXIS_WIDTH = 6
ROWS_A_LABEL, COLUMNS_A_LABEL = 3, 7
LEAST_HEIGHT, LEAST_WIDTH = 5, 18
REACH = 4.0  # visible range in medians of the distance from the mean; farther items are at the edge
HIDDEN = 0.25  # share of the circle that marks may cover
LEAST_REACH = 1e-3  # µm
_DIM, _DOTS, _BEYOND, _CURSOR, _MUTED, _LIMIT = range(6)
_COLOURS = ("plot-dim", "plot-dots", "warning-text", "plot-cursor", "muted", "plot-limit")


def vectors(magnitude_um: np.ndarray, angle_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y in µm of twice the angle; an astigmatism turned by 180° is the same one."""
    angle = 2 * np.radians(angle_deg)
    return magnitude_um * np.cos(angle), magnitude_um * np.sin(angle)


@dataclass(frozen=True)
class Judged:
    """The items inside and outside of a limit."""

    kept: np.ndarray  # (item,) bool: exports include it
    outside: np.ndarray  # (item,) bool: this limit excludes it
    limit: float | None  # limit in sigmas of the session


@dataclass(frozen=True)
class AstigmatismData:
    """The astigmatism of all items."""

    summary: Summary | None  # distance from the mean, to which the limit applies
    x: np.ndarray  # (item,) µm; NaN = unknown
    y: np.ndarray
    sigmas: np.ndarray  # (item,) distances from the mean
    session: Astigmatism | None


@dataclass(frozen=True)
class Window:
    """The visible part of the plane."""

    left: float  # µm
    right: float
    bottom: float
    top: float

    @classmethod
    def around(
        cls, x: np.ndarray, y: np.ndarray, session: Astigmatism | None, radius: float | None
    ) -> Window:
        """A window around finite vectors, with the circle and zero astigmatism if these are near.

        Its ends are round numbers, so that it does not change with every new item.
        """
        centre = (session.x_um, session.y_um) if session else (np.median(x), np.median(y))
        away = np.hypot(x - centre[0], y - centre[1])
        reach = max(min(float(away.max()), REACH * float(np.median(away))), LEAST_REACH)
        if radius is not None and radius <= 2 * reach:
            reach = max(reach, radius)
        step = round_step(2 * reach, 8)
        ends = []
        for middle in map(float, centre):
            low, high = middle - reach, middle + reach
            if abs(middle) <= 2 * reach:
                low, high = min(low, 0.0), max(high, 0.0)
            ends += [math.floor(low / step - 0.2) * step, math.ceil(high / step + 0.2) * step]
        return cls(*ends)

    def stretched(self, width: float, height: float) -> Window:
        """Enlarged to the proportions of a pane of this size."""
        unit = max((self.right - self.left) / width, (self.top - self.bottom) / height)
        x, y = (self.left + self.right) / 2, (self.bottom + self.top) / 2
        half_x, half_y = unit * width / 2, unit * height / 2
        return Window(x - half_x, x + half_x, y - half_y, y + half_y)


@dataclass(frozen=True)
class Canvas:
    """Cells that show a window; a cell is two units high and one wide."""

    window: Window
    rows: int
    columns: int
    drawing: Drawing

    @classmethod
    def of(cls, window: Window, rows: int, columns: int, drawing: Drawing) -> Canvas:
        """A canvas of the window, enlarged so that both axes have the same scale in dots."""
        fine_y, _ = FINE.get(drawing, FINEST)
        # the ends of y are the centres of the first and of the last dot, see `dot_cells`
        height = 2 * rows - 2 / fine_y
        return cls(window.stretched(columns, height), rows, columns, drawing)

    def parts(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places from 0 to 1: from the left, and from the top."""
        window = self.window
        across = (x - window.left) / (window.right - window.left)
        return across, (window.top - y) / (window.top - window.bottom)

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of a vector; at the edge for one outside of the canvas."""
        across, down = (
            min(max(float(part), 0), 1) for part in self.parts(np.array(x), np.array(y))
        )
        fine_y, _ = FINE.get(self.drawing, FINEST)
        row = int((down * (self.rows * fine_y - 1) + 0.5) / fine_y)
        return row, min(int(across * self.columns), self.columns - 1)


class AstigmatismPlot(LineWidget, can_focus=True):
    """One dot per item, their mean, and the circle of the limit; items outside are marked."""

    BINDINGS = list(ASTIGMATISM)

    @dataclass
    class Moved(Message):
        """The cursor moves by so many items."""

        step: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._data: AstigmatismData | None = None
        self._judged: Judged | None = None
        self._current: int | None = None
        self._known = np.zeros(0, dtype=bool)
        self._plot: tuple[tuple, Cells, Canvas] | None = None  # cells without the cursor

    def show(self, data: AstigmatismData, judged: Judged, current: int | None) -> None:
        """Show other items, with the cursor on number ``current``."""
        self._data, self._known = data, np.isfinite(data.x) & np.isfinite(data.y)
        self.show_limit(judged, current)

    def show_limit(self, judged: Judged, current: int | None) -> None:
        """Show another limit for the same items."""
        self._judged, self._current, self._plot = judged, current, None
        self.repaint()

    def show_cursor(self, current: int | None) -> None:
        """Move the cursor; items and limit are unchanged."""
        self._current = current
        self.repaint()

    def action_move(self, step: int) -> None:
        self.post_message(self.Moved(step))

    def action_limit(self, direction: int) -> None:
        if (summary := self._limited()) is not None and self._data is not None:
            known = self._data.sigmas[np.isfinite(self._data.sigmas)]
            spread = Spread.of(known) if len(known) else None
            span, step = span_and_step(spread, summary.digits)
            self.post_message(StripPlot.LimitMoved(summary, span, step, True, direction))

    def action_type_limits(self) -> None:
        if (summary := self._limited()) is not None:
            self.post_message(StripPlot.LimitsWanted(summary))

    def action_clear_limits(self) -> None:
        if (summary := self._limited()) is not None:
            self.post_message(StripPlot.LimitsCleared(summary))

    def _limited(self) -> Summary | None:
        return self._data.summary if self._data is not None else None

    # drawing the plot

    def paint(self, width: int, height: int) -> list[Strip]:
        data, judged = self._data, self._judged
        if data is None or judged is None:
            return []
        title = self._title(data, judged, width)
        if not self._known.any():
            label = [(" no item has a CTF yet", self.colours["muted"])]
            return [title, self.line(*label)][:height]
        if height < LEAST_HEIGHT or width < LEAST_WIDTH:
            return [title]
        made_for = (width, height, self.drawing)
        if self._plot is None or self._plot[0] != made_for:
            self._plot = (made_for, *self._draw(data, judged, width, height - 1))
        _, cells, canvas = self._plot
        return [title, *self._with_cursor(data, cells, canvas).strips(self._style)]

    def _draw(
        self, data: AstigmatismData, judged: Judged, width: int, height: int
    ) -> tuple[Cells, Canvas]:
        cells, known = Cells.blank(height, width), self._known
        session = data.session
        radius = None
        if session is not None and judged.limit is not None:
            radius = judged.limit * session.sigma_um
        window = Window.around(data.x[known], data.y[known], session, radius)
        canvas = Canvas.of(window, height - 1, width - AXIS_WIDTH, self.drawing)
        _draw_axes(cells, canvas, self.glyphs)
        _overlay(cells, self._dots(data, judged, canvas, radius))
        out = np.flatnonzero(judged.outside & known)
        across, down = canvas.parts(data.x[out], data.y[out])
        marks = np.zeros((canvas.rows, canvas.columns), dtype=bool)
        rows, columns = _cells_of(canvas, np.clip(across, 0, 1), np.clip(down, 0, 1))
        marks[rows, columns] = True
        circle = cells.front[: canvas.rows, AXIS_WIDTH:] == _LIMIT
        if np.count_nonzero(marks & circle) > HIDDEN * np.count_nonzero(circle):
            marks &= ~circle  # the marks show which items are outside, but not where the circle is
        part = Cells.blank(canvas.rows, canvas.columns)
        part.codes[marks], part.front[marks] = ord(self.glyphs.filtered), _BEYOND
        _overlay(cells, part)
        if session is not None:
            row, column = canvas.cell(session.x_um, session.y_um)
            cells.write(row, AXIS_WIDTH + column, "+", _LIMIT)
        return cells, canvas

    def _dots(
        self, data: AstigmatismData, judged: Judged, canvas: Canvas, radius: float | None
    ) -> Cells:
        """The items, those beyond the window at its edge, and the circle over them."""
        known, kept = self._known, judged.kept
        across, down = canvas.parts(data.x, data.y)
        beyond = known & ((across < 0) | (across > 1) | (down < 0) | (down > 1))
        inside = known & ~beyond
        shown = [
            Layer(inside & ~kept, _DIM, "."),
            Layer(inside & kept, _DOTS, "*"),
            Layer(beyond & ~judged.outside, _BEYOND, "#"),
        ]
        across, down = np.clip(across, 0, 1), np.clip(down, 0, 1)
        if radius is not None and data.session is not None:
            turn = np.linspace(0, 2 * np.pi, 16 * (canvas.rows + canvas.columns))
            x = data.session.x_um + radius * np.cos(turn)
            y = data.session.y_um + radius * np.sin(turn)
            there = canvas.parts(x, y)
            n, seen = len(known), np.ones(len(turn), dtype=bool)
            for part in there:
                seen &= (part >= 0) & (part <= 1)
            blank = np.zeros(len(turn), dtype=bool)
            shown = [
                Layer(np.concatenate([layer.members, blank]), layer.colour, layer.character)
                for layer in shown
            ]
            circle = np.concatenate([np.zeros(n, dtype=bool), seen])
            shown.append(Layer(circle, _LIMIT, "o"))
            across, down = np.concatenate([across, there[0]]), np.concatenate([down, there[1]])
        return dot_cells(down, across, shown, (canvas.rows, canvas.columns), self.drawing)

    def _with_cursor(self, data: AstigmatismData, cells: Cells, canvas: Canvas) -> Cells:
        place = self._here(data)
        if place is None:
            return cells
        row, column = canvas.cell(float(data.x[place]), float(data.y[place]))
        marked = Cells(cells.codes.copy(), cells.front.copy(), cells.back)
        marked.write(row, AXIS_WIDTH + column, self.glyphs.point, _CURSOR)
        return marked

    def _here(self, data: AstigmatismData) -> int | None:
        """The item under the cursor, if its astigmatism is known."""
        number = self._current
        return (
            number if number is not None and number < len(data.x) and self._known[number] else None
        )

    def _title(self, data: AstigmatismData, judged: Judged, width: int) -> Strip:
        muted = self.colours["muted"]
        name: Piece = (" astigmatism ", BOLD + Style(reverse=self.has_focus))
        left: list[tuple[int, list[Piece]]] = [(0, [name]), (4, [(" µm", muted)])]
        if judged.limit is None:
            left.append((5, [("  no limit", muted)]))
        else:
            n = int(np.count_nonzero(judged.outside))
            limit: Piece = (f"  {judged.limit:g} σ", self.colours["plot-limit"])
            left.append((1, [limit, (f" {n:,} out", BOLD if n else muted)]))
        right: list[tuple[int, list[Piece]]] = []
        if (place := self._here(data)) is not None:
            x, y = float(data.x[place]), float(data.y[place])
            angle = f"{math.degrees(math.atan2(y, x)) / 2 % 180:.0f}°"
            cursor: Piece = (f"{self.glyphs.point} ", self.colours["plot-cursor"])
            right.append((2, [cursor, (f"{math.hypot(x, y):.3f}", BOLD)]))
            right.append((3, [(f" {angle}", BOLD)]))
            label = words.number(float(data.sigmas[place]), 1, self.glyphs.unknown)
            right.append((6, [(f" {label} σ", BOLD)]))
        return self.line(*fitted(left, right, width))

    def _style(self, front: int, back: int) -> Style:
        bold = BOLD if front == _CURSOR else Style()
        return self.rich_style + (self.colours[_COLOURS[front]] + bold if front >= 0 else Style())


def _cells_of(
    canvas: Canvas, across: np.ndarray, down: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the cells that hold the dots of these places."""
    fine_y, _ = FINE.get(canvas.drawing, FINEST)
    rows = ((down * (canvas.rows * fine_y - 1) + 0.5) / fine_y).astype(int)
    return rows, np.minimum((across * canvas.columns).astype(int), canvas.columns - 1)


def _draw_axes(cells: Cells, canvas: Canvas, characters: Glyphs) -> None:
    """Draw labels at round numbers, and lines through zero astigmatism."""
    window, rows, columns = canvas.window, canvas.rows, canvas.columns
    room = AXIS_WIDTH - 1
    row, column = canvas.cell(0.0, 0.0)
    if window.bottom < 0 < window.top:
        cells.write(row, AXIS_WIDTH, characters.limit * columns, _MUTED)
    if window.left < 0 < window.right:
        for line in range(rows):
            cells.write(line, AXIS_WIDTH + column, characters.border, _MUTED)
    for line in range(rows):
        cells.write(line, room, characters.vertical, _MUTED)
    n = max(1, rows // ROWS_A_LABEL)
    digits = decimals(round_step(window.top - window.bottom, n))
    for value in ticks(window.bottom, window.top, n):
        at, _ = canvas.cell(0.0, value)
        cells.write(at, 0, short(value, digits, room).rjust(room), _MUTED)
    n = max(1, columns // COLUMNS_A_LABEL)
    digits = decimals(round_step(window.right - window.left, n))
    end = 0
    for value in ticks(window.left, window.right, n):
        text = short(value, digits, COLUMNS_A_LABEL - 1)
        _, at = canvas.cell(value, 0.0)
        left = min(AXIS_WIDTH + at - len(text) // 2, AXIS_WIDTH + columns - len(text))
        if left >= end:
            cells.write(rows, left, text, _MUTED)
            end = left + len(text) + 1


def _overlay(cells: Cells, part: Cells) -> None:
    drawn = part.codes != ord(" ")
    height = part.codes.shape[0]
    cells.codes[:height, AXIS_WIDTH:][drawn] = part.codes[drawn]
    cells.front[:height, AXIS_WIDTH:][drawn] = part.front[drawn]
