"""What a training process is asked to do, and what may be asked of it meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from warptui.engine.model import codec
from warptui.engine.model.training import TrainingRequest


@dataclass(frozen=True)
class Task:
    """What the process is asked to do; JSON on its stdin."""

    project: str
    request: TrainingRequest
    settings: dict[str, Any]  # [training], with what the request changes
    rules: dict[str, Any]  # of [picking]; see `marks.Rules`
    items: dict[str, str]  # names of the project's items by their root names
    device: str = "cpu"
    threads: int = 0
    fingerprints: tuple[str, ...] = ()  # of the examples, once they are made

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Task:
        """From JSON-ready values; unknown keys are ignored."""
        return codec.decode(cls, record)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return codec.encode(self)


@dataclass
class Control:
    """What somebody wants of a training that runs."""

    stop: bool = False  # the engine ends: keep a checkpoint and go
    cancel: bool = False
    keep_best: bool = False
