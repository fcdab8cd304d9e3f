"""Jobs that the user does not want any more."""

from __future__ import annotations

import pytest
from pretend_project import Engine, until

from warptui.engine.model.item import State


@pytest.mark.slow
def test_a_running_job_stops_and_counts_as_failed_until_it_is_retried(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start(PRETEND_SECONDS="30")
    engine.wait_for("a.mrc", State.RUNNING)
    until(lambda: engine.rows()["a.mrc"].stage == "motion")
    (device,) = engine.client.status().devices
    engine.client.cancel(["a.mrc"])
    row = engine.wait_for("a.mrc", State.FAILED)
    assert "cancelled by the user" in row.reason and row.failed_at > 0
    assert engine.client.item("a.mrc").failed_stage == "motion"
    until(lambda: engine.client.status().state == "idle")
    assert engine.client.status().devices[0]["pid"] == device["pid"]  # the worker lives on
    engine.end()
    engine.start()  # neither a restart nor other settings undo what the user said
    engine.wait_for("a.mrc", State.FAILED)
    engine.configure(more="[optics]\nvoltage = 200\n[motion]\nb_factor = -50\n")
    engine.client.reload()
    until(lambda: engine.client.config()["motion"]["b_factor"] == -50)
    assert engine.rows()["a.mrc"].state is State.FAILED
    engine.client.retry(["a.mrc"])
    engine.wait_for("a.mrc", State.DONE)
    assert engine.end() == 0


def test_what_waits_is_taken_out_of_the_queue_and_the_rest_goes_on(engine: Engine) -> None:
    engine.start()
    engine.client.pause()
    for name in ("a.mrc", "b.mrc", "c.mrc"):
        engine.add(name)
    engine.wait_all(State.QUEUED, 3)
    engine.client.cancel(["b.mrc"])
    assert engine.rows()["b.mrc"].state is State.FAILED
    assert "b.mrc" not in [name for name, _ in engine.client.queue()]
    engine.client.start()
    engine.wait_for("c.mrc", State.DONE)
    engine.client.cancel(["c.mrc"])  # there is nothing to cancel
    assert engine.rows()["c.mrc"].state is State.DONE
    with pytest.raises(KeyError, match="nobody"):
        engine.client.cancel(["nobody"])
    assert engine.end() == 0


@pytest.mark.slow
def test_an_item_that_is_up_to_date_stays_done_when_another_run_is_cancelled(
    engine: Engine,
) -> None:
    engine.add("a.mrc")
    engine.start(PRETEND_SECONDS="1.5")
    finished = engine.wait_for("a.mrc", State.DONE).finished_at
    engine.client.reprocess(["a.mrc"])
    engine.wait_for("a.mrc", State.RUNNING)
    engine.client.cancel(["a.mrc"])
    row = engine.wait_for("a.mrc", State.DONE)
    assert row.finished_at == finished and row.selected
    until(lambda: engine.client.status().state == "idle")
    assert engine.end() == 0


def test_the_queue_tells_its_order_and_why(engine: Engine) -> None:
    for name in ("old1.mrc", "old2.mrc"):
        engine.add(name)
    engine.start(PRETEND_SECONDS="5")
    engine.wait_for("old1.mrc", State.RUNNING)
    engine.add("new.mrc")
    engine.wait_for("new.mrc", State.QUEUED)
    assert engine.client.queue() == [("new.mrc", "new"), ("old2.mrc", "was here before")]
    assert engine.client.queue(1) == [("new.mrc", "new")]
    assert engine.end() == 0
