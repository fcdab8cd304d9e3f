"""The mean |CTF| of all good items by frequency, as bars: how well each frequency is covered."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from textual.strip import Strip

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.line import BOLD, LineWidget, Piece, fitted
from warptui.screens.widgets.pictures import raster
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.line_plot import spacing_axis

AXIS_WIDTH = 3  # with a space on each side
LEAST_HEIGHT, LEAST_WIDTH = 4, 16
LABEL_EVERY = 6  # columns
COARSE_ANGSTROM = 10.0  # the weakest frequency is looked for from here on: all lower ones are weak
_BARS, _MUTED = range(2)
_COLOURS = ("plot-dots", "muted")
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:#"


class CtfPlot(LineWidget):
    """Bars from 0 to 1 by frequency, labelled in Å; marks the least covered frequency."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._k, self._heights = np.zeros(0), np.zeros(0)
        self._n = 0

    def show(self, k: np.ndarray, mean: np.ndarray | None, n_good: int) -> None:
        """Show a mean over frequencies ``k`` in 1/Å; None if unknown."""
        self._k, self._n = k, n_good
        self._heights = np.zeros(0) if mean is None else mean
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        muted = self.colours["muted"]
        left: list[tuple[int, list[Piece]]] = [
            (0, [(" mean |CTF|,", BOLD), (" good items", BOLD)]),
            (2, [(f" {self._n:,}", muted)]),
        ]
        if not len(self._heights):
            sentence = " unknown" if self._n else " unknown: no good items"
            return [self.line(*fitted(left, [], width)), self.line((sentence, muted))][:height]
        least, at = weakest(self._k, self._heights)
        right: list[tuple[int, list[Piece]]] = [
            (1, [(f"least {least:.2f} at {at:.1f} Å", Style())])
        ]
        title = self.line(*fitted(left, right, width))
        if height < LEAST_HEIGHT or width < LEAST_WIDTH:
            return [title]
        cells = self._draw(width, height - 1)
        return [title, *cells.strips(self._style)]

    def _draw(self, width: int, height: int) -> Cells:
        cells = Cells.blank(height, width)
        rows, columns = height - 1, width - AXIS_WIDTH
        part = bars(self._heights, (rows, columns), self.drawing)
        drawn = part != ord(" ")
        cells.codes[:rows, AXIS_WIDTH:][drawn] = part[drawn]
        cells.front[:rows, AXIS_WIDTH:][drawn] = _BARS
        for row in range(rows):
            cells.write(row, AXIS_WIDTH - 1, self.glyphs.vertical, _MUTED)
        cells.write(0, AXIS_WIDTH - 2, "1", _MUTED)
        cells.write(rows - 1, AXIS_WIDTH - 2, "0", _MUTED)
        last, end = float(self._k[-1]), AXIS_WIDTH
        unit = f"{1 / last:.3g} Å"
        stop = width - len(unit)
        cells.write(rows, stop, unit, _MUTED)
        labelled = (stop - AXIS_WIDTH - 2) / columns * last
        axis = spacing_axis(self._k[(self._k > 0) & (self._k < labelled)], columns // LABEL_EVERY)
        for tick in axis.ticks:
            text = axis.label(tick)
            left = AXIS_WIDTH + int(tick / last * columns) - len(text) // 2
            if left >= end and left + len(text) < stop:
                cells.write(rows, left, text, _MUTED)
                end = left + len(text) + 1
        return cells

    def _style(self, front: int, back: int) -> Style:
        return self.rich_style + (self.colours[_COLOURS[front]] if front >= 0 else Style())


def weakest(k: np.ndarray, heights: np.ndarray) -> tuple[float, float]:
    """The least height beyond the coarse frequencies, and its spacing in Å."""
    number = int(np.argmin(np.where(k >= 1 / COARSE_ANGSTROM, heights, np.inf)))
    return float(heights[number]), 1 / float(k[number])


def bars(heights: np.ndarray, shape: tuple[int, int], drawing: Drawing) -> np.ndarray:
    """(rows, columns) code points of bars from the bottom; ``heights`` from 0 to 1."""
    rows, columns = shape
    fine = 2 if drawing is Drawing.BRAILLE else 1
    places = np.linspace(0, len(heights) - 1, columns * fine)
    found = np.interp(places, np.arange(len(heights)), heights)
    if drawing is Drawing.BRAILLE:
        dots = np.arange(4 * rows)[::-1, None] < np.round(found * 4 * rows)[None, :]
        return raster.braille_codes(dots)
    characters = _PLAIN if drawing is Drawing.ASCII else _EIGHTHS
    steps = len(characters) - 1
    full = np.round(found * rows * steps).astype(int)[None, :] - steps * np.arange(rows)[::-1, None]
    table = np.array([ord(character) for character in characters], dtype=np.uint32)
    return table[np.clip(full, 0, steps)]
