"""Jobs that the engine sends to a worker, and the worker's answers.

A job is one line of JSON. Cancelling is a line of its own, ``{"cancel": number}``: the job ends at
its next progress call. A worker answers with one JSON object a line, its type under ``is``::

    ready     device, pid
    beat      alive (every `BEAT_S`, from a thread of its own)
    started   stage
    progress  stage, fraction
    finished  stage, result, seconds, fingerprint; of a trial also pictures: files in the project
    done      fingerprint: all stages ran
    failed    stage, kind, reason, traceback, fingerprint, leaves: this process ends
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from warptui.engine.config.settings import Config
from warptui.engine.stages.base import Stage
from warptui.engine.worker.roots import RawFile

BEAT_S = 2.0
BYTES_PER_DEADLINE = 1e9  # a larger file gets proportionally more time

Answer = dict[str, Any]


class FailureKind(StrEnum):
    """What a failure means for the item and for the others."""

    ITEM = "item"  # the item is to blame: it failed
    TRANSIENT = "transient"  # a hiccup: later
    STORAGE = "storage"  # nothing can be written: pause
    MISSING = "missing"  # the raw file is gone
    CHANGED = "changed"  # the raw file changed under the reader
    MEMORY = "memory"  # too little of it: again, but not for ever
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Job:
    """One item's stages to run on one device. It holds no absolute path of a raw file."""

    number: int
    raw: RawFile
    stages: tuple[str, ...]  # in order
    config: dict[str, Any]  # see `encode_config`
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # of stages that ran before
    limits_s: dict[str, float] = field(default_factory=dict)  # longest time of each stage
    trial: bool = False  # to be looked at: no product is written

    def to_json(self) -> dict[str, Any]:
        """The job as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Job:
        """The inverse of `to_json`."""
        raw, stages = RawFile(**record["raw"]), tuple(record["stages"])
        values: dict[str, Any] = record | {"raw": raw, "stages": stages}
        return cls(**values)


def cancel_record(number: int) -> dict[str, int]:
    """The record that stops a job."""
    return {"cancel": number}


def encode_config(config: Config) -> dict[str, Any]:
    """Settings as JSON values, the stages' own ones whole."""
    values = config.model_dump(mode="json", exclude={"stages"})
    values["stages"] = {
        name: settings.model_dump(mode="json") for name, settings in config.stages.items()
    }
    return values


def decode_config(values: dict[str, Any], stages: Sequence[Stage]) -> Config:
    """The inverse of `encode_config`; each stage's section becomes that stage's Settings."""
    given = values.get("stages", {})
    sections = {
        stage.name: stage.Settings.model_validate(given.get(stage.name, {})) for stage in stages
    }
    return Config.model_validate(values | {"stages": sections})


def deadlines(stages: Sequence[Stage], n_bytes: int) -> dict[str, float]:
    """The longest that each stage may take on a file of this size, in seconds."""
    generosity = max(1.0, n_bytes / BYTES_PER_DEADLINE)
    return {stage.name: stage.deadline_s * generosity for stage in stages}
