"""Charts: lines and histograms with axes. The only module that uses plotext.

Small plots are drawn by `line_plot`, large ones and histograms by plotext. Its figure is global and
not thread-safe: it is built on the app's thread alone, and only when something changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.strip import Strip

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.line import BOLD, LineWidget, Piece
from warptui.screens.widgets.pictures.raster import DEFAULT, Cells
from warptui.screens.widgets.plots.line_plot import FRAME, Curve, axis, draw_curves, spacing_axis

LARGE = (90, 20)  # least cells for plotext, which has the better axes where they fit
_MARK = 101  # colour number of marked values
_BARS = 102
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
_FOREGROUND = re.compile(r"38;5;(\d+)")
_ORDER = ("12", "10", "9", "14", "13", "11")  # plotext's own order of colours
_MARK_PIXEL = 7  # a colour of no curve
_SERIES = {colour: number for number, colour in enumerate(_ORDER)} | {str(_MARK_PIXEL): _MARK}
_PLAIN = str.maketrans("┌┐└┘├┤┬┴┼─│┊█", "+++++++++-|:#")
_DOTTED = str.maketrans("▀⠒", "▘⠂")  # the sample of a curve in the legend, without its strokes


@dataclass(frozen=True)
class Bars:
    """A histogram: ``heights`` between ``edges``."""

    edges: np.ndarray
    heights: np.ndarray


@dataclass(frozen=True)
class Plot:
    """The content of a `Chart`: curves or bars, and values marked on the x axis."""

    heading: str
    curves: tuple[Curve, ...] = ()
    bars: Bars | None = None
    marked: tuple[tuple[float, str], ...] = ()  # label of the x axis
    spacings: bool = False  # x are frequencies; the axis shows spacings 1/x


class Chart(LineWidget, can_focus=True):
    """Shows a `Plot`, or a text in its place; labels are above, in the colours of their lines."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._plot: Plot | None = None
        self._message = ""

    def show(self, content: Plot | str) -> None:
        """Draw a plot, or show a text."""
        self._plot = content if isinstance(content, Plot) else None
        self._message = content if isinstance(content, str) else ""
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        plot, muted = self._plot, self.colours["muted"]
        if plot is None:
            return [self.line(*line) for line in self.wrapped(self._message, width)[:height]]
        title: list[Piece] = []
        for curve in plot.curves:
            sample = "▀▀ " if self.drawing is Drawing.HALF else "⠒⠒ "
            sample = sample.translate(_DOTTED) if curve.dotted else sample
            sample = "" if self._letters else sample
            title.append((f" {sample}{curve.label} ", self.colours[curve.colour] + BOLD))
        title += [
            (f" {self.glyphs.vertical} {label} ", self.colours["plot-limit"])
            for _, label in plot.marked
        ]
        title.append((f" {plot.heading}", muted))
        if height < 5 or width < 20:
            return [self.line(*title)]
        if plot.bars is not None or (width >= LARGE[0] and height >= LARGE[1]):
            cells = self._draw_large(plot, width, height - 1)
        else:
            cells = draw_curves(
                plot.curves,
                width,
                height - 1,
                self.drawing,
                self._letters,
                spacings=plot.spacings,
            )
        return [self.line(*title), *cells.strips(self._style)]

    @property
    def _letters(self) -> bool:
        """Whether curves are drawn with letters, since there is no colour."""
        several = self._plot is not None and len(self._plot.curves) > 1
        return self.drawing is Drawing.ASCII or (self.app.no_color and several)

    def _draw_large(self, plot: Plot, width: int, height: int) -> Cells:
        # imported here: it takes a quarter of a second, and many sessions never need it
        import plotext

        plotext.terminal.limit(False, False)  # otherwise plots are cut to the real terminal
        figure = plotext.figure  # plotext has only this figure
        figure.clear()
        figure.plot_size(width, height)
        coarse = "hd" if self.drawing is Drawing.HALF else "braille"
        if plot.bars is not None:
            middles = (plot.bars.edges[1:] + plot.bars.edges[:-1]) / 2
            heights = plot.bars.heights.astype(float).tolist()
            figure.draw(figure.bar(middles.tolist(), heights, width=1.0))
        for curve in plot.curves:
            known = np.isfinite(curve.x) & np.isfinite(curve.y)
            marker = curve.label[0] if self._letters else coarse
            x, y = curve.x[known].tolist(), curve.y[known].tolist()
            signal = figure.signal(x, y, marker=marker)
            figure.draw(signal if curve.dotted else signal.lines())
        for name, values, n_ticks in self._ranges(plot, width, height):
            if name == "x" and plot.spacings:
                found = spacing_axis(values, n_ticks)
            else:
                found = axis(values, n_ticks, padded=False)
            labels = [found.label(tick) for tick in found.ticks]
            figure.ruler(name).ticks(list(found.ticks), labels)
        for value, _ in plot.marked:
            figure.line(value, 1, pixel=_MARK_PIXEL)
        cells = _read(figure.build().string(), height, width)
        if plot.bars is not None:
            cells.front[cells.codes == ord("█")] = _BARS
        if self.drawing is Drawing.ASCII:
            text = "".join(map(chr, cells.codes.ravel().tolist())).translate(_PLAIN)
            cells.codes[:] = np.array([ord(c) for c in text]).reshape(cells.codes.shape)
        return cells

    @staticmethod
    def _ranges(plot: Plot, width: int, height: int) -> list[tuple[str, np.ndarray, int]]:
        """For each axis: the range of values, and the number of ticks that fit."""
        if plot.bars is not None:
            spans = (plot.bars.edges, np.append(plot.bars.heights, 0))
        else:
            x, y = [curve.x for curve in plot.curves], [curve.y for curve in plot.curves]
            spans = (np.concatenate(x), np.concatenate(y))
        return [("x", spans[0], width // 12), ("y", spans[1], max(2, height // 5))]

    def _style(self, front: int, back: int) -> Style:
        base, curves = self.rich_style, self._plot.curves if self._plot else ()
        if 0 <= front < len(curves):
            return base + self.colours[curves[front].colour]
        named = {FRAME: "muted", _MARK: "plot-limit", _BARS: "plot-dots"}
        return base + (self.colours[named[front]] if front in named else Style())


def _read(text: str, height: int, width: int) -> Cells:
    """plotext's escape sequences as cells; characters distinguish frame and ticks from curves."""
    cells = Cells.blank(height, width)
    for y, row in enumerate(text.split("\n")[:height]):
        x, colour = 0, DEFAULT
        for part, piece in enumerate(_ESCAPE.split(row)):
            if part % 2:
                if piece in ("", "0"):
                    colour = DEFAULT
                elif found := _FOREGROUND.search(piece):
                    colour = _SERIES.get(found.group(1), FRAME)
                continue
            cells.write(y, x, piece, colour)
            x += len(piece)
    # tick labels, outside of the frame, have the colour of the first curve
    corner = cells.codes == ord("└")
    if corner.any():
        bottom, left = np.argwhere(corner)[0]
        cells.front[bottom + 1 :][cells.codes[bottom + 1 :] != ord(" ")] = FRAME
        cells.front[:, : left + 1][cells.codes[:, : left + 1] != ord(" ")] = FRAME
    return cells
