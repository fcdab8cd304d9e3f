"""The filter line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.screens.fake_engine import SUMMARIES
from tests.screens.test_mirror import filled
from warptui.engine.items import Choice, State
from warptui.screens.filters import FilterError, parse


def names(text: str) -> set[str]:
    mirror = filled(1000)
    kept = np.flatnonzero(parse(text, SUMMARIES).mask(mirror))
    return {mirror.rows[number].name for number in kept}


def test_all_words_must_hold() -> None:
    rows = filled(1000).rows
    wanted = {
        row.name
        for row in rows
        if row.state is State.DONE
        and (row.summary["motion.early_motion"] or 0) > 0.9
        and "data_01" in row.name.lower()
    }
    assert names("state:done motion>0.9 Data_01") == wanted != set()


def test_states_are_found_by_their_beginning() -> None:
    assert names("state:fail") == {r.name for r in filled(1000).rows if r.state is State.FAILED}


def test_choices_are_found() -> None:
    excluded = {r.name for r in filled(1000).rows if r.choice is Choice.EXCLUDE}
    assert names("choice:exclude") == excluded


def test_the_reason_of_a_failure_is_searched_too() -> None:
    assert names("truncated") == names("state:failed")


def test_an_unknown_value_matches_no_limit() -> None:
    below, above = names("motion<=1"), names("motion>1")
    known = {r.name for r in filled(1000).rows if r.summary}
    assert below | above == known


@pytest.mark.parametrize("text", ["state:foo", "choice:maybe", "resolution<4"])
def test_an_unknown_word_says_what_would_do(text: str) -> None:
    with pytest.raises(FilterError, match=r"failed|exclude|motion"):
        parse(text, SUMMARIES)
