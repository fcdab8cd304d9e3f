"""The thread that watches the input folder, and what wakes it early."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    EVENT_TYPE_CLOSED_NO_WRITE,
    EVENT_TYPE_OPENED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from warptui.engine.project import filesystem
from warptui.engine.watching.scanner import FolderState, FolderWatch, Sighting

log = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.2  # between two looks, however many events there are
DUTY = 5  # a look that took long is followed by a pause this many times longer


class WatchThread:
    """Looks into a folder until it is stopped, and hands on what it sees.

    ``deliver`` is called from its own thread, with lists that are not empty.
    """

    def __init__(
        self, watch: FolderWatch, poll_s: float, deliver: Callable[[list[Sighting]], None]
    ) -> None:
        self.mode = ""  # "inotify + poll", "poll (nfs4)"
        self._watch, self._poll_s, self._deliver = watch, poll_s, deliver
        self._wake = threading.Event()
        self._looks_now = False
        self._ended = threading.Event()
        self._asked: list[Callable[[], None]] = []
        self._observer: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching. A thread that hangs in a call of the file system is abandoned."""
        self._ended.set()
        self._wake.set()
        self._thread.join(1.0)

    def suspect(self, path: Path) -> None:
        """Look at this file every time: it failed, and a better one may come."""
        self._asked.append(lambda: self._watch.suspect(path))

    def recheck(self, path: Path) -> None:
        """Treat this file as newly arrived."""
        self._asked.append(lambda: self._watch.recheck(path))
        self._nudge()

    def _nudge(self) -> None:
        self._looks_now = True
        self._wake.set()

    def _run(self) -> None:
        self._listen()
        next_look = 0.0
        not_before = 0.0
        while not self._ended.is_set():
            now = time.monotonic()
            if self._looks_now:
                next_look = min(next_look, not_before)
            self._wake.clear()
            try:
                sightings = self._step(now, looks=now >= next_look)
            except Exception:  # whatever it is, watching must go on
                log.exception("looking into %s failed", self._watch.folder)
                sightings, next_look = [], now + self._poll_s
            end = time.monotonic()
            if now >= next_look:
                not_before = end + max(SHORTEST_PAUSE_S, DUTY * (end - now))
                next_look = max(not_before, end + max(self._poll_s, self._watch.patient_s))
            if sightings:
                self._react(sightings)
                self._deliver(sightings)
            wake_at = min(next_look, self._watch.next_due())
            if self._looks_now:
                wake_at = min(wake_at, not_before)
            if wake_at > (now := time.monotonic()):
                self._wait(wake_at - now, not_before - now)
        self._deafen()

    def _wait(self, longest_s: float, shortest_s: float) -> None:
        """Sleep; an event ends it, but not before the shortest pause is over."""
        if self._wake.wait(longest_s) and not self._ended.is_set() and shortest_s > 0:
            self._ended.wait(min(shortest_s, longest_s, SHORTEST_PAUSE_S))

    def _step(self, now: float, *, looks: bool) -> list[Sighting]:
        while self._asked:
            self._asked.pop(0)()
        if looks:
            self._looks_now = False
            return self._watch.look(now)
        return self._watch.ripen(now)

    def _react(self, sightings: list[Sighting]) -> None:
        while self._watch.warnings:
            log.warning("%s", self._watch.warnings.popleft())
        for sighting in sightings:
            if isinstance(sighting, FolderState):
                if sighting.reason:
                    self._deafen()
                else:
                    self._listen()

    def _listen(self) -> None:
        """Let file system events wake this thread, on file systems that report them reliably."""
        self._deafen()
        kind = filesystem.filesystem_type(self._watch.folder)
        self.mode = f"poll ({kind or 'unknown file system'})"
        if filesystem.is_remote(kind) or not self._watch.folder.is_dir():
            return
        observer = Observer()
        try:
            observer.schedule(
                _Waker(self._nudge), str(self._watch.folder), recursive=self._watch.recursive
            )
            observer.start()
        except OSError as problem:  # out of inotify watches: polling does it all
            self.mode = f"poll (inotify: {problem.strerror})"
            return
        self._observer = observer
        self.mode = "inotify + poll"

    def _deafen(self) -> None:
        if self._observer is not None:
            self._observer.stop()  # type: ignore[attr-defined]
            self._observer.join(1.0)
            self._observer = None


class _Waker(FileSystemEventHandler):
    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE):
            self._nudge()  # reading a file changes nothing
