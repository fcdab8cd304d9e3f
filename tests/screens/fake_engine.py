"""An engine that exists only in memory: synthetic items, previews on disk."""

from __future__ import annotations

import copy
import queue
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.engine.beam_patterns import afis
from tests.screens import fake_training
from tests.screens.fake_ctf import OPTICS, ctf_result, ctf_values, session_astigmatism, spectrum
from tests.screens.fake_picking import (
    MASK_CENTRE,
    RADIUS,
    mask_radius,
    picking_files,
    picking_result,
    picking_values,
    places,
)
from tests.screens.fake_picking import SETTINGS as PICKING
from warptui.engine.api.events import Event, ItemChanged, LogLine, Snapshot, StatusChanged
from warptui.engine.config.checks import SECTIONS, check
from warptui.engine.config.file import read_config, write_config
from warptui.engine.config.settings import Changes, Config
from warptui.engine.errors import ItemError, SettingsError, TrainingError
from warptui.engine.exporters.base import described, kind_of, settled
from warptui.engine.exporters.optics_groups.beam_shifts import (
    Gathering,
    Grouping,
    number_as_they_come,
)
from warptui.engine.items.selection import select
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.edits import Edits
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.item import Choice, State
from warptui.engine.model.notices import Notice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.summary import Summary
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest
from warptui.engine.planning.limits import limits
from warptui.engine.planning.target import summaries as summaries_of
from warptui.engine.stages.registry import STAGES

SUMMARIES = summaries_of(STAGES)
_DECLARED = {summary.key for summary in SUMMARIES} | {"ctf.astigmatism_angle_deg"}
START = 1_790_000_000.0  # a fixed clock: screens must not depend on the day
FILTERS = {"motion_max": 1.5}
# What later stages will declare: the screens must bear them without knowing them.
LATER = tuple(
    summary
    for summary in (
        Summary("picking.n_particles", "part", "", "particles picked", 0, "particles_min"),
        Summary("picking.mask_percent", "mask", "%", "masked area", 0, "", "mask_max_percent"),
    )
    if summary.key not in _DECLARED
)
_END = object()


