"""Where every item stands: sightings and choices in, the queue and the viewers kept up to date."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from warptui.engine.api.event_hub import Broadcast
from warptui.engine.api.events import ItemChanged, ItemRemoved
from warptui.engine.errors import ItemError
from warptui.engine.items.picks import Mark, is_behind, repick
from warptui.engine.items.table import Entry, Roster
from warptui.engine.model.edits import Edits
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice, State, root_name_of
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.schedule import Schedule
from warptui.engine.planning.urgency import urgency, why
from warptui.engine.project.edits_file import write_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.watching.scanner import Complete, FolderState, Gone, Refused, Sighting, Waiting

log = logging.getLogger(__name__)

EDIT_PAUSE_S = 10.0  # without an edit, before what is made from the picks is made anew


class Register:
    """What is known of the items and wanted for them, without the work on them.

    ``recheck`` asks the watch to look at a file again. Used from one thread.
    """

    def __init__(
        self,
        roster: Roster,
        store: Store,
        broadcast: Broadcast,
        project: Path,
        recheck: Callable[[Path], None],
    ) -> None:
        self.roster, self.store, self.project = roster, store, ProjectPaths(project)
        self.schedule = Schedule()
        self.holds: dict[str, str] = {}  # why nothing is started, by cause
        self.n_shown = 0  # changes so far
        self.touched: set[str] = set()  # items that something became of; the live lists empty it
        self._broadcast, self._recheck = broadcast, recheck

    def judge_all(self) -> None:
        """Decide anew where every item stands, after anything that concerns all of them."""
        otherwise = []
        for entry in self.roster.entries.values():
            before = entry.state, entry.reason, entry.selection
            self._queue(entry)
            if entry.running or not entry.shown:
                self.show(entry)
            elif before != (entry.state, entry.reason, entry.selection):
                otherwise.append(entry)
        self.roster.judged_all()
        self.n_shown += len(otherwise)
        self._show_judged(otherwise)

    def reselect_all(self, tell_counts: Callable[[], object] = lambda: None) -> None:
        """Apply other limits to all items, and tell the viewers of those that it concerns.

        ``tell_counts`` is called as soon as all is decided: to word the reasons of thousands of
        items takes longer than to count them.
        """
        changed = self.roster.reselect(tell_counts)
        self.n_shown += len(changed)
        self._show_judged(changed)

    def _show_judged(self, entries: Iterable[Entry]) -> None:
        """Tell the viewers of items that they know, and that are judged otherwise now."""
        entries = list(entries)
        self.touched.update(entry.name for entry in entries)
        judged = self.roster.judged_values
        self._broadcast.publish_rows((entry.name, judged(entry)) for entry in entries)

    def settle(self, entry: Entry, *, asked: bool = False) -> None:
        """Decide where an item stands, queue it if it needs work, and tell the viewers."""
        self._queue(entry, asked=asked)
        self.show(entry)

    def _queue(self, entry: Entry, *, asked: bool = False) -> None:
        if entry.running:
            return
        if self.roster.judge(entry):
            self.schedule.push(entry.name, urgency(entry, asked), entry.sequence)
        else:
            self.schedule.discard(entry.name)

    def show(self, entry: Entry) -> None:
        """Tell the viewers how an item stands."""
        self.n_shown += 1
        entry.shown = True
        self.touched.add(entry.name)
        self._broadcast.publish(ItemChanged(self.roster.row(entry)))

    def see(self, sightings: Iterable[Sighting]) -> None:
        """Take note of what the watch saw."""
        for sighting in sightings:
            match sighting:
                case FolderState(reason):
                    self._see_folder(reason)
                case Gone(path):
                    self._see_gone(path)
                case Waiting(path, reason):
                    entry = self.roster.arrive(path, at_start=False)
                    entry.present, entry.waiting = True, reason
                    self.settle(entry)
                case Refused(path, reason):
                    entry = self.roster.arrive(path, at_start=False)
                    entry.present, entry.refused = True, f"{path.name}: {reason}"
                    self.settle(entry)
                case Complete():
                    self._see_complete(sighting)

    def choose(self, names: Iterable[str], choice: Choice) -> None:
        """Set and store the user's choice. Raises KeyError before anything is changed."""
        for entry in self.named(names):
            entry.stored = self.save(replace(entry.stored, choice=choice))
            self.settle(entry)

    def edit(self, name: str, edits: Edits) -> None:
        """Store what a person changed about an item's picks, and write its picks by it.

        Raises KeyError for an unknown item, ItemError when something cannot be written.
        """
        (entry,) = self.named([name])
        if entry.refused:
            raise ItemError(f"{name}: {entry.refused}")
        root_name = root_name_of(entry.path.name)
        path = self.project.edits(root_name)
        try:
            write_edits(path, edits)
        except OSError as problem:
            reason = problem.strerror or problem
            raise ItemError(f"{name}: {path} cannot be written: {reason}") from problem
        later = self.roster.mark(entry).edited_at + 0.001  # viewers must see that it changed
        self.roster.marks[root_name] = Mark.of(edits, max(time.time(), later))
        try:
            self.catch_up(entry)
        finally:
            if not entry.running and self.roster.judge(entry):
                # what is made from the picks waits until the person is done
                due = time.monotonic() + EDIT_PAUSE_S
                self.schedule.push_later(entry.name, due, urgency(entry, False), entry.sequence)
            self.show(entry)

    def catch_up(self, entry: Entry) -> None:
        """Bring the picks that are there into accord with the edits. Raises ItemError."""
        record = entry.stored.records.get("picking")
        if entry.running or entry.refused or not is_behind(record, self.roster.mark(entry)):
            return
        full = self.store.load(entry.name)
        record = full.records.get("picking") if full else None
        if record is None:
            return
        changed = repick(self.project, entry.name, root_name_of(entry.path.name), record)
        records = {**entry.stored.records, "picking": changed}
        entry.stored = self.save(replace(entry.stored, records=records))
        self.roster.select(entry)

    def catch_up_all(self) -> None:
        """The same for all items: an earlier engine may have ended in between."""
        for entry in self.roster.entries.values():
            try:
                self.catch_up(entry)
            except (ItemError, OSError) as problem:
                log.warning("%s", problem)

    def queue(self, limit: int) -> list[tuple[str, str]]:
        """The items that are next, and why."""
        now = time.monotonic()
        return [
            (name, why(self.roster.entries[name], place, None if due is None else due - now))
            for name, place, due in self.schedule.first(limit)
            if name in self.roster.entries
        ]

    def asked_for(self, request: ExportRequest) -> list[str]:
        """Names of the items that an export asks for, in order of arrival.

        Raises KeyError for unknown names.
        """
        named = {entry.name for entry in self.named(request.names)}
        found = [
            entry
            for entry in self.roster.entries.values()
            if request.items == "all"
            or (request.items == "named" and entry.name in named)
            or (request.items == "done" and entry.state is State.DONE)
            or (request.items == "selected" and entry.selection.selected)
        ]
        return [entry.name for entry in sorted(found, key=lambda entry: entry.sequence)]

    def named(self, names: Iterable[str]) -> list[Entry]:
        """The items with these names. Raises KeyError for an unknown one."""
        unknown = [name for name in names if name not in self.roster.entries]
        if unknown:
            raise KeyError(f"no item is called {unknown[0]!r}")
        return [self.roster.entries[name] for name in names]

    def _see_folder(self, reason: str) -> None:
        log.warning("%s", reason) if reason else log.info("the input folder is back")
        self.roster.folder_problem = reason
        if reason:
            self.holds["folder"] = reason
        else:
            self.holds.pop("folder", None)
        self.judge_all()

    def _see_gone(self, path: Path) -> None:
        entry = self.roster.find(path)
        if entry is None:
            return
        entry.present = False
        nothing_stored = not entry.stored.records and entry.stored.choice is Choice.AUTO
        if nothing_stored and not entry.running:
            self.roster.remove(entry)
            self._removed(entry)
        else:
            self.settle(entry)

    def _removed(self, entry: Entry) -> None:
        """Tell the viewers that there is no such item any more."""
        self.schedule.discard(entry.name)
        self.n_shown += 1
        self.touched.add(entry.name)
        self._broadcast.publish(ItemRemoved(entry.name))

    def _see_complete(self, seen: Complete) -> None:
        entry = self.roster.arrive(seen.path, at_start=seen.at_start)
        if entry.refused and (known := self.roster.take_over(entry, seen.fingerprint)):
            log.info("%s is now at %s: its results are kept", known.name, seen.path)
            self._removed(entry)
            entry = known
        if entry.fingerprint != seen.fingerprint:
            entry.deaths = entry.hiccups = 0
            entry.delayed = ""
        entry.present, entry.waiting = True, None
        entry.fingerprint, entry.note = seen.fingerprint, seen.note
        entry.at_start = seen.at_start
        self.roster.reconsider(entry)
        self._adopt_metadata(entry)
        self._remember_place(entry)
        if seen.square:
            entry.stored = replace(entry.stored, square=seen.square)
        self.settle(entry)

    def _remember_place(self, entry: Entry) -> None:
        """What is stored names the raw file: where that was moved, it is to name the new place."""
        stored = entry.stored
        if not stored.raw_path or stored.raw_path == str(entry.path) or not stored.history:
            return
        try:
            entry.stored = self.save(replace(stored, raw_path=str(entry.path)))
        except (OSError, ItemError) as problem:
            log.warning("%s: its new place cannot be stored: %s", entry.name, problem)

    def _adopt_metadata(self, entry: Entry) -> None:
        """A file of Warp's for a movie that we do not know yet may hold the user's choice."""
        stored = entry.stored
        if stored.records or stored.problem or entry.refused:
            return
        try:
            found = self.store.load(entry.name)
        except OSError as problem:
            log.warning("%s: its metadata cannot be read: %s", entry.name, problem)
            return
        if found is not None:
            entry.stored = replace(
                found.abridged(), sequence=entry.sequence, raw_path=str(entry.path)
            )

    def save(self, stored: StoredItem) -> StoredItem:
        """Store an item's metadata; returns what is kept in memory. Raises OSError, ItemError."""
        return self.store.save(stored).abridged()
