"""What a person changed about picks: kept exactly, and never in the way of what they left."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.work import instructions
from warptui.engine.errors import InputError
from warptui.engine.model.edits import NO_EDITS, Edits, Spot
from warptui.engine.ops.picking.choice import OVERLAP_SHARE, SAME_SHARE, choose
from warptui.engine.project.edits_file import read_edits, write_edits

numbers = st.floats(-1e6, 1e6)
spots = st.lists(
    st.builds(Spot, y_angstrom=numbers, x_angstrom=numbers, radius_angstrom=st.floats(0, 1e4)),
    max_size=4,
).map(tuple)
edits = st.builds(
    Edits,
    added=spots,
    removed=spots,
    uncertain=spots,
    certain=spots,
    min_score=st.none() | st.floats(0, 1),
    training=st.sampled_from(["", "examples", "held-out"]),
    train_mask=st.booleans(),
)
DIAMETER, PIXEL = 120.0, 1.5


def made_up(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates as the stage stores them, and a mask."""
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(0, 1000, n), rng.uniform(0, 900, n), rng.uniform(0.4, 1, n)]
    areas = rng.integers(2, 60, n)
    mask = np.zeros((188, 168), np.uint8)
    mask[40:60, 100:130] = 1
    return np.column_stack([*columns, areas]).astype(np.float32), mask


@given(edits)
@settings(max_examples=60, deadline=None)
def test_edits_come_back_as_they_were_written(tmp_path_factory, given_edits: Edits) -> None:
    path = tmp_path_factory.mktemp("edits") / "matching" / "a_edits.json"
    write_edits(path, given_edits)
    assert read_edits(path) == given_edits
    assert path.exists() == (given_edits != NO_EDITS)
    write_edits(path, NO_EDITS)
    assert not path.exists() and read_edits(path) == NO_EDITS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b'{"format": 1, "added": [', "not JSON"),
        (b"\xff\xfe\x00", "not text"),
        (b"[1]", "holds a list"),
        (b'{"format": 9}', "its format is 9, this version knows 1"),
        (b'{"format": 1, "added": [{"y_angstrom": 1}]}', "added.0.x_angstrom"),
        (b'{"format": 1, "min_score": "high"}', "min_score"),
        (b'{"format": 1, "colour": "red"}', "colour"),
        (b'{"format": 1, "removed": [{"y_angstrom": NaN, "x_angstrom": 1}]}', "finite"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "movie_edits.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"movie_edits\.json") as told:
        read_edits(path)
    assert said in str(told.value) and "Repair it" in str(told.value)
    assert path.read_bytes() == content


def test_values_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError):
        Spot(y_angstrom=float("nan"), x_angstrom=0)
    with pytest.raises(ValidationError):
        Spot(y_angstrom=0, x_angstrom=0, radius_angstrom=-1)
    with pytest.raises(ValidationError):
        Edits(min_score=1.5)


@given(st.integers(0, 1000), st.integers(0, 300), st.floats(0.4, 1.0))
@settings(max_examples=60, deadline=None)
def test_chosen_ones_have_the_score_the_room_and_their_order(
    seed: int, n: int, min_score: float
) -> None:
    candidates, mask = made_up(seed, n)
    chosen = choose(candidates, mask, PIXEL, DIAMETER, min_score, 0)
    positions, scores = chosen.positions_yx_angstrom, chosen.scores
    assert positions.shape == (len(scores), 2)
    assert (scores >= np.float32(min_score)).all()
    assert (np.diff(scores) <= 0).all()
    distances = np.hypot(*(positions[:, None] - positions[None]).transpose(2, 0, 1))
    distances[np.diag_indices(len(positions))] = np.inf
    assert (distances > DIAMETER * OVERLAP_SHARE).all()
    rows, columns = np.rint(positions / 8).astype(int).clip(0, (187, 167)).T
    assert not mask[rows, columns].any()
    shuffled = np.random.default_rng(seed).permutation(candidates)
    again = choose(shuffled, mask, PIXEL, DIAMETER, min_score, 0)
    np.testing.assert_array_equal(
        again.positions_yx_angstrom, positions
    )  # the order of candidates decides nothing