class FakeEngine:
    """The methods of `warptui.client.Client`, answered from memory."""

    def __init__(
        self, n_items: int = 1284, folder: Path | None = None, *, later: bool = False, **status: Any
    ) -> None:
        self.folder = folder
        self.project: Path | None = None  # where `change` writes config.toml
        summaries = SUMMARIES + LATER if later else SUMMARIES
        self.rows = {row.name: row for row in synthetic_rows(n_items, later=later)}
        self.calls: list[tuple] = []
        self.edits: dict[str, Edits] = {}
        self.lines = synthetic_log(list(self.rows.values()))
        self.settings: dict[str, Any] = {
            **Config().to_json(),
            "input": {
                **Config().to_json()["input"],
                "folder": "/data/k3/movies",
                "pattern": ["*.tif", "*.eer"],
            },
        }
        self._events: queue.Queue = queue.Queue()
        self.trial_waits = self.trial_dropped = False
        self.known_models = fake_training.models()
        self.examples = fake_training.examples(list(self.rows.values()))
        self.state = EngineStatus(
            **{
                "state": "running",
                "project": "/data/k3/2026-11-22_apof",
                "input_folder": "/data/k3/movies",
                "rate_per_hour": 312.0,
                "newest_age_s": 14.0,
                "disk_free_bytes": 3_100_000_000_000,
                "disk_hours_left": 52.0,
                "devices": (
                    {
                        "slot": 0,
                        "device": "cuda:0",
                        "item": "FoilHole_0042_Data_1278.tif",
                        "stage": "motion",
                        "fraction": 0.45,
                        "seconds": 3,
                        "pid": 11,
                    },
                    {
                        "slot": 1,
                        "device": "cuda:1",
                        "item": "FoilHole_0042_Data_1279.tif",
                        "stage": "average",
                        "fraction": 0.8,
                        "seconds": 1,
                        "pid": 12,
                    },
                ),
                "seconds_per_stage": {"motion": 6.04, "average": 2.11},
                "watch_mode": "poll (nfs4)",
                "summaries": summaries,
                "filters": dict(FILTERS),
                "astigmatism": session_astigmatism(list(self.rows.values()))[1],
                **status,
            }
        )
        self.settings["filters"] = dict(self.state.filters)

    def status(self) -> EngineStatus:
        return self.state

    def item(self, name: str) -> ItemDetail:
        self.calls.append(("item", name))
        return synthetic_detail(self.rows[name], self.folder, self.edits.get(name, Edits()))

    def edit(self, name: str, edits: Edits) -> None:
        self.calls.append(("edit", name, edits))
        now = self.edits[name] = edits
        row = self.rows[name]
        values = row.summary
        if "picking.n_particles" in values:
            found = picking_result(row, now)["n_particles"]
            values = values | {"picking.n_particles": float(found)}
        at = max(START, row.edited_at) + 1
        row = replace(row, summary=values, training=now.training, edited_at=at)
        self.say(judged(row, self.state.summaries, self.state.filters))

    def start(self) -> None:
        self.calls.append(("start",))
        self.say_status(state="running")

    def pause(self) -> None:
        self.calls.append(("pause",))
        self.say_status(state="paused")

    def choose(self, names: Sequence[str], choice: Choice) -> None:
        self.calls.append(("choose", tuple(names), choice))
        for name in names:
            row = replace(self.rows[name], choice=choice)
            self.say(judged(row, self.state.summaries, self.state.filters))

    def retry(self, names: Sequence[str]) -> None:
        self.calls.append(("retry", tuple(names)))
        for name in names:
            self.say(replace(self.rows[name], state=State.QUEUED, reason="tried again"))

    def reprocess(self, names: Sequence[str]) -> None:
        self.calls.append(("reprocess", tuple(names)))

    def cancel(self, names: Sequence[str]) -> None:
        self.calls.append(("cancel", tuple(names)))
        for name in names:
            row = replace(self.rows[name], state=State.FAILED, stage="", failed_at=START)
            self.say(replace(row, reason="cancelled by the user"))

    def acknowledge(self, ids: Sequence[int]) -> None:
        self.calls.append(("acknowledge", tuple(ids)))
        left = tuple(notice for notice in self.state.notices if notice.id not in ids)
        self.say_status(notices=left)

    def queue(self, limit: int = 1000) -> list[tuple[str, str]]:
        self.calls.append(("queue", limit))
        queued = [row.name for row in self.rows.values() if row.state is State.QUEUED]
        outdated = [row.name for row in self.rows.values() if row.state is State.OUTDATED]
        found = [(name, "new") for name in reversed(queued)]
        found += [(name, "outdated: motion.b_factor -100 -> -200") for name in outdated]
        return found[:limit]

    def asked_for(self, request: ExportRequest) -> list[ItemRow]:
        return [
            row
            for row in self.rows.values()
            if request.items == "all"
            or (request.items == "named" and row.name in request.names)
            or (request.items == "done" and row.state is State.DONE)
            or (request.items == "selected" and row.selected)
        ]

    def preview_export(self, request: ExportRequest) -> dict[str, Any]:
        kind = kind_of(request)
        rows = self.asked_for(settled(request))
        start = "/data/k3/2026-11-22_apof/" if request.absolute else ""
        path = request.path or kind.file_name
        end = Path(kind.file_name).suffix
        return {
            "kinds": described(self.settings["export"]["optics_groups"]),
            "groups": self.beam_groups if "beam_shift" in request.switches else {},
            "n": len(rows),
            "rows": [[row.name, "motion, average"] for row in rows[:5]]
            if kind.name == "report"
            else [
                [f"{start}average/{row.name[:-4]}.mrc", "13105.1", "12840.7", "3.40"]
                for row in rows[:5]
            ],
            "path": path if path.startswith("/") else f"/data/k3/2026-11-22_apof/{path}",
            "exists": path == "micrographs.star",
            "problem": "" if path.endswith(end) else f"{path}: must end with {end}",
        }

    @property
    def beam_groups(self) -> dict[str, Any]:
        """Groups by beam shift of 5x5 holes, as the engine tells them."""
        there, _ = afis(5, 400, 0.06)
        gathering = Gathering(Grouping())
        gathering.told += [
            (f"{number}", (x, y, "EPU units")) for number, (x, y) in enumerate(there.tolist())
        ]
        gathering.told.append(("late.mrc", None))
        return gathering.account(number_as_they_come(gathering.labels()))

    def optics_groups(self) -> dict[str, Any]:
        by_shift = self.settings["export"]["optics_groups"] == "beam_shift"
        return self.beam_groups if by_shift else {}

    def export(self, request: ExportRequest) -> str:
        self.calls.append(("export", request))
        rows, number = self.asked_for(settled(request)), str(len(self.state.exports))
        path = self.preview_export(request)["path"]
        made = Export(number, request.kind, path, "running", START, 0, len(rows), "", "engine")
        self.say_status(exports=(made, *self.state.exports))
        return number

    def cancel_export(self, number: str) -> None:
        self.calls.append(("cancel_export", number))
        self.say_export(number, state="cancelled", reason="cancelled by the user")

    def say_export(self, number: str, **changes: Any) -> None:
        """Something became of an export."""
        self.say_status(
            exports=tuple(
                replace(export, **changes) if export.id == number else export
                for export in self.state.exports
            )
        )

    def config(self) -> dict[str, Any]:
        return copy.deepcopy(self.settings)

    def reload(self) -> None:
        self.calls.append(("reload",))
        if self.project is not None:
            self.settings = read_config(self.project).to_json()
        self.say_status(settings_version=self.state.settings_version + 1)

    def preview(self, changes: Changes) -> dict[str, Any]:
        problems = {
            problem.key: problem.text
            for section, values in changes.items()
            if section in SECTIONS
            for problem in check(section, {k: v for k, v in values.items() if v is not None})
        }
        n_done = sum(row.state is State.DONE for row in self.rows.values())
        touched = set() if problems else set(changes) & {"input", "optics", "motion"}
        stages = ("motion", "average") if touched else ("average",) if "average" in changes else ()
        if "ctf" in changes and not problems:
            stages = (*stages, "ctf")
        seconds = [self.state.seconds_per_stage.get(stage, 1.9) for stage in stages]
        return {
            "problems": problems,
            "outdated": dict.fromkeys(stages, n_done),
            "n_items": n_done if stages else 0,
            "n_restored": 0,
            "seconds": None if problems else n_done * sum(seconds) / len(self.state.devices),
        }

    def try_settings(self, name: str, changes: Changes) -> Trial:
        self.calls.append(("try", name, {key: dict(v) for key, v in changes.items()}))
        while self.trial_waits and not self.trial_dropped:
            time.sleep(0.01)
        if self.trial_dropped:
            self.trial_dropped = False
            raise ItemError(f"{name}: the trial was stopped")
        row = self.rows[name]
        if row.state is State.MISSING:
            raise ItemError(f"{name}: the raw file is gone: nothing can be tried without")
        result = ctf_result(row) | {"defocus_um": 1.777, "confidence": 0.99}
        result["fit_range_angstrom"] = [30.0, changes["ctf"]["fit_max_resolution"]]
        pictures = {"spectrum": str(spectrum(self.folder, row))} if self.folder else {}
        return Trial(name, "ctf", dict(changes["ctf"]), result, pictures, 4.2, "cuda:0")

    def drop_trial(self, name: str) -> None:
        self.calls.append(("drop", name))
        self.trial_dropped = True

    def training_examples(self) -> list[TrainingExample]:
        return list(self.examples)

    def preview_training(self, request: TrainingRequest) -> dict[str, Any]:
        begun = fake_training.begun(request, self.examples)
        return {
            "problem": "" if begun.n_examples else "no micrograph is marked for training",
            "notes": [example.problem for example in self.examples if example.problem],
            "model": begun.model,
            "start_from": begun.start_from,
            "n_examples": begun.n_examples,
            "n_particles": begun.n_particles,
            "n_held_out": begun.n_held_out,
            "n_steps": begun.n_steps,
            "seconds": begun.n_steps * fake_training.SECONDS_PER_STEP,
            "device": begun.device,
        }

    def train(self, request: TrainingRequest) -> str:
        self.calls.append(("train", request))
        if self.state.training is not None and self.state.training.active:
            raise TrainingError(f"{self.state.training.model} is being trained: wait or cancel it")
        if problem := self.preview_training(request)["problem"]:
            raise TrainingError(problem)
        self.before_training = self.state.state
        begun = fake_training.begun(request, self.examples)
        self.say_status(training=begun, state="paused", message="BoxNet is being trained")
        return begun.model

    def cancel_training(self, *, keep_best: bool = False) -> None:
        self.calls.append(("cancel_training", keep_best))
        assert self.state.training is not None
        if keep_best:
            self.advance_training(fake_training.N_STEPS)
            return
        said = "cancelled by the user; the model before it stays in use"
        ended = replace(self.state.training, phase="cancelled", message=said, resumable=True)
        self.say_status(training=ended, state=self.before_training, message="")

    def advance_training(self, step: int) -> None:
        """The training that runs has come so far; it is done at the last step."""
        assert self.state.training is not None
        now = fake_training.at(self.state.training, step)
        if now.active:
            self.say_status(training=now)
            return
        self.known_models.insert(0, ModelInfo(now.model, "ready", start_from=now.start_from,
                                              f1=0.948, verdict=now.verdict))  # fmt: skip
        self.say_status(training=now, state=self.before_training, message="")

    def models(self) -> list[ModelInfo]:
        return list(self.known_models)

    def use_model(self, name: str) -> None:
        self.calls.append(("use_model", name))
        self.known_models = [replace(known, used=known.name == name) for known in self.known_models]
        training = self.state.training
        if training is not None:
            self.say_status(training=replace(training, used=training.model == name))

    def discard_model(self, name: str) -> None:
        self.calls.append(("discard_model", name))
        self.known_models = [known for known in self.known_models if known.name != name]

    def training_metrics(self, name: str) -> list[dict[str, Any]]:
        training = self.state.training
        if training is None or training.model != name:
            return fake_training.metrics(fake_training.N_STEPS)
        return [] if training.phase == "examples" else fake_training.metrics(training.step)

    def training_report(self, name: str) -> dict[str, Any]:
        training = self.state.training
        if training is not None and training.model == name and training.active:
            return {}
        report = fake_training.report(next(iter(self.rows)))
        if self.folder is None:
            return report
        for key in ("before", "after", "truth"):
            path = self.folder / f"{name}_{key}.npy"
            np.save(path, report[key])
            report[key] = str(path)
        return report

    def change(self, changes: Changes) -> None:
        self.calls.append(("change", {name: dict(values) for name, values in changes.items()}))
        if problems := self.preview(changes)["problems"]:
            raise SettingsError("; ".join(f"{k}: {text}" for k, text in problems.items()))
        if self.project is not None:
            write_config(self.project, changes)
        defaults = Config().to_json()
        for section, values in changes.items():
            for key, value in values.items():
                if value is None:
                    value = defaults[section].get(key)
                self.settings.setdefault(section, {})[key] = value
        filters = {key: v for key, v in self.settings["filters"].items() if v is not None}
        if filters != self.state.filters:
            for row in list(self.rows.values()):
                now = judged(row, self.state.summaries, filters)
                if now != row:
                    self.say(now)
        self.say_status(settings_version=self.state.settings_version + 1, filters=filters)

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        yield 1, Snapshot(tuple(self.rows.values()), self.state)
        for line in self.lines:
            yield 1, line
        number = 1
        while (event := self._events.get()) is not _END:
            if isinstance(event, Exception):
                raise event
            number += 1
            yield number, event

    def close(self) -> None:
        self._events.put(_END)

    # what tests make it say

    def say(self, row: ItemRow) -> None:
        """An item is new or changed."""
        self.rows[row.name] = row
        self._events.put(ItemChanged(row))

    def say_status(self, **changes: Any) -> None:
        """The status changed."""
        self.state = replace(self.state, **changes)
        self._events.put(StatusChanged(self.state))

    def say_line(self, text: str, level: str = "info", item: str = "", at: float = START) -> None:
        """A line of the log."""
        self._events.put(LogLine(at, level, text, item))

    def die(self, problem: Exception) -> None:
        """Go away without good-bye."""
        self._events.put(problem)


