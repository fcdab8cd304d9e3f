"""A histogram of bars that grow to the right, beside a vertical axis. Pure."""

from __future__ import annotations

import numpy as np

from warptui.screens.look.glyphs import Drawing, glyphs
from warptui.screens.widgets.pictures import raster
from warptui.screens.widgets.pictures.raster import Cells

_BINS = {Drawing.ASCII: 1, Drawing.BRAILLE: 4}  # bars in a row of cells; otherwise two


def histogram_cells(
    known: np.ndarray,
    span: tuple[float, float],
    shape: tuple[int, int],
    drawing: Drawing,
    colour: int,
    limits: tuple[float | None, float | None] = (None, None),
    beyond: int | None = None,
) -> Cells:
    """Bars from low values at the bottom to high ones at the top.

    Values outside of ``span`` count at its ends, as in a strip plot. Rows outside of ``limits``
    have the colour ``beyond``.
    """
    height, width = shape
    cells = Cells.blank(height, width)
    if not height or not len(known):
        return cells
    low, high = span
    n_bins = height * _BINS.get(drawing, 2)
    counts, _ = np.histogram(np.clip(known, low, high), bins=n_bins, range=(low, high))
    parts = counts[::-1] / max(1, int(counts.max()))  # as a share of the width, highest value first
    if drawing is Drawing.ASCII:
        bars = glyphs(drawing).bars
        fine = len(bars) - 1
        for y, length in enumerate(np.ceil(parts * width * fine).astype(int).tolist()):
            cells.write(y, 0, bars[-1] * (length // fine) + bars[length % fine].strip())
    else:
        lengths = np.ceil(parts * 2 * width)
        dots = np.arange(2 * width)[None, :] < lengths[:, None]
        draw = raster.braille_codes if drawing is Drawing.BRAILLE else raster.quadrant_codes
        cells.codes[:] = draw(dots)
    cells.front[cells.codes != ord(" ")] = colour
    if beyond is not None:
        middles = high - (np.arange(height) + 0.5) * (high - low) / height
        least = -np.inf if limits[0] is None else limits[0]
        most = np.inf if limits[1] is None else limits[1]
        outside = (middles < least) | (middles > most)
        cells.front[outside[:, None] & (cells.codes != ord(" "))] = beyond
    return cells
