"""The filter line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.screens.fake_engine import SUMMARIES
from tests.screens.test_mirror import filled
from tests.work import instructions
from warptui.engine.model.item import Choice, State
from warptui.engine.model.summary import Summary
from warptui.screens.overview.filters import FilterError, parse


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
    known = {r.name for r in filled(1000).rows} - names("motion=?")
    assert below | above == known


@pytest.mark.parametrize("text", ["state:foo", "choice:maybe", "sharpness<4"])
def test_an_unknown_word_says_what_would_do(text: str) -> None:
    with pytest.raises(FilterError, match=r"failed|exclude|motion"):
        parse(text, SUMMARIES)


def test_what_is_left_out_is_found() -> None:
    rows = filled(1000).rows
    left_out = {r.name for r in rows if r.filtered or r.choice is Choice.EXCLUDE}
    assert names("sel:out") == left_out != set()
    assert names("sel:filt") == {r.name for r in rows if r.filtered}
    assert names("sel:in") == {r.name for r in rows if r.selected}
    assert names("sel:included") == names("choice:include")


def test_a_minus_turns_a_word_round() -> None:
    everything = {r.name for r in filled(1000).rows}
    assert names("-state:failed") == everything - names("state:failed")
    assert names("-data_01") == everything - names("data_01")


def test_unknown_values_can_be_asked_for() -> None:
    unknown = {r.name for r in filled(1000).rows if r.summary.get("motion.early_motion") is None}
    assert names("motion=?") == unknown != set()


@pytest.mark.parametrize(
    "text", ["motion<", "motion<.", "motion>=", "state:", "sel:", "-", "motion>-"]
)
def test_a_word_that_is_still_being_typed_hides_nothing(text: str) -> None:
    assert len(names(text)) == 1000


def test_a_comma_is_a_decimal_point_too() -> None:
    assert names("motion<0,8") == names("motion<0.8") != set()


@pytest.mark.slow
def test_items_are_filtered_in_columns() -> None:
    found = parse("motion<0.8 -state:failed conf>=0.8 sel:in data_01", SUMMARIES)

    def work(n: int) -> int:
        mirror = filled(n)
        found.mask(mirror)
        return instructions(lambda: found.mask(mirror))

    assert work(10_000) < 1.5 * work(500)


@pytest.mark.parametrize(("short", "label"), [("res<4", "ctfres<4"), ("def<1.5", "defocus<1.5")])
def test_a_word_of_a_label_or_its_beginning_is_enough(short: str, label: str) -> None:
    summaries = (*SUMMARIES, Summary("ctf.resolution", "CTF res", "Å"))
    summaries += (Summary("ctf.defocus_um", "defocus", "µm"),)
    kept = [parse(text, summaries).mask(filled(100)).tolist() for text in (short, label)]
    assert kept[0] == kept[1]


def test_items_of_a_grid_square_are_found_by_the_end_of_its_name() -> None:
    rows = {row.name: row.square for row in filled(1000).rows}
    assert names("square:90001") == {n for n, square in rows.items() if square == "18890001"}
    assert names("square:?") == {n for n, square in rows.items() if not square}
    assert len(names("-square:?")) + len(names("square:?")) == 1000
    assert len(names("square:")) == 1000  # still being typed
