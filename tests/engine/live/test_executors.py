"""Executors run jobs that name raw files relative to folders, and answer with plain events."""

from __future__ import annotations

import json
import queue
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pretend_project import movie_bytes

from warptui.engine.config.settings import Config
from warptui.engine.errors import WorkerError
from warptui.engine.execution.executor import (
    Done,
    Event,
    Executor,
    ExecutorMessage,
    Failed,
    PlaceLost,
    Progress,
    StageFinished,
    Started,
)
from warptui.engine.execution.inline import Inline
from warptui.engine.execution.local_pool import LocalPool
from warptui.engine.worker.devices import SlotPlan
from warptui.engine.worker.protocol import FailureKind, Job, encode_config
from warptui.engine.worker.roots import RawFile, Roots

HERE = Path(__file__).parent
Start = Callable[[Roots], "Run"]


class Run:
    """An executor and the events that it sent."""

    def __init__(self, executor: Executor, inbox: queue.SimpleQueue[ExecutorMessage]) -> None:
        self.executor, self.events = executor, list[Event]()
        self._inbox = inbox
        executor.start()

    def until(self, condition: Callable[[], object], timeout_s: float = 180.0) -> None:
        """Take messages until ``condition`` holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.events
            self.executor.check()
            try:
                self.events += self.executor.take(self._inbox.get(timeout=0.05))
            except queue.Empty:
                continue

    def submit(self, job: Job) -> str:
        """Submit a job once a place is free."""
        self.until(lambda: self.executor.capacity().n_free)
        return self.executor.submit(job)

    def finish(self, job: Job) -> Event:
        """Submit a job; its last event."""
        self.submit(job)
        self.until(lambda: self.ends(job.number))
        return self.ends(job.number)[0]

    def ends(self, number: int) -> list[Event]:
        """The events that end a job."""
        return [
            event
            for event in self.events
            if (isinstance(event, Done | Failed) and event.job == number)
            or (
                isinstance(event, PlaceLost)
                and event.job is not None
                and event.job.number == number
            )
        ]


@pytest.fixture(params=["local pool", "inline", "inline thread"])
def start(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts an executor of each kind, with the pretended stages."""
    monkeypatch.setenv("WARPTUI_STAGES", "pretend_stages")
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{HERE.parents[2]}")
    monkeypatch.setenv("PRETEND_FOLDER", str(tmp_path))
    monkeypatch.setenv("PRETEND_SECONDS", "0.5")
    begun: list[Executor] = []

    def make(roots: Roots) -> Run:
        inbox: queue.SimpleQueue[ExecutorMessage] = queue.SimpleQueue()
        if request.param == "local pool":
            executor: Executor = LocalPool(
                [SlotPlan("cpu-0", "cpu", 1)], roots, tmp_path / "logs", inbox.put
            )
        else:
            executor = Inline(roots, inbox.put, threaded=request.param == "inline thread")
        begun.append(executor)
        return Run(executor, inbox)

    yield make
    for executor in begun:
        executor.close(5.0)


