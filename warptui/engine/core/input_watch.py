"""The watch of the input folder, which starts again when its settings change."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from warptui.engine.config.sections import InputSettings
from warptui.engine.core.messages import Sightings
from warptui.engine.items.entry import Entry
from warptui.engine.project.temporary_files import PRODUCT_FOLDERS
from warptui.engine.watching.scanner import (
    FolderWatch,
    Patterns,
    inspect_movie,
    never_movies,
)
from warptui.engine.watching.thread import Lookout


class InputWatch:
    """Used from the engine's thread; ``deliver`` gets sightings in another one.

    Sightings of a watch that was replaced may still be on their way: ``number`` is that of the
    present watch, and all others do not count.
    """

    def __init__(
        self,
        project: Path,
        fingerprint: Callable[[Path], str],
        deliver: Callable[[Sightings], None],
    ) -> None:
        self.number = 0
        self._project, self._fingerprint, self._deliver = project, fingerprint, deliver
        self._thread: Lookout | None = None

    @property
    def mode(self) -> str:
        """How changes are noticed: "inotify + poll", "poll (nfs4)"; empty before the start."""
        return self._thread.mode if self._thread is not None else ""

    def restart(self, settings: InputSettings, entries: Collection[Entry]) -> None:
        """Watch by these settings from now on; ``entries`` are the items that are known."""
        self.stop()
        watch = FolderWatch(
            (self._project / settings.folder).absolute(),
            Patterns(
                settings.pattern, never_movies((settings.gain, settings.defects), self._project)
            ),
            settings.settle_seconds,
            inspect=inspect_movie,
            fingerprint=self._fingerprint,
            recursive=settings.recursive,
            skip=frozenset(self._project / name for name in PRODUCT_FOLDERS),
            known={
                entry.path: entry.fingerprint
                for entry in entries
                if entry.fingerprint and not entry.refused
            },
        )
        self.number += 1
        number, deliver = self.number, self._deliver
        self._thread = Lookout(
            watch, settings.poll_seconds, lambda found: deliver(Sightings(number, found))
        )
        for entry in entries:
            if entry.stored.failure is not None:
                self._thread.suspect(entry.path)
        self._thread.start()

    def recheck(self, path: Path) -> None:
        """Take this file for a new arrival."""
        if self._thread is not None:
            self._thread.recheck(path)

    def suspect(self, path: Path) -> None:
        """Look at this file every time: it failed, and a better one may come."""
        if self._thread is not None:
            self._thread.suspect(path)

    def stop(self) -> None:
        """Watch no longer."""
        if self._thread is not None:
            self._thread.stop()
