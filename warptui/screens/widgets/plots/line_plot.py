"""A small line plot, drawn in 1 ms where plotext takes 10 ms. Pure NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.pictures import raster
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.axis import same

FRAME = 100  # colour number of axes and tick labels
# Å; the roundest first: the others are left out where room is short
_SPACINGS = (10, 5, 20, 3, 4, 30, 2, 6, 7, 8, 50, 15, 12, 100, 3.5, 2.5, 4.5, 1.5, 1, 2.2, 1.8, 1.2)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Curve:
    """One line of a plot."""

    label: str  # its first letter draws the curve where there is neither braille nor colour
    x: np.ndarray
    y: np.ndarray
    colour: str  # a colour of the palette
    dotted: bool = False  # draw points instead of a line


@dataclass(frozen=True)
class Axis:
    """A range of values on ``n`` dots, and the positions of its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    inverse: bool = False  # frequencies, labelled with their spacings

    def label(self, tick: float) -> str:
        """A tick's label, with as few digits as distinguish it from its neighbours."""
        if self.inverse:
            return f"{1 / tick:.3g}"
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else abs(tick) or 1.0
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
            digits += 1
        return f"{tick:.{digits}f}" if abs(tick) < 1e6 else f"{tick:.3g}"


def axis(values: np.ndarray, n_ticks: int, *, padded: bool = True) -> Axis:
    """The range of ``values`` with about ``n_ticks`` round ticks inside."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if same(low, high):
        low, high = low - 0.5, high + 0.5
    if padded:
        low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    rough = (high - low) / max(n_ticks, 1)
    decade = 10.0 ** math.floor(math.log10(rough))
    steps = [s * decade for s in _STEPS]
    if known.size and not padded and (known == np.round(known)).all():  # there is no frame 2.5
        steps = [max(1.0, step) for step in steps if step >= 10 or step % 2.5 or step % 5 == 0]
    step = next(s for s in steps if s >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(n * step for n in range(first, last + 1)))


def spacing_axis(frequencies: np.ndarray, n_ticks: int) -> Axis:
    """The range of ``frequencies`` with at most ``n_ticks`` ticks at round spacings 1/frequency."""
    known = frequencies[np.isfinite(frequencies)]
    low, high = float(known.min()), float(known.max())
    apart = (high - low) / max(n_ticks, 1)
    ticks: list[float] = []
    for spacing in _SPACINGS:
        tick = 1 / spacing
        if low <= tick <= high and all(abs(tick - other) >= apart for other in ticks):
            ticks.append(tick)
    return Axis(low, high, tuple(sorted(ticks)), inverse=True)


def draw_curves(
    curves: tuple[Curve, ...],
    width: int,
    height: int,
    drawing: Drawing,
    letters: bool,
    *,
    spacings: bool = False,
) -> Cells:
    """Draw curves with axes; ``letters``: with the letters of their labels instead of lines.

    ``spacings``: x are frequencies, and the axis is labelled with spacings 1/x.
    """
    cells = Cells.blank(height, width)
    y_axis = axis(np.concatenate([curve.y for curve in curves]), max(1, height // 3))
    label_width = max((len(y_axis.label(tick)) for tick in y_axis.ticks), default=0)
    left, rows = label_width + 1, height - 2
    columns = width - left - 1
    if rows < 2 or columns < 8:
        return cells
    x = np.concatenate([curve.x for curve in curves])
    x_axis = spacing_axis(x, columns // 5) if spacings else axis(x, columns // 12, padded=False)
    _draw_axes(cells, x_axis, y_axis, left, rows, drawing)
    inside = np.s_[:rows, left : left + columns]
    for number, curve in enumerate(curves):
        y = (y_axis.high - curve.y) / (y_axis.high - y_axis.low) * (rows * 4 - 1)
        x = (curve.x - x_axis.low) / (x_axis.high - x_axis.low) * (columns * 2 - 1)
        if letters or drawing is Drawing.ASCII:
            _write_letters(cells, y / 4, x / 2 + left, rows, curve.label[0], number)
            continue
        dots = np.zeros((rows * 4, columns * 2), dtype=bool)
        (raster.draw_points if curve.dotted else raster.draw_polyline)(dots, y + 0.5, x + 0.5)
        if drawing is Drawing.HALF:  # the font may have no braille
            codes = raster.quadrant_codes(dots[0::2] | dots[1::2])
            touched = codes != ord(" ")
        else:
            codes = raster.braille_codes(dots)
            touched = codes != ord(" ")
            both = touched & (cells.codes[inside] >= raster.BRAILLE)
            codes[both] |= cells.codes[inside][both]
        cells.codes[inside][touched] = codes[touched]
        cells.front[inside][touched] = number
    return cells


def _draw_axes(
    cells: Cells, x_axis: Axis, y_axis: Axis, left: int, rows: int, drawing: Drawing
) -> None:
    plain = drawing is Drawing.ASCII
    vertical, horizontal, corner, tick_y, tick_x, zero = "|-++++" if plain else "│─└┤┬┄"
    columns = cells.codes.shape[1] - left - 1
    for row in range(rows):
        cells.write(row, left - 1, vertical, FRAME)
    cells.write(rows, left - 1, corner + horizontal * columns, FRAME)
    for tick in y_axis.ticks:
        row = int((y_axis.high - tick) / (y_axis.high - y_axis.low) * (rows * 4 - 1) / 4)
        cells.write(row, 0, y_axis.label(tick).rjust(left - 1) + tick_y, FRAME)
        if abs(tick) < 1e-12 and not plain:
            cells.write(row, left, zero * columns, FRAME)
    taken = -1
    for tick in x_axis.ticks:
        place = (tick - x_axis.low) / (x_axis.high - x_axis.low) * (columns * 2 - 1) / 2
        column, label = left + int(place), x_axis.label(tick)
        start = min(max(column - len(label) // 2, left - 1), cells.codes.shape[1] - len(label))
        if start > taken:
            cells.write(rows, column, tick_x, FRAME)
            cells.write(rows + 1, start, label, FRAME)
            taken = start + len(label)


def _write_letters(
    cells: Cells, rows: np.ndarray, columns: np.ndarray, limit: int, letter: str, colour: int
) -> None:
    known = np.isfinite(rows) & np.isfinite(columns)
    for row, column in zip(rows[known].astype(int), columns[known].astype(int), strict=True):
        if 0 <= row < limit:
            cells.write(row, column, letter, colour)
