"""Draws arrays as characters: dots, lines and pictures as cells, cells as strips. Pure NumPy.

A terminal cell is one unit wide and two units high; every function that draws pictures keeps
that ratio, so that pixels stay square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

DEFAULT = -1  # the widget's own colour

_BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint16)
_QUADRANTS = np.array([ord(c) for c in " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"], dtype=np.uint32)
_BY_CODE = np.argsort(_QUADRANTS)
_BAYER = (
    np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], dtype=np.float32) + 0.5
) / 16
BRAILLE = 0x2800  # the first of 256 code points, with one bit per dot
_RAMP = np.array([ord(c) for c in " .:-=+*#%@"], dtype=np.uint32)


@dataclass
class Cells:
    """A rectangle of characters: code points and two colour numbers each, all (y, x)."""

    codes: np.ndarray  # uint32
    front: np.ndarray  # int16; DEFAULT or a colour number for the caller's style function
    back: np.ndarray  # int16

    @classmethod
    def blank(cls, height: int, width: int) -> Cells:
        """Spaces in the default colours."""
        return cls(
            np.full((height, width), ord(" "), dtype=np.uint32),
            np.full((height, width), DEFAULT, dtype=np.int16),
            np.full((height, width), DEFAULT, dtype=np.int16),
        )

    def copy(self) -> Cells:
        """A copy to draw on."""
        return Cells(self.codes.copy(), self.front.copy(), self.back.copy())

    def write(self, y: int, x: int, text: str, front: int = DEFAULT) -> None:
        """Write single-width characters, cropped to the rectangle."""
        height, width = self.codes.shape
        text = text[: max(0, width - x)]
        if 0 <= y < height and x >= 0 and text:
            self.codes[y, x : x + len(text)] = [ord(c) for c in text]
            self.front[y, x : x + len(text)] = front

    def strips(self, style: Callable[[int, int], Style]) -> list[Strip]:
        """One strip per row; neighbours with equal colours share a segment."""
        height, width = self.codes.shape
        if not width:
            return [Strip([], 0) for _ in range(height)]
        key = self.front.astype(np.int32) * 65536 + self.back
        changes = np.diff(key, axis=1) != 0
        # few colour combinations, many segments: make each style once
        used, which = np.unique(key, return_inverse=True)
        backs = (used + 32768) % 65536 - 32768
        fronts = (used - backs) // 65536
        styles = [style(*both) for both in zip(fronts.tolist(), backs.tolist(), strict=True)]
        which = which.reshape(key.shape)
        strips = []
        for y in range(height):
            text = self.codes[y].tobytes().decode("utf-32-le")
            edges = [0, *(np.flatnonzero(changes[y]) + 1).tolist(), width]
            numbers = which[y, edges[:-1]].tolist()
            segments = [
                Segment(text[a:b], styles[number])
                for (a, b), number in zip(pairwise(edges), numbers, strict=True)
            ]
            strips.append(Strip(segments, width))
        return strips


def braille_codes(dots: np.ndarray) -> np.ndarray:
    """(4 h, 2 w) bool to (h, w) braille code points; a space where no dot is set."""
    height, width = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(height, 4, width, 2).transpose(0, 2, 1, 3)
    bits = (cells * _BRAILLE_BITS).sum(axis=(2, 3)).astype(np.uint32)
    return np.where(bits == 0, np.uint32(ord(" ")), bits + BRAILLE).astype(np.uint32)


def quadrant_codes(dots: np.ndarray, more: np.ndarray | int = 0) -> np.ndarray:
    """(2 h, w) bool to (h, w) code points of quadrant blocks; ``more``: bits set in any case."""
    height, width = dots.shape[0] // 2, dots.shape[1] // 2
    cells = dots.reshape(height, 2, width, 2)
    bits = cells[:, 0, :, 0] + 2 * cells[:, 0, :, 1] + 4 * cells[:, 1, :, 0] + 8 * cells[:, 1, :, 1]
    return _QUADRANTS[bits | more]


def quadrant_bits(codes: np.ndarray) -> np.ndarray:
    """The inverse of `quadrant_codes`; 0 for characters that are no quadrants."""
    place = np.searchsorted(_QUADRANTS, codes, sorter=_BY_CODE).clip(0, len(_QUADRANTS) - 1)
    bits = _BY_CODE[place]
    return np.where(_QUADRANTS[bits] == codes, bits, 0)


def resample(
    image: np.ndarray, top: float, left: float, height: float, width: float, shape: tuple[int, int]
) -> np.ndarray:
    """Resample a window of ``image`` (y, x) to a grid of ``shape``; NaN outside of the image.

    Area means where an output pixel is larger than an input pixel, linear interpolation where
    it is smaller: a picture that is enlarged shows no steps.
    """
    rows = _resample_rows(image, top, height, shape[0])
    return _resample_rows(rows.T, left, width, shape[1]).T


def _resample_rows(image: np.ndarray, start: float, length: float, n_out: int) -> np.ndarray:
    """(n_out, x) of the rows from ``start``, without a matrix product and the threads it uses."""
    n = len(image)
    edges = start + length * np.arange(n_out + 1) / n_out
    clipped = np.clip(edges, 0, n)
    # a cell that the picture covers by less than half stays empty: no ragged bright border
    inside = np.diff(clipped) >= 0.5 * length / n_out
    if length < n_out:
        place = np.clip((edges[:-1] + edges[1:]) / 2 - 0.5, 0, n - 1)
        low = np.minimum(place.astype(int), max(n - 2, 0))
        part = (place - low)[:, None]
        high = np.minimum(low + 1, n - 1)
        result = image[low] * (1 - part) + image[high] * part
    else:
        first = min(int(clipped[0]), n - 1)
        last = max(int(np.ceil(clipped[-1])), first + 1)
        sums = np.zeros((last - first + 1, image.shape[1]))
        np.cumsum(image[first:last], axis=0, out=sums[1:])
        place = clipped - first
        low = np.minimum(place.astype(int), len(sums) - 2)
        part = (place - low)[:, None]
        below = sums[low] * (1 - part) + sums[low + 1] * part
        share = np.diff(clipped)[:, None]
        result = np.diff(below, axis=0) / np.where(share > 0, share, 1)
    return np.where(inside[:, None], result, np.nan)


def smoothed(part: np.ndarray) -> np.ndarray:
    """(y, x) averaged over nearest neighbours; NaN stays NaN and does not spread."""
    known = np.isfinite(part)
    filled = np.where(known, part, np.nanmean(part) if known.any() else 0.0)
    padded = np.pad(filled, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    result = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return np.where(known, result, np.nan)


def flattened(part: np.ndarray, size: int) -> np.ndarray:
    """(y, x) minus the mean of ``size`` x ``size`` around each place: a local background.

    A gradient of ice uses up the few greys of dots and letters. NaN stays and does not count.
    """
    known = np.isfinite(part)
    sums = _box_sums(np.where(known, part, 0.0), size)
    counts = _box_sums(known.astype(float), size)
    return part - sums / np.maximum(counts, 1)


def _box_sums(values: np.ndarray, size: int) -> np.ndarray:
    """The sum of the ``size`` x ``size`` values around each place; zero beyond the edges."""
    before, after = size // 2 + 1, (size - 1) // 2
    total = np.pad(values, ((before, after), (before, after))).cumsum(axis=0).cumsum(axis=1)
    return total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]


def draw_polyline(dots: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> None:
    """Set the dots (bool, y, x) on the line through the points, whose units are dots.

    Points that are not finite interrupt it.
    """
    ys, xs = np.asarray(ys, dtype=float), np.asarray(xs, dtype=float)
    steps = np.maximum(np.abs(np.diff(ys)), np.abs(np.diff(xs)))
    known = np.isfinite(steps)
    limit = 4.0 * max(dots.shape)  # no part of a line is visible far outside
    counts = np.where(known, np.minimum(np.nan_to_num(steps), limit), 0).astype(int) + 2
    segment = np.repeat(np.arange(len(steps)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    part = (np.arange(len(segment)) - first) / (counts[segment] - 1)
    part[~known[segment]] = np.nan
    draw_points(
        dots,
        ys[segment] * (1 - part) + ys[segment + 1] * part,
        xs[segment] * (1 - part) + xs[segment + 1] * part,
    )


def draw_points(dots: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> None:
    """Set the dots (bool, y, x) nearest to the points; skips points outside or not finite."""
    inside = (ys >= 0) & (ys < dots.shape[0]) & (xs >= 0) & (xs < dots.shape[1])
    dots[ys[inside].astype(int), xs[inside].astype(int)] = True


def half_block_cells(grey: np.ndarray, levels: int) -> Cells:
    """(2 h, w) greys 0..1, NaN = empty, to half blocks in ``levels`` colour numbers."""
    number = _levels(grey, levels)
    cells = Cells.blank(grey.shape[0] // 2, grey.shape[1])
    cells.codes[:] = ord("▀")
    cells.front[:], cells.back[:] = number[0::2], number[1::2]
    same = cells.front == cells.back
    cells.codes[same] = ord(" ")
    cells.front[same] = cells.back[same]
    return cells


def quadrant_cells(grey: np.ndarray, levels: int) -> Cells:
    """(2 h, 2 w) greys 0..1, NaN = empty, to quadrant blocks of two colours a cell."""
    height, width = grey.shape[0] // 2, grey.shape[1] // 2
    four = grey.reshape(height, 2, width, 2).transpose(0, 2, 1, 3).reshape(height, width, 4)
    empty = np.isnan(four).any(axis=2)
    four = np.nan_to_num(four)
    middle = (four.max(axis=2, keepdims=True) + four.min(axis=2, keepdims=True)) / 2
    high = four > middle
    n_high = high.sum(axis=2)
    bright = np.where(n_high, (four * high).sum(axis=2) / np.maximum(n_high, 1), four.mean(axis=2))
    dark = (four * ~high).sum(axis=2) / np.maximum(4 - n_high, 1)
    cells = Cells.blank(height, width)
    cells.codes[:] = _QUADRANTS[(high * np.array([1, 2, 4, 8])).sum(axis=2)]
    cells.front[:], cells.back[:] = _levels(bright, levels), _levels(dark, levels)
    same = cells.front == cells.back
    cells.codes[same] = ord(" ")
    cells.codes[empty] = ord(" ")
    cells.front[empty] = cells.back[empty] = DEFAULT
    return cells


def dither_cells(grey: np.ndarray) -> Cells:
    """(4 h, 2 w) greys 0..1, NaN = empty, to braille dots by ordered dither."""
    ny, nx = grey.shape
    threshold = np.tile(_BAYER, (ny // 4 + 1, nx // 4 + 1))[:ny, :nx]
    cells = Cells.blank(ny // 4, nx // 2)
    cells.codes[:] = braille_codes(np.nan_to_num(grey) > threshold)
    return cells


def ascii_cells(grey: np.ndarray) -> Cells:
    """(h, w) greys 0..1, NaN = empty, to ten characters of growing ink."""
    cells = Cells.blank(*grey.shape)
    number = np.clip(np.nan_to_num(grey) * len(_RAMP), 0, len(_RAMP) - 1).astype(int)
    cells.codes[:] = _RAMP[number]
    return cells


def _levels(grey: np.ndarray, levels: int) -> np.ndarray:
    number = np.clip(np.nan_to_num(grey) * levels, 0, levels - 1).astype(np.int16)
    return np.where(np.isnan(grey), np.int16(DEFAULT), number)
