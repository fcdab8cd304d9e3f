"""The things that are processed, and the records in which they are shown.

Plain frozen records without behaviour: they cross processes as JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from warptui.engine.project import paths


class State(StrEnum):
    """Where an item stands. Never says whether it is selected (see `Choice`)."""

    WAITING = "waiting"  # found, still being written
    QUEUED = "queued"  # complete, to be processed
    RUNNING = "running"
    DONE = "done"
    OUTDATED = "outdated"  # processed with other settings than the current ones
    FAILED = "failed"  # with a reason; the rest goes on
    MISSING = "missing"  # results may exist, but the raw file is gone


class Choice(StrEnum):
    """The user's choice for an item; only ever the user's."""

    AUTO = "auto"
    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True)
class Movie:
    """One movie file."""

    path: Path

    @property
    def name(self) -> str:
        """File name with extension."""
        return self.path.name

    @property
    def root_name(self) -> str:
        """File name without the last extension."""
        return paths.root_name(self.name)


@dataclass(frozen=True)
class ItemRow:
    """One item as a list shows it. Unknown numbers are None."""

    name: str
    sequence: int  # order of arrival: never taken from file times
    state: State
    choice: Choice = Choice.AUTO
    selected: bool = False  # what selection.py says: included in exports
    reason: str = ""  # why failed, outdated, waiting, missing or filtered
    stage: str = ""  # while running: the stage; else empty
    fraction: float = 0.0  # of that stage
    tries: int = 0
    summary: dict[str, float | None] = field(default_factory=dict)  # "motion.early_motion": 0.6
    seconds: dict[str, float] = field(default_factory=dict)  # per stage, of the last run
    arrived_at: float = 0.0  # Unix time by the engine's clock, for display only
    finished_at: float = 0.0
    failed_at: float = 0.0  # the last failure, while it holds
    filtered: bool = False  # out by a limit of [filters]; `reason` says which
    square: str = ""  # the grid square that it was taken on; empty = not known
    training: str = ""  # "examples" or "held-out": marked by hand for the training of BoxNet
    edited_at: float = 0.0  # Unix time of the last edit of its picks; another one: read it again

    def with_values(self, **values: Any) -> ItemRow:
        """The row with other values: cheaper than `replace`, for thousands of them."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), **values)
        return made

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ItemRow:
        """The inverse of `to_json`; unknown keys are ignored."""
        known = {key: record[key] for key in cls.__dataclass_fields__ if key in record}
        known["state"] = State(known["state"])
        known["choice"] = Choice(known.get("choice", "auto"))
        return cls(**known)


@dataclass(frozen=True)
class ItemDetail:
    """Everything about one item: what the item screen shows."""

    row: ItemRow
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # per stage, as stored
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # per stage, as processed
    outdated: dict[str, str] = field(default_factory=dict)  # per stage: why it must run
    history: tuple[dict[str, Any], ...] = ()  # stage, finished_at, device, seconds, version
    raw_path: str = ""
    preview_path: str = ""  # empty while there is none
    average_path: str = ""
    spectrum_path: str = ""  # small picture of the power spectrum beside its model
    candidates_path: str = ""  # what may be a particle: an array of y, x, score, area
    mask_preview_path: str = ""  # small picture: where there is no specimen
    edits: dict[str, Any] = field(default_factory=dict)  # of the picks, by hand; see `edits.Edits`
    edits_problem: str = ""  # why the edits cannot be read
    failed_stage: str = ""  # where the last failure happened
    log_tail: str = ""  # of the worker that failed on it
    traceback: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ItemDetail:
        """The inverse of `to_json`; unknown keys are ignored."""
        known = {key: record[key] for key in cls.__dataclass_fields__ if key in record}
        known["row"] = ItemRow.from_json(known["row"])
        known["history"] = tuple(known.get("history", ()))
        return cls(**known)


@dataclass(frozen=True)
class Trial:
    """What a stage made of an item with settings that were only tried; nothing of it is stored."""

    name: str  # of the item
    stage: str
    settings: dict[str, Any]  # of the stage, all of them
    result: dict[str, Any]  # as it would be stored
    pictures: dict[str, str] = field(default_factory=dict)  # paths by product, there for a while
    seconds: float = 0.0
    device: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Trial:
        """The inverse of `to_json`; unknown keys are ignored."""
        return cls(**{key: record[key] for key in cls.__dataclass_fields__ if key in record})


