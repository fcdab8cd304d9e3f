"""What a viewer knows of the session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.screens.fake_engine import FakeEngine, synthetic_rows
from warptui.engine.api.events import ItemChanged, ItemRemoved, Snapshot, StatusChanged
from warptui.engine.model.item import Choice, State
from warptui.screens.link.mirror import CHOICE_NUMBERS, CHOICES, STATES, Mirror


def filled(n: int = 200) -> Mirror:
    mirror = Mirror()
    mirror.apply([Snapshot(tuple(synthetic_rows(n)), FakeEngine(0).state)])
    return mirror


def test_columns_say_the_same_as_the_rows() -> None:
    mirror = filled()
    for number, row in enumerate(mirror.rows):
        assert STATES[mirror.states[number]] is row.state
        assert CHOICES[mirror.choices[number]] is row.choice
        value = mirror.values("motion.early_motion")[number]
        known = row.summary.get("motion.early_motion")
        assert np.isnan(value) if known is None else value == known


def test_an_unknown_number_is_not_a_number() -> None:
    mirror = filled(5)
    row = replace(mirror.rows[0], summary={"motion.early_motion": None})
    mirror.apply([ItemChanged(row)])
    assert np.isnan(mirror.values("motion.early_motion")[0])
    assert np.isnan(mirror.values("no.such")).all()


def test_events_one_by_one_give_what_a_snapshot_gives() -> None:
    rows, status = synthetic_rows(300), FakeEngine(0).state
    mirror = Mirror()
    mirror.apply([StatusChanged(status)])
    for row in rows[::-1]:  # worst case: each arrives before those before it
        mirror.apply([ItemChanged(row)])
    at_once = Mirror()
    at_once.apply([Snapshot(tuple(rows), status)])
    assert mirror.rows == at_once.rows
    for word in ("data_0", "5", "trunc", "motion"):
        assert (mirror.containing(word) == at_once.containing(word)).all()
    for key in ("motion.early_motion", "average.mean_electrons"):
        np.testing.assert_array_equal(mirror.values(key), at_once.values(key))


def test_a_snapshot_forgets_what_is_not_in_it() -> None:
    mirror = filled(50)
    mirror.apply([Snapshot((mirror.rows[3],), FakeEngine(0).state)])
    assert len(mirror) == len(mirror.states) == 1


def test_a_removed_item_leaves_the_others_in_order() -> None:
    mirror = filled(50)
    mirror.apply([ItemRemoved(mirror.rows[10].name)])
    assert [row.sequence for row in mirror.rows] == [*range(10), *range(11, 50)]
    assert mirror.index[mirror.rows[10].name] == 10


def test_progress_of_a_running_item_does_not_touch_the_plots() -> None:
    mirror = filled(50)
    running = next(row for row in mirror.rows if row.state is State.RUNNING)
    changes = mirror.apply([ItemChanged(replace(running, fraction=0.9))])
    assert changes.items == {running.name}
    assert not changes.values
    assert not changes.everything


def test_a_choice_is_seen_before_the_engine_confirms_it() -> None:
    mirror = filled(50)
    mirror.choose([mirror.rows[4].name], Choice.EXCLUDE)
    assert mirror.choices[4] == CHOICE_NUMBERS[Choice.EXCLUDE]
