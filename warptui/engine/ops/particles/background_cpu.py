"""CPU kernel of `background.normalise_boxes`: two passes over each box."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

from warptui.engine.ops.common.threads import share_out


def normalise_boxes(images: np.ndarray, radius_px: float) -> None:
    """As `background.normalise_boxes_in_torch`, of ``(n, y, x)`` float32 boxes in place."""
    gaps, inverse = _background(images.shape[-1], radius_px)

    def work(image: np.ndarray) -> None:
        _normalise(image, gaps, inverse)

    list(share_out(work, list(images)))


@lru_cache(maxsize=8)
def _background(size: int, radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """``(y, 2)`` columns from and to which the disc covers a row, and what fits a plane.

    Raises
    ------
    ValueError
        If the disc leaves no background.
    """
    place = np.arange(size, dtype=np.float64) - size // 2
    outside = place[:, None] ** 2 + place**2 > radius_px**2
    if not outside.any():
        raise ValueError(f"a disc of {radius_px:g} px leaves no background in {size} px")
    covered = ~outside
    first = np.where(covered.any(axis=1), covered.argmax(axis=1), size)
    gaps = np.stack([first, first + covered.sum(axis=1)], axis=1)
    y, x = (part[outside] for part in np.meshgrid(place, place, indexing="ij"))
    basis = np.stack([np.ones_like(y), y, x])
    return gaps, np.stack([*np.linalg.pinv(basis @ basis.T), [len(y), 0, 0]])


@numba.njit(nogil=True, fastmath=True, cache=True)
def _normalise(image, gaps, inverse):
    """Take out the plane and divide by the standard deviation of what the disc leaves."""
    size = image.shape[0]
    half = np.float32(size // 2)
    start = np.float32(0)  # squares of small numbers keep their digits
    for x in range(size):
        start += image[0, x] / np.float32(size)
    whole = along_y = along_x = squares = 0.0
    for y in range(size):
        total = ramp = square = np.float32(0)
        for side in range(2):
            a, b = (0, gaps[y, 0]) if side == 0 else (gaps[y, 1], size)
            v = np.uint64(y)
            for x in range(np.uint64(a), np.uint64(b)):
                value = image[v, x] - start
                total += value
                ramp += value * (np.float32(np.int32(x)) - half)
                square += value * value
        whole += total
        along_y += total * (y - size // 2)
        along_x += ramp
        squares += square
    level, down, right = (
        inverse[0, 0] * whole + inverse[0, 1] * along_y + inverse[0, 2] * along_x,
        inverse[1, 0] * whole + inverse[1, 1] * along_y + inverse[1, 2] * along_x,
        inverse[2, 0] * whole + inverse[2, 1] * along_y + inverse[2, 2] * along_x,
    )
    rest = squares - level * whole - down * along_y - right * along_x
    scale = np.float32(1 / np.sqrt(max(rest / inverse[3, 0], 1e-30)))
    slope = np.float32(right)
    for y in range(size):
        v = np.uint64(y)
        middle = np.float32(start + level + down * (y - size // 2))
        for x in range(np.uint64(size)):
            plane = middle + slope * (np.float32(np.int32(x)) - half)
            image[v, x] = (image[v, x] - plane) * scale
