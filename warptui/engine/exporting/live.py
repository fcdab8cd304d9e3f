"""The live lists: STAR files of the selected particles, kept up to date within seconds.

The session's thread names the items of the lists and the sources of their rows; everything else
happens in a thread of the lists' own. `particles_MODEL.star` has all particles in order of arrival,
`particles_MODEL_last.star` those of the newest items. Both files are replaced as a whole, so that
other programs can read them at every moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from warptui.engine.errors import Cancelled, CorruptError, InputError
from warptui.engine.exporters.merging import NO_LABELS, VERSION_30, alike, richness, write_gathered
from warptui.engine.exporters.optics_groups.beam_shifts import BeamShifts
from warptui.engine.exporters.optics_groups.live import LiveGroups
from warptui.engine.exporters.row_cache import Spool
from warptui.engine.exporters.rows import Source, rows_of
from warptui.engine.exporting.records import export_id
from warptui.engine.formats.star.rows import Rows
from warptui.engine.model.exports import Export
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.filesystem import is_full
from warptui.engine.project.paths import ProjectPaths

if TYPE_CHECKING:
    from warptui.engine.config.sections import ExportSettings

log = logging.getLogger(__name__)

READERS, BATCH = 8, 200  # threads and files at a time: network file systems answer slowly
SHARE, PATIENCE_S = 0.05, 6.0  # share of time spent on writing growing lists; longest wait
RETRY_S = 5.0  # after a failed write
HEAL_S = 10.0  # between attempts to read unreadable items
HEAL_AT_ONCE = 200  # items per such attempt
END_S = 3.0  # for the last version, when the engine ends
KIND = "live particles"


class LiveListWriter:
    """The live lists of one model's particles: `update` with changes, `look` at the lists, `close`.

    ``load`` reads everything that is stored of an item, in any thread.
    """

    def __init__(
        self,
        project: ProjectPaths,
        suffix: str,
        settings: ExportSettings,
        load: Callable[[str], StoredItem | None],
        shifts: BeamShifts | None = None,
    ) -> None:
        self.suffix = suffix
        self._shifts = shifts or BeamShifts()
        self._groups: LiveGroups | None = None  # None = one optics group, not by beam shift
        self._picture: dict[str, Any] = {}
        self._project, self._settings, self._load = project, settings, load
        self._changes: dict[str, Source | None] = {}  # not taken yet
        self._urgent = False  # an item leaves or changes: the user waits for the list
        self._closing = False
        self._bell = threading.Condition()
        self._wanted: dict[str, Source] = {}
        self._known: Container[str] = ()  # items that ever were in the lists
        self._failed: dict[str, str] = {}  # items whose rows cannot be read, and why
        self._heal_due = float("inf")
        self._records: tuple[Export, ...] = ()
        self._seconds = 0.0  # duration of the last writing
        self._due = 0.0
        self._thread = threading.Thread(target=self._run, name="live lists", daemon=True)
        self._thread.start()

    def update(self, changes: Mapping[str, Source | None]) -> None:
        """Take in changed items with the sources of their rows; None = not in the lists."""
        if not changes:
            return
        with self._bell:
            self._changes.update(changes)
            self._bell.notify()

    def configure(self, settings: ExportSettings, shifts: BeamShifts | None = None) -> None:
        """Write the lists with other settings from now on."""
        with self._bell:
            self._shifts = shifts or self._shifts
            if settings != self._settings:
                self._settings, self._urgent = settings, True
                self._bell.notify()

    def groups(self) -> dict[str, Any]:
        """Optics groups of the list as `beam_shifts.account`; {} if not made by beam shift."""
        return self._picture

    def look(self) -> tuple[Export, ...]:
        """Records of the lists as they are on disk now."""
        return self._records

    def close(self, *, wait: bool = True) -> None:
        """Write the last version and end."""
        with self._bell:
            self._closing = True
            self._bell.notify()
        if wait:
            self._thread.join(END_S)

    # in the thread

    def _run(self) -> None:
        spool: Spool | None = None
        try:
            while True:
                changes, closing = self._wait()
                try:
                    spool = spool or Spool(self._project.live_rows(self.suffix))
                    self._known = spool.items
                    self._take()
                    heal = time.monotonic() >= self._heal_due
                    found = self._read(spool, again=heal)
                    if self._group(spool, again=heal) or found or changes:
                        self._write(spool, closing=closing)
                    self._plan_healing()
                except OSError as problem:
                    self._refused(problem)
                except Cancelled:
                    return
                if closing:
                    return
        except Exception as mistake:
            log.exception("a mistake in the program: please report it with these lines")
            self._stays(f"a mistake in the program ({mistake!r}); the engine's log says more")
        finally:
            if spool is not None:
                spool.close()

    def _wait(self) -> tuple[bool, bool]:
        """Wait for changes and the time to write; returns whether changes exist, whether to end."""
        with self._bell:
            while not self._closing:
                now = time.monotonic()
                if self._urgent or self._changes:
                    wait = self._due - now
                    if not self._urgent and not self._decided():
                        wait += min(self._seconds / SHARE, PATIENCE_S)
                    if wait <= 0:
                        break
                    self._bell.wait(wait)
                elif now >= self._heal_due:
                    break
                else:
                    self._bell.wait(
                        None if self._heal_due == float("inf") else self._heal_due - now
                    )
            found = self._urgent or bool(self._changes)
            return found, self._closing

    def _decided(self) -> bool:
        """Whether a waiting change concerns a known item: the user's decision, not a new item."""
        return any(name in self._known for name in self._changes)

    def _take(self) -> None:
        with self._bell:
            changes, self._changes, self._urgent = self._changes, {}, False
        for name, source in changes.items():
            self._failed.pop(name, None)
            if source is None:
                self._wanted.pop(name, None)
            else:
                self._wanted[name] = source

    def _plan_healing(self) -> None:
        """Plan another attempt at unreadable items: a file may be repaired, or arrive late."""
        late = self._groups is not None and self._groups.incomplete
        self._heal_due = time.monotonic() + HEAL_S if self._failed or late else float("inf")

    def _read(self, spool: Spool, *, again: bool) -> bool:
        """Read the rows of all items into the spool; returns whether any row is new.

        ``again``: also items that could not be read before.
        """
        retried = dict(islice(self._failed.items(), HEAL_AT_ONCE)) if again else {}
        for name in retried:
            del self._failed[name]
        missing = [
            source
            for name, source in self._wanted.items()
            if name not in self._failed
            and ((kept := spool.items.get(name)) is None or kept.key != source.key)
        ]
        missing.sort(key=lambda source: source.sequence)
        if not missing:
            return False
        with ThreadPoolExecutor(READERS) as readers:
            for first in range(0, len(missing), BATCH):
                some = missing[first : first + BATCH]
                found = []
                for source, rows in zip(some, readers.map(self._rows, some), strict=True):
                    if isinstance(rows, Rows):
                        found.append((source.name, source.key, rows))
                        if source.name in retried:
                            log.info("%s: is in the live list again", source.name)
                        continue
                    self._failed[source.name] = rows  # the last to be tried again
                    if retried.get(source.name) != rows:
                        log.warning("%s: not in the live list: %s", source.name, rows)
                spool.put(found)
        healed = any(name not in self._failed for name in retried)
        return healed or len(missing) > len(retried)

    def _group(self, spool: Spool, *, again: bool) -> bool:
        """Find the items' optics groups by beam shift; returns whether any changed."""
        settings, path = self._settings, self._project.live_groups(self.suffix)
        if settings.optics_groups != "beam_shift" or settings.star_version == VERSION_30:
            if settings.optics_groups != "beam_shift":
                path.unlink(missing_ok=True)  # if switched on again, made from all items
            self._groups, self._picture = None, {}
            return False
        there = [source for name, source in self._wanted.items() if name in spool.items]
        if self._groups is None or self._groups.distance != settings.beam_shift_distance:
            self._groups = LiveGroups(path, self._shifts, settings.beam_shift_distance)
            self._groups.restore_hope(there)
        elif self._groups.shifts is not self._shifts:
            self._groups.shifts = self._shifts
            self._groups.restore_hope(there)
            again = True
        with ThreadPoolExecutor(READERS) as readers:
            return self._groups.take(there, spool, readers, again)

    def _rows(self, source: Source) -> Rows | str:
        try:
            return rows_of(source, self._project, self._load)
        except (InputError, OSError) as problem:
            return str(problem)

    def _write(self, spool: Spool, *, closing: bool) -> None:
        settings, began = self._settings, time.monotonic()
        names = [
            name
            for name, source in self._wanted.items()
            if name in spool.items and spool.items[name].key == source.key
        ]
        names.sort(key=lambda name: spool.items[name].rank)
        like, fit, odd = alike(spool, names)
        path, last = self._project.live_list(self.suffix), self._project.live_last(self.suffix)
        if like is None:
            if not path.exists() or not spool.items:
                if self._failed:  # explain why there is no list
                    self._stays(_left_out(odd, self._failed))
                return
            like = max((kept.head for kept in spool.items.values()), key=richness)
        newest = fit[-settings.last_items :]
        words = _left_out(odd, self._failed)
        groups = self._groups
        records = []
        try:
            for target, some in ((path, fit), (last, newest)):
                made = write_gathered(
                    target, spool, some, like=like, version=settings.star_version, durable=closing,
                    labels=groups.labels if groups else NO_LABELS,
                    numbers=groups.numbers if groups else None,
                )  # fmt: skip
                if groups is not None and target == path:
                    self._picture = groups.account(made.of_items)
                    words = "; ".join(filter(None, [self._picture["summary"], words]))
                records.append(
                    Export(
                        export_id(target),
                        KIND,
                        str(target),
                        "live",
                        time.time(),
                        made.rows,
                        made.items,
                        words,
                        "engine",
                    )
                )
        except CorruptError as problem:
            log.warning("%s: read again", problem)
            with self._bell:
                self._urgent = True
            return
        if groups is not None:
            groups.save()
        self._records = tuple(records)
        self._seconds = time.monotonic() - began
        self._due = time.monotonic() + settings.live_seconds

    def _refused(self, problem: OSError) -> None:
        """Handle a failed write: the lists stay as they were; another attempt follows."""
        reason = f"{problem.filename or self._project.root}: {problem.strerror or problem}"
        if is_full(problem):
            reason += f"; make room: the list is written again every {RETRY_S:g} s"
        self._stays(reason)
        self._due, self._seconds = time.monotonic() + RETRY_S, 0.0
        with self._bell:
            self._urgent = True

    def _stays(self, reason: str) -> None:
        """Report that the lists are outdated, so that the user does not regard them as live."""
        path = self._project.live_list(self.suffix)
        before = self._records[0] if self._records else None
        record = Export(
            export_id(path), KIND, str(path), "failed", time.time(), before.rows if before else 0,
            before.total if before else 0, f"stays as it was: {reason}", "engine",
        )  # fmt: skip
        if not before or before.reason != record.reason:
            log.warning("the live list cannot be written: %s", reason)
        self._records = (record, *self._records[1:])


def _left_out(odd: int, failed: Mapping[str, str]) -> str:
    parts = []
    if odd:
        parts.append(f"{odd:,} items left out: no CTF was found")
    for name, reason in islice(failed.items(), 1):
        more = f" and {len(failed) - 1:,} more" if len(failed) > 1 else ""
        parts.append(f"{name}{more} left out: {reason}")
    return "; ".join(parts)
