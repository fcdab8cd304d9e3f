"""A whole training, in its own process: what it leaves behind, and what it survives."""

from __future__ import annotations

import errno
import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from training_project import DIAMETER, Project

from warptui.engine.config.settings import Config
from warptui.engine.errors import InputError, TrainingError
from warptui.engine.execution.trainer import Trainer, TrainerMessage
from warptui.engine.formats.boxnet_model import read_boxnet
from warptui.engine.model import codec
from warptui.engine.model.training import TrainingRequest, TrainingStatus
from warptui.engine.stages.movie.picking import PickingSettings
from warptui.engine.training import files, folder, models, schedule
from warptui.engine.training import request as order
from warptui.engine.training import run as course
from warptui.engine.training.run import Course
from warptui.engine.training.task import Control, Task

QUICK = {"epochs": 4, "batch": 2, "corpus_percent": 50.0}


def config_of() -> Config:
    picking = PickingSettings(model="tiny", diameter_angstrom=DIAMETER, min_score=0.4)
    return Config(stages={"picking": picking})


def make_task(project: Project, **request: object) -> Task:
    record = {"settings": QUICK, "model": "next", "start_from": "tiny", **request}
    asked = codec.decode(TrainingRequest, record)
    return order.make_task(project.paths, config_of(), project.items, asked, "cpu", 1)


@pytest.fixture(autouse=True)
def small_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """One curated micrograph to learn from and one to measure on."""
    learned, measured = course.read_corpus()
    monkeypatch.setattr(course, "read_corpus", lambda: (learned[:1], measured[:1]))