@given(st.integers(0, 1000), st.floats(0.4, 0.9), st.floats(0, 300), st.floats(0, 300))
@settings(max_examples=40, deadline=None)
def test_more_distance_from_the_mask_never_adds_picks(
    seed: int, min_score: float, one: float, other: float
) -> None:
    candidates, mask = made_up(seed, 150)
    near, far = sorted((one, other))

    def picked(distance: float) -> set[tuple[float, ...]]:
        chosen = choose(candidates, mask, PIXEL, DIAMETER, min_score, distance)
        return {tuple(place) for place in chosen.positions_yx_angstrom}

    assert picked(far) <= picked(near)


@given(st.integers(0, 1000), st.integers(1, 200), st.data())
@settings(max_examples=60, deadline=None)
def test_removing_takes_those_away_and_nothing_else(seed: int, n: int, data: st.DataObject) -> None:
    candidates, mask = made_up(seed, n)
    before = choose(candidates, mask, PIXEL, DIAMETER, 0.5, 0)
    if not len(before):
        return
    index = data.draw(st.integers(0, len(before) - 1))
    y, x = before.positions_yx_angstrom[index]
    removal = Edits(removed=(Spot(y_angstrom=y, x_angstrom=x),))
    after = choose(candidates, mask, PIXEL, DIAMETER, 0.5, 0, removal)
    # picks are farther apart than that: exactly this one went
    np.testing.assert_array_equal(
        after.positions_yx_angstrom, np.delete(before.positions_yx_angstrom, index, axis=0)
    )
    np.testing.assert_array_equal(after.removed_yx_angstrom, [[y, x]])
    assert after.removed_scores.tolist() == [before.scores[index]]


@given(st.integers(0, 1000), st.floats(0, 1400), st.floats(0, 1300))
@settings(max_examples=40, deadline=None)
def test_what_is_added_is_always_there_and_never_twice(seed: int, y: float, x: float) -> None:
    candidates, mask = made_up(seed, 200)
    added = Edits(added=(Spot(y_angstrom=y, x_angstrom=x),))
    before = choose(candidates, mask, PIXEL, DIAMETER, 0.5, 0)
    after = choose(candidates, mask, PIXEL, DIAMETER, 0.5, 0, added)
    assert after.positions_yx_angstrom[0].tolist() == [y, x]
    assert after.scores[0] == 1
    apart = np.hypot(*(before.positions_yx_angstrom - [y, x]).T) > DIAMETER * SAME_SHARE
    np.testing.assert_array_equal(
        after.positions_yx_angstrom[1:], before.positions_yx_angstrom[apart]
    )
    assert not len(after.removed_scores)  # replaced is not wrong


def test_an_item_may_have_a_threshold_of_its_own() -> None:
    candidates, mask = made_up(1, 300)
    own = choose(candidates, mask, PIXEL, DIAMETER, 0.95, 0, Edits(min_score=0.6))
    setting = choose(candidates, mask, PIXEL, DIAMETER, 0.6, 0)
    np.testing.assert_array_equal(own.positions_yx_angstrom, setting.positions_yx_angstrom)
    assert Edits(min_score=0.6).changes_picks and not Edits(training="examples").changes_picks


def test_a_corrected_centre_is_no_false_positive() -> None:
    candidates, mask = made_up(2, 100)
    before = choose(candidates, mask, PIXEL, DIAMETER, 0.5, 0)
    y, x = before.positions_yx_angstrom[3]
    moved = Edits(
        removed=(Spot(y_angstrom=y, x_angstrom=x),), added=(Spot(y_angstrom=y + 9, x_angstrom=x),)
    )
    after = choose(candidates, mask, PIXEL, DIAMETER, 0.5, 0, moved)
    assert len(after) == len(before) and not len(after.removed_scores)


