"""The engine's own item table, selection, queue and event hub, over stored items that are made up.

What a row, a queue or an event says is what the real engine makes of such items: a fake that worded
it by itself would drift away from the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from warptui.engine.api.event_hub import EventHub
from warptui.engine.config.settings import Config
from warptui.engine.core.opening import without_collections
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.items.entry import Entry
from warptui.engine.items.picks import EditState
from warptui.engine.items.service import ItemService
from warptui.engine.items.table import ItemTable
from warptui.engine.model.item import FRAMES, Choice, State, root_name_of
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import Failure, StageRecord, StoredItem
from warptui.engine.planning.plan import References, make_record
from warptui.engine.planning.target import Target, visible_summaries
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.registry import STAGES

FINGERPRINT = "0:fake"
DEVICE = "cuda:0"
SECONDS = {"motion": 6.0, "average": 2.1}  # of the stages; of others too little to be seen
VERSION = "0.1.0"
LOG_TAIL = "worker 0: reading frame 21\nworker 0: strip 3 ends at byte 1 048 576"
TRACEBACK = "Traceback (most recent call last):\n  ...\nTruncatedError: frame 21"
WITH_RESULTS = (State.DONE, State.OUTDATED)


class Hub(EventHub):
    """The engine's event hub, which lets a viewer in the same process wait no quarter second."""

    def _rest(self, after: int) -> None:
        pass

    @property
    def sequence(self) -> int:
        """The number of the last event."""
        with self._changed:
            return self._sequence

    def wake(self) -> None:
        """End the waiting of viewers for events."""
        with self._changed:
            self._changed.notify_all()


class Table:
    """Rows in, as the engine shows them, and items out that it would show so.

    Parameters
    ----------
    hub
        What viewers follow.
    project, raw_folder
        The project and its movies; nothing is read or written there.
    config
        The settings that all items are in accord with.
    load
        Everything that is stored of an item, for the details and exports of it.
    later
        Further values of an item, by its sequence number, as stages of later versions have them.
    """

    def __init__(
        self,
        hub: EventHub,
        project: Path,
        raw_folder: Path,
        config: Config,
        load: Callable[[str], StoredItem | None],
        later: Callable[[int], dict[str, float | None]] | None = None,
    ) -> None:
        self.hub, self._raw_folder = hub, raw_folder
        self._made_with = Target.of(config, References(), STAGES)
        self._templates = _templates(config)
        self._alike: dict[tuple[int, State], dict[str, StageRecord]] = {}  # by their values
        self._later = later
        roster = _LaterTable(ProjectPaths(project), self._made_with, later)
        nothing = cast("Any", None)
        store = cast("Any", _Store(load))
        self.items = ItemService(roster, store, hub, project, _ignore)
        # no worker and no alert: what a worker says is made up
        self.dispatcher = Dispatcher(self.items, project, _ignore, _ignore, nothing)

    @property
    def table(self) -> ItemTable:
        """The engine's table."""
        return self.items.table

    def fill(self, rows: Iterable[ItemRow]) -> None:
        """Take over items that are not known yet, and show them all."""
        rows = list(rows)
        with without_collections():  # as the engine does
            self.table.adopt(self._stored(row) for row in rows)
            for row in rows:
                self._stand(self.table.entries[row.name], row)
            if rows:
                self.table._newest = self.table.entries[rows[-1].name]  # as `arrive` does
            self.items.judge_all()
        self._alike.clear()

    def put(self, row: ItemRow) -> ItemRow:
        """Let an item be as ``row`` says, and show it; the row that the engine makes of that."""
        row = row.with_values(state=State(row.state), choice=Choice(row.choice))
        entry = self.table.entries.get(row.name)
        stored = self._stored(row)
        self._alike.clear()
        if entry is None:
            self.table.adopt([stored])
            entry = self.table._newest = self.table.entries[row.name]
        entry.stored = stored
        self._stand(entry, row)
        self.items.settle(entry)
        if row.state is State.DONE:
            for other in self.table.survey(entry):
                self.items.show(other)
        return self.hub.row(row.name)

    def end_running(self, names: Iterable[str]) -> None:
        """Items that run and were cancelled end, as a worker would at its next progress call."""
        for name in names:
            entry = self.table.entries[name]
            if entry.running:
                entry.running, entry.cancelled = False, True
                self.dispatcher.failures.cancel(entry, entry.stage)

    def work_on(self, config: Config) -> None:
        """Bring all items into accord with other settings."""
        self.dispatcher.settings_version += 1
        before, now = self.table.target, Target.of(config, References(), STAGES)
        self.table.target = now
        if before.digest == now.digest and before.enabled == now.enabled:
            self.items.reselect_all()
        else:
            self.items.judge_all()

    def status(self, said: EngineStatus) -> EngineStatus:
        """The status with what the engine derives from its items."""
        counts, choices = self.table.counts()
        newest = self.table.newest()
        return replace(
            said,
            counts=counts,
            choices=choices,
            newest_name=newest.name if newest else "",
            settings_version=self.dispatcher.settings_version,
            summaries=visible_summaries(self.table.target),
            filters=self.table.target.config.filters.limits(),
            astigmatism=self.table.session_astigmatism(),
        )

    def _stored(self, row: ItemRow) -> StoredItem:
        """What the engine would have stored of an item that looks like ``row``."""
        records: dict[str, StageRecord] = {}
        failure = None
        if row.summary or row.state in WITH_RESULTS:
            records = self._records(row)
        if row.state is State.QUEUED:
            records.pop(STAGES[-1].name, None)
        if row.state is State.FAILED:
            reason = _own_reason(row)
            failure = Failure(
                "motion", reason, row.tries, row.failed_at, LOG_TAIL, TRACEBACK,
                FINGERPRINT, self.table.target.digest,
            )  # fmt: skip
        return StoredItem(
            row.name,
            row.sequence,
            row.choice,
            str(self._raw_folder / row.name),
            {FRAMES: FINGERPRINT},
            records,
            failure,
            square=row.square,
        )

    def _records(self, row: ItemRow) -> dict[str, StageRecord]:
        known = self._alike.get((id(row.summary), row.state))
        if known is None:
            known = self._alike[id(row.summary), row.state] = self._made(row)
        last = STAGES[-1].name
        return {**known, last: _with(known[last], {"finished_at": row.finished_at})}

    def _made(self, row: ItemRow) -> dict[str, StageRecord]:
        """The records of all items that have the same values."""
        results: dict[str, dict[str, Any]] = {stage.name: {} for stage in STAGES}
        for key, value in row.summary.items():
            stage, _, field = key.partition(".")
            if stage in results:
                results[stage][field] = value
        made = {}
        for name, template in self._templates.items():
            facts: dict[str, Any] = {"result": results[name]}
            if name == "motion" and row.state is State.OUTDATED:
                facts["settings"] = {**template.settings, "b_factor": -200.0}
            made[name] = _with(template, facts)
        return made

    def _stand(self, entry: Entry, row: ItemRow) -> None:
        """What is not stored of an item."""
        entry.present = row.state is not State.MISSING
        entry.waiting = row.reason if row.state is State.WAITING else None
        entry.running = row.state is State.RUNNING
        entry.stage, entry.fraction = row.stage, row.fraction
        entry.arrived_at, entry.at_start = row.arrived_at, False
        entry.note = _own_reason(row) if row.state is State.DONE else ""
        entry.delayed = _own_reason(row) if row.state in (State.QUEUED, State.OUTDATED) else ""
        entry.deaths, entry.hiccups = 0, row.tries if row.state is not State.FAILED else 0
        if entry.running:
            entry.state, entry.reason = State.RUNNING, _own_reason(row)
        if row.training or row.edited_at:
            mark = self.table.edit_states.get(root_name_of(row.name))
            digest = mark.digest if mark else ""
            self.table.edit_states[root_name_of(row.name)] = EditState(
                row.training, row.edited_at, digest
            )
        else:
            self.table.edit_states.pop(root_name_of(row.name), None)


