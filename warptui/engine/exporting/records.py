"""What is known of each export, on disk: one small file per list, whoever writes that list.

A list is written by one program at a time: it holds a lock beside the record, which the system
takes away when the program ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from warptui.engine.errors import ExportError, WarptuiError
from warptui.engine.exporters.stacks import stacks_of, sweep
from warptui.engine.formats.writing import write_text
from warptui.engine.model import codec
from warptui.engine.model.exports import Export
from warptui.engine.project import filesystem
from warptui.engine.project.paths import ProjectPaths

log = logging.getLogger(__name__)

MOST = 50  # records that are kept
LOOK_EVERY_S = 2.0
CUT_KIND = "particles"  # whose images may be cut out for it
AGAIN = "export again"
INTERRUPTED = "interrupted: the program that wrote it ended"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # of some network disks


def export_id(path: Path) -> str:
    """Names the file that is written."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def reason_of(problem: WarptuiError | OSError) -> str:
    """Why an export ended, and what to do."""
    return (
        filesystem.problem_and_advice(problem, AGAIN)
        if isinstance(problem, OSError)
        else str(problem)
    )


class ExportRecords:
    """The records of one project."""

    def __init__(self, project: ProjectPaths) -> None:
        self._folder = project.exports
        self._looked_at = float("-inf")
        self._stamp = -1
        self._known: tuple[Export, ...] = ()

    @contextmanager
    def writing(self, record: Export) -> Iterator[None]:
        """Hold the list of ``record`` for oneself, and say so.

        Raises
        ------
        ExportError
            When another program, or another thread, writes this list now.
        OSError
            When the project cannot be written to.
        """
        with self._lock(record.id) as ours:
            if not ours:
                other = self._read(self._file(record.id))
                since = time.strftime(" since %H:%M:%S", time.localtime(other.at)) if other else ""
                who = f" by the {other.writer}" if other and other.writer else ""
                raise ExportError(f"{record.path} is being written{who}{since}: wait, or cancel it")
            self.say(record)
            yield

    def say(self, record: Export) -> None:
        """Keep what is known now.

        Where there is no room for it, nothing is known: the list itself may lie on another disk,
        and what was said before is not so any more.
        """
        path = self._file(record.id)
        try:
            write_text(path, json.dumps(codec.encode(record)))
        except OSError as problem:
            if not filesystem.is_full(problem):
                raise
            if record.state != "running":
                log.warning("of the export to %s nothing is kept: %s", record.path, problem)
            path.unlink(missing_ok=True)

    def all(self) -> tuple[Export, ...]:
        """All records, newest first; looks at the disk when something may have changed there."""
        now = time.monotonic()
        running = any(record.state == "running" for record in self._known)
        if now < self._looked_at + LOOK_EVERY_S:
            return self._known
        self._looked_at = now
        try:
            stamp = self._folder.stat().st_mtime_ns
            if stamp != self._stamp or running:
                self._stamp = stamp
                self._known = self._read_all()
        except OSError:
            self._stamp, self._known = -1, ()  # none yet, or none that can be read
        return self._known

    def _read_all(self) -> tuple[Export, ...]:
        found = [self._read(path) for path in self._folder.glob("*.json")]
        records = sorted(
            (record for record in found if record), key=lambda record: record.at, reverse=True
        )
        for old in records[MOST:]:
            with suppress(OSError):
                self._file(old.id).unlink(missing_ok=True)
        return tuple(self._still(record) for record in records[:MOST])

    def _still(self, record: Export) -> Export:
        """The record of a program that died is set right."""
        if record.state != "running":
            return record
        with suppress(OSError), self._lock(record.id) as ours:
            now = self._read(self._file(record.id)) or record
            if not ours or now.state != "running":
                return now
            if record.kind == CUT_KIND:
                sweep(stacks_of(Path(record.path)))
            record = replace(now, state="failed", at=time.time(), reason=INTERRUPTED)
            self.say(record)
        return record

    def _file(self, number: str) -> Path:
        return self._folder / f"{number}.json"

    @staticmethod
    def _read(path: Path) -> Export | None:
        try:
            return codec.decode(Export, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None  # half a record of a full disk, or of another version

    @contextmanager
    def _lock(self, number: str) -> Iterator[bool]:
        """Whether nobody else holds the list; nobody will while this lasts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{number}.lock"
        with _HERE_GUARD:
            taken = path in _HERE
            if not taken:
                _HERE.add(path)
        if taken:
            yield False
            return
        try:
            with path.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield False
                    return
                except OSError as problem:
                    if problem.errno not in _NO_LOCKS:
                        raise
                    # threads of this program take turns all the same
                yield True
        finally:
            with _HERE_GUARD:
                _HERE.discard(path)


_HERE: set[Path] = set()  # lists that this program writes
_HERE_GUARD = threading.Lock()
