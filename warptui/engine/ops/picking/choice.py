"""The rule that chooses picks from candidates. NumPy only: the stage and the app use it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warptui.engine.model.edits import MASK_PIXEL_SIZE, NO_EDITS, Chosen, Edits, Spot
from warptui.engine.ops.common.minimum_distance import clear_of, spaced

OVERLAP_SHARE = 1 / 1.5  # of the diameter: nearer centres are one particle found twice


SAME_SHARE = 1 / 4  # of the diameter: a mark by hand this near means this pick


ADDED_SCORE = 1.0


def choose(
    candidates: np.ndarray,
    mask: np.ndarray | None,
    pixel_size: float,
    diameter_angstrom: float,
    min_score: float,
    min_mask_distance_angstrom: float,
    edits: Edits = NO_EDITS,
    *,
    mask_pixel_yx: Sequence[float] = (MASK_PIXEL_SIZE, MASK_PIXEL_SIZE),
) -> Chosen:
    """Choose picks from ``candidates`` (n, 4): y, x (px of the average), score, area.

    Picks reach the lowest score; of two that overlap, the larger one stays; picks are far enough
    from ``mask`` (y, x; 0/1; pixels of ``mask_pixel_yx`` Å); candidates that were removed by hand,
    or also added by hand, are left out.
    """
    candidates = np.asarray(candidates, np.float64).reshape(-1, 4)
    lowest = min_score if edits.min_score is None else edits.min_score
    left = candidates[candidates[:, 2].astype(np.float32) >= np.float32(lowest)]
    limit = diameter_angstrom * OVERLAP_SHARE
    positions = left[:, :2] * pixel_size
    left = left[spaced(positions, limit, _by_size(left))]
    if mask is not None:
        distance = (diameter_angstrom / 2 + min_mask_distance_angstrom) / MASK_PIXEL_SIZE
        on_mask = left[:, :2] * pixel_size / np.asarray(mask_pixel_yx)
        left = left[clear_of(np.asarray(mask, bool), on_mask, distance)]
    positions = left[:, :2] * pixel_size
    same = diameter_angstrom * SAME_SHARE
    removed = _within(positions, edits.removed, same)
    added = np.array([(spot.y_angstrom, spot.x_angstrom) for spot in edits.added]).reshape(-1, 2)
    replaced = _near_any(positions, added, np.full(len(added), same))
    order = np.lexsort((positions[:, 1], positions[:, 0], -left[:, 2]))
    kept = order[~(removed | replaced)[order]]
    gone = order[(removed & ~replaced)[order]]
    return Chosen(
        np.concatenate([added, positions[kept]]),
        np.concatenate([np.full(len(added), ADDED_SCORE), left[kept, 2]]).astype(np.float32),
        np.concatenate([np.zeros(len(added)), left[kept, 3]]).astype(np.float32),
        positions[gone],
        left[gone, 2].astype(np.float32),
    )


def _by_size(candidates: np.ndarray) -> np.ndarray:
    """Ranks (n,): the biggest is 0; then the score, then the place decide, never the order."""
    y, x, score, area = candidates.T
    ranks = np.empty(len(candidates), np.int64)
    ranks[np.lexsort((x, y, -score, -area))] = np.arange(len(candidates))
    return ranks


def _within(positions: np.ndarray, spots: Sequence[Spot], radius_angstrom: float) -> np.ndarray:
    centres = np.array([(spot.y_angstrom, spot.x_angstrom) for spot in spots]).reshape(-1, 2)
    radii = np.array([spot.radius_angstrom or radius_angstrom for spot in spots])
    return _near_any(positions, centres, radii)


def _near_any(positions: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    near = np.zeros(len(positions), bool)
    for centre, radius in zip(centres, radii, strict=True):
        near |= ((positions - centre) ** 2).sum(axis=1) <= radius**2
    return near
