"""Positions of the beam: recognised without knowing their pattern, and kept while images come."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.beam_patterns import afis
from tests.work import instructions
from warptui.engine.exporters.optics_groups.grouping import NO_SHIFT, BeamGroups


def images(there: np.ndarray, first: int = 0, unit: str = "µm"):
    return [(f"m{number}", (x, y, unit)) for number, (x, y) in enumerate(there.tolist(), first)]


def labels(groups: BeamGroups, n: int) -> np.ndarray:
    return np.array([groups.labels[f"m{number}"] for number in range(n)])


def same_partition(first: np.ndarray, second: np.ndarray) -> bool:
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    return len(pairs) == len(set(first.tolist())) == len(set(second.tolist()))


@pytest.mark.parametrize(("side", "n"), [(2, 40), (3, 60), (5, 200), (7, 400), (9, 800)])
@pytest.mark.parametrize(("noise", "drift"), [(0.0, 0.0), (0.05, 0.2), (0.09, 0.0)])
def test_positions_of_beam_image_shift_are_found(side, n, noise, drift) -> None:
    there, truth = afis(side, n, noise, drift=drift)
    groups = BeamGroups()
    groups.add(images(there))
    assert same_partition(labels(groups, n), truth)
    found = [group.centre for group in groups.groups()]
    wanted = np.array([there[truth == number].mean(axis=0) for number in range(side**2)])
    for centre in found:
        assert np.hypot(*(wanted - centre).T).min() < 0.015


def test_shots_within_a_hole_are_positions_too() -> None:
    there, truth = afis(3, 400, 0.02, shots=4)
    groups = BeamGroups()
    groups.add(images(there))
    assert same_partition(labels(groups, 400), truth)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    side=st.integers(2, 5),
    noise=st.floats(0, 0.07),
    drift=st.floats(0, 0.2),
    scale=st.sampled_from([1e-6, 1.0, 1e4]),
    step=st.integers(1, 60),
)
def test_the_order_and_the_pace_of_arrival_change_nothing(
    seed, side, noise, drift, scale, step
) -> None:
    """And no image changes its group, but once from those that wait."""
    n = 12 * side**2
    there, truth = afis(side, n, noise, drift=drift, seed=seed)
    order = np.random.default_rng(seed).permutation(n)
    there, truth = scale * there[order], truth[order]
    groups, before, moves = BeamGroups(), {}, {}
    came = images(there)
    for first in range(0, n, step):
        groups.add(came[first : first + step])
        for name, label in groups.labels.items():
            if before.get(name, label) != label:
                moves[name] = moves.get(name, 0) + 1
        before = dict(groups.labels)
    assert max(moves.values(), default=0) <= 1
    settled = {group.label for group in groups.groups() if group.centre is not None}
    found = labels(groups, n)
    inside = np.isin(found, list(settled))
    assert inside.mean() > 0.97
    assert same_partition(found[inside], truth[inside])
    assert len(settled) == side**2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(16, 150), heavy=st.booleans())
def test_one_heap_is_one_group(seed: int, n: int, heavy: bool) -> None:
    """Stage movement alone leaves a small random shift; a few tails may lie apart."""
    rng = np.random.default_rng(seed)
    there = rng.uniform(-1, 1, (n, 2)) if heavy else rng.normal(0, 1, (n, 2))
    groups = BeamGroups()
    for first in range(0, n, 10):
        groups.add(images(there[first : first + 10], first))
    assert max(group.n for group in groups.groups()) > 0.9 * n


def untidy(seed: int) -> tuple[np.ndarray, int]:
    """Heaps of many kinds and sizes over each other, and how many images come at a time."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(rng.integers(1, 6)):
        kind, n = rng.integers(0, 5), int(rng.integers(3, 120))
        centre, size = rng.normal(0, rng.choice([0.1, 1, 5]), 2), 10 ** rng.uniform(-3, 0.5)
        if kind == 0:
            there = rng.normal(0, size, (n, 2))
        elif kind == 1:
            turn = rng.uniform(0, 2 * np.pi, n)
            there = size * np.stack([np.cos(turn), np.sin(turn)], -1)
            there = there + rng.normal(0, size * 0.02, (n, 2))
        elif kind == 2:
            there = size * rng.integers(0, 4, (n, 2)) + rng.normal(0, size * 0.03, (n, 2))
        else:
            there = np.zeros((n, 2)) if kind == 3 else size * rng.standard_cauchy((n, 2))
        parts.append(centre + there)
    all_of_them = np.vstack(parts)
    if rng.random() < 0.5:
        all_of_them = all_of_them[rng.permutation(len(all_of_them))]
    return all_of_them, int(rng.integers(1, 60))


