"""Records of exports on disk: one small file per list, whichever program writes the list.

Only one program writes a list at a time: this program holds a lock beside the record, which the
system releases when the program ends, even by a crash.
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
CUT_KIND = "particles"  # kind whose images may be extracted for the export
AGAIN = "export again"
INTERRUPTED = "interrupted: the program that wrote it ended"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # of some network disks


def export_id(path: Path) -> str:
    """The id of the export to this file."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def reason_of(problem: WarptuiError | OSError) -> str:
    """A message about why an export failed, and what to do."""
    return (
        filesystem.problem_and_advice(problem, AGAIN)
        if isinstance(problem, OSError)
        else str(problem)
    )


class ExportRecords:
    """The records of all exports of one project."""

    def __init__(self, project: ProjectPaths) -> None:
        self._folder = project.exports
        self._looked_at = float("-inf")
        self._stamp = -1
        self._known: tuple[Export, ...] = ()

    @contextmanager
    def writing(self, record: Export) -> Iterator[None]:
        """Lock the list of ``record`` for this program, and write the record.

        Raises
        ------
        ExportError
            When another program or thread writes this list now.
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
        """Write a record.

        If the disk is full, the record is removed: the list may lie on another disk and change,
        so that an earlier record would be wrong.
        """
        path = self._file(record.id)
        try:
            write_text(path, json.dumps(codec.encode(record)))
        except OSError as problem:
            if not filesystem.is_full(problem):
                raise
            if record.state != "running":
                log.warning("the export to %s is not recorded: %s", record.path, problem)
            path.unlink(missing_ok=True)

    def all(self) -> tuple[Export, ...]:
        """All records, newest first; reads the disk again only if its records may have changed."""
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
            self._stamp, self._known = -1, ()  # no folder yet, or not readable
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
        """Correct the record of a program that died while it wrote the list."""
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
            return None  # incomplete because of a full disk, or of another version

    @contextmanager
    def _lock(self, number: str) -> Iterator[bool]:
        """Whether no other program holds the list; holds the lock during the context."""
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
                    # threads of this program still take turns
                yield True
        finally:
            with _HERE_GUARD:
                _HERE.discard(path)


_HERE: set[Path] = set()  # lists that this program writes
_HERE_GUARD = threading.Lock()
