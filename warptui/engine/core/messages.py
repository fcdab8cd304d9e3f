"""What other threads send to the engine's thread, through one queue."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from warptui.engine.execution.executor import ExecutorMessage
from warptui.engine.execution.trainer import TrainerMessage
from warptui.engine.watching.scanner import Sighting


@dataclass(frozen=True)
class Request:
    """Work that another thread waits for."""

    work: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)

    def carry_out(self) -> None:
        """Do the work; the waiting thread gets its result or its exception."""
        try:
            self.answer.set_result(self.work())
        except Exception as problem:  # noqa: BLE001 - the waiting thread raises it
            self.answer.set_exception(problem)


@dataclass(frozen=True)
class Stop:
    """The engine shall end."""


@dataclass(frozen=True)
class Sightings:
    """What a watch of the input folder saw; ``watch`` numbers the watches of this engine."""

    watch: int
    found: list[Sighting]


Message = Request | Stop | ExecutorMessage | TrainerMessage | Sightings