@dataclass(frozen=True)
class Summary:
    """A value that a stage declares for lists, plots and filters."""

    key: str  # "motion.early_motion"
    label: str  # "motion"
    unit: str  # "Å/frame"
    help: str = ""
    digits: int = 2
    filter_min: str = ""  # the key of [filters] that limits it from below; empty = none does
    filter_max: str = ""
    minor: bool = False  # comes after all others where there is no room for all


@dataclass(frozen=True)
class Notice:
    """Something that somebody should know; it stands on every screen until it was seen."""

    id: int
    at: float  # Unix time by the engine's clock
    rule: str  # the setting in [alerts] that it comes from
    level: str  # "warning" or "error"
    text: str
    item: str = ""


@dataclass(frozen=True)
class Export:
    """A list for another program: being written, written, or not."""

    id: str  # names the file that is written
    kind: str  # "micrographs"
    path: str
    state: str  # "running", "done", "failed", "cancelled"; "live" = always being kept up to date
    at: float = 0.0  # Unix time: since when it is so
    rows: int = 0  # written; while it runs, items looked at so far
    total: int = 0  # items that were asked for; of a live list, that are in it
    reason: str = ""  # why it failed, what was left out
    writer: str = ""  # "engine" or "command line"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name


@dataclass(frozen=True)
class ExportRequest:
    """What is to be written for another program, where and how."""

    kind: str = "micrographs"
    items: str = "selected"  # "selected", "done" = all that is, "named", "all"
    names: tuple[str, ...] = ()
    path: str = ""  # from the project folder; empty = the usual name in it
    relative_to: str = ""  # paths in the list start here, from the project folder; empty = it
    absolute: bool = False  # whole paths instead
    switches: tuple[str, ...] = ()  # those of the kind that are on
    given: dict[str, str] = field(default_factory=dict)  # what was typed, by the kind's fields

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ExportRequest:
        """The inverse of `to_json`; unknown keys are ignored."""
        known = {key: record[key] for key in cls.__dataclass_fields__ if key in record}
        for key in ("names", "switches"):
            known[key] = tuple(known.get(key, ()))
        return cls(**known)


@dataclass(frozen=True)
class TrainingRequest:
    """A network that is to be trained from the examples that people marked."""

    model: str = ""  # the new one's name; empty = training.new_model, or the next free name
    start_from: str = ""  # empty = picking.model
    items: tuple[str, ...] = ()  # examples; empty = the items that are marked for training
    held_out: tuple[str, ...] = ()  # empty = those marked so, else a part of the examples
    positions: str = ""  # a folder of STAR files, NAME*.star, that take the place of the picks
    settings: dict[str, Any] = field(default_factory=dict)  # of [training], for this run alone
    resume: bool = False  # go on where the interrupted training of ``model`` stood
    use: bool = False  # pick with it as soon as it is done

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> TrainingRequest:
        """The inverse of `to_json`; unknown keys are ignored."""
        known = {key: record[key] for key in cls.__dataclass_fields__ if key in record}
        for key in ("items", "held_out"):
            known[key] = tuple(known.get(key, ()))
        return cls(**known)


@dataclass(frozen=True)
class TrainingStatus:
    """The training that runs, or the last one that did."""

    model: str  # the new one's name
    phase: str  # "examples" "baseline" "running" "measuring" "done" "failed" "cancelled"
    step: int = 0
    n_steps: int = 0
    epoch: float = 0.0
    n_epochs: int = 0
    seconds: float = 0.0  # since it began
    seconds_left: float | None = None
    n_examples: int = 0  # micrographs to learn from
    n_particles: int = 0  # marked on them
    n_held_out: int = 0  # micrographs to measure on alone
    loss: float | None = None
    device: str = ""
    start_from: str = ""
    message: str = ""  # in plain words: what it does, or why it ended
    verdict: str = ""
    used: bool = False  # picking.model is this one
    resumable: bool = False  # it stopped half-way and can go on

    @property
    def active(self) -> bool:
        """Whether it runs now."""
        return self.phase in ("examples", "baseline", "running", "measuring")

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> TrainingStatus:
        """The inverse of `to_json`; unknown keys are ignored."""
        return cls(**{key: record[key] for key in cls.__dataclass_fields__ if key in record})


