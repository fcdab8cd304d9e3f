"""The engine's exports, each in a thread of its own, so that processing does not wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from warptui.engine.errors import Cancelled, ExportError, WarptuiError
from warptui.engine.execution.extraction import ExtractionProcess
from warptui.engine.exporters.base import Kind
from warptui.engine.exporting.records import ExportRecords, export_id, reason_of
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths

log = logging.getLogger(__name__)

END_GRACE_S = 1.0  # for exports, when the engine ends


class Exports:
    """Begins, lists and cancels exports; used from the session's thread.

    ``load`` reads all stored data of an item, from any thread.
    """

    def __init__(self, project: ProjectPaths, load: Callable[[str], StoredItem | None]) -> None:
        self._project, self._load = project, load
        self._records = ExportRecords(project)
        self._running: dict[str, _Writing] = {}
        self._ended: dict[str, Export] = {}  # listed from here until their record is read from disk

    def begin(
        self,
        kind: Kind,
        request: ExportRequest,
        target: Path,
        names: Sequence[str],
        optics: Mapping[str, float],
    ) -> str:
        """Begin to write the list of these items; returns the id of the export without waiting.

        Raises ExportError when there is nothing to write, or the list is being written.
        """
        if not names:
            raise ExportError("nothing was written: no item is in the requested selection")
        record = Export(
            export_id(target), kind.name, str(target), "running", time.time(), 0, len(names),
            writer="engine",
        )  # fmt: skip
        held = ExitStack()
        held.enter_context(self._records.writing(record))
        writing = _Writing(record, held)

        def go_on(done: int = 0) -> None:  # `items` counts the progress
            if writing.cancelled:
                raise Cancelled(writing.cancelled)

        def items() -> Iterator[StoredItem]:
            for done, name in enumerate(names, 1):
                go_on()
                # an item without stored data is reported like one that lacks results
                yield self._load(name) or StoredItem(name, done)
                writing.record = replace(writing.record, rows=done)

        def work() -> Export:
            outcome = kind.write(
                items(), self._project, target, optics, request, go_on, ExtractionProcess
            )
            state = "done" if outcome.rows else "failed"
            return replace(record, state=state, rows=outcome.rows, reason=outcome.reason)

        self._running[record.id] = writing
        writing.thread = threading.Thread(
            target=self._run, args=(writing, work), name="export", daemon=True
        )
        writing.thread.start()
        log.info("exporting %s items to %s", f"{len(names):,}", target)
        return record.id

    def cancel(self, number: str) -> None:
        """Stop an export; the earlier file stays. Raises KeyError if the export does not run."""
        writing = self._running.get(number)
        if writing is None:
            raise KeyError("this export does not run in the engine: there is nothing to cancel")
        writing.cancelled = "cancelled by the user"

    def look(self) -> tuple[Export, ...]:
        """All exports that are known, newest first."""
        for number, writing in list(self._running.items()):
            if writing.record.state != "running":
                del self._running[number]
                self._ended[number] = writing.record
        on_disk = {record.id: record for record in self._records.all()}
        for number, record in list(self._ended.items()):
            known = on_disk.get(number)
            if known is not None and known.at >= record.at and known.state != "running":
                del self._ended[number]
        own = self._ended | {number: writing.record for number, writing in self._running.items()}
        found = (on_disk | own).values()
        return tuple(sorted(found, key=lambda record: record.at, reverse=True))

    def close(self) -> None:
        """Cancel all running exports, without leaving incomplete files."""
        for writing in self._running.values():
            writing.cancelled = "the engine ended"
        until = time.monotonic() + END_GRACE_S
        for writing in self._running.values():
            writing.thread.join(max(0.0, until - time.monotonic()))

    def _run(self, writing: _Writing, work: Callable[[], Export]) -> None:
        begun = writing.record
        with writing.held:
            try:
                record = work()
            except Cancelled as why:
                record = replace(begun, state="cancelled", reason=str(why))
            except (WarptuiError, OSError) as problem:
                record = replace(begun, state="failed", reason=reason_of(problem))
            except Exception as problem:
                log.exception("a mistake in the program: please report it with these lines")
                reason = f"{type(problem).__name__}: {problem}"
                record = replace(begun, state="failed", reason=reason)
            record = replace(record, at=time.time())
            result = f"{record.rows:,} rows" if record.state == "done" else record.state
            reason = f" ({record.reason})" if record.reason else ""
            level = logging.WARNING if record.state == "failed" else logging.INFO
            log.log(level, "export to %s: %s%s", record.path, result, reason)
            try:
                self._records.say(record)
            except OSError as problem:
                log.warning("the end of the export to %s is not recorded: %s", record.path, problem)
        writing.record = record  # last: from now on the same list can be exported again


class _Writing:
    """A running export."""

    def __init__(self, record: Export, held: ExitStack) -> None:
        self.record, self.held = record, held
        self.cancelled = ""  # the reason, once cancelled
        self.thread = threading.Thread()
