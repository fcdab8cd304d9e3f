"""What follows from a failure: another try and when, a pause, or a failed item."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from warptui.engine.api.log_lines import about
from warptui.engine.errors import ItemError
from warptui.engine.execution.executor import Failed
from warptui.engine.items.entry import Entry
from warptui.engine.items.service import ItemService
from warptui.engine.model.stored import Failure
from warptui.engine.planning.target import Target
from warptui.engine.planning.urgency import urgency
from warptui.engine.worker.protocol import FailureKind

if TYPE_CHECKING:
    from warptui.engine.alerts.rules import Alerts

log = logging.getLogger(__name__)

MAX_DEATHS = 3  # workers that an item may take with it before it is poisoned
MAX_HICCUPS = 20  # transient failures in a row (a quarter of an hour) before an item fails
MAX_MEMORY = 3
LONGEST_BACKOFF_S = 60.0
FIRST_BACKOFF_S = 2.0  # of the storage
STORAGE = "storage"  # the hold while nothing can be written
CANCELLED = "cancelled by the user, until it is processed again"


class FailurePolicy:
    """Applied in the engine's thread to items that no longer run.

    ``recheck`` and ``suspect`` ask the watch to look at a raw file again, soon or always.
    """

    def __init__(
        self,
        items: ItemService,
        alerts: Alerts,
        recheck: Callable[[Path], None],
        suspect: Callable[[Path], None],
    ) -> None:
        self._items, self._alerts = items, alerts
        self._recheck, self._suspect = recheck, suspect
        self._storage_backoff_s = FIRST_BACKOFF_S
        self.storage_retry = 0.0  # monotonic: when to try writing again

    def after(self, failed: Failed, entry: Entry, wanted: Target) -> None:
        """Decide what follows from a job's failure; the item was settled."""
        kind, reason = failed.kind, failed.reason
        match kind:
            case FailureKind.TRANSIENT | FailureKind.MEMORY:
                limit = MAX_HICCUPS if kind is FailureKind.TRANSIENT else MAX_MEMORY
                entry.hiccups += 1
                if entry.hiccups < limit:
                    self.retry_later(entry, f"{reason}; tried again", entry.hiccups)
                else:
                    self.fail(entry, wanted, failed.stage, reason, entry.hiccups)
            case FailureKind.ITEM:
                tries = 1 + (entry.stored.failure.tries if entry.stored.failure else 0)
                self.fail(
                    entry,
                    wanted,
                    failed.stage,
                    reason,
                    tries,
                    log_tail=failed.log,
                    traceback=failed.traceback,
                )

    def before_settling(self, failed: Failed, entry: Entry) -> None:
        """Note what a failure shows about file or disk, before the item is judged again."""
        match failed.kind:
            case FailureKind.STORAGE:
                self.hold_storage(failed.reason)
            case FailureKind.MISSING:
                entry.present = False
                self._recheck(entry.path)
            case FailureKind.CHANGED:
                entry.waiting = failed.reason
                self._recheck(entry.path)

    def worker_died(
        self, entry: Entry, wanted: Target, stage: str, reason: str, log_tail: str
    ) -> None:
        """The worker that had the item ended: the item is tried again, but not for ever."""
        entry.deaths += 1
        if entry.cancelled:
            self.cancel(entry, stage)
        elif entry.deaths < MAX_DEATHS:
            self.retry_later(entry, f"{reason}; tried again", entry.deaths)
        else:
            reason = f"{reason}, {entry.deaths} times: not tried again by itself"
            self.fail(entry, wanted, stage, reason, entry.deaths, log_tail=log_tail)

    def cannot_read(self, entry: Entry, problem: OSError) -> None:
        """The raw file, or what is stored of it, could not be looked at before a job."""
        if isinstance(problem, FileNotFoundError):
            entry.present = False
            self._recheck(entry.path)
            self._items.settle(entry)
            return
        entry.hiccups += 1
        self.retry_later(entry, f"{problem.strerror or problem}; tried again", entry.hiccups)

    def retry_later(self, entry: Entry, reason: str, times: int) -> None:
        """Queue the item for another try after its ``times``-th failure in a row."""
        entry.delayed = reason
        self._items.settle(entry)
        due = time.monotonic() + min(LONGEST_BACKOFF_S, 2.0 ** (times - 1))
        self._items.schedule.push_later(
            entry.name, due, urgency(entry, asked=False), entry.sequence
        )

    def cancel(self, entry: Entry, stage: str) -> None:
        """The user wants no more work on the item for now."""
        entry.asked = entry.cancelled = False
        log.info("%s: cancelled", entry.name, extra=about(entry.name))
        table = self._items.table
        if entry.stored.failure is None and not table.steps(entry):
            self._items.settle(entry)  # only a repetition was asked for: the results are up to date
            return
        self.fail(entry, table.target, stage, CANCELLED, entry.tries, cancelled=True)

    def fail(
        self,
        entry: Entry,
        wanted: Target,
        stage: str,
        reason: str,
        tries: int,
        *,
        log_tail: str = "",
        traceback: str = "",
        cancelled: bool = False,
    ) -> None:
        """Store that the item failed with these settings."""
        failure = Failure(
            stage=stage,
            reason=reason.removeprefix(f"{entry.name}: "),  # shown beside the name anyway
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
            self._items.save(entry.stored)
        except OSError as problem:  # known in memory; after a restart it fails once more
            self.hold_storage(f"{problem.strerror}: metadata of {entry.name}")
        except ItemError as problem:
            log.warning("%s: %s", entry.name, problem)
        self._suspect(entry.path)
        self._items.settle(entry)

    def hold_storage(self, reason: str) -> None:
        """Start nothing until metadata and products can be written again."""
        if STORAGE not in self._items.holds:
            log.error("processing pauses: %s", reason)
        self._items.holds[STORAGE] = reason
        self.storage_retry = time.monotonic() + self._storage_backoff_s
        self._storage_backoff_s = min(LONGEST_BACKOFF_S, 2 * self._storage_backoff_s)

    def succeeded(self) -> None:
        """A job was stored whole: the next trouble with the storage begins with short pauses."""
        self._storage_backoff_s = FIRST_BACKOFF_S
