"""What a worker is asked, and how settings and stages reach its process.

Cancelling is a line of its own, ``{"cancel": number}``: the job ends at its next progress call.
A worker answers with one JSON object a line, its type under ``is``::

    ready     device, pid
    beat      alive (every `BEAT_S`, from a thread of its own)
    started   stage
    progress  stage, fraction
    finished  stage, result, seconds; of a trial also pictures: paths by product
    done      fingerprint: all stages ran
    failed    stage, kind, reason, traceback, fingerprint, leaves: this process ends
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from warptui.engine.config.settings import Config
from warptui.engine.stages.base import Stage
from warptui.engine.stages.registry import STAGES

BEAT_S = 2.0
BYTES_PER_DEADLINE = 1e9  # a larger file gets proportionally more time
STAGES_VARIABLE = "WARPTUI_STAGES"


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
    """One item's stages to run on one device."""

    number: int
    path: str
    project: str
    stages: tuple[str, ...]  # in order
    config: dict[str, Any]  # see `encode_config`
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # of stages that ran before
    trial: bool = False  # to be looked at: no product is written

    def line(self) -> bytes:
        """The job as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Job:
        """The job of a decoded `line`."""
        values: dict[str, Any] = record | {"stages": tuple(record["stages"])}
        return cls(**values)


def cancel_line(number: int) -> bytes:
    """The line that stops a job."""
    return json.dumps({"cancel": number}).encode() + b"\n"


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


def load_stages() -> tuple[Stage, ...]:
    """The stages, or those of the module that ``WARPTUI_STAGES`` names (for tests)."""
    name = os.environ.get(STAGES_VARIABLE)
    return importlib.import_module(name).STAGES if name else STAGES


def load_bench() -> Callable[..., Any]:
    """The bench's class: a context manager made from item, project, config and device."""
    name = os.environ.get(STAGES_VARIABLE)
    if name:
        return importlib.import_module(name).Bench
    return importlib.import_module("warptui.engine.worker.bench").MovieBench


def load_trial_bench() -> Callable[..., Any]:
    """The bench's class for trials, which takes also the folder of the trial's pictures."""
    name = os.environ.get(STAGES_VARIABLE)
    if name:
        return importlib.import_module(name).TrialBench
    return importlib.import_module("warptui.engine.worker.trial_bench").TrialBench
