"""Positions from probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from warptui.engine.ops.picks import find_artifacts, find_components


def probabilities(shape: tuple[int, int]) -> np.ndarray:
    empty = np.zeros((3, *shape), np.float32)
    empty[0] = 1
    return empty


def paint(
    into: np.ndarray, y: float, x: float, radius: float, label: int, probability: float
) -> None:
    rows, columns = np.indices(into.shape[1:])
    inside = np.hypot(rows - y, columns - x) <= radius
    into[:, inside] = (1 - probability) / 2
    into[label, inside] = probability


def test_discs_become_positions_with_their_scores() -> None:
    given = probabilities((80, 90))
    truth = [(20.0, 30.0, 4.0, 0.99), (50.5, 60.5, 3.0, 0.7), (70.0, 10.0, 5.0, 0.9)]
    for y, x, radius, score in truth:
        paint(given, y, x, radius, 1, score)
    found = find_components(given)
    assert len(found) == 3
    order = [0, 2, 1]  # best first
    for index, expected in enumerate(order):
        y, x, _, score = truth[expected]
        assert found.centres_yx_px[index] == pytest.approx((y, x), abs=0.05)
        assert found.scores[index] == pytest.approx(score, abs=1e-6)


def test_artifacts_need_a_tenth_and_twenty_pixels() -> None:
    given = probabilities((60, 60))
    given[2, 5:9, 5:9] = 0.9  # 16 px: a speck
    given[2, 20:25, 20:25] = 0.11  # 25 px, hardly sure
    given[2, 40:50, 40:50] = 0.09
    mask = find_artifacts(given)
    assert mask.sum() == 25
    assert mask[22, 22]


def test_nothing_gives_no_picks() -> None:
    found = find_components(probabilities((30, 30)))
    assert len(found) == 0