@pytest.mark.parametrize("seed", [73, 197, 243])
def test_heaps_around_known_positions_come_to_an_end(seed: int, monkeypatch) -> None:
    """In these a heap's middle lies at a position whose reach none of its images is in."""
    looks, look = [], BeamGroups._look

    def counted(self: BeamGroups, plane) -> bool:
        looks.append(len(plane.waiting))
        assert len(looks) < 200
        return look(self, plane)

    monkeypatch.setattr(BeamGroups, "_look", counted)
    there, step = untidy(seed)
    groups = BeamGroups()
    for first in range(0, len(there), step):
        groups.add(images(there[first : first + step], first))
    assert sum(group.n for group in groups.groups()) == len(there)


def test_all_at_the_same_place_is_one_group() -> None:
    groups = BeamGroups()
    groups.add(images(np.zeros((100, 2))))
    (group,) = groups.groups()
    assert group.n == 100


def test_the_pattern_may_begin_in_the_middle_of_a_session_and_grow() -> None:
    there, truth = afis(3, 180, 0.04)
    groups = BeamGroups()
    groups.add(images(np.zeros((100, 2))))
    for at in range(0, 180, 9):
        groups.add(images(there[at : at + 9], 100 + at))
    assert groups.labels["m0"] == groups.labels["m99"]
    found = labels(groups, 280)[100:]
    assert same_partition(found, truth)
    assert found[truth == 4][0] == groups.labels["m0"]  # the middle hole: no shift
    kept = dict(groups.labels)
    more = np.random.default_rng(3).normal(0.5, 0.002, (5, 2))  # a hole further out
    for number, place in enumerate(more):
        groups.add(images(place[None], 280 + number))
    assert {name: groups.labels[name] for name in kept} == kept
    assert len({groups.labels[f"m{number}"] for number in range(280, 285)}) == 1
    assert groups.labels["m284"] not in kept.values()


@pytest.mark.parametrize("noise", [0.03, 0.08])
def test_a_pattern_between_the_positions_of_another_is_recognised(noise: float) -> None:
    """After 5x5 holes 4x4, whose middle is between holes: that is why strays wait for ever."""
    parts = []
    for side in (5, 4):
        steps = np.arange(side) - (side - 1) / 2
        holes = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        parts.append(holes[np.arange(10 * side**2) % side**2])
    truth = np.unique(np.vstack(parts), axis=0, return_inverse=True)[1]
    there = np.vstack(parts) + np.random.default_rng(0).normal(0, noise, (410, 2))
    groups = BeamGroups()
    for first in range(0, 410, 20):
        groups.add(images(there[first : first + 20], first))
    assert same_partition(labels(groups, 410), truth.ravel())


def test_strays_do_not_become_groups_of_one() -> None:
    there, _ = afis(3, 90, 0.04)
    strays = np.array([[3.0, 1.0], [-2.0, 0.7], [0.4, 5.0]])
    groups = BeamGroups()
    groups.add(images(np.vstack([there, strays])))
    last = labels(groups, 93)[90:]
    assert len(set(last)) == 1 and last[0] not in labels(groups, 90)
    assert len(groups.groups()) == 10


def test_unknown_shifts_and_other_units_stay_apart() -> None:
    there, truth = afis(2, 40, 0.05)
    groups = BeamGroups()
    groups.add([("x", None), *images(there), *images(there, 40, "EPU units"), ("y", None)])
    assert groups.labels["x"] == groups.labels["y"] == NO_SHIFT
    assert same_partition(labels(groups, 80), np.concatenate([truth, truth + 4]))
    groups.add([("x", (*there[0], "µm"))])  # its file came late
    assert groups.labels["x"] == groups.labels["m0"]


def test_a_distance_can_be_given() -> None:
    there, truth = afis(3, 30, 0.05, spacing=1.0)
    groups = BeamGroups(0.5)
    for number, image in enumerate(images(there), 1):
        groups.add([image])
        assert len(groups.groups()) == min(number, 9)  # from the first image on
    assert same_partition(labels(groups, 30), truth)
    whole = BeamGroups(10.0)
    whole.add(images(there))
    assert len(whole.groups()) == 1


def test_another_engine_goes_on_with_the_same_labels() -> None:
    there, truth = afis(4, 300, 0.06, drift=0.2)
    straight, halved = BeamGroups(), BeamGroups()
    straight.add(images(there[:150]))
    straight.add([("none", None)])
    halved = BeamGroups.from_json(json.loads(json.dumps(straight.to_json())))
    for groups in (straight, halved):
        groups.add(images(there[150:], 150))
    assert straight.labels == halved.labels
    assert same_partition(labels(halved, 300), truth)


def test_work_on_groups_grows_with_the_images_and_no_faster() -> None:
    def work(n: int) -> int:
        there, truth = afis(9, n, 0.07)
        groups, given = BeamGroups(), images(there)
        count = instructions(lambda: groups.add(given))
        assert same_partition(labels(groups, n), truth)
        return count

    assert work(8000) < 2.5 * work(4000)
