"""Positions from probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from warptui.engine.ops.picks import (
    Picks,
    away_from,
    find_artifacts,
    find_components,
    implied_diameter_px,
    without_overlaps,
)


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


def test_of_two_that_overlap_the_bigger_stays() -> None:
    given = Picks(
        np.array([[10, 10], [10, 16], [10, 40]], np.float32),
        np.array([0.99, 0.9, 0.8], np.float32),
        np.array([20, 50, 10]),
    )
    kept = without_overlaps(given, diameter_px=15)
    assert kept.centres_yx_px.tolist() == [[10, 16], [10, 40]]
    assert len(without_overlaps(given, diameter_px=8)) == 3


def test_a_chain_of_overlaps_keeps_its_ends_when_they_are_bigger() -> None:
    places = np.array([[0, 0], [0, 6], [0, 12]], np.float32)
    given = Picks(places, np.ones(3, np.float32), np.array([30, 10, 20]))
    assert without_overlaps(given, diameter_px=12).areas_px.tolist() == [30, 20]


def test_artifacts_need_a_tenth_and_twenty_pixels() -> None:
    given = probabilities((60, 60))
    given[2, 5:9, 5:9] = 0.9  # 16 px: a speck
    given[2, 20:25, 20:25] = 0.11  # 25 px, hardly sure
    given[2, 40:50, 40:50] = 0.09
    mask = find_artifacts(given)
    assert mask.sum() == 25
    assert mask[22, 22]


def test_picks_keep_their_distance_from_the_mask() -> None:
    mask = np.zeros((50, 50), bool)
    mask[:, 40:] = True
    given = Picks(
        np.array([[10, 10], [10, 33], [10, 45]], np.float32), np.ones(3, np.float32), np.full(3, 9)
    )
    assert away_from(given, mask, 0).centres_yx_px[:, 1].tolist() == [10, 33]
    assert away_from(given, mask, 8).centres_yx_px[:, 1].tolist() == [10]
    assert len(away_from(given, np.zeros((50, 50), bool), 100)) == 3


def test_nothing_gives_no_picks() -> None:
    found = find_components(probabilities((30, 30)))
    assert len(found) == 0
    assert len(without_overlaps(found, 10)) == 0
    assert implied_diameter_px(found, 0.5) is None


def test_the_marks_tell_the_diameter() -> None:
    given = probabilities((200, 200))
    for y in range(20, 200, 40):
        for x in range(20, 200, 40):
            paint(given, y, x, 5, 1, 0.99)
    assert implied_diameter_px(find_components(given), 0.5) == pytest.approx(20, rel=0.06)