class Rows(MutableMapping[str, ItemRow]):
    """The rows by name, in order of arrival; what is set goes through the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getitem__(self, name: str) -> ItemRow:
        return self._table.hub.row(name)

    def __setitem__(self, name: str, row: ItemRow) -> None:
        if name != row.name:
            raise KeyError(f"{name} is not the name of {row}")
        self._table.put(row)

    def __delitem__(self, name: str) -> None:
        self._table.items._removed(self._table.table.entries[name])
        self._table.table.remove(self._table.table.entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter([row.name for row in self._table.hub.rows()])

    def __len__(self) -> int:
        return len(self._table.table.entries)


class _LaterTable(ItemTable):
    """A table whose items have values of stages that do not exist yet."""

    def __init__(self, project: ProjectPaths, wanted: Target, later: Any) -> None:
        super().__init__(project, wanted)
        self._later = later

    def row(self, entry: Entry) -> ItemRow:
        row = super().row(entry)
        if self._later is None or not entry.stored.records:
            return row
        return row.with_values(summary=row.summary | self._later(entry.sequence))


class _Store:
    """Takes the place of the engine's store; everything that is stored is made up."""

    def __init__(self, load: Callable[[str], StoredItem | None]) -> None:
        self.load = load

    def save(self, stored: StoredItem) -> StoredItem:
        """Nothing is written."""
        return stored

    def choose(self, items: Sequence[StoredItem]) -> None:
        """Nothing is written."""


def _templates(config: Config) -> dict[str, StageRecord]:
    """A record of each stage, as the engine makes it with these settings."""
    stored = StoredItem("x", 1, fingerprints={FRAMES: FINGERPRINT})
    for stage in STAGES:
        record = make_record(
            stage.name, stored, config, References(), FINGERPRINT, result={}, finished_at=0.0,
            seconds=SECONDS.get(stage.name, 0.0), device=DEVICE, program_version=VERSION,
        )  # fmt: skip
        record.key  # noqa: B018 - worked out once, for all items that have it
        stored = stored.with_record(record)
    return stored.records


def _with(template: StageRecord, facts: dict[str, Any]) -> StageRecord:
    """`dataclasses.replace` for hundreds of thousands of records, all with the template's key."""
    made = object.__new__(StageRecord)
    vars(made).update(vars(template), **facts)
    return made


def _own_reason(row: ItemRow) -> str:
    """The reason without what the selection adds to it."""
    return row.reason.partition("filtered: ")[0].removesuffix("; ")


def _ignore(path: Path) -> None:
    """Nothing watches the raw files."""
