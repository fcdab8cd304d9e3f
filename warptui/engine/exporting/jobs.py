"""The engine's exports: each written in a thread of its own, so that nothing waits for it."""

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
    """Begun and cancelled from the session's thread.

    ``load`` reads everything that is stored of an item, in any thread.
    """

    def __init__(self, project: ProjectPaths, load: Callable[[str], StoredItem | None]) -> None:
        self._project, self._load = project, load
        self._records = ExportRecords(project)
        self._running: dict[str, _Writing] = {}
        self._ended: dict[str, Export] = {}  # told until it is read from disk

    def begin(
        self,
        kind: Kind,
        request: ExportRequest,
        target: Path,
        names: Sequence[str],
        optics: Mapping[str, float],
    ) -> str:
        """Write the list of these items; returns its id at once.

        Raises ExportError when there is nothing to write, or the list is being written.
        """
        if not names:
            raise ExportError("nothing was written: no item is as it was asked for")
        record = Export(
            export_id(target), kind.name, str(target), "running", time.time(), 0, len(names),
            writer="engine",
        )  # fmt: skip
        held = ExitStack()
        held.enter_context(self._records.writing(record))
        writing = _Writing(record, held)

        def go_on(done: int = 0) -> None:  # the items count themselves
            if writing.cancelled:
                raise Cancelled(writing.cancelled)

        def items() -> Iterator[StoredItem]:
            for done, name in enumerate(names, 1):
                go_on()
                # where nothing is stored any more, that is told as of others that lack something
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
        """Stop writing; what was there before stays. Raises KeyError when it is not written now."""
        writing = self._running.get(number)
        if writing is None:
            raise KeyError("this export does not run in the engine: there is nothing to cancel")
        writing.cancelled = "cancelled by the user"

    def look(self) -> tuple[Export, ...]:
        """All that is known, newest first."""
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
        """End what runs: nothing half is left."""
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
                said = f"{type(problem).__name__}: {problem}"
                record = replace(begun, state="failed", reason=said)
            record = replace(record, at=time.time())
            said = f"{record.rows:,} rows" if record.state == "done" else record.state
            reason = f" ({record.reason})" if record.reason else ""
            level = logging.WARNING if record.state == "failed" else logging.INFO
            log.log(level, "export to %s: %s%s", record.path, said, reason)
            try:
                self._records.say(record)
            except OSError as problem:
                log.warning("what came of %s cannot be kept: %s", record.path, problem)
        writing.record = record  # last: who hears of its end may begin anew


class _Writing:
    """An export that runs."""

    def __init__(self, record: Export, held: ExitStack) -> None:
        self.record, self.held = record, held
        self.cancelled = ""  # why, once somebody asked
        self.thread = threading.Thread()
