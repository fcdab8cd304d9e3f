"""Many points as dots in cells, in the finest grid that the glyphs have. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.pictures import raster
from warptui.screens.widgets.pictures.raster import Cells

FINE = {Drawing.ASCII: (1, 1), Drawing.HALF: (2, 2)}  # dots in a cell (y, x); else as in braille
FINEST = (4, 2)


@dataclass(frozen=True)
class Layer:
    """Points of one colour; later layers are drawn on top."""

    members: np.ndarray  # (item,) bool
    colour: int
    character: str  # the letter in ASCII, where a cell has no dots


def dot_cells(
    y: np.ndarray,
    x: np.ndarray,
    layers: Sequence[Layer],
    shape: tuple[int, int],
    drawing: Drawing,
    *,
    large: bool = False,
) -> Cells:
    """Points as cells. ``y``: 0 = top, 1 = bottom; ``x``: 0 = left; NaN = not drawn.

    ``large`` ones are half a cell, where braille is drawn: a few single dots are hardly seen.
    """
    height, width = shape
    cells = Cells.blank(height, width)
    fine_y, fine_x = FINE.get(drawing, FINEST)
    n_y, n_x = height * fine_y, width * fine_x
    dots = np.zeros((n_y, n_x), dtype=bool)
    # the ends of the axes are the centres of the first and of the last dot
    rows, columns = y * (n_y - 1) + 0.5, np.minimum(x * n_x, n_x - 0.5)
    for layer in layers:
        mine = np.zeros_like(dots)
        raster.draw_points(mine, rows[layer.members], columns[layer.members])
        if large and (fine_y, fine_x) == FINEST:
            blocks = mine.reshape(2 * height, 2, width, 2).any(axis=(1, 3))
            mine = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
        touched = mine.reshape(height, fine_y, width, fine_x).any(axis=(1, 3))
        cells.front[touched] = layer.colour
        if drawing is Drawing.ASCII:
            cells.codes[touched] = ord(layer.character)
        dots |= mine
    if drawing is Drawing.HALF:
        cells.codes[:] = raster.quadrant_codes(dots)
    elif drawing is not Drawing.ASCII:
        cells.codes[:] = raster.braille_codes(dots)
    return cells
