"""All items that the engine knows: their states, their selection, and their rows for viewers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from warptui.engine.formats.acquisition.squares import square_of_parts
from warptui.engine.items.detail import KnownDetail
from warptui.engine.items.entry import Entry
from warptui.engine.items.members import members_of
from warptui.engine.items.picks import NO_EDITS, EditState
from warptui.engine.items.selection import Spread, select
from warptui.engine.items.selection_cache import ASTIGMATISM, FROM_SPREAD, SelectionCache
from warptui.engine.model.item import FRAMES, MOVIE, Item, ItemId, State, root_name_of
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import Astigmatism
from warptui.engine.model.stored import StageRecord, StoredItem, digest
from warptui.engine.planning.members import Member, used
from warptui.engine.planning.plan import Blocked, Plan, Ready, Step, UpToDate, refusal
from warptui.engine.planning.target import Target, stage_and_field
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import Role
from warptui.engine.stages.registry import field_of

COUNTED = ("selected", "filtered", "edited", "examples", "held-out", "particles")
SURVEY_GROWTH = 0.05  # share of new results after which the spread is computed again


class ItemTable:
    """Items by name. Used from one thread."""

    def __init__(self, project: ProjectPaths, wanted: Target) -> None:
        self.entries: dict[str, Entry] = {}
        self.target = wanted
        self.folder_problem = ""  # while set, every raw file counts as missing
        self.edit_states: dict[str, EditState] = {}  # of edits, by root name
        self._project = project
        self._columns = [
            (*stage_and_field(key), key)
            for stage in wanted.stages
            for key in (*(summary.key for summary in stage.summaries()), *stage.carried())
        ]
        self._judged = SelectionCache()
        self._places: dict[int, Entry] = {}  # in the columns of what was judged
        self._applied = wanted.limit_of  # those that selections were made by
        self._spread: Spread | None = None  # of the astigmatisms; None = not looked yet
        self._n_new = 0  # results since then
        self._by_path: dict[Path, str] = {}
        self._by_id: dict[ItemId, Entry] = {}  # without those that cannot be items
        self._parents: dict[ItemId, ItemId] = {}  # by member
        self._owners: dict[str, Path] = {}  # root name -> raw file
        self._last = 0
        self._newest: Entry | None = None

    def adopt(self, stored_items: Iterable[StoredItem]) -> None:
        """Take over what an earlier engine knew; raw files count as present until seen missing."""
        offset = time.monotonic() - time.time()
        for stored in sorted(stored_items, key=lambda item: (item.sequence, item.name)):
            path = Path(stored.raw_path or self._project.root / stored.name)
            item = Item.movie(path) if stored.kind == MOVIE else _without_files(stored)
            arrived_at = min((run.get("finished_at", 0.0) for run in stored.history), default=0.0)
            failed_with = stored.failure.fingerprint if stored.failure else ""
            entry = Entry(
                stored.name,
                item,
                stored.sequence,
                stored,
                dict(stored.fingerprints) or ({FRAMES: failed_with} if failed_with else {}),
                present=True,
                at_start=True,
                arrived_at=arrived_at,
            )
            entry.arrived = min(entry.arrived, arrived_at + offset)
            self._add(entry)
            if arrived_at and (self._newest is None or entry.arrived >= self._newest.arrived):
                self._newest = entry

    def find(self, path: Path) -> Entry | None:
        """The item that this raw file belongs to."""
        name = self._by_path.get(path)
        return self.entries[name] if name is not None else None

    def arrive(self, path: Path, *, at_start: bool) -> Entry:
        """The item of a raw file that was seen, made where it is new."""
        known = self.find(path)
        if known is not None:
            return known
        other = self._owners.get(root_name_of(path.name))
        if other is not None and not other.exists():
            moved = self.find(other)
            if moved is not None and moved.name == path.name:  # the same item in another place
                self._move(moved, path)
                return moved
        why_not = refusal(path, self._owners)
        name = path.name if path.name not in self.entries else str(path)
        stored = StoredItem(name, self._last + 1, raw_path=str(path))
        entry = Entry(
            name,
            Item.movie(path),
            self._last + 1,
            stored,
            refused=why_not,
            undecided=self._absent_namesake(path) is not None,
            at_start=at_start,
            arrived_at=time.time(),
        )
        self._add(entry)
        self._newest = entry
        return entry

    def arrive_item(self, item: Item, *, at_start: bool = False) -> Entry:
        """The entry of an item that is made of others, made where it is new.

        Raises
        ------
        ValueError
            If it has no members, or one of them is a member of another item.
        """
        if not item.members:
            raise ValueError(f"{item.root_name} has no members")
        for member in item.members:
            if self._parents.get(member, item.id) != item.id:
                raise ValueError(f"{member.root} belongs to {self._parents[member].root} already")
        known = self._by_id.get(item.id)
        if known is None:
            name = item.root_name if item.root_name not in self.entries else str(item.id)
            stored = StoredItem(name, self._last + 1, kind=item.kind)
            known = Entry(
                name,
                item,
                self._last + 1,
                stored,
                present=True,
                refused=self._root_taken(item),
                at_start=at_start,
                arrived_at=time.time(),
            )
            self._add(known)
        for member in known.item.members:
            self._parents.pop(member, None)
        known.item, known.present = item, True
        self._parents |= dict.fromkeys(item.members, item.id)
        return known

    def _root_taken(self, item: Item) -> str:
        other = self._owners.get(item.root_name)
        if other is None:
            return ""
        return (
            f"{other} has the same root name {item.root_name!r} and came first: the results of "
            "both would have the same names; rename one of them"
        )

    def by_id(self, item: ItemId) -> Entry | None:
        """The entry of an item; None where it has not arrived."""
        return self._by_id.get(item)

    def parent(self, entry: Entry) -> Entry | None:
        """The item that this one is a member of; None for an item without a parent."""
        parent = self._parents.get(entry.id)
        return None if parent is None or entry.refused else self._by_id.get(parent)

    def take_over(self, entry: Entry, fingerprint: str) -> Entry | None:
        """The known item that a refused file is, seen at another path; None for a new file.

        A project that was copied names movies that are still there, in a folder that is not watched
        any more. Then the content decides: the same movie keeps its results.
        """
        known = self._absent_namesake(entry.path)
        entry.undecided = False
        if known is None or not fingerprint or known.fingerprint != fingerprint or known.running:
            return None
        self.remove(entry)
        self._move(known, entry.path)
        return known

    def _absent_namesake(self, path: Path) -> Entry | None:
        """The item of this file name whose own file is not where movies are looked for."""
        other = self._owners.get(root_name_of(path.name))
        known = self.find(other) if other is not None and other != path else None
        return known if known and known.name == path.name and not known.present else None

    def _move(self, entry: Entry, path: Path) -> None:
        self._by_path.pop(entry.path, None)
        entry.item, entry.square = entry.item.with_file(FRAMES, path), square_of_parts(path.parts)
        self._by_path[path] = entry.name
        self._owners[root_name_of(path.name)] = path

    def reconsider(self, entry: Entry) -> None:
        """A file that could not be an item is complete now: perhaps it can."""
        if entry.refused:
            entry.refused = refusal(entry.path, self._owners)
            if not entry.refused:
                self._owners[entry.item.root_name] = entry.path
                self._by_id[entry.id] = entry

    def remove(self, entry: Entry) -> None:
        """Forget an item of which nothing is stored."""
        del self.entries[entry.name]
        del self._places[entry.place]
        self._judged.remove(entry.place)
        for file in entry.item.inputs:
            self._by_path.pop(file.path, None)
        if self._by_id.get(entry.id) is entry:
            del self._by_id[entry.id]
            del self._owners[entry.item.root_name]

    def plan(self, entry: Entry) -> Plan:
        """Stages that must run, and why; or why they cannot."""
        return self._plan(entry, members_of(entry, self))

    def steps(self, entry: Entry) -> tuple[Step, ...]:
        """Stages that must run and can, and why."""
        return self.plan(entry).steps

    def _plan(self, entry: Entry, members: tuple[Member, ...]) -> Plan:
        planner = self.target.planner(entry.item.kind)
        found = planner.plan(entry.stored, entry.fingerprints, members)
        if not entry.asked or isinstance(found, Blocked):
            return found
        steps = planner.all_stages("asked for")
        return Ready(steps) if steps else UpToDate()

    def judge(self, entry: Entry) -> tuple[Step, ...]:
        """Decide the state of an item that does not run; returns the steps that it needs."""
        if entry.item.members:
            entry.members = members_of(entry, self)
            needed = self.target.planner(entry.item.kind).of_members
            entry.members_digest = digest(used(entry.members, needed))
        entry.state, entry.reason, steps = self._standing(entry)
        self.select(entry)
        return steps

    def _standing(self, entry: Entry) -> tuple[State, str, tuple[Step, ...]]:
        if entry.refused and not (entry.undecided and entry.waiting is not None):
            return State.FAILED, entry.refused, ()
        if self.folder_problem:
            return State.MISSING, self.folder_problem, ()
        if not entry.present:
            return State.MISSING, f"the raw file {entry.path} is gone", ()
        if entry.waiting is not None:
            return State.WAITING, entry.waiting, ()
        if failed := self.failed(entry):
            return State.FAILED, failed, ()
        found = self._plan(entry, entry.members)
        if isinstance(found, Blocked):
            has_results = self.target.enabled_of(entry.item.kind) <= entry.stored.records.keys()
            return State.OUTDATED if has_results else State.WAITING, found.reason, ()
        steps = found.steps
        if not steps:
            return State.DONE, entry.note, ()
        reasons = "; ".join(dict.fromkeys(f"{step.stage}: {step.reason}" for step in steps))
        reason = entry.delayed or reasons
        never_run = any(step.stage not in entry.stored.records for step in steps)
        if never_run and not entry.stored.problem:
            return State.QUEUED, entry.delayed, steps
        return State.OUTDATED, reason, steps

    def failed(self, entry: Entry) -> str:
        """Why an item failed, if it would fail again by itself; else ""."""
        failure = entry.stored.failure
        if failure is None or entry.asked:
            return ""
        same_input = not failure.fingerprint or failure.fingerprint == entry.fingerprint
        same = same_input and failure.wanted == self.target.digest_of(entry.item.kind)
        return failure.reason if failure.cancelled or same else ""

    def select(self, entry: Entry) -> bool:
        """Decide whether the item goes into exports; whether that or its reason is another now."""
        wanted, records, kind = self.target, entry.stored.records, entry.item.kind
        enabled = wanted.enabled_of(kind)
        has_result = bool(enabled) and enabled <= records.keys()
        judged, limits = wanted.judged_of(kind)
        values = (
            [self._value(records, stage, field) for stage, field in judged] if has_result else ()
        )
        before = entry.selection
        entry.selection = now = select(
            entry.stored.choice,
            entry.state,
            has_result=has_result,
            values=values,
            limits=limits,
        )
        self._judged.note(entry.place, entry.state, entry.stored, now)
        return now is not before and now != before

    def reselect(self, counted: Callable[[], object]) -> list[Entry]:
        """Apply limits that changed to all items; those that are selected otherwise now.

        ``counted`` is called when `counts` is up to date, before the reasons are known.
        """
        before, self._applied = self._applied, self.target.limit_of
        kinds = self.target.kind_of
        found = self._judged.apply(before, self._applied, self.spread, kinds)
        counted()
        changed = []
        for place, selection in found:
            entry = self._places[place]
            if selection is not entry.selection and selection != entry.selection:
                entry.selection = selection
                changed.append(entry)
        return changed

    def judged_all(self) -> None:
        """All items were just judged one by one, by the limits of now."""
        self._applied = self.target.limit_of

    def survey(self, entry: Entry) -> list[Entry]:
        """Take a new result into account; the items that are seen otherwise because of it.

        Values relative to all items are updated when enough results came in, not at each one.
        """
        if FROM_SPREAD[0] not in entry.stored.records:
            return []
        self._n_new += 1
        if self._spread is not None and self._n_new <= SURVEY_GROWTH * self._spread.n:
            return []
        before, self._spread = self._spread, None
        if before == self.spread:
            return []
        return [other for other in self.entries.values() if FROM_SPREAD[0] in other.stored.records]

    @property
    def spread(self) -> Spread:
        """How the astigmatisms of all items lie, as of the last look."""
        if self._spread is None:
            stage = FROM_SPREAD[0]
            ctf = (entry.stored.records.get(stage) for entry in self.entries.values())
            found = (
                (record.result.get(field) for field in ASTIGMATISM) for record in ctf if record
            )
            self._spread = Spread.of(
                (um, deg) for um, deg in found if um is not None and deg is not None
            )
            self._n_new = 0
        return self._spread

    def session_astigmatism(self) -> Astigmatism | None:
        """The spread of astigmatism as viewers draw it; None where it is unknown."""
        spread = self.spread
        return Astigmatism(*spread.mean_xy, spread.unit) if spread.n else None

    def _value(self, records: Mapping[str, StageRecord], stage: str, field: str) -> float | None:
        result = records[stage].result
        if (stage, field) == FROM_SPREAD:
            return self.spread.distance(*map(result.get, ASTIGMATISM))
        return result.get(field)

    def row(self, entry: Entry) -> ItemRow:
        """The item as lists show it."""
        records = entry.stored.records
        values: dict[str, float | None] = {
            key: self._value(records, stage, field)
            for stage, field, key in self._columns
            if stage in records
        }
        self.select(entry)
        edits = self.edit_state(entry)
        return ItemRow(
            name=entry.name,
            sequence=entry.sequence,
            state=entry.state,
            choice=entry.stored.choice,
            selected=entry.selection.selected,
            reason=_reason(entry),
            filtered=entry.selection.filtered,
            square=entry.square or entry.stored.square,
            training=edits.training,
            edited_at=edits.edited_at,
            kind=entry.item.kind,
            parent=self._parent_name(entry),
            stage=entry.stage if entry.running else "",
            fraction=round(entry.fraction, 2) if entry.running else 0.0,
            tries=entry.tries,
            summary=values,
            seconds={name: round(record.seconds, 2) for name, record in records.items()},
            arrived_at=entry.arrived_at,
            finished_at=max((record.finished_at for record in records.values()), default=0.0),
            failed_at=entry.stored.failure.at if entry.stored.failure else 0.0,
        )

    def edit_state(self, entry: Entry) -> EditState:
        """The state of the item's edits; a file that cannot be an item has no edits."""
        if not self.edit_states or entry.refused:
            return NO_EDITS
        return self.edit_states.get(entry.item.root_name, NO_EDITS)

    def _parent_name(self, entry: Entry) -> str:
        parent = self._parents.get(entry.id)
        if parent is None or entry.refused:
            return ""
        known = self._by_id.get(parent)
        return parent.root if known is None else known.name

    def account(self, entry: Entry) -> str:
        """Summary of an item for the log: its seconds and the first value of each stage."""
        records = entry.stored.records
        parts = [f" in {sum(record.seconds for record in records.values()):.1f} s"]
        for stage in self.target.stages:
            first = next(iter(stage.summaries()), None)
            if first is None or stage.name not in records:
                continue
            value = records[stage.name].result.get(first.key.partition(".")[2])
            if value is not None:
                unit = f" {first.unit}" if first.unit else ""
                parts.append(f"{first.label} {value:.{first.digits}f}{unit}")
        return ", ".join(parts)

    def judged_values(self, entry: Entry) -> dict[str, Any]:
        """Values of a row that a choice and `judge` change: a fifth of the cost of a whole row."""
        selection = entry.selection
        return {
            "state": entry.state,
            "choice": entry.stored.choice,
            "selected": selection.selected,
            "reason": _reason(entry),
            "filtered": selection.filtered,
        }

    def motion(self, entry: Entry) -> float | None:
        """The early motion in Å/frame, where it is known."""
        stage, field = field_of(Role.EARLY_MOTION)
        record = entry.stored.records.get(stage)
        return record.result.get(field) if record else None

    def known_detail(self, entry: Entry) -> KnownDetail:
        """What is in memory of an item's details; the rest is on disk (`detail.read_detail`)."""
        return KnownDetail(
            row=self.row(entry),
            stored=entry.stored,
            root_name=entry.item.root_name,
            raw_path=next((str(file.path) for file in entry.item.inputs), ""),
            outdated=(
                {step.stage: step.reason for step in self.steps(entry)}
                if entry.present and not entry.refused
                else {}
            ),
            has_edits=self.edit_state(entry) is not NO_EDITS,
            products=tuple(
                product
                for stage in self.target.stages
                if stage.kind == entry.item.kind
                for product in stage.products
                if product.shown
            ),
        )

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Items per state; per choice, with those that are selected and those filtered out.

        Besides, those that were edited by hand or marked for training, and the particles that the
        selected ones have.
        """
        states, choices, selected, filtered, particles = self._judged.counts()
        choices |= dict.fromkeys(COUNTED, 0)
        choices |= {"selected": selected, "filtered": filtered, "particles": particles}
        for entry in self.entries.values() if self.edit_states else ():
            if (edits := self.edit_state(entry)) is not NO_EDITS:
                choices["edited"] += bool(edits.digest)
                if edits.training:
                    choices[edits.training] += 1
        return states, choices

    def newest(self) -> Entry | None:
        """The item that arrived last."""
        return self._newest

    def finished_at(self) -> list[float]:
        """Unix times of when items were last finished."""
        records = (entry.stored.records.values() for entry in self.entries.values())
        return [max(record.finished_at for record in found) for found in records if found]

    def _add(self, entry: Entry) -> None:
        self.entries[entry.name] = entry
        entry.place = self._judged.add(entry.item.kind)
        self._places[entry.place] = entry
        self._judged.note(entry.place, entry.state, entry.stored, entry.selection)
        frames = entry.item.file(FRAMES)
        for file in entry.item.inputs:
            self._by_path[file.path] = entry.name
        if not entry.refused:
            self._owners[entry.item.root_name] = frames or Path(entry.name)
            self._by_id[entry.id] = entry
        self._last = max(self._last, entry.sequence)
        entry.square = square_of_parts(frames.parts) if frames else ""


def _reason(entry: Entry) -> str:
    filtered = entry.selection.reason if entry.selection.filtered else ""
    return f"{entry.reason}; {filtered}" if entry.reason and filtered else entry.reason or filtered


def _without_files(stored: StoredItem) -> Item:
    """An item that an earlier engine knew, until its members are seen again."""
    return Item(ItemId(stored.kind, stored.name))