@dataclass(frozen=True)
class TrainingExample:
    """A micrograph that is marked for training, as the list of examples shows it."""

    name: str  # of the item
    role: str  # "examples" or "held-out"
    n_particles: int = 0
    n_uncertain: int = 0  # areas that shall count nothing
    n_false: int = 0  # picks that were removed by hand: certainly background
    masked: bool = False  # its mask teaches what an artifact is
    seen_by: str = ""  # the last model that learned from these very marks; empty = new
    problem: str = ""  # why nothing can be learned from it

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> TrainingExample:
        """From JSON-ready values; unknown keys are ignored."""
        return cls(**{key: record[key] for key in cls.__dataclass_fields__ if key in record})


@dataclass(frozen=True)
class ModelInfo:
    """A BoxNet model that could be picked with, or one whose training did not end."""

    name: str
    state: str  # "ready", "interrupted", "failed", "cancelled", "training", "damaged"
    bundled: bool = False  # comes with the program
    used: bool = False  # picking.model is this one
    hash: str = ""  # SHA-256 of its file
    width: int = 0
    made_at: float = 0.0  # Unix time; 0 = not known
    start_from: str = ""
    n_examples: int = 0
    n_particles: int = 0
    f1: float | None = None  # on held-out micrographs; None = not known
    verdict: str = ""
    problem: str = ""

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ModelInfo:
        """From JSON-ready values; unknown keys are ignored."""
        return cls(**{key: record[key] for key in cls.__dataclass_fields__ if key in record})


@dataclass(frozen=True)
class Astigmatism:
    """What the astigmatism of each item is judged against: their mean, and one sigma around it.

    As vectors of twice the angle, for an astigmatism turned by 180° is the same one.
    """

    x_um: float
    y_um: float
    sigma_um: float


@dataclass(frozen=True)
class EngineStatus:
    """The engine in one record: the header line of every screen."""

    state: str  # "running", "paused", "idle", "stopped", "disk full", "read only"
    project: str
    input_folder: str
    counts: dict[str, int] = field(default_factory=dict)  # per State
    choices: dict[str, int] = field(default_factory=dict)  # per Choice, "selected", "particles" ...
    rate_per_hour: float | None = None
    newest_age_s: float | None = None  # since the newest file arrived, by our own clock
    newest_name: str = ""
    disk_free_bytes: int | None = None
    disk_hours_left: float | None = None
    devices: tuple[dict[str, Any], ...] = ()  # slot, device, item, stage, fraction, seconds, pid
    seconds_per_stage: dict[str, float] = field(default_factory=dict)
    watch_mode: str = ""  # "inotify + poll" or "poll (nfs4)"
    message: str = ""  # banner: why paused, what is wrong
    pid: int = 0
    host: str = ""
    version: str = ""
    summaries: tuple[Summary, ...] = ()
    notices: tuple[Notice, ...] = ()  # not seen yet, oldest first
    exports: tuple[Export, ...] = ()  # newest first
    settings_version: int = 0  # of this engine: another number, other settings
    filters: dict[str, float] = field(default_factory=dict)  # [filters]: the limits that are set
    astigmatism: Astigmatism | None = None  # of the session; None = not known of any item
    training: TrainingStatus | None = None  # that runs, or was the last; None = none yet

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> EngineStatus:
        """The inverse of `to_json`; unknown keys are ignored."""
        known = {key: record[key] for key in cls.__dataclass_fields__ if key in record}
        known["devices"] = tuple(known.get("devices", ()))
        known["summaries"] = tuple(Summary(**entry) for entry in known.get("summaries", ()))
        known["notices"] = tuple(Notice(**entry) for entry in known.get("notices", ()))
        known["exports"] = tuple(Export(**entry) for entry in known.get("exports", ()))
        if known.get("astigmatism"):
            known["astigmatism"] = Astigmatism(**known["astigmatism"])
        if known.get("training"):
            known["training"] = TrainingStatus.from_json(known["training"])
        return cls(**known)
