"""A summary value against the order of arrival, with its histogram beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip

from warptui.engine.items import Summary
from warptui.screens import words
from warptui.screens.mirror import Mirror
from warptui.screens.widgets import raster
from warptui.screens.widgets.glyphs import Drawing
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece
from warptui.screens.widgets.raster import Cells

HISTOGRAM_WIDTH = 12
AXIS_WIDTH = 6
_DIM, _DOTS, _BEYOND, _CURSOR, _MUTED = range(5)


class StripPlot(LineWidget, can_focus=True):
    """Dots, one cursor, the range of the value; outliers sit at the edge and are counted."""

    BINDINGS = [
        Binding("h,left", "move(-1)", "previous", show=False, id="strip.previous"),
        Binding("l,right", "move(1)", "next", show=False, id="strip.next"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor goes so many items on."""

        step: int

    def __init__(self, summary: Summary, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.summary = summary
        self.mirror = Mirror()
        self.current: int | None = None
        self._plot: tuple[tuple, Cells, tuple[float, ...]] | None = None  # without the cursor
        self._beyond = 0

    def show(self, mirror: Mirror, current: int | None) -> None:
        """Show new values, with the cursor on item number ``current``."""
        self.mirror, self.current, self._plot = mirror, current, None
        self.repaint()

    def show_cursor(self, current: int | None) -> None:
        """The same values with the cursor elsewhere: costs next to nothing."""
        self.current = current
        self.repaint()

    def action_move(self, step: int) -> None:
        self.post_message(self.Moved(step))

    def paint(self, width: int, height: int) -> list[Strip]:
        made_for = (width, height, self.drawing)
        if self._plot is None or self._plot[0] != made_for:
            values = self.mirror.values(self.summary.key)
            known = values[np.isfinite(values)]
            middle = np.percentile(known, [15.87, 50, 84.13]) if len(known) else ()
            cells = self._values(values, known, width, max(0, height - 1))
            self._plot = (made_for, cells, tuple(float(value) for value in middle))
            self._beyond = _count_beyond(known)
        _, cells, middle = self._plot
        title = self._title(middle, width)
        if height < 2:
            return [title]
        if not middle:
            return [title, self.line((" no values yet", self.colours["muted"]))]
        return [title, *self._with_cursor(cells).strips(self._style)]

    def _values(self, values: np.ndarray, known: np.ndarray, width: int, height: int) -> Cells:
        cells = Cells.blank(height, width)
        if len(known) and height:
            low, high = _range(known)
            self._axis(cells, low, high)
            self._dots(cells, values, low, high, self._dots_width(width))
            if self._dots_width(width) < width - AXIS_WIDTH:
                self._histogram(cells, known, low, high)
        return cells

    def _dots_width(self, width: int) -> int:
        return width - AXIS_WIDTH - (HISTOGRAM_WIDTH if width >= 44 else 0)

    def _with_cursor(self, cells: Cells) -> Cells:
        n, width = len(self.mirror), self._dots_width(cells.codes.shape[1])
        if self.current is None or not n:
            return cells
        column = AXIS_WIDTH + min(int((self.current + 0.5) * width / n), width - 1)
        marked = Cells(cells.codes.copy(), cells.front.copy(), cells.back)
        free = marked.codes[:, column] == ord(" ")
        marked.codes[free, column] = ord(self.glyphs.vertical)
        marked.front[:, column] = _CURSOR
        return marked

    def _title(self, middle: tuple[float, ...], width: int) -> Strip:
        summary, digits, muted = self.summary, self.summary.digits, self.colours["muted"]
        focus = Style(reverse=self.has_focus)
        pieces: list[Piece] = [(f" {summary.label} ", BOLD + focus), (f" {summary.unit}", muted)]
        right: list[Piece] = []
        if self.current is not None and self.current < len(self.mirror):
            value = float(self.mirror.values(summary.key)[self.current])
            text = words.number(value, digits, self.glyphs.unknown)
            right += [("here ", muted), (text, BOLD)]
        if self._beyond and width >= 44:
            right.append((f"  {self._beyond:,} beyond", self.colours["warning-text"]))
        if middle:
            low, median, high = middle
            spread = words.number((high - low) / 2, digits)
            right += [
                ("  median ", muted),
                (f"{words.number(median, digits)}", PLAIN),
                (f" ±{spread} ", muted),
            ]
        while len(right) > 2 and sum(len(text) for text, _ in pieces + right) > width:
            right.pop()
        used = sum(len(text) for text, _ in pieces + right)
        return self.line(*pieces, (" " * max(1, width - used), PLAIN), *right)

    def _axis(self, cells: Cells, low: float, high: float) -> None:
        n = cells.codes.shape[0]
        digits = self.summary.digits if high - low < 10 else 0
        cells.write(
            0, 0, words.number(high, digits)[: AXIS_WIDTH - 1].rjust(AXIS_WIDTH - 1), _MUTED
        )
        if n > 1:
            text = words.number(low, digits)[: AXIS_WIDTH - 1].rjust(AXIS_WIDTH - 1)
            cells.write(n - 1, 0, text, _MUTED)
        for y in range(n):
            cells.write(y, AXIS_WIDTH - 1, self.glyphs.vertical, _MUTED)

    def _dots(self, cells: Cells, values: np.ndarray, low: float, high: float, width: int) -> None:
        height = cells.codes.shape[0]
        part = Cells.blank(height, width)
        fine_y, fine_x = {Drawing.ASCII: (1, 1), Drawing.HALF: (2, 2)}.get(self.drawing, (4, 2))
        n = len(values)
        x = (np.arange(n) + 0.5) * (width * fine_x) / n
        y = (high - values) / (high - low) * (height * fine_y - 1) + 0.5
        beyond = np.isfinite(values) & ((values > high) | (values < low))
        y = np.clip(np.nan_to_num(y, nan=-1), 0, height * fine_y - 1)
        inside = np.isfinite(values) & ~beyond
        layers = (
            (inside & ~self.mirror.selected, _DIM),
            (inside & self.mirror.selected, _DOTS),
            (beyond, _BEYOND),
        )
        dots = np.zeros((height * fine_y, width * fine_x), dtype=bool)
        for members, colour in layers:
            layer = np.zeros_like(dots)
            raster.draw_points(layer, y[members], x[members])
            touched = layer.reshape(height, fine_y, width, fine_x).any(axis=(1, 3))
            part.front[touched] = colour
            dots |= layer
        if self.drawing is Drawing.ASCII:
            part.codes[dots] = ord("*")
        elif self.drawing is Drawing.HALF:
            part.codes[:] = raster.quadrant_codes(dots)
        else:
            part.codes[:] = raster.braille_codes(dots)
        right = AXIS_WIDTH + width
        cells.codes[:, AXIS_WIDTH:right] = part.codes
        cells.front[:, AXIS_WIDTH:right] = part.front

    def _histogram(self, cells: Cells, known: np.ndarray, low: float, high: float) -> None:
        """One bar a row, from the low values at the bottom to the high ones at the top."""
        height, width = cells.codes.shape
        left = width - HISTOGRAM_WIDTH + 1
        room = HISTOGRAM_WIDTH - 2
        counts, _ = np.histogram(np.clip(known, low, high), bins=height, range=(low, high))
        bars, eighths = self.glyphs.bars, len(self.glyphs.bars) - 1
        for y, count in enumerate(counts[::-1].tolist()):
            length = int(np.ceil(count / max(1, counts.max()) * room * eighths))
            text = bars[-1] * (length // eighths) + bars[length % eighths].strip()
            cells.write(y, left, text, _DOTS)
            cells.write(y, left - 1, self.glyphs.vertical, _MUTED)

    def _style(self, front: int, back: int) -> Style:
        names = ("plot-dim", "plot-dots", "warning-text", "plot-cursor", "muted")
        return self.rich_style + (self.colours[names[front]] if front >= 0 else Style())


def _range(known: np.ndarray) -> tuple[float, float]:
    """What the axis spans: six spreads around the median, so that outliers squeeze nothing."""
    low, median, high = (float(value) for value in np.percentile(known, [15.87, 50, 84.13]))
    spread = (high - low) / 2 or abs(median) * 0.05 or 1e-6
    least, most = float(known.min()), float(known.max())
    low = max(median - 6 * spread, least - 0.2 * spread)
    high = min(median + 6 * spread, most + 0.2 * spread)
    return (0.0 if 0 < low < 0.3 * high else low), high


def _count_beyond(known: np.ndarray) -> int:
    if not len(known):
        return 0
    low, high = _range(known)
    return int(((known < low) | (known > high)).sum())