def judged(row: ItemRow, summaries: tuple[Summary, ...], filters: dict[str, float]) -> ItemRow:
    """The row as the engine's filters make it."""
    bounds = limits(summaries, filters)
    found = select(
        row.choice,
        row.state,
        has_result=bool(row.summary),
        values=[row.summary.get(bound.key) for bound in bounds],
        limits=bounds,
    )
    reason = row.reason.partition("filtered: ")[0].removesuffix("; ")
    if found.filtered:
        reason = f"{reason}; {found.reason}" if reason else found.reason
    return replace(row, selected=found.selected, filtered=found.filtered, reason=reason)


PATTERN = 5000  # items of a session that are made one by one


def synthetic_rows(n: int, *, later: bool = False) -> list[ItemRow]:
    """A session with drifting values, a few failures, and the newest still in work.

    Longer ones begin with the same values over and over.
    """
    repeated = max(0, n - 1) // PATTERN * PATTERN
    rows = _distinct_rows(n - repeated, later=later)
    pattern = _distinct_rows(PATTERN, later=later)[: -len(IN_WORK)] if repeated else []
    again = [replace(pattern[i % len(pattern)], **_identity(i, n)) for i in range(repeated)]
    return again + [replace(row, **_identity(repeated + i, n)) for i, row in enumerate(rows)]