def job(number: int, path: Path, roots: Roots, *, trial: bool = False) -> Job:
    """Motion and average of a movie."""
    stages = ("motion",) if trial else ("motion", "average")
    limits = dict.fromkeys(stages, 30.0)
    config = encode_config(Config())
    return Job(number, roots.relative(path), stages, config, {}, limits, trial=trial)


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A project, and raw files elsewhere."""
    found = Roots(tmp_path / "project", tmp_path / "raw")
    for folder in (found.project, found.input / "day 1"):
        folder.mkdir(parents=True)
    (found.input / "day 1" / "a.mrc").write_bytes(movie_bytes())
    return found


def test_a_job_ends_with_plain_events_and_a_free_place(start: Start, roots: Roots) -> None:
    run = start(roots)
    done = run.finish(job(7, roots.input / "day 1" / "a.mrc", roots))
    assert isinstance(done, Done) and done.job == 7 and done.fingerprint
    assert {type(event) for event in run.events} == {Started, Progress, StageFinished, Done}
    finished = [event for event in run.events if isinstance(event, StageFinished)]
    assert [event.stage for event in finished] == ["motion", "average"]
    assert finished[0].device == "cpu" and finished[0].result["n_frames"] == 3
    (place,) = run.executor.capacity()
    assert (place.free, place.item, place.problem) == (True, "", "")
    assert place.name == finished[0].place and place.host


def test_a_job_runs_after_project_and_input_folder_moved(
    start: Start, roots: Roots, tmp_path: Path
) -> None:
    text = json.dumps(job(1, roots.input / "day 1" / "a.mrc", roots).to_json())
    assert str(tmp_path) not in text
    moved = Roots(tmp_path / "elsewhere" / "p", tmp_path / "other" / "raw files")
    for before, after in zip(
        (roots.project, roots.input), (moved.project, moved.input), strict=True
    ):
        after.parent.mkdir(parents=True)
        shutil.move(before, after)
    run = start(moved)
    assert isinstance(run.finish(Job.from_json(json.loads(text))), Done)
    assert (moved.project / "average" / "a.mrc").is_file()
    assert not roots.project.exists() and not roots.input.exists()


def test_a_failure_comes_with_its_kind_and_text(start: Start, roots: Roots) -> None:
    run = start(roots)
    gone = run.finish(job(1, roots.input / "gone.mrc", roots))
    assert isinstance(gone, Failed)
    assert (gone.kind, gone.reason) == (FailureKind.MISSING, "the raw file is gone")
    (roots.input / "bug.mrc").write_bytes(movie_bytes())
    bug = run.finish(job(2, roots.input / "bug.mrc", roots))
    assert isinstance(bug, Failed) and bug.kind is FailureKind.ITEM and bug.stage == "motion"
    assert "ZeroDivisionError: a mistake in the program" in bug.traceback
    assert "ZeroDivisionError" in bug.log
    again = run.finish(job(3, roots.input / "day 1" / "a.mrc", roots))
    assert isinstance(again, Done)


def test_a_trial_returns_pictures_relative_to_the_project(start: Start, roots: Roots) -> None:
    run = start(roots)
    run.finish(job(4, roots.input / "day 1" / "a.mrc", roots, trial=True))
    (finished,) = [event for event in run.events if isinstance(event, StageFinished)]
    assert finished.pictures == {"spectrum": ".warptui/trials/4/spectrum.npy"}
    assert (roots.project / finished.pictures["spectrum"]).read_bytes() == b"a picture"
    assert not (roots.project / "average").exists()


def test_no_second_job_fits_into_a_place(start: Start, roots: Roots) -> None:
    run, one = start(roots), job(1, roots.input / "day 1" / "a.mrc", roots)
    run.submit(one)
    with pytest.raises(WorkerError, match="no place is free for job 2"):
        run.executor.submit(job(2, roots.input / "day 1" / "a.mrc", roots))
    run.until(lambda: run.ends(1))
    assert run.executor.capacity().n_free == 1


@pytest.mark.parametrize("start", ["local pool", "inline thread"], indirect=True)
def test_a_job_that_runs_is_cancelled(start: Start, roots: Roots) -> None:
    run, one = start(roots), job(1, roots.input / "day 1" / "a.mrc", roots)
    run.submit(one)
    run.until(lambda: any(isinstance(event, Started) for event in run.events))
    run.executor.cancel(1)
    run.until(lambda: run.ends(1))
    (failed,) = run.ends(1)
    assert isinstance(failed, Failed) and failed.kind is FailureKind.CANCELLED


@pytest.mark.parametrize("start", ["local pool"], indirect=True)
def test_a_lost_place_names_job_and_stage_and_brings_its_log(start: Start, roots: Roots) -> None:
    (roots.input / "segfault.mrc").write_bytes(movie_bytes())
    run = start(roots)
    lost = run.finish(job(5, roots.input / "segfault.mrc", roots))
    assert isinstance(lost, PlaceLost) and lost.job is not None
    assert (lost.job.number, lost.stage) == (5, "motion")
    assert "SIGSEGV" in lost.reason and "about to fall over" in lost.log
    assert isinstance(run.finish(job(6, roots.input / "day 1" / "a.mrc", roots)), Done)


@pytest.mark.parametrize("start", ["local pool"], indirect=True)
def test_messages_of_a_closed_pool_mean_nothing_to_its_successor(
    start: Start, roots: Roots
) -> None:
    first, one = start(roots), job(1, roots.input / "day 1" / "a.mrc", roots)
    first.submit(one)
    first.executor.close(0.0)
    second = start(roots)
    second.submit(one)
    late = [first._inbox.get(timeout=90.0)]
    while not first._inbox.empty():
        late.append(first._inbox.get())
    assert [event for message in late for event in second.executor.take(message)] == []
    second.until(lambda: second.ends(1))
    assert isinstance(second.ends(1)[0], Done)


def test_raw_files_are_named_from_the_nearest_folder(tmp_path: Path) -> None:
    roots = Roots(tmp_path / "p", tmp_path / "p" / "raw")
    for path, expected in (
        (tmp_path / "p" / "raw" / "x" / "a.tif", RawFile("input", "x/a.tif")),
        (tmp_path / "p" / "old" / "a.tif", RawFile("project", "old/a.tif")),
        (tmp_path / "archive" / "a.tif", RawFile("input", "../../archive/a.tif")),
    ):
        assert roots.relative(path) == expected
        assert roots.absolute(expected) == path
