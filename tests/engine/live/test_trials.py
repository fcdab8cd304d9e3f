"""Settings that are tried on one item: shown, never stored."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pretend_project import Engine, until

from warptui.engine.errors import EngineError, ItemError, SettingsError
from warptui.engine.model.item import State


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a project but those that always change."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".warptui" not in path.relative_to(folder).parts
    }


class Asked:
    """A trial that a viewer waits for, in a thread of its own."""

    def __init__(self, engine: Engine, name: str, changes: dict) -> None:
        self.found: object = None
        self.thread = threading.Thread(target=self._ask, args=(engine.client, name, changes))
        self.thread.start()

    def _ask(self, client, name: str, changes: dict) -> None:
        try:
            self.found = client.try_settings(name, changes)
        except (EngineError, ItemError) as problem:
            self.found = problem

    def wait(self) -> object:
        self.thread.join(15)
        return self.found


def test_a_trial_shows_what_a_stage_makes_and_changes_nothing(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    engine.client.pause()  # also then
    before, detail = contents(engine.project), engine.client.item("a.mrc")
    found = engine.client.try_settings("a.mrc", {"average": {"skip_first": 1}})
    assert (found.name, found.stage, found.settings["skip_first"]) == ("a.mrc", "average", 1)
    assert found.result["pixel_size"] == 1.0 and found.seconds >= 0 and found.device == "cpu"
    assert Path(found.pictures["spectrum"]).read_bytes() == b"a picture"
    assert contents(engine.project) == before
    assert engine.client.item("a.mrc") == detail
    assert engine.client.config()["average"]["skip_first"] == 0
    engine.client.start()
    engine.add("b.mrc")  # work goes on with the same worker
    engine.wait_for("b.mrc", State.DONE)
    assert engine.end() == 0
    assert not (engine.project / ".warptui" / "trials").exists()  # what was only shown is gone


def test_a_trial_goes_before_all_that_waits(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start(PRETEND_SECONDS="0.5")
    engine.wait_for("a.mrc", State.DONE)
    for number in range(12):
        engine.add(f"b{number}.mrc")
    until(lambda: engine.client.status().counts[State.RUNNING])
    engine.client.try_settings("a.mrc", {"motion": {}})
    assert engine.client.status().counts[State.DONE] < 10  # behind all that wait: 13
    assert engine.end() == 0


def test_a_trial_is_refused_with_the_reason(engine: Engine) -> None:
    engine.start()
    engine.client.pause()
    engine.add("a.mrc")
    engine.wait_for("a.mrc", State.QUEUED)
    tried = engine.client.try_settings
    with pytest.raises(
        ItemError, match=r"a\.mrc: average needs its motion, which is not known yet"
    ):
        tried("a.mrc", {"average": {}})
    with pytest.raises(KeyError, match="nobody"):
        tried("nobody", {"average": {}})
    with pytest.raises(SettingsError, match=r'motion.b_factor = "much": expected a number'):
        tried("a.mrc", {"motion": {"b_factor": "much"}})
    for changes in ({}, {"input": {}}, {"motion": {}, "average": {}}):
        with pytest.raises(SettingsError, match="one stage"):
            tried("a.mrc", changes)
    path = engine.add("gone.mrc")
    engine.client.start()
    engine.wait_for("gone.mrc", State.DONE)
    path.unlink()
    engine.wait_for("gone.mrc", State.MISSING)
    with pytest.raises(ItemError, match=r"gone\.mrc: the raw file .* is gone"):
        tried("gone.mrc", {"motion": {}})
    assert engine.end() == 0


def test_a_trial_is_stopped_and_the_item_is_none_the_worse(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start(PRETEND_SECONDS="1")
    engine.wait_for("a.mrc", State.DONE)
    running = Asked(engine, "a.mrc", {"motion": {}})
    until(lambda: engine.client.status().devices[0]["trial"])
    waiting = Asked(engine, "a.mrc", {"motion": {"b_factor": -50}})
    until(  # the second one may not have arrived yet
        lambda: engine.client.drop_trial("a.mrc") or running.found is not None is not waiting.found
    )
    for asked in (running, waiting):
        assert str(asked.wait()) == "a.mrc: the trial was stopped"
    assert engine.rows()["a.mrc"].state is State.DONE
    last = Asked(engine, "a.mrc", {"motion": {}})
    until(lambda: engine.client.status().devices[0]["trial"])
    assert engine.end() == 0
    assert isinstance(last.wait(), EngineError)


@pytest.mark.slow
def test_a_worker_that_dies_of_a_trial_says_so_and_another_takes_over(
    engine: Engine, tmp_path: Path
) -> None:
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    engine.end()
    engine.start(WARPTUI_CRASH_AT="motion.after", WARPTUI_CRASH_ONCE=str(tmp_path / "once"))
    with pytest.raises(ItemError, match=r"a.mrc: the worker died of SIGKILL"):
        engine.client.try_settings("a.mrc", {"motion": {}})
    assert engine.rows()["a.mrc"].state is State.DONE
    assert engine.client.try_settings("a.mrc", {"motion": {}}).result["n_frames"] == 3
    assert engine.end() == 0