def test_no_candidates_and_no_mask() -> None:
    nothing = np.zeros((0, 4), np.float32)
    chosen = choose(nothing, None, PIXEL, DIAMETER, 0.9, 0)
    assert chosen.positions_yx_angstrom.shape == (0, 2) and chosen.scores.shape == (0,)
    one = Edits(
        added=(Spot(y_angstrom=5, x_angstrom=6),), removed=(Spot(y_angstrom=1, x_angstrom=1),)
    )
    chosen = choose(nothing, np.ones((4, 4)), PIXEL, DIAMETER, 0.9, 0, one)
    assert chosen.positions_yx_angstrom.tolist() == [[5, 6]]


@pytest.mark.parametrize("diameter", [60, 200, 1000, 4000])
def test_candidates_are_chosen_in_whole_columns(diameter: float) -> None:
    many = tuple(Spot(y_angstrom=y, x_angstrom=y) for y in np.linspace(0, 3800, 100))
    edited = Edits(added=many[:50], removed=many[50:])

    def work(n: int) -> int:
        rng = np.random.default_rng(0)
        columns = [rng.uniform(0, 3838, n), rng.uniform(0, 3710, n), rng.uniform(0.4, 1, n)]
        candidates = np.column_stack([*columns, rng.integers(2, 60, n)]).astype(np.float32)
        mask = rng.uniform(size=(480, 464)) < 0.001
        return instructions(lambda: choose(candidates, mask, 1.0, diameter, 0.4, 0, edited))

    assert work(5000) < 1.2 * work(1000)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_masks_whose_pixels_are_not_quite_8_angstrom(seed: int) -> None:
    candidates, mask = made_up(seed, 100)
    wide = np.array([8.0, 8.1])
    chosen = choose(candidates, mask, PIXEL, DIAMETER, 0.4, 0, mask_pixel_yx=wide)
    rows, columns = np.rint(chosen.positions_yx_angstrom / wide).astype(int).clip(0, (187, 167)).T
    assert not mask[rows, columns].any()


def table(places: list[tuple[float, float]], scores: list[float], areas: list[float]) -> np.ndarray:
    """Candidates (n, 4) in an average of 8 Å/px, whose mask has the same pixels."""
    return np.column_stack([places, scores, areas]).astype(np.float32)


def columns_of(candidates: np.ndarray, mask: np.ndarray | None, diameter_px: float) -> list[float]:
    """Where picks are, in px along x."""
    chosen = choose(candidates, mask, 8.0, 8 * diameter_px, 0.4, 0)
    return sorted((chosen.positions_yx_angstrom[:, 1] / 8).tolist())


def test_of_two_that_overlap_the_bigger_stays() -> None:
    given = table([(10, 10), (10, 16), (10, 40)], [0.99, 0.9, 0.8], [20, 50, 10])
    assert columns_of(given, None, 15) == [16, 40]
    assert columns_of(given, None, 8) == [10, 16, 40]


def test_a_chain_of_overlaps_keeps_its_ends_when_they_are_bigger() -> None:
    chosen = choose(table([(0, 0), (0, 6), (0, 12)], [1, 1, 1], [30, 10, 20]), None, 8, 96, 0.4, 0)
    assert sorted(chosen.areas_px.tolist()) == [20, 30]


def test_picks_keep_their_distance_from_the_mask() -> None:
    mask = np.zeros((50, 50), bool)
    mask[:, 40:] = True
    given = table([(10, 10), (10, 33), (10, 45)], [1, 1, 1], [9, 9, 9])
    assert columns_of(given, mask, 2) == [10, 33]
    assert columns_of(given, mask, 16) == [10]  # half of a particle reaches 8 px far
    assert len(columns_of(given, np.zeros((50, 50), bool), 2)) == 3
