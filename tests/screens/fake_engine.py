"""An engine without workers: made-up items in the real item table, previews on disk."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.screens import fake_training
from tests.screens.fake_ctf import ctf_result, spectrum
from tests.screens.fake_details import preview, stored_in_full
from tests.screens.fake_exports import ExportCalls
from tests.screens.fake_picking import picking_files, picking_result
from tests.screens.fake_rows import (
    FILTERS,
    LATER,
    START,
    SUMMARIES,
    judged,
    later_values,
    synthetic_log,
    synthetic_notices,
    synthetic_rows,
)
from tests.screens.fake_table import Hub, Rows, Table
from tests.screens.fake_training_calls import TrainingCalls
from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.events import CatchingUp, Event, LogLine, Snapshot, StatusChanged
from warptui.engine.config.checks import SECTIONS, check
from warptui.engine.config.file import read_config, write_config
from warptui.engine.config.settings import Changes, Config
from warptui.engine.errors import (
    ItemError,
    SettingsError,
)
from warptui.engine.execution.trials import DROPPED
from warptui.engine.items.detail import read_detail
from warptui.engine.items.picks import EditState
from warptui.engine.model import codec
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.edits import NO_EDITS, Edits
from warptui.engine.model.item import Choice, root_name_of
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.forecast import Forecast, forecast
from warptui.engine.planning.plan import References
from warptui.engine.planning.target import Target
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.registry import STAGES

__all__ = ["START", "SUMMARIES", "FakeEngine", "judged", "synthetic_notices", "synthetic_rows"]


def initial_settings() -> dict[str, Any]:
    """The settings that the items are in accord with."""
    settings = Config().to_json()
    settings["input"] |= {"folder": "/data/k3/movies", "pattern": ["*.tif", "*.eer"]}
    settings["filters"] = dict(FILTERS)
    settings["ctf"]["fit_phase_shift"] = True  # so that every value is told
    return settings


def working_devices() -> tuple[dict[str, Any], ...]:
    """Two devices with a slot each, as `execution.local_pool` has them."""
    works = (
        ("FoilHole_0042_Data_1278.tif", "motion", 0.45, 3, 11),
        ("FoilHole_0042_Data_1279.tif", "average", 0.8, 1, 12),
    )
    return tuple(
        {
            "slot": f"cuda{number}-0",
            "device": f"cuda:{number}",
            "item": item,
            "stage": stage,
            "trial": False,
            "fraction": fraction,
            "seconds": seconds,
            "pid": pid,
            "problem": "",
        }
        for number, (item, stage, fraction, seconds, pid) in enumerate(works)
    )


class FakeEngine(ExportCalls, TrainingCalls):
    """The methods of `warptui.client.Client`, answered by the engine's own table of made-up items.

    ``status`` is what the status says beside what follows from the items. With ``later`` items have
    values of stages that do not exist yet.
    """

    def __init__(
        self, n_items: int = 1284, folder: Path | None = None, *, later: bool = False, **status: Any
    ) -> None:
        self.folder = folder
        self.project: Path | None = None  # where `change` writes config.toml
        self.calls: list[tuple] = []
        self.edits: dict[str, Edits] = {}
        self.trial_waits = self.trial_dropped = False
        self.known_models = fake_training.models()
        self._later = later
        self._settings = initial_settings()
        self._generation = 0  # of viewers: each `close` ends those that there are
        self._aside: deque[Event] = deque()  # what the client's side makes for its viewer
        self._death: tuple[int, Exception] | None = None
        self._fixed = {  # what tests see beside what follows from the items
            "state": "running",
            "project": "/data/k3/2026-11-22_apof",
            "input_folder": "/data/k3/movies",
            "rate_per_hour": 312.0,
            "newest_age_s": 14.0,
            "disk_free_bytes": 3_100_000_000_000,
            "disk_hours_left": 52.0,
            "devices": working_devices(),
            "seconds_per_stage": {"motion": 6.04, "average": 2.11},
            "watch_mode": "poll (nfs4)",
            **status,
        }
        if "filters" in status:
            self._settings["filters"] = dict(self._fixed.pop("filters"))
        self._hub = self._make_hub(EngineStatus(**self._fixed))
        rows = synthetic_rows(n_items)
        self._fill(rows)
        self.examples = fake_training.examples(rows)
        self.lines = synthetic_log(rows)

    def _make_hub(self, status: EngineStatus) -> EventHub:
        return Hub(status)

    def _fill(self, rows: Sequence[ItemRow]) -> None:
        self._table = Table(
            self._hub,
            self._project_folder,
            Path(self._fixed["input_folder"]),
            self._config(),
            self._stored_in_full,
            later_values if self._later else None,
        )
        self.rows = Rows(self._table)
        self._table.fill(rows)
        self._publish_status()

    def _config(self) -> Config:
        return Config.from_json(self._settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as JSON values; those set as a whole are the ones that items are made by."""
        return self._settings

    @settings.setter
    def settings(self, values: dict[str, Any]) -> None:
        rows = self._hub.rows()
        self._settings = values
        self._fill(rows)

    @property
    def state(self) -> EngineStatus:
        """The status as it was published last."""
        return self._hub.status()

    @state.setter
    def state(self, status: EngineStatus) -> None:
        before = vars(self.state)
        self.say_status(**{k: v for k, v in vars(status).items() if v != before[k]})

    def status(self) -> EngineStatus:
        return self._hub.status()

    def items(self) -> list[ItemRow]:
        return self._hub.rows()

    def item(self, name: str) -> ItemDetail:
        self.calls.append(("item", name))
        (entry,) = self._table.items.named([name])
        known = replace(self._table.table.known_detail(entry), has_edits=False)
        detail = read_detail(known, ProjectPaths(self._project_folder), self._stored_in_full)
        found = self.edits.get(name, NO_EDITS)
        edits = found.model_dump(mode="json") if found != NO_EDITS else {}
        return replace(detail, edits=edits, paths=self._paths(detail.row) if detail.results else {})

    @property
    def _project_folder(self) -> Path:
        return Path(self._fixed["project"])

    def _paths(self, row: ItemRow) -> dict[str, str]:
        """Paths of the products by name: of those that are files here, and of the average."""
        paths = {"average": f"{self._fixed['project']}/average/{root_name_of(row.name)}.mrc"}
        if self.folder is not None:
            paths["preview"] = str(preview(self.folder, row.sequence))
            paths["spectrum"] = str(spectrum(self.folder, row))
            paths |= picking_files(self.folder, row.sequence)
        return paths

    def _stored_in_full(self, name: str) -> StoredItem | None:
        """What the engine would read from the item's metadata."""
        entry = self._table.table.entries.get(name)
        if entry is None:
            return None
        row = self._hub.row(name)
        return stored_in_full(entry.stored, row, self.edits.get(name, Edits()))

    def edit(self, name: str, edits: Edits) -> None:
        self.calls.append(("edit", name, edits))
        items = self._table.items
        (entry,) = items.named([name])
        self.edits[name] = edits
        row = self._hub.row(name)
        at = max(START, row.edited_at) + 1
        items.table.edit_states[root_name_of(name)] = EditState.of(edits, at)
        record = entry.stored.records.get("picking")
        if record is not None:
            found = picking_result(row, edits)["n_particles"]
            result = {**record.result, "n_particles": float(found)}
            records = {**entry.stored.records, "picking": replace(record, result=result)}
            entry.stored = replace(entry.stored, records=records)
        items.settle(entry)
        self._publish_status()

    def start(self) -> None:
        self.calls.append(("start",))
        self.say_status(state="running")

    def pause(self) -> None:
        self.calls.append(("pause",))
        self.say_status(state="paused")

    def choose(self, names: Sequence[str], choice: Choice) -> None:
        self.calls.append(("choose", tuple(names), choice))
        self._table.items.choose(names, choice)
        self._publish_status()

    def retry(self, names: Sequence[str]) -> None:
        self.calls.append(("retry", tuple(names)))
        self._table.dispatcher.retry(names)
        self._publish_status()

    def reprocess(self, names: Sequence[str]) -> None:
        self.calls.append(("reprocess", tuple(names)))
        self._table.dispatcher.reprocess(names)
        self._publish_status()

    def cancel(self, names: Sequence[str]) -> None:
        self.calls.append(("cancel", tuple(names)))
        self._table.dispatcher.cancel(names)
        self._table.end_running(names)
        self._publish_status()

    def acknowledge(self, ids: Sequence[int]) -> None:
        self.calls.append(("acknowledge", tuple(ids)))
        left = tuple(notice for notice in self.state.notices if notice.id not in ids)
        self.say_status(notices=left)

    def queue(self, limit: int = 1000) -> list[tuple[str, str]]:
        self.calls.append(("queue", limit))
        return self._table.items.queue(limit)

    def config(self) -> dict[str, Any]:
        return copy.deepcopy(self._settings)

    def reload(self) -> None:
        self.calls.append(("reload",))
        if self.project is not None:
            self._settings = read_config(self.project).to_json()
        self._work_on(self._config())

    def _work_on(self, config: Config) -> None:
        self._table.work_on(config)
        self._publish_status()

    def _changed_by(self, changes: Changes) -> dict[str, Any]:
        """The settings with changes; a key that is taken out has its default."""
        defaults, settings = Config().to_json(), copy.deepcopy(self._settings)
        for section, values in changes.items():
            for key, value in values.items():
                given = defaults[section].get(key) if value is None else value
                settings.setdefault(section, {})[key] = given
                if given is None:
                    del settings[section][key]
        return settings

    def preview(self, changes: Changes) -> dict[str, Any]:
        if problems := _problems(changes):
            return {"problems": problems, **codec.encode(Forecast({}))}
        table = self._table.table
        found = forecast(
            list(table.entries.values()),
            table.target,
            Target.of(Config.from_json(self._changed_by(changes)), References(), STAGES),
            self.state.seconds_per_stage,
            max(1, len(self.state.devices)),
        )
        return {"problems": {}, **codec.encode(found)}

    def change(self, changes: Changes) -> None:
        self.calls.append(("change", {name: dict(values) for name, values in changes.items()}))
        if problems := _problems(changes):
            raise SettingsError("; ".join(f"{k}: {text}" for k, text in problems.items()), problems)
        if self.project is not None:
            write_config(self.project, changes)
        self._settings = self._changed_by(changes)
        self._work_on(self._config())

    def try_settings(self, name: str, changes: Changes) -> Trial:
        self.calls.append(("try", name, {key: dict(v) for key, v in changes.items()}))
        names = [stage.name for stage in STAGES]
        if len(changes) != 1 or not set(changes) <= set(names):
            raise SettingsError(f"a trial takes the settings of one stage ({', '.join(names)})")
        if problems := _problems(changes):
            raise SettingsError("; ".join(f"{k}: {text}" for k, text in problems.items()))
        (entry,) = self._table.items.named([name])
        while self.trial_waits and not self.trial_dropped:
            time.sleep(0.01)
        if self.trial_dropped:
            self.trial_dropped = False
            raise ItemError(f"{name}: {DROPPED}")
        if not entry.present:
            raise ItemError(f"{name}: the raw file is gone: nothing can be tried without")
        if not entry.stored.records:
            raise ItemError(f"{name}: what the stage works on is not known yet")
        (stage,) = changes
        settings = {**self.config()[stage], **changes[stage]}
        record = self._stored_in_full(name)
        row = self._hub.row(name)
        result = dict(record.records[stage].result) if record else {}
        if stage == "ctf":
            result = ctf_result(row) | {"defocus_um": 1.777, "confidence": 0.99}
            result["fit_range_angstrom"] = [30.0, settings["fit_max_resolution"]]
        pictures = {"spectrum": str(spectrum(self.folder, row))} if self.folder else {}
        return Trial(name, stage, settings, result, pictures, 4.2, "cuda:0")

    def drop_trial(self, name: str) -> None:
        self.calls.append(("drop", name))
        self._table.items.named([name])
        self.trial_dropped = self.trial_waits

    def greet(self) -> None:
        """The lines of the log are there when the first viewer comes."""
        lines, self.lines = self.lines, []
        self._hub.publish(*lines)

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        self.greet()
        generation = self._generation
        for batch in self._hub.follow(after):
            for number, event in batch:
                yield number, event
                after = number
            while self._aside:
                yield after, self._aside.popleft()
            if self._generation != generation:
                return
            if self._death is not None and after >= self._death[0]:
                (_, problem), self._death = self._death, None
                raise problem

    def close(self) -> None:
        self._generation += 1
        self._hub.wake()

    def stop(self) -> None:
        self._hub.close()

    # what tests make it say

    def say(self, row: ItemRow) -> None:
        """An item is new or changed."""
        self._table.put(row)
        self._publish_status()

    def add_all(self, rows: Iterable[ItemRow]) -> None:
        """Many items are new: quicker than one by one."""
        self._table.fill(rows)
        self._publish_status()

    def say_status(self, **changes: Any) -> None:
        """The status changed."""
        self._fixed |= changes
        self._publish_status(**changes)

    def _publish_status(self, **changes: Any) -> None:
        status = self._table.status(replace(self.state, **changes))
        if self._later:
            status = replace(status, summaries=status.summaries + LATER)
        self._hub.publish(StatusChanged(replace(status, **self._fixed)))

    def say_line(self, text: str, level: str = "info", item: str = "", at: float = START) -> None:
        """A line of the log."""
        self._hub.publish(LogLine(at, level, text, item))

    def leave_behind(self, n_items: int) -> None:
        """The viewer fell behind: a snapshot is on its way, of which so many items came."""
        self._aside.append(CatchingUp(n_items))
        self._hub.wake()

    def catch_up(self) -> None:
        """The snapshot is there."""
        self._aside.append(Snapshot(tuple(self._hub.rows()), self.state))
        self._hub.wake()

    def die(self, problem: Exception) -> None:
        """Go away without good-bye."""
        self._death = (self._hub.sequence, problem)
        self._hub.wake()


def _problems(changes: Changes) -> dict[str, str]:
    """What is wrong with changed settings, by key."""
    if unknown := sorted(set(changes) - set(SECTIONS)):
        raise SettingsError(f"[{unknown[0]}] is no section of config.toml")
    return {
        problem.key: problem.text
        for section, values in changes.items()
        for problem in check(section, {k: v for k, v in values.items() if v is not None})
    }
