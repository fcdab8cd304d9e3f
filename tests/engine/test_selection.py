"""selection: the user's word counts, and a failure is no deselection."""

from __future__ import annotations

import pytest

from warptui.engine.items import Choice, State
from warptui.engine.selection import Verdict, select


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
