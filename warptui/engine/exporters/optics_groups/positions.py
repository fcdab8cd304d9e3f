"""Find clusters of beam shifts, without knowing their pattern, its size or its unit.

Clusters are counted at every scale; the count that is constant over the widest range of scales
wins: separate clusters keep their count from their own spread up to the gaps between them.
"""

from __future__ import annotations

import numpy as np

LEAST = 3  # images that form a position
SAMPLE = 1200  # images that the scale is found from: every pair of them is looked at
STEPS_PER_OCTAVE = 3
MOST_OCTAVES = 12
CERTAIN_OCTAVES = 1.0  # for which a number of positions must hold
COVERED = 0.8  # share of the images that must lie at positions
HOPELESS = 0.4  # share at a scale below which smaller scales need not be looked at
SAME_COUNT = 0.03  # relative difference of counts that are regarded as equal
APART = 4.0  # times their own spread that positions must lie apart
LINK = 2.0  # bandwidths that a denser image may be away


def positions_of(there: np.ndarray) -> np.ndarray:
    """Beam shifts (n, 2) to cluster centres (k, 2); k is 0 if no count of clusters is certain."""
    if len(there) < LEAST:
        return np.zeros((0, 2))
    if len(there) > SAMPLE:  # at random: acquisition comes back to positions in turn
        chosen = np.random.default_rng(0).permutation(len(there))[:SAMPLE]
        there = there[np.sort(chosen)]
    apart = _pairs(there)
    distances = apart[apart > 0]
    if not len(distances):
        return np.zeros((0, 2))
    widest = np.sqrt(np.median(distances))
    scales = widest * 2.0 ** (-np.arange(MOST_OCTAVES * STEPS_PER_OCTAVE + 1) / STEPS_PER_OCTAVE)
    counts, found = [], []
    for scale in scales:
        heaps = _heaps(apart, scale)
        sizes = np.bincount(heaps)
        share = sizes[sizes >= LEAST].sum() / len(there)
        n = int((sizes >= LEAST).sum())
        counts.append(n if share >= COVERED else 0)
        found.append(heaps)
        if share < HOPELESS:
            break
    first, last = _longest_run(counts)
    if last - first < CERTAIN_OCTAVES * STEPS_PER_OCTAVE:
        return np.zeros((0, 2))
    heaps = found[(first + last) // 2]
    sizes = np.bincount(heaps)
    members = [there[heaps == heap] for heap in np.flatnonzero(sizes >= LEAST)]
    positions = np.array([inside.mean(axis=0) for inside in members])
    spreads = [np.sqrt(inside.var(axis=0, ddof=1).sum()) for inside in members]
    if spacing(positions) < APART * np.median(spreads):
        return np.zeros((0, 2))  # parts of one cluster or of a continuous spread
    return positions


def spacing(positions: np.ndarray) -> float:
    """The median distance to the nearest other position."""
    apart = _pairs(positions)
    np.fill_diagonal(apart, np.inf)
    return float(np.median(np.sqrt(apart.min(axis=1))))


def _pairs(there: np.ndarray) -> np.ndarray:
    """(n, n) squared distances."""
    there = np.asarray(there, np.float64)
    y, x = (there[:, axis, None] - there[None, :, axis] for axis in (0, 1))
    return y**2 + x**2


def _heaps(apart: np.ndarray, scale: float) -> np.ndarray:
    """(n,) number of each image's heap: up from image to denser image that is near."""
    density = np.exp(apart * (-0.5 / scale**2)).sum(axis=1)
    order = np.argsort(-density, kind="stable")
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    near = np.where(rank[None, :] < rank[:, None], apart, np.inf)
    above = near.argmin(axis=1)
    alone = near[np.arange(len(near)), above] > (LINK * scale) ** 2
    above[alone] = np.flatnonzero(alone)
    while True:
        higher = above[above]
        if np.array_equal(higher, above):
            break
        above = higher
    return np.unique(above, return_inverse=True)[1]


def _longest_run(counts: list[int]) -> tuple[int, int]:
    """First and last of the longest run of equal counts; a count of 0 ends a run."""
    best = (0, -1)
    for first, count in enumerate(counts):
        if count < 2:  # one cluster is the default answer
            continue
        last = first
        while last + 1 < len(counts) and abs(counts[last + 1] - count) <= SAME_COUNT * count:
            last += 1
        best = max(best, (first, last), key=lambda run: run[1] - run[0])
    return best
