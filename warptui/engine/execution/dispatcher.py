"""Gives jobs to an executor, next item first, and stores what comes back.

All of it happens in one thread, the engine's, which is also the only writer of metadata: nothing
can be lost between two writers.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import warptui
from warptui.engine.api.log_lines import about
from warptui.engine.config.settings import Config
from warptui.engine.errors import ItemError
from warptui.engine.execution.executor import (
    Done,
    Event,
    Executor,
    Failed,
    PlaceLost,
    Places,
    Progress,
    StageFinished,
    Started,
    item_name,
)
from warptui.engine.execution.failures import FailurePolicy
from warptui.engine.execution.trials import Trials
from warptui.engine.items.entry import Entry
from warptui.engine.items.service import ItemService
from warptui.engine.model.detail import Trial
from warptui.engine.model.item import State
from warptui.engine.planning.members import Member
from warptui.engine.planning.plan import NEVER_RUN, Step, make_record
from warptui.engine.planning.rates import Rates
from warptui.engine.planning.target import Target
from warptui.engine.worker.fault_injection import crash_point
from warptui.engine.worker.protocol import Job, deadlines, encode_config
from warptui.engine.worker.roots import Roots

if TYPE_CHECKING:
    from warptui.engine.alerts.rules import Alerts

log = logging.getLogger(__name__)


@dataclass
class _Running:
    """A job as it was started: a changed setting meanwhile must not enter its records."""

    entry: Entry
    wanted: Target
    members: tuple[Member, ...]
    unsaved: str = ""  # why a result could not be stored


class Dispatcher:
    """Work on the items of one project. Used from one thread."""

    def __init__(
        self,
        items: ItemService,
        project: Path,
        recheck: Callable[[Path], None],
        suspect: Callable[[Path], None],
        alerts: Alerts,
    ) -> None:
        self.items, self.schedule = items, items.schedule
        self.failures = FailurePolicy(items, alerts, recheck, suspect)
        self.trials = Trials(project, items.store, items.table.target.stages)
        self.rates = Rates(time.monotonic())
        self.executor: Executor | None = None
        self.paused = False
        self.settings_version = 0  # counts the settings that were applied
        self._roots = Roots(project, project)
        self._recheck, self._alerts = recheck, alerts
        self._jobs: dict[int, _Running] = {}
        self._numbers = itertools.count(1)

    def use(self, executor: Executor, roots: Roots) -> None:
        """Run jobs with ``executor`` from now on, and name raw files from ``roots``."""
        self.executor, self._roots = executor, roots

    @property
    def places(self) -> Places:
        """Where jobs run; empty before there is an executor."""
        return self.executor.capacity() if self.executor is not None else Places()

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits for its turn."""
        return bool(
            self._jobs or len(self.schedule) or self.schedule.n_later or len(self.items.due)
        )

    def dispatch(self) -> None:
        """Fill free places with the items that are next."""
        self.items.ripen()
        if self.executor is None:
            return
        self.trials.dispatch(self.executor, self._roots)  # a person waits for it
        if self.paused or self.items.holds:
            return
        for _ in range(self.executor.capacity().n_free):
            while (name := self.schedule.pop()) is not None:
                entry = self.items.table.entries.get(name)
                if entry is not None and not entry.running and self._start(self.executor, entry):
                    break

    def take(self, event: Event) -> None:
        """Act on an event of the executor."""
        if isinstance(event, PlaceLost):
            self._lose_place(event)
            return
        if self.trials.take(event):
            return
        running = self._jobs.get(event.job)
        if running is None:  # of an executor that was replaced
            return
        entry = running.entry
        match event:
            case Started(_, stage):
                entry.stage, entry.fraction = stage, 0.0
                self.items.show(entry)
            case Progress(_, stage, fraction):
                entry.stage, entry.fraction = stage, fraction
                self.items.show(entry)
            case StageFinished():
                self._keep_result(running, event)
            case Done():
                self._finish(running, event)
            case Failed():
                self._take_failure(running, event)

    def retry(self, names: Iterable[str]) -> None:
        """Forget failures."""
        for entry in self.items.named(names):
            if entry.stored.failure is not None:
                entry.stored = self.items.save(replace(entry.stored, failure=None))
            entry.deaths = entry.hiccups = 0
            entry.delayed = ""
            if not entry.present or entry.refused:
                self._recheck(entry.path)
            self.items.settle(entry, asked=True)

    def reprocess(self, names: Iterable[str]) -> None:
        """Run all stages again. Raises ItemError, naming them, when raw files are missing."""
        entries = self.items.named(names)
        missing = [entry.name for entry in entries if not entry.present]
        if missing:
            raise ItemError(f"the raw files are gone: {', '.join(missing[:5])}")
        for entry in entries:
            entry.asked, entry.deaths, entry.hiccups = True, 0, 0
            self.items.settle(entry, asked=True)

    def cancel(self, names: Iterable[str]) -> None:
        """Stop jobs that run or wait; items without work stay as they are."""
        numbers = {running.entry.name: number for number, running in self._jobs.items()}
        for entry in self.items.named(names):
            if entry.running and self.executor is not None:
                entry.cancelled = True
                self.executor.cancel(numbers[entry.name])
            elif entry.state in (State.QUEUED, State.OUTDATED):
                self.failures.cancel(entry, "")

    def try_stage(self, name: str, stage: str, config: Config) -> Future[Trial]:
        """Run one stage on one item with other settings, only to show the result (`Trials.ask`)."""
        (entry,) = self.items.named([name])
        described = next(known for known in self.items.table.target.stages if known.name == stage)
        return self.trials.ask(next(self._numbers), entry, described, config, self.places)

    def drop_trial(self, name: str) -> None:
        """Stop the trials of an item."""
        self.items.named([name])
        self.trials.drop(name, self.executor)

    def requeue_running(self) -> None:
        """The executor is gone: its jobs must run again."""
        self.trials.requeue()
        for running in self._jobs.values():
            entry = running.entry
            entry.running = False
            if entry.cancelled:
                self.failures.cancel(entry, "")
            self.items.settle(entry)
        self._jobs.clear()

    def _start(self, executor: Executor, entry: Entry) -> bool:
        steps = self.items.table.judge(entry)
        if not steps:
            self.items.show(entry)
            return False
        try:
            job = self._make_job(entry, steps)
        except OSError as problem:
            self.failures.cannot_read(entry, problem)
            return False
        self._jobs[job.number] = _Running(entry, self.items.table.target, entry.members)
        entry.running, entry.stage, entry.fraction = True, job.stages[0], 0.0
        entry.state = State.RUNNING
        reason = "; ".join(dict.fromkeys(step.reason for step in steps))
        entry.reason = "" if reason == NEVER_RUN else reason  # that it is new goes without saying
        begun = f"begun on {executor.submit(job)}: {reason}"
        log.debug("%s: %s", entry.name, begun, extra=about(entry.name))
        self.items.show(entry)
        return True

    def _make_job(self, entry: Entry, steps: Iterable[Step]) -> Job:
        """The job of an item's steps. Raises OSError if its files cannot be looked at."""
        wanted, names = self.items.table.target, tuple(step.stage for step in steps)
        size = entry.path.stat().st_size
        others = set(entry.stored.records) - set(names)
        full = self.items.store.load(entry.name) if others else None
        records = full.records.items() if full else ()
        return Job(
            next(self._numbers),
            self._roots.relative(entry.path),
            names,
            encode_config(wanted.config),
            {name: record.result for name, record in records if name not in names},
            deadlines(wanted.stages, size),
        )

    def _keep_result(self, running: _Running, finished: StageFinished) -> None:
        entry, wanted, stage = running.entry, running.wanted, finished.stage
        made = make_record(
            stage,
            entry.stored,
            wanted.config,
            wanted.references,
            finished.fingerprint,
            result=finished.result,
            finished_at=time.time(),
            seconds=finished.seconds,
            device=finished.device,
            program_version=warptui.__version__,
            stages=wanted.stages,
            members=running.members,
        )
        crash_point(f"{stage}.unsaved")
        try:
            raw_path = str(entry.path)
            entry.stored = self.items.save(
                replace(entry.stored.with_record(made), raw_path=raw_path)
            )
        except OSError as problem:  # the stage runs again when metadata can be written
            self.failures.hold_storage(f"{problem.strerror}: metadata of {entry.name}")
        except ItemError as problem:
            running.unsaved = str(problem)
        crash_point(f"{stage}.saved")
        self.rates.stage_done(stage, finished.seconds)
        took = f"{stage} took {finished.seconds:.1f} s on {finished.place}"
        log.debug("%s: %s", entry.name, took, extra=about(entry.name))
        self.items.show(entry)

    def _finish(self, running: _Running, done: Done) -> None:
        """All stages of an item have run."""
        entry = running.entry
        if running.unsaved:
            self._end_job(done.job, entry)
            self.failures.fail(entry, running.wanted, "", running.unsaved, 1)
            return
        entry.fingerprint = done.fingerprint or entry.fingerprint
        entry.asked, entry.delayed, entry.deaths, entry.hiccups = False, "", 0, 0
        self.failures.succeeded()
        self.rates.item_done(time.monotonic())
        self._end_job(done.job, entry)
        table = self.items.table
        for other in table.survey(entry):
            self.items.show(other)
        self._alerts.item_done(entry.sequence, table.motion(entry))
        log.info("%s: done%s", entry.name, table.account(entry), extra=about(entry.name))

    def _end_job(self, number: int, entry: Entry) -> None:
        self._jobs.pop(number)
        entry.running = entry.cancelled = False
        try:
            self.items.catch_up(entry)  # its picks may have been edited meanwhile
        except (ItemError, OSError) as problem:
            log.warning("%s", problem, extra=about(entry.name))
        self.items.settle(entry)

    def _take_failure(self, running: _Running, failed: Failed) -> None:
        entry = running.entry
        entry.fingerprint = failed.fingerprint or entry.fingerprint
        if entry.cancelled:
            self._end_job(failed.job, entry)
            self.failures.cancel(entry, failed.stage)
            return
        reason, extra = failed.reason.removeprefix(f"{entry.name}: "), about(entry.name)
        log.warning("%s: %s: %s", entry.name, failed.stage or "reading", reason, extra=extra)
        self.failures.before_settling(failed, entry)
        self._end_job(failed.job, entry)
        self.failures.after(failed, entry, running.wanted)

    def _lose_place(self, lost: PlaceLost) -> None:
        at = f" at {lost.stage}" if lost.stage else ""
        text = f"{lost.place}: {lost.reason}{at}"
        log.warning("%s", text)
        self._alerts.died(text, item_name(lost.job))
        if lost.job is None:
            return
        if lost.job.trial:
            self.trials.fail(lost.job.number, lost.reason)
            return
        running = self._jobs.pop(lost.job.number, None)
        if running is None:
            return
        entry = running.entry
        entry.running = False
        self.failures.worker_died(entry, running.wanted, lost.stage, lost.reason, lost.log)
