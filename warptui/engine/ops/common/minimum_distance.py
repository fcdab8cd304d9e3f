"""Removes positions that are too near to each other, or to a masked area. Numpy only."""

from __future__ import annotations

import numpy as np

_MANY_PAIRS = 400_000  # so many candidates for pairs are not listed: then few positions can stay


def spaced(points: np.ndarray, limit: float, ranks: np.ndarray) -> np.ndarray:
    """Choose ``points`` (n, 2) by rank so that no two chosen ones are closer than ``limit``.

    ``ranks`` (n,) int orders them, 0 is the best; no two may have the same. Returns (n,) bool.
    """
    n = len(points)
    if n < 2:
        return np.ones(n, bool)
    firsts, ends, order = _neighbourhoods(points, limit)
    if int((ends - firsts).sum()) > _MANY_PAIRS:
        return _spaced_one_by_one(points, limit, ranks)
    a, b = _pairs(points, limit, firsts, ends, order)
    better, worse = np.where(ranks[a] < ranks[b], a, b), np.where(ranks[a] < ranks[b], b, a)
    stays = np.ones(n, bool)
    open_ = np.ones(n, bool)  # neither kept nor dropped yet
    while len(better):
        beaten = np.zeros(n, bool)
        beaten[worse] = True
        kept = open_ & ~beaten
        stays[worse[kept[better]]] = False
        open_ &= stays & ~kept
        undecided = open_[better] & open_[worse]
        better, worse = better[undecided], worse[undecided]
    return stays


def _spaced_one_by_one(points: np.ndarray, limit: float, ranks: np.ndarray) -> np.ndarray:
    stays = np.zeros(len(points), bool)
    left = np.argsort(ranks)
    while len(left):
        best, left = left[0], left[1:]
        stays[best] = True
        left = left[((points[left] - points[best]) ** 2).sum(axis=1) > limit**2]
    return stays


def _neighbourhoods(points: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranges (2, n) of possible neighbours in a point's own row of cells and the next row.

    Cells are as wide as ``limit``; ``order`` sorts the points by cell, and ranges count in it.
    """
    wide = limit * (1 + 1e-9)  # rounding must not separate points at exactly this distance
    cells = np.floor((points - points.min(axis=0)) / wide).astype(np.int64)
    width = int(cells[:, 1].max()) + 3
    keys = cells[:, 0] * width + cells[:, 1] + 1
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    index = np.arange(1, len(points) + 1)
    firsts = np.stack([index, np.searchsorted(keys, keys + width - 1, "left")])
    ends = np.stack(
        [
            np.searchsorted(keys, keys + 1, "right"),
            np.searchsorted(keys, keys + width + 1, "right"),
        ]
    )
    return firsts, ends, order


def _pairs(
    points: np.ndarray, limit: float, firsts: np.ndarray, ends: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the points of each pair that is not farther than ``limit`` apart."""
    counts = (ends - firsts).ravel()
    total = int(counts.sum())
    one = np.repeat(np.tile(np.arange(len(points)), 2), counts)
    offsets = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    other = np.repeat(firsts.ravel(), counts) + offsets
    a, b = order[one], order[other]
    near = ((points[a] - points[b]) ** 2).sum(axis=1) <= limit**2
    return a[near], b[near]


def clear_of(mask: np.ndarray, points_px: np.ndarray, distance_px: float) -> np.ndarray:
    """Choose ``points_px`` (n, 2; y, x) that are farther than the limit from masked pixels.

    ``mask`` is (y, x) bool. Points count as being at the nearest pixel's centre; those outside as
    at the edge. Returns (n,) bool.
    """
    if not mask.any() or not len(points_px):
        return np.ones(len(points_px), bool)
    ny, nx = mask.shape
    rows = np.rint(points_px[:, 0]).astype(np.int64).clip(0, ny - 1)
    columns = np.rint(points_px[:, 1]).astype(np.int64).clip(0, nx - 1)
    along = _distances_in_row(mask)
    clear = ~mask[rows, columns]
    reach = min(int(np.ceil(distance_px)), ny)
    for step in range(-reach, reach + 1):
        there = rows + step
        seen = (there >= 0) & (there < ny)
        squared = along[there.clip(0, ny - 1), columns] ** 2 + step**2
        clear &= ~seen | (squared >= distance_px**2)
    return clear


def _distances_in_row(mask: np.ndarray) -> np.ndarray:
    """Distance (y, x) of each pixel to the nearest masked pixel of its row; else inf."""
    column = np.arange(mask.shape[1], dtype=np.float64)
    left = np.maximum.accumulate(np.where(mask, column, -np.inf), axis=1)
    right = np.minimum.accumulate(np.where(mask, column, np.inf)[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(column - left, right - column)
