"""Stages that run on one item alone with other settings, and whose results are only shown.

A trial goes to the next free worker before everything else, also while processing is paused. It
writes no metadata and no product; its pictures lie in a folder of their own, for a while.
"""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from warptui.engine.api.log_lines import about
from warptui.engine.config.settings import Config
from warptui.engine.errors import EngineError, ItemError
from warptui.engine.execution.executor import (
    Done,
    Event,
    Executor,
    Failed,
    PlaceLost,
    Places,
    StageFinished,
)
from warptui.engine.items.entry import Entry
from warptui.engine.model.detail import Trial
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.stages.base import Stage
from warptui.engine.worker.protocol import FailureKind, Job, deadlines, encode_config
from warptui.engine.worker.roots import RawFile, Roots

log = logging.getLogger(__name__)

KEPT = 8  # trials whose pictures stay
DROPPED = "the trial was stopped"
_UNPLACED = RawFile("input", "")  # until the trial is submitted


@dataclass
class _Trial:
    """A trial that waits or runs."""

    name: str  # of the item
    path: Path  # of its raw file
    job: Job
    answer: Future[Trial]
    finished: StageFinished | None = None


class Trials:
    """Used from the engine's thread; callers wait in other threads for their `Future`."""

    def __init__(self, project: Path, store: Store, stages: tuple[Stage, ...]) -> None:
        self._project, self._store, self._stages = project, store, stages
        self._waiting: deque[_Trial] = deque()
        self._running: dict[int, _Trial] = {}
        self._kept: deque[Path] = deque()
        shutil.rmtree(ProjectPaths(project).trials, ignore_errors=True)

    def ask(
        self, number: int, entry: Entry, stage: Stage, config: Config, places: Places
    ) -> Future[Trial]:
        """Queue a trial, or raise the reason why it cannot run.

        Raises
        ------
        ItemError
            When what the stage works on is not there.
        EngineError
            When no worker runs.
        """
        if obstacle := _obstacle(entry, stage, config):
            raise ItemError(f"{entry.name}: {obstacle}")
        if places.unusable:
            raise EngineError("; ".join(["no worker runs", *places.problems]))
        full = self._store.load(entry.name)
        records = full.records.items() if full else ()
        results = {name: record.result for name, record in records if name != stage.name}
        size = entry.path.stat().st_size if entry.present else 0
        job = Job(
            number,
            _UNPLACED,
            (stage.name,),
            encode_config(config),
            results,
            deadlines(self._stages, size),
            trial=True,
        )
        trial = _Trial(entry.name, entry.path, job, Future())
        self._waiting.append(trial)
        return trial.answer

    def dispatch(self, executor: Executor, roots: Roots) -> None:
        """Fill free places with the trials that wait."""
        if not self._waiting:
            return
        places = executor.capacity()
        if places.unusable:
            self.end("; ".join(["no worker runs", *places.problems]))
        for _ in range(min(places.n_free, len(self._waiting))):
            trial = self._waiting.popleft()
            trial.job = replace(trial.job, raw=roots.relative(trial.path))
            self._running[trial.job.number] = trial
            begun = f"trial of {trial.job.stages[0]} on {executor.submit(trial.job)}"
            log.debug("%s: %s", trial.name, begun, extra=about(trial.name))

    def take(self, event: Event) -> bool:
        """Act on an event of a trial; False if it is of another job."""
        if isinstance(event, PlaceLost) or event.job not in self._running:
            return False
        trial = self._running[event.job]
        match event:
            case StageFinished():
                trial.finished = event
            case Done():
                self._running.pop(event.job)
                self._succeed(trial)
            case Failed(kind=kind, reason=reason):
                if kind is FailureKind.MISSING:
                    reason = f"the raw file {trial.path} is gone: nothing can be tried without"
                self.fail(event.job, DROPPED if kind is FailureKind.CANCELLED else reason)
        return True

    def fail(self, number: int, reason: str) -> None:
        """The trial ended without a result."""
        trial = self._running.pop(number, None)
        if trial is None:  # it was requeued, as its executor was replaced
            return
        text = reason.removeprefix(f"{trial.name}: ")
        log.info("%s: trial: %s", trial.name, text, extra=about(trial.name))
        _refuse(trial, ItemError(f"{trial.name}: {text}"))

    def drop(self, name: str, executor: Executor | None) -> None:
        """Stop the trials that wait or run for the item with this name."""
        for trial in [trial for trial in self._waiting if trial.name == name]:
            self._waiting.remove(trial)
            _refuse(trial, ItemError(f"{trial.name}: {DROPPED}"))
        for number, trial in self._running.items():
            if trial.name == name and executor is not None:
                executor.cancel(number)

    def requeue(self) -> None:
        """The executor is gone: the trials that ran must run again."""
        self._waiting.extendleft(reversed(self._running.values()))
        self._running.clear()

    def close(self) -> None:
        """End all trials without a result and remove their files."""
        self.end("the engine is stopping")
        shutil.rmtree(ProjectPaths(self._project).trials, ignore_errors=True)

    def end(self, reason: str) -> None:
        """Callers that wait get an error instead of a result."""
        for trial in self._all():
            _refuse(trial, EngineError(reason))
        self._waiting.clear()
        self._running.clear()

    def _all(self) -> Iterator[_Trial]:
        yield from self._waiting
        yield from self._running.values()

    def _succeed(self, trial: _Trial) -> None:
        made, stage = trial.finished, trial.job.stages[0]
        if made is None:
            _refuse(trial, ItemError(f"{trial.name}: the worker gave no result"))
            return
        self._keep(ProjectPaths(self._project).trial(trial.job.number))
        trial.answer.set_result(
            Trial(
                name=trial.name,
                stage=stage,
                settings=trial.job.config["stages"][stage],
                result=made.result,
                pictures={
                    product: str(self._project / path) for product, path in made.pictures.items()
                },
                seconds=made.seconds,
                device=made.device,
            )
        )
        took = f"trial of {stage} took {made.seconds:.1f} s; nothing was stored"
        log.info("%s: %s", trial.name, took, extra=about(trial.name))

    def _keep(self, folder: Path) -> None:
        self._kept.append(folder)
        while len(self._kept) > KEPT:
            shutil.rmtree(self._kept.popleft(), ignore_errors=True)


def _obstacle(entry: Entry, stage: Stage, config: Config) -> str:
    """Why the stage cannot run on this item now; empty where it can."""
    if entry.refused or entry.waiting:
        return entry.refused or f"it is not complete yet: {entry.waiting}"
    for need in stage.needed(config):
        if config.stage(need).enabled and need not in entry.stored.records:
            why = f" ({entry.reason})" if entry.reason else ""
            return f"{stage.name} needs its {need}, which is not known yet{why}"
    return ""


def _refuse(trial: _Trial, problem: Exception) -> None:
    if not trial.answer.done():
        trial.answer.set_exception(problem)
