"""Which items are listed, in which order, and where the cursor goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.screens.fake_engine import SUMMARIES
from tests.screens.test_mirror import filled
from tests.work import instructions
from warptui.engine.api.events import ItemChanged, ItemRemoved
from warptui.engine.model.item import Choice, State
from warptui.screens.overview import problems
from warptui.screens.overview.filters import parse
from warptui.screens.overview.limits import Limits
from warptui.screens.overview.sorting import NAME, STATE, first_look, ordered, places
from warptui.screens.workspace import Workspace

MOTION = "motion.early_motion"


def workspace(n: int = 500) -> Workspace:
    made = Workspace()
    made.mirror = filled(n)
    made.limits = Limits(made.mirror)
    made.following = False
    made.refresh()
    return made


def listed(made: Workspace, key: str = MOTION) -> np.ndarray:
    return made.mirror.values(key)[made.order]


def test_sorting_puts_unknown_values_last_either_way() -> None:
    made = workspace()
    for descending in (False, True):
        made.sort = (MOTION, descending)
        made.refresh()
        values = listed(made)
        known = values[np.isfinite(values)]
        assert len(known) < len(values)
        assert np.isfinite(values[: len(known)]).all()
        assert (np.diff(known) * (-1 if descending else 1) >= 0).all()


def test_sorting_by_state_puts_the_worst_first() -> None:
    made = workspace()
    made.sort = (STATE, False)
    made.refresh()
    states = [row.state for row in (made.mirror.rows[int(n)] for n in made.order)]
    assert states[0] is State.FAILED
    assert states[-1] is State.DONE
    filtered = made.mirror.filtered[made.order]
    done = [n for n, state in enumerate(states) if state is State.DONE]
    assert filtered[done[0]] and not filtered[done[-1]]


def test_names_are_sorted_as_texts() -> None:
    made = workspace(30)
    found = ordered(made.mirror, np.arange(30), (NAME, True))
    names = [made.mirror.names[n] for n in found]
    assert names == sorted(names, reverse=True)


def test_what_is_bad_when_it_is_great_comes_first_at_first() -> None:
    assert first_look(MOTION, SUMMARIES) == (MOTION, True)
    assert first_look("motion.confidence", SUMMARIES) == ("motion.confidence", False)


def test_places_are_the_inverse_of_an_order() -> None:
    order = np.array([4, 0, 3])
    assert places(order, 6).tolist() == [1, -1, -1, 2, 0, -1]


def test_steps_go_along_the_list_and_along_the_session() -> None:
    made = workspace()
    made.sort = (MOTION, True)
    made.refresh()
    made.current = made.mirror.names[int(made.order[0])]
    assert made.step(1) == made.mirror.names[int(made.order[1])]
    assert made.step(-1) == made.current
    here = made.current_number
    assert made.step_in_session(1) == made.mirror.names[here + 1]


def test_the_cursor_moves_to_a_neighbour_when_a_filter_hides_its_item() -> None:
    made = workspace()
    made.current = made.mirror.names[100]
    made.filter = parse("state:failed", SUMMARIES)
    made.refresh()
    assert made.current_row.state is State.FAILED
    assert abs(made.current_number - 100) == np.abs(made.order - 100).min()


def test_the_order_stays_while_a_range_is_marked() -> None:
    made = workspace(60)
    made.sort = (MOTION, True)
    made.refresh()
    before = made.order.tolist()
    made.frozen = True
    worst = replace(made.mirror.rows[30], summary={MOTION: 99.0})
    new = replace(worst, name="new.tif", sequence=100)
    made.mirror.apply([ItemChanged(worst), ItemChanged(new)])
    made.refresh()
    assert made.order.tolist() == [*before, 60]
    made.mirror.apply([ItemRemoved(made.mirror.names[3])])  # numbers mean others now
    made.refresh()
    assert made.mirror.names[int(made.order[0])] in (worst.name, new.name)


def test_problems_are_failed_and_missing_items_and_those_without_signal() -> None:
    made = workspace(1000)
    found, current = [], None
    while (name := made.next_problem()) != current or not found:
        if name in found:
            break
        found.append(name)
        current = made.current = name
    rows = made.mirror.rows
    expected = {
        row.name
        for row in rows
        if row.state is State.FAILED
        or (row.state is State.DONE and row.summary.get(MOTION) is None
            and row.choice is not Choice.EXCLUDE)
    }  # fmt: skip
    assert set(found) == expected != set()


def test_a_dash_explains_itself() -> None:
    made = workspace(1000)
    row = next(
        row for row in made.mirror.rows
        if row.state is State.DONE and row.summary.get(MOTION) is None
    )  # fmt: skip
    assert problems.words(row, SUMMARIES) == "filtered: motion unknown"
    alone = replace(row, filtered=False, reason="")
    words = problems.words(alone, SUMMARIES)
    assert words.startswith("no signal: motion, defocus, ") and words.endswith("unknown")


def test_a_value_that_no_item_has_is_no_problem_of_any() -> None:
    made = workspace(50)
    rows = [replace(row, summary={**row.summary, MOTION: None}) for row in made.mirror.rows]
    made.mirror.apply([ItemChanged(row) for row in rows])
    assert not problems.without_signal(made.mirror).any()


@pytest.mark.parametrize("sort", [(MOTION, True), (STATE, False), (NAME, False)])
def test_items_are_sorted_in_columns(sort) -> None:
    def work(n: int) -> int:
        made = workspace(n)
        made.sort = sort
        made.refresh()
        return instructions(made.refresh)

    assert work(10_000) < 1.2 * work(500)
