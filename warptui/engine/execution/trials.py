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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warptui.engine.api.log_lines import about
from warptui.engine.config.settings import Config
from warptui.engine.errors import EngineError, ItemError
from warptui.engine.execution.local_pool import Pool, Slot
from warptui.engine.items.entry import Entry
from warptui.engine.model.detail import Trial
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.stages.base import Stage
from warptui.engine.worker.protocol import FailureKind, Job, deadlines, encode_config

log = logging.getLogger(__name__)

KEPT = 8  # trials whose pictures stay
DROPPED = "the trial was stopped"


@dataclass
class _Asked:
    """A trial that waits or runs."""

    name: str  # of the item
    job: Job
    limits_s: dict[str, float]
    answer: Future[Trial]
    finished: dict[str, Any] | None = None  # what the worker said of the result


class Trials:
    """Used from one thread, the session's; those who asked wait in others for their `Future`."""

    def __init__(self, project: Path, store: Store, stages: tuple[Stage, ...]) -> None:
        self._project, self._store, self._stages = project, store, stages
        self._waiting: deque[_Asked] = deque()
        self._running: dict[int, _Asked] = {}
        self._kept: deque[Path] = deque()
        shutil.rmtree(ProjectPaths(project).trials, ignore_errors=True)

    def ask(
        self, number: int, entry: Entry, stage: Stage, config: Config, pool: Pool | None
    ) -> Future[Trial]:
        """Put a trial in the queue, or say why there can be none.

        Raises
        ------
        ItemError
            When what the stage works on is not there.
        EngineError
            When no worker runs.
        """
        if obstacle := _obstacle(entry, stage, config):
            raise ItemError(f"{entry.name}: {obstacle}")
        if pool is None or _is_dead(pool):
            raise EngineError("; ".join(["no worker runs", *(pool.given_up if pool else ())]))
        full = self._store.load(entry.name)
        records = full.records.items() if full else ()
        results = {name: record.result for name, record in records if name != stage.name}
        job = Job(
            number,
            str(entry.path),
            str(self._project),
            (stage.name,),
            encode_config(config),
            results,
            trial=True,
        )
        size = entry.path.stat().st_size if entry.present else 0
        asked = _Asked(entry.name, job, deadlines(self._stages, size), Future())
        self._waiting.append(asked)
        return asked.answer

    def dispatch(self, pool: Pool) -> None:
        """Give free workers what waits."""
        if self._waiting and _is_dead(pool):
            self.end("; ".join(["no worker runs", *pool.given_up]))
        for slot in pool.free_slots() if self._waiting else ():
            if not self._waiting:
                return
            asked = self._waiting.popleft()
            self._running[asked.job.number] = asked
            pool.submit(slot, asked.job, asked.limits_s)
            begun = f"trial of {asked.job.stages[0]} on {slot.plan.name}"
            log.debug("%s: %s", asked.name, begun, extra=about(asked.name))

    def hear(self, slot: Slot, record: dict[str, Any]) -> bool:
        """Take note of a worker's answer; whether the job is over."""
        assert slot.job is not None
        asked = self._running[slot.job.number]
        match record["is"]:
            case "finished":
                asked.finished = record
            case "done":
                self._running.pop(slot.job.number)
                self._succeed(asked, slot.plan.device)
                return True
            case "failed":
                kind, said = FailureKind(record["kind"]), record["reason"]
                if kind is FailureKind.MISSING:
                    said = f"the raw file {asked.job.path} is gone: nothing can be tried without"
                self.fail(slot.job.number, DROPPED if kind is FailureKind.CANCELLED else said)
                return True
        return False

    def fail(self, number: int, reason: str) -> None:
        """The trial ended without a result."""
        asked = self._running.pop(number)
        said = reason.removeprefix(f"{asked.name}: ")
        log.info("%s: trial: %s", asked.name, said, extra=about(asked.name))
        _refuse(asked, ItemError(f"{asked.name}: {said}"))

    def drop(self, path: Path, pool: Pool | None) -> None:
        """Stop what waits or runs for the item with this raw file."""
        for asked in [asked for asked in self._waiting if asked.job.path == str(path)]:
            self._waiting.remove(asked)
            _refuse(asked, ItemError(f"{asked.name}: {DROPPED}"))
        for number, asked in self._running.items():
            if asked.job.path == str(path) and pool is not None:
                pool.cancel(number)

    def requeue(self) -> None:
        """The pool is gone: what ran must run again."""
        self._waiting.extendleft(reversed(self._running.values()))
        self._running.clear()

    def close(self) -> None:
        """Nobody gets an answer any more, and nothing of what was tried stays."""
        self.end("the engine is stopping")
        shutil.rmtree(ProjectPaths(self._project).trials, ignore_errors=True)

    def end(self, reason: str) -> None:
        """Those who wait get no answer."""
        for asked in self._all():
            _refuse(asked, EngineError(reason))
        self._waiting.clear()
        self._running.clear()

    def _all(self) -> Iterator[_Asked]:
        yield from self._waiting
        yield from self._running.values()

    def _succeed(self, asked: _Asked, device: str) -> None:
        made, stage = asked.finished, asked.job.stages[0]
        if made is None:
            _refuse(asked, ItemError(f"{asked.name}: the worker gave no result"))
            return
        self._keep(ProjectPaths(self._project).trial(asked.job.number))
        settings = asked.job.config["stages"][stage]
        asked.answer.set_result(
            Trial(
                name=asked.name,
                stage=stage,
                settings=settings,
                result=made["result"],
                pictures=made.get("pictures", {}),
                seconds=made["seconds"],
                device=device,
            )
        )
        took = f"trial of {stage} took {made['seconds']:.1f} s; nothing was stored"
        log.info("%s: %s", asked.name, took, extra=about(asked.name))

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


def _is_dead(pool: Pool) -> bool:
    return len(pool.given_up) == len(pool.slots)


def _refuse(asked: _Asked, problem: Exception) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(problem)
