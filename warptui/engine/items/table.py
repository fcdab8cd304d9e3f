"""All items that the engine knows, where each stands, and how lists and viewers see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warptui.engine.errors import InputError
from warptui.engine.formats.acquisition.squares import square_of_parts
from warptui.engine.items.picks import NO_MARK, Mark
from warptui.engine.items.selection import NOT_PROCESSED, Selection, Spread, select
from warptui.engine.items.selection_cache import ASTIGMATISM, FROM_SPREAD, Judged
from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.edits import NO_EDITS
from warptui.engine.model.item import State, root_name_of
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import Astigmatism
from warptui.engine.model.stored import StageRecord, StoredItem
from warptui.engine.planning.plan import Step, refusal
from warptui.engine.planning.target import Wanted, stage_and_field
from warptui.engine.project.edits_file import read_edits
from warptui.engine.project.paths import ProjectPaths

COUNTED = ("selected", "filtered", "edited", "examples", "held-out", "particles")
SURVEY_GROWTH = 0.05  # share of new results after which the spread is taken anew


@dataclass
class Entry:
    """One item and all that the engine remembers about it."""

    name: str
    path: Path
    sequence: int
    stored: StoredItem  # abridged; with the user's choice
    fingerprint: str = ""  # of the raw file as last seen; "" = not yet
    present: bool = False  # the raw file is there
    waiting: str | None = None  # why it is not complete yet; None = complete
    refused: str = ""  # why it cannot be an item at all
    undecided: bool = False  # perhaps it is a known item in another place: its content tells
    note: str = ""
    at_start: bool = False
    asked: bool = False  # the user asked for all stages to run again
    cancelled: bool = False  # the user asked for what runs to stop
    delayed: str = ""  # why it waits for another try
    deaths: int = 0  # of workers, in a row
    hiccups: int = 0  # transient failures, in a row
    running: bool = False
    stage: str = ""
    fraction: float = 0.0
    state: State = State.WAITING
    reason: str = ""
    selection: Selection = NOT_PROCESSED  # kept by `Roster.select`
    shown: bool = False  # viewers know of it
    arrived_at: float = 0.0
    square: str = ""  # as its path tells it
    arrived: float = field(default_factory=time.monotonic)
    place: int = -1  # in the roster's columns

    @property
    def tries(self) -> int:
        """Attempts that failed."""
        return self.stored.failure.tries if self.stored.failure else self.deaths + self.hiccups


class Roster:
    """Items by name. Used from one thread."""

    def __init__(self, project: ProjectPaths, wanted: Wanted) -> None:
        self.entries: dict[str, Entry] = {}
        self.wanted = wanted
        self.folder_problem = ""  # while set, every raw file counts as missing
        self.marks: dict[str, Mark] = {}  # of edits, by root name
        self._project = project
        self._columns = [
            (*stage_and_field(key), key)
            for stage in wanted.stages
            for key in (*(summary.key for summary in stage.summaries()), *stage.carried())
        ]
        self._judged = Judged()
        self._places: dict[int, Entry] = {}  # in the columns of what was judged
        self._applied = wanted.limit_of  # those that selections were made by
        self._spread: Spread | None = None  # of the astigmatisms; None = not looked yet
        self._n_new = 0  # results since then
        self._by_path: dict[Path, str] = {}
        self._owners: dict[str, Path] = {}  # root name -> raw file
        self._last = 0
        self._newest: Entry | None = None

    def adopt(self, stored_items: Iterable[StoredItem]) -> None:
        """Take over what an earlier engine knew; raw files count as present until seen missing."""
        offset = time.monotonic() - time.time()
        for stored in sorted(stored_items, key=lambda item: (item.sequence, item.name)):
            path = Path(stored.raw_path or self._project.root / stored.name)
            arrived_at = min((run.get("finished_at", 0.0) for run in stored.history), default=0.0)
            failed_with = stored.failure.fingerprint if stored.failure else ""
            entry = Entry(
                stored.name,
                path,
                stored.sequence,
                stored,
                stored.fingerprint or failed_with,
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
            path,
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

    def take_over(self, entry: Entry, fingerprint: str) -> Entry | None:
        """The known item that a refused file is, seen at another path; None if it is none.

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
        entry.path, entry.square = path, square_of_parts(path.parts)
        self._by_path[path] = entry.name
        self._owners[root_name_of(path.name)] = path

    def reconsider(self, entry: Entry) -> None:
        """A file that could not be an item is complete now: perhaps it can."""
        if entry.refused:
            entry.refused = refusal(entry.path, self._owners)
            if not entry.refused:
                self._owners[root_name_of(entry.path.name)] = entry.path

    def remove(self, entry: Entry) -> None:
        """Forget an item of which nothing is stored."""
        del self.entries[entry.name]
        del self._places[entry.place]
        self._judged.remove(entry.place)
        self._by_path.pop(entry.path, None)
        root_name = root_name_of(entry.path.name)
        if self._owners.get(root_name) == entry.path:
            del self._owners[root_name]

    def steps(self, entry: Entry) -> tuple[Step, ...]:
        """Stages that must run, and why."""
        wanted = self.wanted
        if entry.asked:
            return tuple(
                Step(stage.name, "asked for")
                for stage in wanted.stages
                if stage.name in wanted.enabled
            )
        return wanted.target.steps(entry.stored, entry.fingerprint)

    def judge(self, entry: Entry) -> tuple[Step, ...]:
        """Decide where an item stands that does not run; the steps that it needs now."""
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
        failure = entry.stored.failure
        if failure and failure.cancelled and not entry.asked:
            return State.FAILED, failure.reason, ()
        if failure and not entry.asked:
            same_file = not failure.fingerprint or failure.fingerprint == entry.fingerprint
            if same_file and failure.wanted == self.wanted.digest:
                return State.FAILED, failure.reason, ()
        steps = self.steps(entry)
        if not steps:
            return State.DONE, entry.note, ()
        reasons = "; ".join(dict.fromkeys(f"{step.stage}: {step.reason}" for step in steps))
        reason = entry.delayed or reasons
        never_run = any(step.stage not in entry.stored.records for step in steps)
        if never_run and not entry.stored.problem:
            return State.QUEUED, entry.delayed, steps
        return State.OUTDATED, reason, steps

    def select(self, entry: Entry) -> bool:
        """Decide whether the item goes into exports; whether that or its reason is another now."""
        wanted, records = self.wanted, entry.stored.records
        has_result = bool(wanted.enabled) and wanted.enabled <= records.keys()
        values = (
            [self._value(records, stage, field) for stage, field in wanted.judged]
            if has_result
            else ()
        )
        before = entry.selection
        entry.selection = now = select(
            entry.stored.choice,
            entry.state,
            has_result=has_result,
            values=values,
            limits=wanted.limits,
        )
        self._judged.note(entry.place, entry.state, entry.stored, now)
        return now is not before and now != before

    def reselect(self, counted: Callable[[], object]) -> list[Entry]:
        """Apply limits that changed to all items; those that are selected otherwise now.

        ``counted`` is called when `counts` tells what comes of it, before the reasons are known.
        """
        before, self._applied = self._applied, self.wanted.limit_of
        found = self._judged.apply(before, self._applied, self.spread)
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
        self._applied = self.wanted.limit_of

    def survey(self, entry: Entry) -> list[Entry]:
        """Take a new result into account; the items that are seen otherwise because of it.

        What is told of an item in relation to all follows when enough came in, not at each result.
        """
        if "ctf" not in entry.stored.records:
            return []
        self._n_new += 1
        if self._spread is not None and self._n_new <= SURVEY_GROWTH * self._spread.n:
            return []
        before, self._spread = self._spread, None
        if before == self.spread:
            return []
        return [other for other in self.entries.values() if "ctf" in other.stored.records]

    @property
    def spread(self) -> Spread:
        """How the astigmatisms of all items lie, as of the last look."""
        if self._spread is None:
            ctf = (entry.stored.records.get("ctf") for entry in self.entries.values())
            found = (
                (record.result.get(field) for field in ASTIGMATISM) for record in ctf if record
            )
            self._spread = Spread.of(
                (um, deg) for um, deg in found if um is not None and deg is not None
            )
            self._n_new = 0
        return self._spread

    def session_astigmatism(self) -> Astigmatism | None:
        """The same as viewers draw it; None where none is known."""
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
        mark = self.mark(entry)
        return ItemRow(
            name=entry.name,
            sequence=entry.sequence,
            state=entry.state,
            choice=entry.stored.choice,
            selected=entry.selection.selected,
            reason=_reason(entry),
            filtered=entry.selection.filtered,
            square=entry.square or entry.stored.square,
            training=mark.training,
            edited_at=mark.edited_at,
            stage=entry.stage if entry.running else "",
            fraction=round(entry.fraction, 2) if entry.running else 0.0,
            tries=entry.tries,
            summary=values,
            seconds={name: round(record.seconds, 2) for name, record in records.items()},
            arrived_at=entry.arrived_at,
            finished_at=max((record.finished_at for record in records.values()), default=0.0),
            failed_at=entry.stored.failure.at if entry.stored.failure else 0.0,
        )

    def mark(self, entry: Entry) -> Mark:
        """What the item's edits say; a file that cannot be an item has none."""
        if not self.marks or entry.refused:
            return NO_MARK
        return self.marks.get(root_name_of(entry.path.name), NO_MARK)

    def account(self, entry: Entry) -> str:
        """What came of an item, for the log: its seconds and the first value of each stage."""
        records = entry.stored.records
        parts = [f" in {sum(record.seconds for record in records.values()):.1f} s"]
        for stage in self.wanted.stages:
            first = next(iter(stage.summaries()), None)
            if first is None or stage.name not in records:
                continue
            value = records[stage.name].result.get(first.key.partition(".")[2])
            if value is not None:
                unit = f" {first.unit}" if first.unit else ""
                parts.append(f"{first.label} {value:.{first.digits}f}{unit}")
        return ", ".join(parts)

    def judged_values(self, entry: Entry) -> dict[str, Any]:
        """What of a row `judge` and `select` change: a fifth of the cost of making it anew."""
        selection = entry.selection
        return {
            "state": entry.state,
            "selected": selection.selected,
            "reason": _reason(entry),
            "filtered": selection.filtered,
        }

    def motion(self, entry: Entry) -> float | None:
        """The early motion in Å/frame, where it is known."""
        record = entry.stored.records.get("motion")
        return record.result.get("early_motion") if record else None

    def detail(self, entry: Entry, stored: StoredItem | None) -> ItemDetail:
        """Everything about an item; ``stored`` is its unabridged record."""
        stored = stored or entry.stored
        root_name = root_name_of(entry.path.name)
        products = (product for stage in self.wanted.stages for product in stage.products)
        shown = {p.name: self._project.product(p, root_name) for p in products if p.shown}
        edits, problem = {}, ""
        if self.mark(entry) is not NO_MARK:
            try:
                found = read_edits(self._project.edits(root_name))
                edits = found.model_dump(mode="json") if found != NO_EDITS else {}
            except (InputError, OSError) as reason:
                problem = str(reason)
        failure = entry.stored.failure
        raw_there = entry.present and not entry.refused
        return ItemDetail(
            row=self.row(entry),
            results={name: record.result for name, record in stored.records.items()},
            settings={
                name: {**record.sections, name: record.settings}
                for name, record in stored.records.items()
            },
            outdated={step.stage: step.reason for step in self.steps(entry)} if raw_there else {},
            history=stored.history,
            raw_path=str(entry.path),
            paths={name: str(path) for name, path in shown.items() if path.exists()},
            edits=edits,
            edits_problem=problem,
            failed_stage=failure.stage if failure else "",
            log_tail=failure.log_tail if failure else "",
            traceback=failure.traceback if failure else "",
        )

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Items per state; per choice, with those that are selected and those filtered out.

        Besides, those that were edited by hand or marked for training, and the particles that the
        selected ones have.
        """
        states, choices, selected, filtered, particles = self._judged.counts()
        choices |= dict.fromkeys(COUNTED, 0)
        choices |= {"selected": selected, "filtered": filtered, "particles": particles}
        for entry in self.entries.values() if self.marks else ():
            if (mark := self.mark(entry)) is not NO_MARK:
                choices["edited"] += bool(mark.digest)
                if mark.training:
                    choices[mark.training] += 1
        return states, choices

    def newest(self) -> Entry | None:
        """The item that arrived last, as far as anybody knows."""
        return self._newest

    def finished_at(self) -> list[float]:
        """Unix times of when items were last finished."""
        records = (entry.stored.records.values() for entry in self.entries.values())
        return [max(record.finished_at for record in found) for found in records if found]

    def _add(self, entry: Entry) -> None:
        self.entries[entry.name] = entry
        entry.place = self._judged.add()
        self._places[entry.place] = entry
        self._judged.note(entry.place, entry.state, entry.stored, entry.selection)
        self._by_path[entry.path] = entry.name
        if not entry.refused:
            self._owners[root_name_of(entry.path.name)] = entry.path
        self._last = max(self._last, entry.sequence)
        entry.square = square_of_parts(entry.path.parts)


def _reason(entry: Entry) -> str:
    filtered = entry.selection.reason if entry.selection.filtered else ""
    return f"{entry.reason}; {filtered}" if entry.reason and filtered else entry.reason or filtered
