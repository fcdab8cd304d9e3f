"""A running engine from outside: movies in, micrographs out."""

from __future__ import annotations

import pytest
from pretend_project import Engine, until

from warptui.engine.model.item import Choice, State


@pytest.mark.slow
def test_the_backlog_goes_in_order_but_what_arrives_now_goes_first(engine: Engine) -> None:
    for index in range(6):
        engine.add(f"old{index}.mrc")
    engine.start(PRETEND_SECONDS="1")
    engine.wait_for("old0.mrc", State.DONE)
    engine.add("new.mrc")
    until(lambda: (row := engine.rows().get("new.mrc")) is not None and row.state != State.WAITING)
    begun = [
        name
        for name, row in engine.rows().items()
        if name != "new.mrc" and row.state in (State.DONE, State.RUNNING)
    ]
    assert len(begun) < 5, "the backlog was done before the new movie was seen"
    engine.wait_all(State.DONE, 7)
    rows = sorted(engine.rows().values(), key=lambda row: row.finished_at)
    names = [row.name for row in rows]
    assert [name for name in names if name != "new.mrc"] == [
        f"old{index}.mrc" for index in range(6)
    ]
    # one more may have begun between the movie's being seen and our asking
    assert names.index("new.mrc") <= len(begun) + 1
    assert [row.sequence for row in engine.client.items()] == list(range(1, 8))
    assert engine.end() == 0


def test_a_movie_that_lands_in_the_folder_becomes_a_micrograph(engine: Engine) -> None:
    engine.start()
    engine.add("a.mrc")
    row = engine.wait_for("a.mrc", State.DONE)
    assert (engine.project / "average" / "a.mrc").exists()
    assert (engine.project / "a.xml").exists()
    assert row.selected and row.summary["motion.early_motion"] is not None
    until(lambda: engine.client.status().state == "idle")
    engine.client.choose(["a.mrc"], Choice.EXCLUDE)
    assert engine.rows()["a.mrc"].selected is False
    assert engine.end() == 0


def test_limits_take_items_out_without_processing_them_again(engine: Engine) -> None:
    engine.start()
    names = [f"m{index}.mrc" for index in range(4)]
    for index, name in enumerate(names):
        engine.add(name, seed=index)
    engine.wait_all(State.DONE, 4)
    motions = {row.name: row.summary["motion.early_motion"] for row in engine.client.items()}
    limit = sorted(motions.values())[1]
    with (engine.project / "config.toml").open("a") as file:
        file.write(f"[filters]\nmotion_max = {limit}\n")
    engine.client.reload()
    status = engine.client.status()
    assert status.filters == {"motion_max": limit}
    rows = engine.rows()
    assert {name for name in names if rows[name].filtered} == {
        name for name in names if motions[name] > limit
    }
    assert all(row.selected is not row.filtered for row in rows.values())
    assert {row.state for row in rows.values()} == {State.DONE}
    engine.client.change({"filters": {"motion_max": None, "particles_min": 20}})
    assert engine.client.status().filters == {"particles_min": 20}
    assert all(row.selected for row in engine.rows().values())
    until(lambda: engine.client.status().state == "idle")
    assert engine.end() == 0
