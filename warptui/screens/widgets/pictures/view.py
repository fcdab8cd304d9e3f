"""The visible part of a picture, and where on the screen a place of the picture is. Pure.

A terminal cell is one unit wide and two units high, and one number scales both axes: pixels stay
square. The picture's first row is at the bottom of the screen, as in IMOD, in the program that
drives the camera, and wherever else y points up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ZOOMS = (1, 2, 4, 8)


@dataclass(frozen=True)
class View:
    """A window onto a picture of ``shape_yx`` pixels; ``top`` counts from its last row."""

    shape_yx: tuple[int, int]
    top: float
    left: float
    scale: float  # pixels of the picture per unit of the screen
    width: int  # cells
    height: int

    @property
    def seen_yx(self) -> tuple[float, float]:
        """Height and width of the visible part, in pixels of the picture."""
        return self.scale * 2 * self.height, self.scale * self.width

    def units(self, fractions_yx: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Units from the top and the left of the pane for places of the picture.

        ``fractions_yx`` (..., 2) run from 0 at the outer edge of the first row or column to 1 at
        that of the last.
        """
        ny, nx = self.shape_yx
        y = ((1 - fractions_yx[..., 0]) * ny - self.top) / self.scale
        x = (fractions_yx[..., 1] * nx - self.left) / self.scale
        return y, x

    def fractions(self, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Fractions (y, x) of the picture at the centres of a grid that fills the pane."""
        ny, nx = self.shape_yx
        seen_y, seen_x = self.seen_yx
        y = 1 - (self.top + (np.arange(rows) + 0.5) / rows * seen_y) / ny
        x = (self.left + (np.arange(columns) + 0.5) / columns * seen_x) / nx
        return y, x


def look(
    shape_yx: tuple[int, int],
    width: int,
    height: int,
    zoom: int = 1,
    centre_yx: tuple[float, float] = (0.5, 0.5),
) -> View:
    """The view of a pane of ``width`` x ``height`` cells, around ``centre_yx`` (fractions).

    The whole picture fits at zoom 1. The window never leaves a picture that is larger than it.
    """
    ny, nx = shape_yx
    scale = max(nx / width, ny / (2 * height)) / zoom
    seen_y, seen_x = scale * 2 * height, scale * width
    return View(
        shape_yx,
        _start((1 - centre_yx[0]) * ny - seen_y / 2, seen_y, ny),
        _start(centre_yx[1] * nx - seen_x / 2, seen_x, nx),
        scale,
        width,
        height,
    )


def _start(start: float, seen: float, n: int) -> float:
    """Where the window begins: centred if it is larger than the picture, else inside of it."""
    return (n - seen) / 2 if seen >= n else min(max(start, 0.0), n - seen)
