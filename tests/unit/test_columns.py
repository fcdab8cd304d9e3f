"""Items in columns: the same rows come out, whatever was put in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.model.item import Choice, State
from warptui.engine.model.item_columns import Columns
from warptui.engine.model.row import ItemRow

known = st.floats(allow_nan=False)
values = st.one_of(
    st.just({}), st.fixed_dictionaries({"a.x": known, "a.y": st.one_of(st.none(), known)})
)
some_rows = st.lists(
    st.builds(
        ItemRow,
        name=st.text(max_size=12),
        sequence=st.integers(0, 2**53),
        state=st.sampled_from(State),
        choice=st.sampled_from(Choice),
        selected=st.booleans(),
        reason=st.sampled_from(["", "Å", "21 of 40 frames"]),
        stage=st.sampled_from(["", "motion"]),
        fraction=st.floats(0, 1),
        tries=st.integers(0, 100),
        summary=values,
        seconds=st.one_of(st.just({}), st.just({"motion": 6.25})),
        arrived_at=st.floats(0, 2e9),
        finished_at=st.floats(0, 2e9),
        failed_at=st.floats(0, 2e9),
        square=st.sampled_from(["", "18890001"]),
        training=st.sampled_from(["", "examples", "held-out"]),
        edited_at=st.floats(0, 2e9),
    ),
    max_size=20,
)


@given(some_rows)
def test_rows_come_back_from_the_wire(rows: list[ItemRow]) -> None:
    with_all_keys = any(row.summary for row in rows)
    again = Columns.from_json(json.loads(json.dumps(Columns(rows).to_json())))
    assert list(again) == rows
    halves = [Columns(rows[: len(rows) // 2]), Columns(rows[len(rows) // 2 :])]
    assert Columns.joined(halves) == again
    assert len(again.value("a.x")) == len(rows)
    assert np.isnan(again.value("a.x")).all() or with_all_keys


@given(some_rows, st.randoms(use_true_random=False))
def test_one_by_one_gives_what_all_at_once_gives(rows: list[ItemRow], random) -> None:
    grown = Columns()
    for number, row in enumerate(rows):
        grown.put(number, ItemRow("stands in", 0, State.RUNNING, summary={"a.x": 1.0}))
        grown.put(number, row)
    assert grown == Columns(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    taken = grown.taken(np.array(order, dtype=np.intp))
    assert list(taken) == [rows[number] for number in order]


def test_an_item_is_asked_for_as_of_any_sequence() -> None:
    rows = [ItemRow(f"{number}.tif", number, State.DONE) for number in range(5)]
    columns = Columns(rows)
    assert columns[-1] == rows[4]
    assert columns[1:3] == rows[1:3]
    assert columns[np.intp(2)] == rows[2]
    assert [row.name for row in columns] == columns.names


def test_a_value_that_a_new_version_of_a_stage_declares_is_unknown_for_older_items() -> None:
    columns = Columns([ItemRow("a", 1, State.DONE, summary={"m.x": 1.0})])
    columns.put(1, ItemRow("b", 2, State.DONE, summary={"m.x": 2.0, "m.new": 3.0}))
    assert columns[0].summary == {"m.x": 1.0, "m.new": None}
    assert np.isnan(columns.value("m.new")[0])


def test_a_row_with_other_values_is_what_replace_makes() -> None:
    row = ItemRow("a.tif", 3, State.DONE, summary={"motion.early_motion": 0.5})
    changed = row.with_values(state=State.FAILED, reason="no beam")
    assert changed == replace(row, state=State.FAILED, reason="no beam")
    assert row.state is State.DONE
    assert row.reason == ""
