"""Positions from probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from warptui.engine.ops.picking.picks import find_artifacts, find_components


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


@pytest.mark.parametrize("radius", [3.0, 4.5, 7.0, 12.0])
@pytest.mark.parametrize("degrees", [0, 30, 45, 77])
def test_discs_that_have_run_together_are_told_apart_at_their_waist(
    radius: float, degrees: float
) -> None:
    given = probabilities((100, 100))
    reach = 0.85 * radius  # their edges overlap by 0.3 radii
    step = np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))]) * reach
    centre = np.array([50.3, 49.6])
    truth = np.array([centre + step, centre - step])
    for (y, x), score in zip(truth, (0.95, 0.9), strict=True):
        paint(given, y, x, radius, 1, score)
    found = find_components(given)
    assert len(found) == 2
    apart = np.linalg.norm(found.centres_yx_px[:, None] - truth[None], axis=2)
    assert apart.min(axis=0).max() < 0.15 * radius + 0.3
    assert found.areas_px.sum() == (given.argmax(axis=0) == 1).sum()


@pytest.mark.parametrize("radius", [2.0, 3.0, 5.0, 9.0])
def test_one_disc_however_ragged_and_an_ellipse_are_one(radius: float) -> None:
    given = probabilities((60, 120))
    paint(given, 30.2, 30.7, radius, 1, 0.9)
    rng = np.random.default_rng(3)
    rows, columns = np.indices(given.shape[1:])
    rim = np.abs(np.hypot(rows - 30.2, columns - 30.7) - radius) < 0.7
    ragged = rim & (rng.random(rim.shape) < 0.4)
    given[1, ragged], given[0, ragged] = 0.8, 0.2
    ellipse = np.hypot((rows - 30) / radius, (columns - 85) / (1.5 * radius)) <= 1
    given[1, ellipse], given[0, ellipse] = 0.9, 0.1
    assert len(find_components(given)) == 2


@pytest.mark.parametrize("radius", [3.0, 4.5, 8.0])
@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_a_particle_is_picked_where_its_centre_lies_in_the_micrograph(
    radius: float, side: str
) -> None:
    ny, nx = 60, 70
    for inside in (-0.7, -0.4, -0.2, 0.2, 0.4, 0.7, 1.2):
        given = probabilities((ny, nx))
        depth = inside * radius - 0.5  # the edge is half a pixel before the first centre
        y, x = {
            "top": (depth, 30.2),
            "bottom": (ny - 1 - depth, 30.2),
            "left": (30.2, depth),
            "right": (30.2, nx - 1 - depth),
        }[side]
        paint(given, y, x, radius, 1, 0.9)
        found = find_components(given)
        assert len(found) == (inside > 0), inside


def test_a_corner_takes_a_disc_by_either_edge() -> None:
    given = probabilities((60, 70))
    paint(given, 2.0, 2.0, 5.0, 1, 0.9)
    paint(given, -3.0, 66.0, 5.0, 1, 0.9)
    found = find_components(given)
    assert len(found) == 1
    assert (found.centres_yx_px[0] < 4).all()
