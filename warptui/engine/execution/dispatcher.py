"""Brings every item into accord with the settings: sightings in, jobs out, results stored.

All of it happens in one thread, the session's, which is also the only writer of metadata: nothing
can be lost between two writers.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import warptui
from warptui.engine.api.event_hub import Broadcast
from warptui.engine.api.log_lines import about
from warptui.engine.config.settings import Config
from warptui.engine.errors import ItemError
from warptui.engine.execution.local_pool import Died, Pool, Said, Slot, log_tail
from warptui.engine.execution.trials import Trials
from warptui.engine.items.entry import Entry
from warptui.engine.items.service import Register
from warptui.engine.items.table import Roster
from warptui.engine.model.detail import Trial
from warptui.engine.model.item import State
from warptui.engine.model.stored import Failure
from warptui.engine.planning.members import Member
from warptui.engine.planning.plan import NEVER_RUN, make_record
from warptui.engine.planning.rates import Rates
from warptui.engine.planning.target import Wanted
from warptui.engine.planning.urgency import urgency
from warptui.engine.project.store import Store
from warptui.engine.project.temporary_files import find_leftovers
from warptui.engine.worker.fault_injection import crash_point
from warptui.engine.worker.protocol import FailureKind, Job, deadlines, encode_config

if TYPE_CHECKING:
    from warptui.engine.alerts.rules import Alerts

log = logging.getLogger(__name__)

MAX_DEATHS = 3  # workers that an item may take with it before it is poisoned
MAX_HICCUPS = 20  # transient failures in a row, a quarter of an hour, before it counts as failed
MAX_MEMORY = 3
LONGEST_BACKOFF_S = 60.0
CANCELLED = "cancelled by the user, until somebody has it processed again"


@dataclass
class _Running:
    """A job as it was started: a changed setting meanwhile must not enter its records."""

    name: str
    wanted: Wanted
    members: tuple[Member, ...] = ()
    unsaved: str = ""  # why a result could not be stored


class Foreman(Register):
    """The engine's work, without its threads. Used from one thread."""

    def __init__(
        self,
        roster: Roster,
        store: Store,
        broadcast: Broadcast,
        project: Path,
        recheck: Callable[[Path], None],
        suspect: Callable[[Path], None],
        alerts: Alerts,
    ) -> None:
        super().__init__(roster, store, broadcast, project, recheck)
        self.pool: Pool | None = None
        self.paused = False
        self.settings_version = 0  # counts the settings that were applied
        self.storage_retry = 0.0  # monotonic: when to try writing again
        self.rates = Rates(time.monotonic())
        self.trials = Trials(project, store, roster.wanted.stages)
        self._project, self._suspect, self._alerts = project, suspect, alerts
        self._jobs: dict[int, _Running] = {}
        self._numbers = itertools.count(1)
        self._storage_backoff_s = 2.0

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits for its turn."""
        return bool(self._jobs or len(self.schedule) or self.schedule.n_later or len(self.due))

    def dispatch(self) -> None:
        """Give free workers the items that are next."""
        self.ripen()
        if self.pool is not None:
            self.trials.dispatch(self.pool)  # somebody waits for it
        if self.paused or self.holds or self.pool is None:
            return
        for slot in self.pool.free_slots():
            while (name := self.schedule.pop()) is not None:
                entry = self.roster.entries.get(name)
                if entry is not None and not entry.running and self._start(slot, entry):
                    break

    def hear(self, said: Said) -> None:
        """Take note of a worker's answer."""
        slot = self.pool.hear(said) if self.pool else None
        if slot is None or slot.job is None:
            return
        if slot.job.trial:
            if self.trials.hear(slot, said.record) and self.pool is not None:
                self.pool.release(slot)
            return
        running = self._jobs[slot.job.number]
        entry = self.roster.entries[running.name]
        record = said.record
        match record["is"]:
            case "started" | "progress":
                entry.stage, entry.fraction = record["stage"], record.get("fraction", 0.0)
                self.show(entry)
            case "finished":
                self._keep_result(slot, entry, running, record)
            case "done" if running.unsaved:
                self._end_job(slot, entry)
                self._fail(entry, running.wanted, "", running.unsaved, 1)
            case "done":
                entry.fingerprint = record["fingerprint"] or entry.fingerprint
                entry.asked, entry.delayed, entry.deaths, entry.hiccups = False, "", 0, 0
                self._storage_backoff_s = 2.0
                self.rates.item_done(time.monotonic())
                self._end_job(slot, entry)
                for other in self.roster.survey(entry):
                    self.show(other)
                self._alerts.item_done(entry.sequence, self.roster.motion(entry))
                text = self.roster.account(entry)
                log.info("%s: done%s", entry.name, text, extra=about(entry.name))
            case "failed":
                self._take_failure(slot, entry, running, record)

    def bury(self, died: Died) -> None:
        """Take note of a worker's death."""
        dead = self.pool.bury(died) if self.pool else None
        if dead is None:
            return
        stage, reason = dead.stage, dead.reason
        said = f"{died.slot}: {reason}{f' at {stage}' if stage else ''}"
        log.warning("%s", said)
        self._alerts.died(said, Path(dead.job.path).name if dead.job else "")
        with suppress(OSError):  # else the next start removes them
            for leftover in find_leftovers(self._project, dead.pid):
                leftover.unlink(missing_ok=True)
        if dead.job is None:
            return
        if dead.job.trial:
            self.trials.fail(dead.job.number, reason)
            return
        running = self._jobs.pop(dead.job.number)
        entry = self.roster.entries[running.name]
        entry.running, entry.deaths = False, entry.deaths + 1
        if entry.cancelled:
            self._cancelled(entry, stage)
        elif entry.deaths < MAX_DEATHS:
            entry.delayed = f"{reason}; tried again"
            self._fail_later(entry, entry.deaths)
        else:
            reason = f"{reason}, {entry.deaths} times: not tried again by itself"
            self._fail(entry, running.wanted, stage, reason, entry.deaths, log_tail=dead.log_tail)

    def retry(self, names: Iterable[str]) -> None:
        """Forget failures."""
        for entry in self._named(names):
            if entry.stored.failure is not None:
                entry.stored = self._save(replace(entry.stored, failure=None))
            entry.deaths = entry.hiccups = 0
            entry.delayed = ""
            if not entry.present or entry.refused:
                self._recheck(entry.path)
            self.settle(entry, asked=True)

    def reprocess(self, names: Iterable[str]) -> None:
        """Run all stages again. Raises ItemError, naming them, when raw files are missing."""
        entries = self._named(names)
        missing = [entry.name for entry in entries if not entry.present]
        if missing:
            raise ItemError(f"the raw files are gone: {', '.join(missing[:5])}")
        for entry in entries:
            entry.asked, entry.deaths, entry.hiccups = True, 0, 0
            self.settle(entry, asked=True)

    def cancel(self, names: Iterable[str]) -> None:
        """Stop what runs or waits; what has nothing to do stays as it is."""
        numbers = {running.name: number for number, running in self._jobs.items()}
        for entry in self._named(names):
            if entry.running and self.pool is not None:
                entry.cancelled = True
                self.pool.cancel(numbers[entry.name])
            elif entry.state in (State.QUEUED, State.OUTDATED):
                self._cancelled(entry, "")

    def try_stage(self, name: str, stage: str, config: Config) -> Future[Trial]:
        """Run one stage on one item with other settings, to be looked at (see `Trials.ask`)."""
        (entry,) = self._named([name])
        described = next(known for known in self.roster.wanted.stages if known.name == stage)
        return self.trials.ask(next(self._numbers), entry, described, config, self.pool)

    def drop_trial(self, name: str) -> None:
        """Stop the trials of an item."""
        (entry,) = self._named([name])
        self.trials.drop(entry.path, self.pool)

    def requeue_running(self) -> None:
        """The pool is gone: what ran must run again."""
        self.trials.requeue()
        for running in self._jobs.values():
            entry = self.roster.entries[running.name]
            entry.running = False
            if entry.cancelled:
                self._cancelled(entry, "")
            self.settle(entry)
        self._jobs.clear()

    def _start(self, slot: Slot, entry: Entry) -> bool:
        steps = self.roster.judge(entry)
        if not steps or self.pool is None:
            self.show(entry)
            return False
        wanted = self.roster.wanted
        names = tuple(step.stage for step in steps)
        try:
            size = entry.path.stat().st_size
            full = self.store.load(entry.name) if set(entry.stored.records) - set(names) else None
        except OSError as problem:
            self._blame_file(entry, problem)
            return False
        records = full.records.items() if full else ()
        results = {name: record.result for name, record in records if name not in names}
        number, config = next(self._numbers), encode_config(wanted.config)
        job = Job(number, str(entry.path), str(self._project), names, config, results)
        limits = deadlines(wanted.stages, size)
        self._jobs[number] = _Running(entry.name, wanted, entry.members)
        entry.running, entry.stage, entry.fraction = True, names[0], 0.0
        entry.state = State.RUNNING
        reason = "; ".join(dict.fromkeys(step.reason for step in steps))
        entry.reason = "" if reason == NEVER_RUN else reason  # that it is new goes without saying
        self.pool.submit(slot, job, limits)
        begun = f"begun on {slot.plan.name}: {reason}"
        log.debug("%s: %s", entry.name, begun, extra=about(entry.name))
        self.show(entry)
        return True

    def _blame_file(self, entry: Entry, problem: OSError) -> None:
        if isinstance(problem, FileNotFoundError):
            entry.present = False
            self._recheck(entry.path)
            self.settle(entry)
            return
        entry.hiccups += 1
        entry.delayed = f"{problem.strerror or problem}; tried again"
        self._fail_later(entry, entry.hiccups)

    def _keep_result(
        self, slot: Slot, entry: Entry, running: _Running, record: dict[str, Any]
    ) -> None:
        stage = record["stage"]
        wanted = running.wanted
        made = make_record(
            stage,
            entry.stored,
            wanted.config,
            wanted.references,
            record["fingerprint"],
            result=record["result"],
            finished_at=time.time(),
            seconds=record["seconds"],
            device=slot.plan.device,
            program_version=warptui.__version__,
            stages=wanted.stages,
            members=running.members,
        )
        crash_point(f"{stage}.unsaved")
        try:
            raw_path = str(entry.path)
            entry.stored = self._save(replace(entry.stored.with_record(made), raw_path=raw_path))
        except OSError as problem:  # the stage runs again when metadata can be written
            self._hold_storage(f"{problem.strerror}: metadata of {entry.name}")
        except ItemError as problem:
            running.unsaved = str(problem)
        crash_point(f"{stage}.saved")
        self.rates.stage_done(stage, record["seconds"])
        took = f"{stage} took {record['seconds']:.1f} s on {slot.plan.name}"
        log.debug("%s: %s", entry.name, took, extra=about(entry.name))
        self.show(entry)

    def _end_job(self, slot: Slot, entry: Entry) -> None:
        if self.pool is not None and slot.job is not None:
            self._jobs.pop(slot.job.number, None)
            self.pool.release(slot)
        entry.running = entry.cancelled = False
        try:
            self.catch_up(entry)  # somebody may have edited meanwhile
        except (ItemError, OSError) as problem:
            log.warning("%s", problem, extra=about(entry.name))
        self.settle(entry)

    def _take_failure(
        self, slot: Slot, entry: Entry, running: _Running, record: dict[str, Any]
    ) -> None:
        kind, reason = FailureKind(record["kind"]), record["reason"]
        entry.fingerprint = record["fingerprint"] or entry.fingerprint
        if entry.cancelled:
            self._end_job(slot, entry)
            self._cancelled(entry, record["stage"])
            return
        said = reason.removeprefix(f"{entry.name}: ")
        extra = about(entry.name)
        log.warning("%s: %s: %s", entry.name, record["stage"] or "reading", said, extra=extra)
        match kind:
            case FailureKind.STORAGE:
                self._hold_storage(reason)
                self._end_job(slot, entry)
            case FailureKind.MISSING:
                entry.present = False
                self._recheck(entry.path)
                self._end_job(slot, entry)
            case FailureKind.CHANGED:
                entry.waiting = reason
                self._recheck(entry.path)
                self._end_job(slot, entry)
            case FailureKind.CANCELLED:
                self._end_job(slot, entry)
            case FailureKind.TRANSIENT | FailureKind.MEMORY:
                limit = MAX_HICCUPS if kind is FailureKind.TRANSIENT else MAX_MEMORY
                self._end_job(slot, entry)
                entry.hiccups += 1
                if entry.hiccups < limit:
                    entry.delayed = f"{reason}; tried again"
                    self._fail_later(entry, entry.hiccups)
                else:
                    self._fail(entry, running.wanted, record["stage"], reason, entry.hiccups)
            case FailureKind.ITEM:
                tail = log_tail(slot.log, slot.log_start)
                self._end_job(slot, entry)
                tries = 1 + (entry.stored.failure.tries if entry.stored.failure else 0)
                self._fail(
                    entry,
                    running.wanted,
                    record["stage"],
                    reason,
                    tries,
                    log_tail=tail,
                    traceback=record["traceback"],
                )

    def _fail_later(self, entry: Entry, times: int) -> None:
        self.settle(entry)
        due = time.monotonic() + min(LONGEST_BACKOFF_S, 2.0 ** (times - 1))
        self.schedule.push_later(entry.name, due, urgency(entry, False), entry.sequence)

    def _cancelled(self, entry: Entry, stage: str) -> None:
        """The user wants nothing more done with it for now."""
        entry.asked = entry.cancelled = False
        log.info("%s: cancelled", entry.name, extra=about(entry.name))
        if entry.stored.failure is None and not self.roster.steps(entry):
            self.settle(entry)  # it was only asked for: what is stored is up to date
            return
        self._fail(entry, self.roster.wanted, stage, CANCELLED, entry.tries, cancelled=True)

    def _fail(
        self,
        entry: Entry,
        wanted: Wanted,
        stage: str,
        reason: str,
        tries: int,
        *,
        log_tail: str = "",
        traceback: str = "",
        cancelled: bool = False,
    ) -> None:
        failure = Failure(
            stage=stage,
            reason=reason.removeprefix(f"{entry.name}: "),  # it stands beside the name anyway
            tries=tries,
            at=time.time(),
            log_tail=log_tail,
            traceback=traceback,
            fingerprint=entry.fingerprint,
            wanted=wanted.digest_of(entry.item.kind),
            cancelled=cancelled,
        )
        if not cancelled:
            self._alerts.item_failed(entry.name, failure.reason)
        entry.asked, entry.delayed = False, ""
        entry.stored = replace(entry.stored, failure=failure, raw_path=str(entry.path))
        try:
            self._save(entry.stored)
        except OSError as problem:  # known in memory; after a restart it fails once more
            self._hold_storage(f"{problem.strerror}: metadata of {entry.name}")
        except ItemError as problem:
            log.warning("%s: %s", entry.name, problem)
        self._suspect(entry.path)
        self.settle(entry)

    def _hold_storage(self, reason: str) -> None:
        if "storage" not in self.holds:
            log.error("processing pauses: %s", reason)
        self.holds["storage"] = reason
        self.storage_retry = time.monotonic() + self._storage_backoff_s
        self._storage_backoff_s = min(LONGEST_BACKOFF_S, 2 * self._storage_backoff_s)
