"""The task of a training process, and the requests that it accepts while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from warptui.engine.model import codec
from warptui.engine.model.training import TrainingRequest


@dataclass(frozen=True)
class Task:
    """The task of a training process, sent as JSON on its stdin."""

    project: str
    request: TrainingRequest
    settings: dict[str, Any]  # [training], with the request's changes
    rules: dict[str, Any]  # from [picking]; see `scores.Rules`
    items: dict[str, str]  # names of the project's items by their root names
    device: str = "cpu"
    threads: int = 0
    fingerprints: tuple[str, ...] = ()  # of the examples, once they are made

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Task:
        """The task from JSON-ready values; unknown keys are ignored."""
        return codec.decode(cls, record)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return codec.encode(self)


@dataclass
class Control:
    """Requests of the user or the engine to a running training."""

    stop: bool = False  # the engine ends: keep a checkpoint and go
    cancel: bool = False
    keep_best: bool = False
