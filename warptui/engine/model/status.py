"""The state of the engine in one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from warptui.engine.model.exports import Export
from warptui.engine.model.notices import Notice
from warptui.engine.model.summary import Summary
from warptui.engine.model.training import TrainingStatus


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