def _identity(i: int, n: int) -> dict[str, Any]:
    """What no two items of a session have in common."""
    arrived = START + 11 * i + (6 * 3600 if i > 0.6 * n else 0)  # a night in which nothing came
    return {
        "name": f"FoilHole_{2900 + i // 12:04d}_Data_{i:04d}.tif",
        "sequence": i,
        "arrived_at": arrived,
        "finished_at": arrived + 20,
        "square": "" if i % 50 == 7 else str(18_890_000 + i // 200),
    }


IN_WORK: list[tuple[State, dict[str, Any]]] = [  # the newest first
    (State.WAITING, {"reason": "1.2 of 1.5 GB so far"}),
    (State.QUEUED, {}),
    (State.QUEUED, {}),
    (State.RUNNING, {"stage": "average", "fraction": 0.8}),
    (State.RUNNING, {"stage": "motion", "fraction": 0.45}),
]


def _distinct_rows(n: int, *, later: bool) -> list[ItemRow]:
    random = np.random.default_rng(7)
    early = np.abs(0.62 + 0.15 * np.sin(np.arange(n) / 90) + random.gamma(1.2, 0.12, n))
    early[random.random(n) < 0.02] += 2.5
    rows = []
    for i in range(n):
        row = ItemRow(
            **_identity(i, n),
            state=State.DONE,
            summary={
                "motion.early_motion": float(early[i]),
                "motion.total_motion": float(early[i] * 9 + random.normal(0, 1)),
                "motion.shift_error": float(0.2 + random.gamma(2, 0.05)),
                "motion.confidence": float(np.clip(random.normal(0.9, 0.05), 0, 1)),
                "average.mean_electrons": float(31 + random.normal(0, 0.7)),
                **{key: value for key, value in ctf_values(i).items() if key in _DECLARED},
            },
            seconds={"motion": 6.0, "average": 2.1},
        )
        if later or "picking.n_particles" in _DECLARED:
            row = replace(row, summary=row.summary | picking_values(i))
        if i % 283 == 241:  # empty ice
            row = replace(row, summary=row.summary | dict.fromkeys(_MOTION))
        if i % 397 == 211:
            row = replace(
                row,
                state=State.FAILED,
                summary={},
                tries=3,
                failed_at=START + 11 * i + 20,
                reason="21 of 40 frames can be read: the file is truncated. Copy it again",
            )
        elif i % 611 == 300:
            row = replace(row, state=State.OUTDATED, reason="motion.b_factor -100 -> -200")
        elif i % 150 == 77:
            row = replace(row, choice=Choice.EXCLUDE)
        elif i % 331 == 99:
            row = replace(row, choice=Choice.INCLUDE)
        rows.append(row)
    for back, (state, extra) in enumerate(IN_WORK):
        if n > 20:
            i = n - 1 - back
            rows[i] = replace(
                rows[i],
                state=state,
                choice=Choice.AUTO,
                summary={},
                **{"reason": "", **extra},
            )
    summaries = SUMMARIES + LATER if later else SUMMARIES
    rows, _ = session_astigmatism(rows)
    return [judged(row, summaries, FILTERS) for row in rows]


_MOTION = tuple(summary.key for summary in SUMMARIES if summary.label in ("motion", "total motion"))


def synthetic_log(rows: list[ItemRow]) -> list[LogLine]:
    """What the engine said about the last items."""
    lines = [LogLine(START, "info", "watching /data/k3/movies with 0 known items")]
    for row in rows[-60:]:
        at, name = row.arrived_at, row.name
        if row.state is State.FAILED:
            lines.append(LogLine(at + 20, "warning", f"motion: {row.reason}", name))
        elif row.state is State.DONE:
            lines.append(LogLine(at + 14, "debug", "motion took 6.0 s on cuda0", name))
            motion = row.summary["motion.early_motion"]
            said = "" if motion is None else f", motion {motion:.2f} Å/frame"
            lines.append(LogLine(at + 20, "info", f"done in 8.1 s{said}", name))
    last = max(START, *(line.at for line in lines))
    lines.append(LogLine(last + 15, "error", "cuda1: the worker died of SIGKILL at motion"))
    return lines


def synthetic_notices() -> tuple[Notice, ...]:
    """What nobody has seen yet."""
    failed = "3 items failed, the last: FoilHole_2983_Data_1005.tif: the file is truncated"
    return (
        Notice(1, START, "no_new_file_minutes", "warning", "no new file for 20 min"),
        Notice(2, START + 9, "failed_item", "error", failed, "FoilHole_2983_Data_1005.tif"),
    )


def _pictures(folder: Path, row: ItemRow) -> dict[str, str]:
    """Paths of the products that are files here, by name."""
    pictures = {"preview": preview(folder, row.sequence), "spectrum": spectrum(folder, row)}
    return {name: str(path) for name, path in pictures.items()} | picking_files(
        folder, row.sequence
    )


def synthetic_detail(row: ItemRow, folder: Path | None, edits: Edits | None = None) -> ItemDetail:
    """Tracks of a specimen that drifts and domes, and a picture of round particles."""
    if row.state is State.FAILED:
        return ItemDetail(
            row,
            raw_path=f"/data/k3/movies/{row.name}",
            failed_stage="motion",
            log_tail="worker 0: reading frame 21\nworker 0: strip 3 ends at byte 1 048 576",
            traceback="Traceback (most recent call last):\n  ...\nTruncatedError: frame 21",
        )
    if row.state is not State.DONE and row.state is not State.OUTDATED:
        return ItemDetail(row, raw_path=f"/data/k3/movies/{row.name}")
    n, time = 40, np.linspace(0, 1, 40)
    random = np.random.default_rng(row.sequence)
    angle = random.uniform(0, 2 * np.pi)
    drift = 14 * (1 - np.exp(-4 * time))
    track = np.stack([drift * np.sin(angle), drift * np.cos(angle) + np.sin(6 * time)], axis=1)
    track -= track.mean(axis=0)
    grid_y, grid_x = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5), indexing="ij")
    bend = np.array([-0.5, 0.1, 0.4])[:, None, None]
    local_x, local_y = 6 * bend * grid_x * grid_y**2, 6 * bend * grid_y
    motion = {
        **{k.split(".")[1]: v for k, v in row.summary.items() if k.startswith("motion.")},
        "n_frames": n,
        "pixel_size": 0.834,
        "shape_yx": [4092, 5760],
        "dose_per_frame": 1.03,
        "track_yx_angstrom": track.tolist(),
        "global_yx_angstrom": track[::3].tolist(),
        "local_grid": [5, 5, 3],
        "local_x_angstrom": local_x.ravel().tolist(),
        "local_y_angstrom": local_y.ravel().tolist(),
        "local_used": True,
        "notes": [],
    }
    average = {
        "mean_electrons": row.summary.get("average.mean_electrons"),
        "pixel_size": 0.834,
        "shape_yx": [4092, 5760],
        "n_frames": 40,
        "dose": 41.2,
        "average_path": f"average/{Path(row.name).stem}.mrc",
        "notes": [],
    }
    outdated = {"motion": "motion.b_factor -100 -> -200", "average": "motion is outdated"}
    return ItemDetail(
        row,
        results={
            "motion": motion,
            "average": average,
            "ctf": ctf_result(row),
            "picking": picking_result(row, edits or Edits()),
        },
        settings={
            "ctf": {"ctf": {"grid": [5, 5, 1], "fit_max_resolution": 4.0}, "optics": OPTICS},
            "motion": {"motion": {"b_factor": -100.0, "local_grid": [5, 5, 3]}},
            "average": {"average": {"dose_weighting": "gaussian", "halves": False}},
            "picking": {"picking": PICKING},
        },
        outdated=outdated if row.state is State.OUTDATED else {},
        history=(
            {
                "stage": "motion",
                "finished_at": row.finished_at - 2,
                "device": "cuda:0",
                "seconds": 6.0,
                "version": "0.1.0",
            },
            {
                "stage": "average",
                "finished_at": row.finished_at,
                "device": "cuda:0",
                "seconds": 2.1,
                "version": "0.1.0",
            },
        ),
        raw_path=f"/data/k3/movies/{row.name}",
        paths={
            "average": f"/data/k3/2026-11-22_apof/average/{Path(row.name).stem}.mrc",
            **(_pictures(folder, row) if folder else {}),
        },
        edits=edits.model_dump(mode="json") if edits is not None else {},
    )


def preview(folder: Path, seed: int, shape: tuple[int, int] = (364, 512)) -> Path:
    """A picture of ring-shaped particles in noise, written once."""
    path = folder / f"preview_{seed}.npy"
    if path.exists():
        return path
    random = np.random.default_rng(seed)
    image = random.normal(0, 1.0, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    found, scores = places(seed)
    for (cy, cx), score in zip(found, scores, strict=True):
        window = np.s_[max(0, int(cy) - 12) : int(cy) + 13, max(0, int(cx) - 12) : int(cx) + 13]
        radius = np.hypot(y[window] - cy, x[window] - cx)
        image[window] -= 3.3 * score**4 * np.exp(-(((radius - RADIUS) / 1.8) ** 2))
    if size := mask_radius(seed):
        distance = np.hypot(y - MASK_CENTRE[0], x - MASK_CENTRE[1])
        image -= 2.4 * np.exp(-((distance / size) ** 4))
    image = (image + np.roll(image, 1, 0) + np.roll(image, 1, 1)) / 2
    low, high = np.percentile(image, [1, 99])
    np.save(path, np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8))
    return path
