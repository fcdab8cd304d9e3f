"""Shapes of marks in a picture, distinct without colours. Pure NumPy."""

from __future__ import annotations

from enum import Enum

import numpy as np

from warptui.screens.widgets.pictures import raster

_DASHES = 6  # share of a dashed ring that is drawn
_APART = 2.0  # dots between the two rings of a double one
_INNER = 0.8  # of a box and a cross: otherwise their corners reach farther out than a circle
_MOST_POINTS = 400  # points of one outline: enough for rings larger than any window


class Shape(Enum):
    """A shape, the sign for it at small sizes, and its letter in ASCII."""

    CIRCLE = ("○", "o")
    BOX = ("□", "#")
    CROSS = ("×", "x")
    DASHED = ("?", "?")
    DOUBLE = ("!", "!")

    def __init__(self, sign: str, letter: str) -> None:
        self.sign = sign
        self.letter = letter

    @property
    def area(self) -> bool:
        """Whether the shape marks an area: always drawn, also when small, with a sign inside."""
        return self in (Shape.DASHED, Shape.DOUBLE)


def draw(dots: np.ndarray, shape: Shape, ys: np.ndarray, xs: np.ndarray, radii: np.ndarray) -> None:
    """Set the dots (bool, y, x) of outlines around places; all units are dots."""
    height, width = dots.shape
    seen = (ys > -radii) & (ys < height + radii) & (xs > -radii) & (xs < width + radii)
    ys, xs, radii = ys[seen], xs[seen], radii[seen]
    if not len(ys):
        return
    largest = float(radii.max())
    match shape:
        case Shape.BOX:
            _draw(dots, _square(largest), ys, xs, _INNER * radii)
        case Shape.CROSS:
            arm = np.linspace(-1, 1, _points(2 * largest))
            _draw(dots, np.array([[*arm, *arm], [*arm, *-arm]]), ys, xs, _INNER * radii)
        case Shape.DASHED:
            ring = _ring(largest)
            turns = np.arange(ring.shape[1]) * 2 * _DASHES // ring.shape[1]
            _draw(dots, ring[:, turns % 2 == 0], ys, xs, radii)
        case Shape.DOUBLE:
            _draw(dots, _ring(largest), ys, xs, radii)
            _draw(dots, _ring(largest), ys, xs, radii - _APART)
        case _:
            _draw(dots, _ring(largest), ys, xs, radii)


def _draw(
    dots: np.ndarray, outline: np.ndarray, ys: np.ndarray, xs: np.ndarray, radii: np.ndarray
) -> None:
    """Draw ``outline`` (2, point), given for radius 1, around each place."""
    y, x = (
        np.add.outer(outline[axis], np.zeros(len(radii))) * radii + places
        for axis, places in ((0, ys), (1, xs))
    )
    raster.draw_points(dots, y, x)


def _points(length: float) -> int:
    return min(max(8, int(np.ceil(1.3 * length))), _MOST_POINTS)


def _ring(radius: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, _points(2 * np.pi * radius), endpoint=False)
    return np.stack([np.sin(angles), np.cos(angles)])


def _square(radius: float) -> np.ndarray:
    side = np.linspace(-1, 1, _points(2 * radius))
    edge = np.ones_like(side)
    return np.array([[*side, *side, *-edge, *edge], [*-edge, *edge, *side, *side]])
