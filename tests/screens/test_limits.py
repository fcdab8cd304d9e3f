"""Limits as this viewer moves them, before and after the engine hears of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.screens.fake_engine import SUMMARIES, judged
from tests.screens.test_mirror import filled
from tests.work import instructions
from warptui.engine.api.events import StatusChanged
from warptui.screens.overview.limits import Held, Limits, allowed, is_whole, moved

MOTION = SUMMARIES[0]


def test_what_a_limit_takes_out_is_what_the_engine_takes_out() -> None:
    mirror = filled(2000)
    limits = Limits(mirror)
    for limit in (None, 0.5, 0.8, 3.0):
        limits.set("motion_max", limit)
        filters = {} if limit is None else {"motion_max": limit}
        rows = [judged(row, SUMMARIES, filters) for row in mirror.rows]
        np.testing.assert_array_equal(limits.outside(MOTION), [row.filtered for row in rows])
        np.testing.assert_array_equal(limits.kept(), [row.selected for row in rows])


def test_a_limit_is_mine_until_the_engine_has_heard_of_it() -> None:
    mirror = filled(10)
    limits = Limits(mirror)
    assert limits.of(MOTION) == (None, 1.5)
    limits.set("motion_max", 0.9)
    assert limits.of(MOTION) == (None, 0.9)
    assert limits.unsent() == {"motion_max": 0.9}
    limits.sent()
    assert limits.unsent() == {}
    assert limits.of(MOTION) == (None, 0.9)
    assert mirror.status is not None
    news = replace(mirror.status, settings_version=1, filters={"motion_max": 0.95})
    mirror.apply([StatusChanged(news)])
    assert limits.of(MOTION) == (None, 0.95)


def test_a_refused_limit_is_forgotten() -> None:
    limits = Limits(filled(10))
    limits.set("motion_max", -1.0)
    limits.refused()
    assert (limits.of(MOTION), limits.unsent()) == ((None, 1.5), {})


def test_steps_grow_while_a_key_is_held_and_begin_anew_after_it() -> None:
    held = Held()
    factors = [held.press("}", 0.05 * n) for n in range(40)]
    assert factors[:4] == [1, 1, 1, 1]
    assert factors == sorted(factors)
    assert factors[-1] == 10
    assert held.press("}", 10.0) == 1
    assert held.press("{", 10.05) == 1


def test_a_limit_comes_in_from_the_end_of_the_values_and_leaves_there() -> None:
    span = (0.2, 3.14)
    assert moved(None, -1, 0.05, span, upper=True) == 3.1
    assert moved(None, 1, 0.05, span, upper=True) is None
    assert moved(3.1, 1, 0.05, span, upper=True) is None
    assert moved(0.25, -1, 0.05, span, upper=False) is None
    assert moved(None, 1, 0.05, span, upper=False) == 0.25


def test_a_limit_far_outside_comes_in_from_the_end_of_the_values() -> None:
    assert moved(900.0, -1, 0.05, (0.2, 3.14), upper=True) == 3.1
    assert moved(900.0, 1, 0.05, (0.2, 3.14), upper=True) is None


def test_a_limit_that_was_typed_moves_to_round_numbers() -> None:
    assert moved(1.53, 1, 0.1, (0.0, 5.0), upper=True) == 1.6
    assert moved(1.53, -1, 0.1, (0.0, 5.0), upper=True) == 1.5
    assert moved(1.5, -1, 0.1, (0.0, 5.0), upper=True) == 1.4


@given(st.floats(0.1, 99.0), st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.5, 1.0]), st.booleans())
def test_there_and_back_is_where_one_was(start: float, step: float, upper: bool) -> None:
    first = moved(start, 1, step, (-1e6, 1e6), upper=upper)
    assert first is not None
    there = moved(first, 3, step, (-1e6, 1e6), upper=upper)
    assert there is not None
    assert moved(there, -3, step, (-1e6, 1e6), upper=upper) == pytest.approx(first)


def test_bounds_are_those_of_the_settings() -> None:
    assert allowed("motion_max") == (0, 1000)
    assert is_whole("particles_min")
    assert not is_whole("motion_max")


@pytest.mark.slow
def test_items_are_counted_in_columns_while_a_key_is_held() -> None:
    def work(n: int) -> int:
        limits = Limits(filled(n))
        limits.set("motion_max", 1.5)
        limits.outside(MOTION)
        limits.set("motion_max", 1.4)
        return instructions(lambda: np.count_nonzero(limits.outside(MOTION)))

    assert work(10_000) < 1.2 * work(500)
