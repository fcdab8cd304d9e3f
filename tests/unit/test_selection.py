"""selection: the user's word counts most, limits next, and a failure is no deselection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.items.selection import Spread, Verdict, select
from warptui.engine.model.item import Choice, State
from warptui.engine.model.summary import Summary
from warptui.engine.planning.limits import Limit, limits


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("has_result", [True, False])
def test_an_excluded_item_is_out_whatever_happens_to_it(state: State, has_result: bool):
    assert select(Choice.EXCLUDE, state, has_result=has_result).verdict is Verdict.OUT


@pytest.mark.parametrize("choice", [Choice.AUTO, Choice.INCLUDE])
def test_a_failed_item_is_neither_in_nor_out(choice: Choice):
    found = select(choice, State.FAILED, has_result=True)
    assert (found.verdict, found.selected, found.reason) == (Verdict.OPEN, False, "failed")


@pytest.mark.parametrize("state", [State.DONE, State.OUTDATED, State.RUNNING, State.MISSING])
def test_an_item_with_a_result_is_in_unless_somebody_says_otherwise(state: State):
    assert select(Choice.AUTO, state, has_result=True).selected
    assert select(Choice.INCLUDE, state, has_result=True).reason == "included by the user"


def test_inclusion_cannot_conjure_a_result():
    assert select(Choice.INCLUDE, State.QUEUED, has_result=False).verdict is Verdict.OPEN


MOTION = Summary("motion.early_motion", "motion", "Å/frame", digits=1, filter_max="motion_max")
DEFOCUS = Summary(
    "ctf.defocus_um", "defocus", "µm", filter_min="defocus_min_um", filter_max="defocus_max_um"
)
FILTERS = {"motion_max": 1.5, "defocus_min_um": 0.5, "defocus_max_um": 2.0, "resolution_max": 4.0}


def judged(motion: float | None, choice: Choice = Choice.AUTO, state: State = State.DONE):
    return select(
        choice,
        state,
        has_result=True,
        values=(motion, 1.0),
        limits=limits((MOTION, DEFOCUS), FILTERS),
    )


def test_a_value_beyond_its_limit_is_filtered_and_the_reason_names_both():
    found = judged(4.1)
    assert (found.verdict, found.filtered) == (Verdict.OUT, True)
    assert found.reason == "filtered: motion 4.1 > 1.5 Å/frame"
    assert judged(1.5).selected


def test_the_reason_has_as_many_digits_as_it_takes_to_be_true():
    assert judged(1.503).reason == "filtered: motion 1.503 > 1.5 Å/frame"
    assert judged(1.52).reason == "filtered: motion 1.52 > 1.5 Å/frame"


def test_an_unknown_value_is_outside():
    assert judged(None).reason == "filtered: motion unknown"
    assert not judged(None).selected


def test_every_limit_that_is_broken_is_named():
    found = select(
        Choice.AUTO,
        State.DONE,
        has_result=True,
        values=(2.0, 0.1),
        limits=limits((MOTION, DEFOCUS), FILTERS),
    )
    assert found.reason == "filtered: motion 2.0 > 1.5 Å/frame, defocus 0.10 < 0.5 µm"


def test_inclusion_exempts_from_the_filters_and_exclusion_wins_over_them():
    assert judged(4.1, Choice.INCLUDE).selected
    assert judged(0.1, Choice.EXCLUDE).reason == "excluded by the user"
    assert not judged(4.1, Choice.EXCLUDE).filtered


def test_a_failure_is_not_filtered():
    found = judged(4.1, state=State.FAILED)
    assert (found.verdict, found.filtered) == (Verdict.OPEN, False)


def test_limits_are_those_that_are_set_and_that_a_value_declares():
    assert [limit.key for limit in limits((MOTION, DEFOCUS), FILTERS)] == [
        "motion.early_motion",
        "ctf.defocus_um",
    ]
    assert limits((MOTION, DEFOCUS), {"motion_max": None, "resolution_max": 3.0}) == ()


@given(
    st.floats(-1e3, 1e3, allow_subnormal=False),
    st.floats(-1e3, 1e3, allow_subnormal=False),
    st.integers(0, 3),
)
def test_the_numbers_of_a_reason_never_contradict_it(value: float, high: float, digits: int):
    high = float(f"{high:g}")  # limits are written as people type them
    text = Limit("k", "x", "", digits, high=high).complaint(value)
    assert bool(text) == (value > high)
    if text and value - high > 1e-8:
        shown, limit = text.removeprefix("x ").split(" > ")
        assert float(shown) > float(limit)


def test_the_spread_is_of_vectors_of_twice_the_angle():
    same = Spread.of([(0.1, 0.0), (0.1, 180.0)])
    assert same.sigma == pytest.approx(0.0)
    assert same.mean_xy == pytest.approx((0.1, 0.0))
    across = Spread.of([(0.1, 0.0), (0.1, 90.0)])
    assert across.mean_xy == pytest.approx((0.0, 0.0))
    assert across.sigma == pytest.approx(0.1)
    assert across.distance(0.3, 45.0) == pytest.approx(3.0)


def test_an_unknown_astigmatism_has_no_distance():
    spread = Spread.of([(0.1, 0.0), (0.1, 90.0)])
    assert spread.distance(None, 10.0) is None
    assert spread.distance(0.1, None) is None


@pytest.mark.parametrize("n", [1, 2])
def test_the_first_items_are_never_outliers(n: int):
    found = [(0.1, 20.0), (0.5, 80.0)][:n]
    spread = Spread.of(found)
    assert all((spread.distance(*entry) or 0.0) <= 1 + 1e-9 for entry in found)
