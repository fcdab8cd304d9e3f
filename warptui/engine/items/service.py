"""Updates items from files seen and choices made, and keeps queue and viewers up to date."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.events import ItemChanged, ItemRemoved
from warptui.engine.errors import ItemError
from warptui.engine.items.entry import Entry
from warptui.engine.items.picks import EditState, picks_are_outdated, repick
from warptui.engine.items.table import ItemTable
from warptui.engine.model.edits import Edits
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import FRAMES, Choice, Item, ItemId, State
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.due_set import DueSet
from warptui.engine.planning.schedule import Schedule
from warptui.engine.planning.urgency import urgency, why
from warptui.engine.project.edits_file import write_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.stages.movie.picking import STAGE as PICKING
from warptui.engine.watching.scanner import Complete, FolderState, Gone, Refused, Sighting, Waiting
from warptui.engine.worker.fault_injection import crash_point

log = logging.getLogger(__name__)

EDIT_PAUSE_S = 10.0  # after the last edit, before stages that use the picks run again
MEMBERS_PAUSE_S = 1.0  # after the last change of members, before their series is judged again
MEMBERS_LONGEST_S = 10.0  # longest wait, however often members change


class ItemService:
    """The items, their queue and their viewers; runs no stages.

    ``recheck`` asks the watch to look at a file again. Used from one thread.
    """

    def __init__(
        self,
        table: ItemTable,
        store: Store,
        hub: EventHub,
        project: Path,
        recheck: Callable[[Path], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table, self.store, self.project = table, store, ProjectPaths(project)
        self.schedule = Schedule()
        self.due: DueSet[ItemId] = DueSet(MEMBERS_PAUSE_S, MEMBERS_LONGEST_S, clock)
        self._clock = clock
        self.holds: dict[str, str] = {}  # why nothing is started, by cause
        self.n_shown = 0  # changes so far
        self.touched: set[str] = set()  # items that changed; the live lists empty this set
        self._hub, self._recheck = hub, recheck

    def judge_all(self) -> None:
        """Judge all items again, after a change that concerns all of them."""
        otherwise = []
        entries = self.table.entries.values()
        made_of_others = [entry for entry in entries if entry.item.members]
        for entry in (*(entry for entry in entries if not entry.item.members), *made_of_others):
            before = entry.state, entry.reason, entry.selection
            self._queue(entry)
            if entry.running or not entry.shown:
                self.show(entry)
            elif before != (entry.state, entry.reason, entry.selection):
                otherwise.append(entry)
        self.table.judged_all()
        self.n_shown += len(otherwise)
        self._show_judged(otherwise)

    def reselect_all(self, publish_counts: Callable[[], object] = lambda: None) -> None:
        """Apply changed limits to all items, and publish the rows that change.

        ``publish_counts`` is called as soon as all is decided: to word the reasons of thousands of
        items takes longer than to count them.
        """
        changed = self.table.reselect(publish_counts)
        self.n_shown += len(changed)
        self._show_judged(changed)

    def _show_judged(self, entries: Iterable[Entry]) -> None:
        """Publish the changed rows of items that viewers already have."""
        entries = list(entries)
        for entry in entries:
            self._note_member(entry)
        self.touched.update(entry.name for entry in entries)
        judged = self.table.judged_values
        self._hub.publish_rows((entry.name, judged(entry)) for entry in entries)

    def settle(self, entry: Entry, *, asked: bool = False) -> None:
        """Decide the state of an item, queue it if it needs work, and publish its row."""
        self._queue(entry, asked=asked)
        self.show(entry)

    def _queue(self, entry: Entry, *, asked: bool = False) -> None:
        if entry.running:
            return
        if self.table.judge(entry):
            self.schedule.push(entry.name, urgency(entry, asked), entry.sequence)
        else:
            self.schedule.discard(entry.name)

    def ripen(self) -> None:
        """Queue what waited until now, and judge the items whose members changed."""
        self.schedule.ripen(self._clock())
        for item in self.due.take():
            entry = self.table.by_id(item)
            if entry is not None:
                self.settle(entry)

    def arrive_item(self, item: Item, *, at_start: bool = False) -> Entry:
        """Take note of an item that is made of others, or of other members of it.

        It is judged when no more news of its members comes.
        """
        entry = self.table.arrive_item(item, at_start=at_start)
        if not entry.shown:
            entry.state, entry.reason = State.WAITING, "its members were not looked at yet"
        self.show(entry)
        for member in map(self.table.by_id, item.members):
            if member is not None:
                self.show(member)  # its row names what it belongs to
        self.due.add(entry.id)
        return entry

    def _note_member(self, entry: Entry) -> None:
        """Have the item that this one is a member of judged again, if it matters to that."""
        parent = self.table.parent(entry)
        if parent is None:
            return
        records = entry.stored.records.values()
        excluded = entry.stored.choice is Choice.EXCLUDE
        seen = (excluded, entry.state, entry.asked, tuple(record.key for record in records))
        if seen != entry.seen_by_parent:
            entry.seen_by_parent = seen
            self.due.add(parent.id)

    def show(self, entry: Entry) -> None:
        """Publish the row of an item."""
        self._note_member(entry)
        self.n_shown += 1
        entry.shown = True
        self.touched.add(entry.name)
        self._hub.publish(ItemChanged(self.table.row(entry)))

    def see(self, sightings: Iterable[Sighting]) -> None:
        """Act on sightings of the watch of the input folder."""
        for sighting in sightings:
            match sighting:
                case FolderState(reason):
                    self._see_folder(reason)
                case Gone(path):
                    self._see_gone(path)
                case Waiting(path, reason):
                    entry = self.table.arrive(path, at_start=False)
                    entry.present, entry.waiting = True, reason
                    self.settle(entry)
                case Refused(path, reason):
                    entry = self.table.arrive(path, at_start=False)
                    entry.present, entry.refused = True, f"{path.name}: {reason}"
                    self.settle(entry)
                case Complete():
                    self._see_complete(sighting)

    def choose(self, names: Iterable[str], choice: Choice) -> None:
        """Set and store the user's choice, with one write for all items.

        Raises KeyError or ItemError before anything is changed.
        """
        entries = list({entry.name: entry for entry in self.named(names)}.values())
        chosen = [entry.stored.with_choice(choice) for entry in entries]
        pairs = list(zip(entries, chosen, strict=True))
        crash_point("choices.unwritten")
        try:
            # one that shares its root name with another item has no metadata of its own
            self.store.choose(
                [made for entry, made in pairs if self.table.by_id(entry.id) is entry]
            )
        except OSError as problem:
            reason = problem.strerror or problem
            path = self.project.choices
            raise ItemError(f"{path} cannot be written, nothing was changed: {reason}") from problem
        crash_point("choices.written")
        judged = []
        for entry, stored in pairs:
            before = entry.stored.choice, entry.state, entry.reason, entry.selection
            entry.stored = stored
            if entry.name in self.schedule:
                self._queue(entry)  # an excluded item comes last
            else:
                self.table.select(entry)  # a choice changes no plan
            if entry.running or not entry.shown:
                self.show(entry)
            elif before != (choice, entry.state, entry.reason, entry.selection):
                judged.append(entry)
        self.n_shown += len(judged)
        self._show_judged(judged)

    def edit(self, name: str, edits: Edits) -> None:
        """Store what a person changed about an item's picks, and write its picks by it.

        Raises KeyError for an unknown item, ItemError when something cannot be written.
        """
        (entry,) = self.named([name])
        if entry.refused:
            raise ItemError(f"{name}: {entry.refused}")
        root_name = entry.item.root_name
        path = self.project.edits(root_name)
        try:
            write_edits(path, edits)
        except OSError as problem:
            reason = problem.strerror or problem
            raise ItemError(f"{name}: {path} cannot be written: {reason}") from problem
        later = self.table.edit_state(entry).edited_at + 0.001  # viewers must see that it changed
        self.table.edit_states[root_name] = EditState.of(edits, max(time.time(), later))
        try:
            self.catch_up(entry)
        finally:
            if not entry.running and self.table.judge(entry):
                # what is made from the picks waits until the person is done
                due = self._clock() + EDIT_PAUSE_S
                self.schedule.push_later(entry.name, due, urgency(entry, False), entry.sequence)
            self.show(entry)

    def catch_up(self, entry: Entry) -> None:
        """Bring the picks that are there into accord with the edits. Raises ItemError."""
        record = PICKING.record(entry.stored)
        if (
            entry.running
            or entry.refused
            or not picks_are_outdated(record, self.table.edit_state(entry))
        ):
            return
        full = self.store.load(entry.name)
        record = PICKING.record(full) if full else None
        if record is None:
            return
        changed = repick(self.project, entry.name, entry.item.root_name, record)
        records = {**entry.stored.records, PICKING.name: changed}
        entry.stored = self.save(replace(entry.stored, records=records))
        self.table.select(entry)

    def catch_up_all(self) -> None:
        """Apply the edits of all items: an earlier engine may have ended before it did so."""
        for entry in self.table.entries.values():
            try:
                self.catch_up(entry)
            except (ItemError, OSError) as problem:
                log.warning("%s", problem)

    def queue(self, limit: int) -> list[tuple[str, str]]:
        """The items that are next, and why."""
        now = self._clock()
        return [
            (name, why(self.table.entries[name], place, None if due is None else due - now))
            for name, place, due in self.schedule.first(limit)
            if name in self.table.entries
        ]

    def asked_for(self, request: ExportRequest) -> list[str]:
        """Names of the items that an export asks for, in order of arrival.

        Raises KeyError for unknown names.
        """
        named = {entry.name for entry in self.named(request.names)}
        found = [
            entry
            for entry in self.table.entries.values()
            if request.items == "all"
            or (request.items == "named" and entry.name in named)
            or (request.items == "done" and entry.state is State.DONE)
            or (request.items == "selected" and entry.selection.selected)
        ]
        return [entry.name for entry in sorted(found, key=lambda entry: entry.sequence)]

    def named(self, names: Iterable[str]) -> list[Entry]:
        """The items with these names. Raises KeyError for an unknown one."""
        unknown = [name for name in names if name not in self.table.entries]
        if unknown:
            raise KeyError(f"no item is called {unknown[0]!r}")
        return [self.table.entries[name] for name in names]

    def forget_folder_problem(self) -> None:
        """Take the input folder for present, until the watch reports otherwise."""
        self.table.folder_problem = ""
        self.holds.pop("folder", None)

    def _see_folder(self, reason: str) -> None:
        log.warning("%s", reason) if reason else log.info("the input folder is back")
        self.table.folder_problem = reason
        if reason:
            self.holds["folder"] = reason
        else:
            self.holds.pop("folder", None)
        self.judge_all()

    def _see_gone(self, path: Path) -> None:
        entry = self.table.find(path)
        if entry is None:
            return
        entry.present = False
        nothing_stored = not entry.stored.records and entry.stored.choice is Choice.AUTO
        if nothing_stored and not entry.running:
            self.table.remove(entry)
            self._removed(entry)
        else:
            self.settle(entry)

    def _removed(self, entry: Entry) -> None:
        """Publish that an item was removed."""
        self.schedule.discard(entry.name)
        self.due.discard(entry.id)
        if (parent := self.table.parent(entry)) is not None:
            self.due.add(parent.id)
        self.n_shown += 1
        self.touched.add(entry.name)
        self._hub.publish(ItemRemoved(entry.name))

    def _see_complete(self, seen: Complete) -> None:
        entry = self.table.arrive(seen.path, at_start=seen.at_start)
        if entry.refused and (known := self.table.take_over(entry, seen.fingerprint)):
            log.info("%s is now at %s: its results are kept", known.name, seen.path)
            self._removed(entry)
            entry = known
        if entry.fingerprint != seen.fingerprint:
            entry.deaths = entry.hiccups = 0
            entry.delayed = ""
        entry.present, entry.waiting = True, None
        entry.fingerprints, entry.note = {FRAMES: seen.fingerprint}, seen.note
        entry.at_start = seen.at_start
        self.table.reconsider(entry)
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
