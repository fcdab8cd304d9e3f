"""Stored shifts as paths of the specimen."""

from __future__ import annotations

import numpy as np
import pytest

from warptui.screens.item.motion import magnification, read_motion


def test_the_specimen_moves_against_the_shift_that_is_applied() -> None:
    motion = read_motion({"track_yx_angstrom": [[0, 0], [-1, 2], [-3, 5]]})
    assert motion is not None
    np.testing.assert_allclose(motion.path_yx, [[0, 0], [1, -2], [3, -5]])
    assert not motion.local


def test_local_tracks_are_global_plus_local_nodes_with_x_fastest() -> None:
    n_x, n_y, n_time = 3, 2, 2
    local_x = np.zeros((n_time, n_y, n_x))
    local_x[1, 1, 2] = 6.0  # last time, bottom row, right column
    motion = read_motion(
        {
            "track_yx_angstrom": [[0, 0], [0, 1], [0, 2]],
            "global_yx_angstrom": [[0, 0], [0, 2]],
            "local_grid": [n_x, n_y, n_time],
            "local_x_angstrom": local_x.ravel().tolist(),
            "local_y_angstrom": np.zeros(n_x * n_y * n_time).tolist(),
        }
    )
    assert motion is not None
    assert motion.local
    np.testing.assert_allclose(motion.places_yx[-1], [1, 1])
    np.testing.assert_allclose(motion.tracks_yx[0, -1], [0, -2])
    np.testing.assert_allclose(motion.tracks_yx[-1], [[0, 0], [0, -4], [0, -8]])


def test_without_a_track_there_is_no_motion() -> None:
    assert read_motion({}) is None


@pytest.mark.parametrize(("length", "factor"), [(10.0, 50), (1000.0, 1), (0.0, 1)])
def test_tracks_are_enlarged_by_round_numbers(length: float, factor: int) -> None:
    motion = read_motion({"track_yx_angstrom": [[0, 0], [0, length]]})
    assert motion is not None
    assert magnification(motion, 5000.0) == factor
