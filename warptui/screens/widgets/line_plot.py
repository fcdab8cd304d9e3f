"""The one place that knows plotext: lines in a frame, as strips in our own colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.strip import Strip

from warptui.screens.widgets.glyphs import Drawing
from warptui.screens.widgets.line import BOLD, LineWidget, Piece
from warptui.screens.widgets.raster import DEFAULT, Cells

_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
_FOREGROUND = re.compile(r"38;5;(\d+)")
_SERIES = {"12": 0, "10": 1, "9": 2}  # plotext's own order of colours
_FRAME = 100  # colour number of frame and ticks
_PLAIN_FRAME = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    label: str  # its first letter draws it where there is neither braille nor colour
    x: np.ndarray
    y: np.ndarray
    colour: str  # of the palette


class LinePlot(LineWidget, can_focus=True):
    """Lines against a common axis; the labels stand above, each in the colour of its line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._heading = ""
        self._nothing = ""

    def show(self, heading: str, lines: Sequence[Line], nothing: str = "") -> None:
        """Draw ``lines``; ``nothing`` is said where there is none."""
        self._heading, self._lines, self._nothing = heading, tuple(lines), nothing
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        muted = self.colours["muted"]
        if not self._lines:
            return [self.line((f" {self._nothing}", muted))]
        title: list[Piece] = [(f" {self._heading} ", muted)]
        for number, line in enumerate(self._lines):
            marker = self._marker(number)
            sample = {"braille": "⠒⠒"}.get(marker, marker * 2)
            title.append((f"  {sample} {line.label}", self.colours[line.colour] + BOLD))
        if height < 5 or width < 20:
            return [self.line(*title)]
        cells = _read(self._draw(width, height - 1), height - 1, width)
        if self.drawing is Drawing.ASCII:
            cells.codes[:] = [
                [ord(chr(c).translate(_PLAIN_FRAME)) for c in row] for row in cells.codes.tolist()
            ]
        return [self.line(*title), *cells.strips(self._style)]

    def _marker(self, number: int) -> str:
        if self.drawing is Drawing.ASCII:
            return self._lines[number].label[0]
        return "+*o"[number - 1] if self.app.no_color and number else "braille"

    def _draw(self, width: int, height: int) -> str:
        # imported here: it takes a quarter of a second, and only this widget needs it
        import plotext

        plotext.terminal.limit(False, False)  # else plots are cut to the real terminal
        figure = plotext.figure  # there is only this one
        figure.clear()
        figure.plot_size(width, height)
        for number, line in enumerate(self._lines):
            known = np.isfinite(line.y)
            signal = figure.signal(
                line.x[known].tolist(), line.y[known].tolist(), marker=self._marker(number)
            )
            figure.draw(signal.lines())
        return figure.build().string()

    def _style(self, front: int, back: int) -> Style:
        base = self.rich_style
        if 0 <= front < len(self._lines):
            return base + self.colours[self._lines[front].colour]
        return base + (self.colours["muted"] if front == _FRAME else Style())


def _read(text: str, height: int, width: int) -> Cells:
    """plotext's escape sequences as cells; frame and ticks are told from lines by character."""
    cells = Cells.blank(height, width)
    for y, row in enumerate(text.split("\n")[:height]):
        x, colour = 0, DEFAULT
        for part, piece in enumerate(_ESCAPE.split(row)):
            if part % 2:
                if piece in ("", "0"):
                    colour = DEFAULT
                elif found := _FOREGROUND.search(piece):
                    colour = _SERIES.get(found.group(1), DEFAULT)
                continue
            cells.write(y, x, piece, colour)
            x += len(piece)
    frame = (cells.codes < 0x2800) & (cells.codes != ord(" "))
    left = int(np.argmax((cells.codes == ord("│")).any(axis=0))) if height > 2 else 0
    drawn = np.isin(cells.codes, [ord(c) for c in "+*oxyz"])
    drawn[:, : left + 1] = False
    cells.front[frame & ~drawn] = _FRAME
    return cells
