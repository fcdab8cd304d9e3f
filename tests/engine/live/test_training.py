"""A training through the engine: processing waits, viewers are told, all goes on after it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pretend_project import Engine, until

from warptui.engine.errors import InputError, TrainingError
from warptui.engine.model.item import State
from warptui.engine.model.training import TrainingRequest

sys.path.append(str(Path(__file__).parents[2] / "numerics" / "training"))

from training_project import Project, make_blobs, write_net

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LONG = {"epochs": 100000, "batch": 1, "corpus_percent": 0}
PATIENCE_S = 240.0  # for a process that imports torch on a busy machine


@pytest.fixture
def marked(engine: Engine) -> Engine:
    """Two processed movies that are marked, and a network of one channel."""
    write_net(engine.project / "models" / "tiny.safetensors")
    project = Project(engine.project)
    for seed in (0, 1):
        engine.add(f"m{seed}.mrc")
    engine.start()
    for seed in (0, 1):
        engine.wait_for(f"m{seed}.mrc", State.DONE)
        project.mark(seed, *make_blobs(seed))
    return engine


def wait_for_phase(engine: Engine, *phases: str) -> None:
    def reached() -> bool:
        training = engine.client.status().training
        return training is not None and training.phase in phases

    until(reached, PATIENCE_S)


def test_processing_waits_for_a_training_and_goes_on_after_it(marked: Engine) -> None:
    client = marked.client
    assert client.status().training is None
    assert [(e.name, e.n_particles) for e in client.training_examples()] == [
        ("m0.mrc", 8),
        ("m1.mrc", 8),
    ]
    request = TrainingRequest(start_from="tiny", settings=LONG)
    plan = client.preview_training(request)
    assert plan["problem"] == "" and plan["model"] == "tiny_1" and plan["n_held_out"] == 1
    assert client.train(request) == "tiny_1"
    with pytest.raises(TrainingError, match="tiny_1 is being trained"):
        client.train(TrainingRequest(start_from="tiny"))
    status = client.status()
    assert status.state == "paused" and "BoxNet is being trained (tiny_1)" in status.message
    with pytest.raises(TrainingError, match="cancel that first"):
        client.discard_model("tiny_1")
    marked.add("late.mrc")
    wait_for_phase(marked, "running")
    until(lambda: marked.rows()["late.mrc"].state is State.QUEUED)
    until(lambda: len(client.training_metrics("tiny_1")) > 0, PATIENCE_S)
    states = {info.name: info.state for info in client.models()}
    assert states["tiny_1"] == "training" and states["tiny"] == "ready"
    client.cancel_training()
    wait_for_phase(marked, "cancelled")
    marked.wait_for("late.mrc", State.DONE)
    assert client.status().message == ""
    client.discard_model("tiny_1")
    assert client.status().training is None
    with pytest.raises(TrainingError, match="nothing is being trained"):
        client.cancel_training()
    assert marked.end() == 0


def test_an_engine_that_was_killed_leaves_a_training_that_can_go_on(marked: Engine) -> None:
    client = marked.client
    client.train(TrainingRequest("next", start_from="tiny", settings=LONG))
    wait_for_phase(marked, "running")
    until(lambda: bool(getattr(client.status().training, "resumable", False)), PATIENCE_S)
    assert marked.process is not None
    marked.process.kill()
    marked.process.wait()
    marked.leave()
    marked.start()
    training = marked.client.status().training
    assert training is not None and training.phase == "failed" and training.resumable
    assert "interrupted" in training.message
    until(lambda: _begins(marked), PATIENCE_S)
    wait_for_phase(marked, "running")
    marked.client.cancel_training(keep_best=True)
    wait_for_phase(marked, "done")
    assert marked.client.training_report("next")["item"] in ("m0.mrc", "m1.mrc")
    with pytest.raises(InputError, match="no model 'nobody'"):
        marked.client.use_model("nobody")
    marked.client.use_model("next")
    assert 'model = "next"' in (marked.project / "config.toml").read_text()
    until(lambda: bool(getattr(marked.client.status().training, "used", False)))
    with pytest.raises(TrainingError, match="in use"):
        marked.client.discard_model("next")
    marked.client.use_model("tiny")
    marked.client.discard_model("next")
    assert [info.name for info in marked.client.models() if not info.bundled] == ["tiny"]
    assert marked.end() == 0


def _begins(engine: Engine) -> bool:
    """Whether it goes on: the process of the engine before may need a moment to end."""
    training = engine.client.status().training
    if training is None or not training.active:
        engine.client.train(TrainingRequest("next", start_from="tiny", resume=True))
        until(lambda: engine.client.status().training.phase != "examples", PATIENCE_S)  # type: ignore[union-attr]
    training = engine.client.status().training
    return training is not None and training.active