@pytest.fixture
def seldom_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice a training, not after each of its eight steps: measuring is most of the time."""
    monkeypatch.setattr(schedule, "_FEWEST_MEASUREMENTS", 2)


@pytest.fixture
def marked(project: Project) -> Project:
    project.add(0)
    project.add(1)
    project.add(2, training="held-out")
    return project


def run(project: Project, control: Control | None = None, **request: object) -> TrainingStatus:
    made = Course(make_task(project, **request), lambda status: None, control or Control())
    return made.run()


@pytest.mark.slow
@pytest.mark.usefixtures("seldom_measured")
def test_what_a_training_leaves_behind(marked: Project) -> None:
    told: list[TrainingStatus] = []
    status = Course(make_task(marked), told.append).run()
    assert status.phase == "done" and status.n_examples == 2 and status.n_held_out == 1
    assert status.n_particles == 16 and status.step == status.n_steps == 8
    phases = list(dict.fromkeys(entry.phase for entry in told))
    assert phases == ["examples", "baseline", "running", "measuring", "done"]
    assert "processing waits" in told[0].message
    stored = read_boxnet(marked.paths.model("next"))
    assert (
        stored.width == 1
        and stored.card["start_hash"] == read_boxnet(marked.paths.model("tiny")).hash
    )
    assert stored.card["verdict"] == status.verdict != ""
    metrics = folder.read_metrics(marked.paths.training_metrics("next"))
    assert metrics[0]["step"] == 0 and metrics[-1]["step"] == 8
    kinds = ("old_on_old", "new_on_old", "old_on_new", "new_on_new", "held_out", "held_out_old")
    for entry in metrics:
        for kind in kinds:
            assert set(entry[kind]) == {"precision", "recall", "f1", "accuracy"}
    assert metrics[0]["old_on_new"] == metrics[0]["new_on_new"]
    assert metrics[-1]["old_on_old"] == metrics[0]["old_on_old"]
    report = folder.read_report(marked.paths.training_report("next"))
    assert set(report["f1_by_min_score"]) >= {"0.5", "0.95"}
    assert report["item"] == "m2.mrc" and report["n_truth"] == 8
    truth = np.load(report["truth"])
    assert truth.shape == (8, 2) and np.load(report["before"]).shape[1] == 3
    assert truth.max() > 96  # Å, not px
    assert not (marked.paths.training("next") / folder.CHECKPOINT).exists()
    (info,) = [m for m in models.list_models(marked.paths, "tiny") if m.name == "next"]
    assert info.state == "ready" and info.n_examples == 2 and not info.used
    seen = folder.seen_examples(marked.paths)
    assert list(seen.values()) == ["next", "next"]
    listed = order.examples_of(marked.paths, config_of(), marked.items)
    assert [entry.seen_by for entry in listed] == ["next", "next", ""]


@pytest.mark.slow
@pytest.mark.usefixtures("seldom_measured")
def test_without_held_out_nothing_is_promised(project: Project) -> None:
    project.add(0)
    status = run(project)
    assert status.phase == "done" and status.n_held_out == 0
    assert status.verdict.startswith("not known whether it is better")
    metrics = folder.read_metrics(project.paths.training_metrics("next"))
    assert metrics[-1]["held_out"] is None
    plan = order.preview(project.paths, config_of(), project.items, TrainingRequest(), "cpu", 1)
    assert "no micrograph is held out" in plan["notes"][0] and plan["n_examples"] == 1


def test_nothing_to_learn_from_is_said(project: Project) -> None:
    with pytest.raises(TrainingError, match="mark micrographs for training"):
        make_task(project)
    project.add(0, training="held-out")
    with pytest.raises(TrainingError, match="all marked micrographs are held out"):
        make_task(project)
    project.add(1)
    project.paths.average("m1").unlink()
    with pytest.raises(TrainingError, match=r"m1.mrc: its average is gone"):
        make_task(project)


@pytest.mark.slow
@pytest.mark.usefixtures("seldom_measured")
def test_what_is_left_out_is_told(marked: Project) -> None:
    path = marked.paths.average("m1")
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    status = run(marked)
    assert status.phase == "done" and status.n_examples == 1
    assert "left out: m1.mrc: its average has values that are not finite" in status.message


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "boxnet", "tiny", "x.safetensors"])
def test_names_that_cannot_be_are_refused(marked: Project, name: str) -> None:
    with pytest.raises(TrainingError):
        make_task(marked, model=name)


def test_a_wrong_setting_or_model_is_refused(marked: Project) -> None:
    with pytest.raises(TrainingError, match=r"training.batch = 0"):
        make_task(marked, settings={"batch": 0})
    with pytest.raises(InputError, match="no model 'nobody'"):
        make_task(marked, start_from="nobody")


@pytest.mark.slow
def test_a_cancelled_training_goes_on_and_ends_like_one_that_was_not(marked: Project) -> None:
    control = Control()
    told: list[TrainingStatus] = []

    def tell(status: TrainingStatus) -> None:
        told.append(status)
        control.cancel = status.step >= 3

    with pytest.raises(Exception, match="cancelled by the user"):
        Course(make_task(marked), tell, control).run()
    assert not marked.paths.model("next").exists()
    assert folder.can_resume(marked.paths, "next")
    for seed in (0, 1, 2):  # the examples were kept
        marked.paths.average(f"m{seed}").unlink()
    status = run(marked, resume=True)
    assert status.phase == "done" and status.step == 8
    assert "went on from step" not in status.verdict
    steps = [m["step"] for m in folder.read_metrics(marked.paths.training_metrics("next"))]
    assert steps == sorted(set(steps))
    with pytest.raises(TrainingError, match="no training to continue"):
        make_task(marked, resume=True)


@pytest.mark.slow
def test_stopping_with_the_best_makes_a_model(marked: Project) -> None:
    control = Control()

    def tell(status: TrainingStatus) -> None:
        control.cancel = control.keep_best = status.step >= 2

    status = Course(make_task(marked), tell, control).run()
    assert status.phase == "done" and status.step < 8
    assert "stopped by the user" in status.message
    assert marked.paths.model("next").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("seldom_measured")
def test_a_full_disk_at_a_checkpoint_ends_nothing(
    marked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.write_bytes

    def write(path: Path, content: bytes) -> None:
        if path.name == folder.CHECKPOINT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, content)

    monkeypatch.setattr(files, "write_bytes", write)
    status = run(marked)
    assert status.phase == "done"
    assert "no checkpoint could be written (disk full" in status.message
    assert list(marked.paths.training("next").glob("*.warptui-tmp")) == []


@pytest.mark.slow
@pytest.mark.usefixtures("seldom_measured")
def test_a_full_disk_in_the_end_waits_for_room(
    marked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_FULL_DISK_S", 0.05)
    real, tries = course.write_boxnet, []

    def write(path: Path, *rest: object) -> str:
        tries.append(path)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(course, "write_boxnet", write)
    told: list[TrainingStatus] = []
    assert Course(make_task(marked), told.append).run().phase == "done"
    assert any("disk full: make room" in status.message for status in told)


@pytest.mark.slow
@pytest.mark.usefixtures("seldom_measured")
def test_models_are_discarded_but_never_the_one_in_use(marked: Project) -> None:
    run(marked)
    with pytest.raises(TrainingError, match="in use"):
        models.discard(marked.paths, "next", "next")
    with pytest.raises(TrainingError, match="comes with the program"):
        models.discard(marked.paths, "boxnet", "tiny")
    with pytest.raises(TrainingError, match="is no model"):
        models.discard(marked.paths, "../project", "tiny")
    models.discard(marked.paths, "next", "tiny")
    assert not marked.paths.training("next").exists()
    assert models.new_name(marked.paths, "", "tiny") == "tiny_1"
    marked.paths.model("tiny_1").write_bytes(b"")
    assert models.new_name(marked.paths, "", "tiny_1") == "tiny_2"
    damaged = [m for m in models.list_models(marked.paths, "gone") if m.state == "damaged"]
    assert {m.name for m in damaged} == {"tiny_1", "gone"}


class Listener:
    """A trainer and what it hears, as the session's thread would."""

    def __init__(self, project: Project) -> None:
        self.inbox: queue.SimpleQueue[TrainerMessage] = queue.SimpleQueue()
        self.trainer = Trainer(project.paths, self.inbox.put)

    def until(self, phase: str = "", seconds: float = 240.0) -> TrainingStatus:
        """Until it is in a phase, or over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            over = self.trainer.take(self.inbox.get(timeout=seconds))
            assert self.trainer.status is not None
            if over or (phase and self.trainer.status.phase == phase):
                return self.trainer.status
        raise AssertionError("it takes too long")


@pytest.fixture
def heard(marked: Project) -> Iterator[Listener]:
    made = Listener(marked)
    yield made
    process = made.trainer._process
    if process is not None:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_training_leaves_the_old_model_and_can_go_on(
    marked: Project, heard: Listener
) -> None:
    before = marked.paths.model("tiny").read_bytes()
    heard.trainer.begin(make_task(marked, settings={**QUICK, "epochs": 5000}))
    for model in ("other", "next"):  # nor does who asks touch what the other one writes
        with pytest.raises(TrainingError, match="next is being trained"):
            heard.trainer.begin(make_task(marked, model=model))
    while not (status := heard.until("running")).resumable:
        pass
    assert make_task(marked).request.model == "next"
    assert (marked.paths.training("next") / folder.CHECKPOINT).exists()
    process = heard.trainer._process
    assert process is not None
    process.kill()
    status = heard.until()
    assert status.phase == "failed" and status.resumable and not heard.trainer.running
    assert "interrupted at step" in status.message and "SIGKILL" in status.message
    assert marked.paths.model("tiny").read_bytes() == before
    assert not marked.paths.model("next").exists()
    # an engine that begins after this one knows as much
    after = Listener(marked).trainer.status
    assert after is not None and after.phase == "failed" and after.resumable
    assert "it can continue" in after.message
    (info,) = [m for m in models.list_models(marked.paths, "tiny") if m.name == "next"]
    assert info.state == "interrupted"
    heard.trainer.begin(make_task(marked, resume=True))
    status = heard.until("running")
    assert status.step > 0
    heard.trainer.cancel(keep_best=False)
    status = heard.until()
    assert status.phase == "cancelled" and status.resumable
    # begun anew by the same name, nothing of the old one is left
    heard.trainer.begin(make_task(marked, settings={**QUICK, "epochs": 5000}))
    assert heard.until("baseline").step == 0
    assert not (marked.paths.training("next") / folder.CHECKPOINT).exists()
    heard.trainer.cancel(keep_best=False)
    assert heard.until().phase == "cancelled"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_end_of_the_engine_interrupts_and_nothing_else(
    marked: Project, heard: Listener
) -> None:
    heard.trainer.begin(make_task(marked, settings={**QUICK, "epochs": 5000}))
    heard.until("running")
    process = heard.trainer._process
    assert process is not None
    heard.trainer.close()
    assert process.wait(180) == 1
    after = Listener(marked).trainer.status
    assert after is not None and after.resumable and after.phase == "failed"
