"""Positions that are too near to each other or to a mask, against the obvious slow way."""

import numpy as np
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from warptui.engine.ops.common import minimum_distance
from warptui.engine.ops.common.minimum_distance import clear_of, spaced

SEEDS = st.integers(0, 2**32 - 1)


def slowly_spaced(points: np.ndarray, limit: float, ranks: np.ndarray) -> np.ndarray:
    stays = np.zeros(len(points), bool)
    for index in np.argsort(ranks):
        kept = points[stays]
        if not len(kept) or ((kept - points[index]) ** 2).sum(axis=1).min() > limit**2:
            stays[index] = True
    return stays


@given(SEEDS, st.integers(0, 150), st.floats(0.01, 200))
@settings(max_examples=150, deadline=None)
def test_of_those_that_are_near_the_better_stays(seed: int, n: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-20, 100, (n, 2))
    if seed % 3 == 0:  # many at the same place, and at exactly the limit
        points = np.round(points / max(limit, 1)) * limit
    ranks = rng.permutation(n)
    expected = slowly_spaced(points, limit, ranks)
    np.testing.assert_array_equal(spaced(points, limit, ranks), expected)
    np.testing.assert_array_equal(
        minimum_distance._spaced_one_by_one(points, limit, ranks), expected
    )


def test_a_limit_wider_than_the_picture_leaves_the_best() -> None:
    points = np.random.default_rng(0).uniform(0, 4000, (3000, 2))
    ranks = np.arange(3000)[::-1].copy()
    stays = spaced(points, 1e5, ranks)
    assert stays.sum() == 1 and stays[-1]


@given(SEEDS, st.integers(1, 40), st.integers(1, 40), st.floats(0, 60))
@settings(max_examples=150, deadline=None)
def test_distance_to_a_mask_is_the_exact_one(seed: int, ny: int, nx: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.uniform(size=(ny, nx)) < rng.choice([0.0, 0.01, 0.3])
    points = rng.uniform(-3, (ny + 3, nx + 3), (30, 2))
    clear = clear_of(mask, points, distance)
    if not mask.any():
        assert clear.all()
        return
    room = np.asarray(scipy.ndimage.distance_transform_edt(~mask))
    rows = np.rint(points[:, 0]).astype(int).clip(0, ny - 1)
    columns = np.rint(points[:, 1]).astype(int).clip(0, nx - 1)
    found = room[rows, columns]
    np.testing.assert_array_equal(clear, (found > 0) & (found**2 >= distance**2 - 1e-9))
