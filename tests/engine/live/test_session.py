"""A running engine from outside: movies in, micrographs out."""

from __future__ import annotations

from pretend_project import Engine

from warptui.engine.items import Choice, State


def test_a_movie_that_lands_in_the_folder_becomes_a_micrograph(engine: Engine) -> None:
    engine.start()
    engine.add("a.mrc")
    row = engine.wait_for("a.mrc", State.DONE)
    assert (engine.project / "average" / "a.mrc").exists()
    assert (engine.project / "a.xml").exists()
    assert row.selected and row.summary["motion.early_motion"] is not None
    assert engine.client.status().state == "idle"
    engine.client.override(["a.mrc"], Choice.EXCLUDE)
    assert engine.rows()["a.mrc"].selected is False
    assert engine.end() == 0
