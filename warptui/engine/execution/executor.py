"""What the dispatcher knows of the machines that run jobs: places to run them, and events.

An executor owns processes, devices, logs and time limits. All its methods are called from one
thread, the engine's; what its other threads read comes to that thread as messages, which
`Executor.take` turns into events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from warptui.engine.worker.protocol import Answer, FailureKind, Job


@dataclass(frozen=True)
class Started:
    """A stage of a job began."""

    job: int
    stage: str


@dataclass(frozen=True)
class Progress:
    """A stage got further; ``fraction`` is 0..1."""

    job: int
    stage: str
    fraction: float


@dataclass(frozen=True)
class StageFinished:
    """A stage of a job has a result."""

    job: int
    stage: str
    result: dict[str, Any]
    seconds: float
    fingerprint: str  # of the raw file that was read
    place: str
    device: str
    pictures: dict[str, str] = field(default_factory=dict)  # of a trial: files in the project


@dataclass(frozen=True)
class Done:
    """All stages of a job have run; its place is free."""

    job: int
    fingerprint: str


@dataclass(frozen=True)
class Failed:
    """A job ended with an error; its place is free, or is replaced."""

    job: int
    stage: str  # empty = before the first
    kind: FailureKind
    reason: str  # the sentence that the user reads
    traceback: str
    fingerprint: str
    log: str  # the last lines that were logged during the job


@dataclass(frozen=True)
class PlaceLost:
    """What runs jobs in a place ended by itself or was ended; a successor starts."""

    place: str
    reason: str
    job: Job | None  # that it had
    stage: str
    log: str  # the last lines that were logged there


Event = Started | Progress | StageFinished | Done | Failed | PlaceLost


class ExecutorMessage:
    """Base of what executors send to the engine's thread; only the sender knows its content."""

    loses_place: ClassVar[bool] = False  # it brings no result, and its place needs a successor


@dataclass(frozen=True)
class Place:
    """Where one job at a time can run, and what runs there now."""

    name: str
    device: str
    host: str
    free: bool  # it can take a job now
    pid: int = 0  # 0 = no process
    item: str = ""
    trial: bool = False
    stage: str = ""
    fraction: float = 0.0  # of the stage, 0..1
    seconds: int = 0  # since the stage began
    problem: str = ""  # why the place is not used any more

    def to_json(self) -> dict[str, Any]:
        """The record that viewers get, one of `EngineStatus.devices`."""
        return {
            "slot": self.name,
            "device": self.device,
            "item": self.item,
            "stage": self.stage,
            "trial": self.trial,
            "fraction": round(self.fraction, 3),
            "seconds": self.seconds,
            "pid": self.pid,
            "problem": self.problem,
        }


class Places(tuple[Place, ...]):
    """All places of an executor."""

    __slots__ = ()

    @property
    def n_free(self) -> int:
        """How many jobs can be submitted now."""
        return sum(place.free for place in self)

    @property
    def problems(self) -> list[str]:
        """Why places are not used any more."""
        return [place.problem for place in self if place.problem]

    @property
    def unusable(self) -> bool:
        """Whether no place will run a job again by itself."""
        return len(self.problems) == len(self)


class Executor(Protocol):
    """Runs jobs on places: a place is one worker on one device, and runs one job at a time."""

    def start(self) -> None:
        """Start what does not run, also where that was given up before."""
        ...

    def close(self, grace_s: float) -> None:
        """Stop all jobs; what has not ended after ``grace_s`` seconds is killed."""
        ...

    def capacity(self) -> Places:
        """The places, and what they do now."""
        ...

    def submit(self, job: Job) -> str:
        """Run a job in a free place; returns the place's name. Raises WorkerError if none is."""
        ...

    def cancel(self, number: int) -> None:
        """Ask a job to stop; it fails as cancelled at its next progress call."""
        ...

    def take(self, message: ExecutorMessage) -> Sequence[Event]:
        """The events of a message that this executor sent; empty if it is outdated."""
        ...

    def check(self) -> None:
        """Called a few times a second: time limits, restarts."""
        ...


def event_of(answer: Answer, job: Job, place: str, device: str, log: str) -> Event | None:
    """Turn a worker's answer about ``job`` into an event; None for answers of other kinds."""
    match answer["is"]:
        case "started":
            return Started(job.number, answer["stage"])
        case "progress":
            return Progress(job.number, answer["stage"], answer["fraction"])
        case "finished":
            return StageFinished(
                job.number,
                answer["stage"],
                answer["result"],
                answer["seconds"],
                answer["fingerprint"],
                place,
                device,
                answer.get("pictures", {}),
            )
        case "done":
            return Done(job.number, answer["fingerprint"])
        case "failed":
            return Failed(
                job.number,
                answer["stage"],
                FailureKind(answer["kind"]),
                answer["reason"],
                answer["traceback"],
                answer["fingerprint"],
                log,
            )
    return None


def item_name(job: Job | None) -> str:
    """The name of a job's raw file; empty without a job."""
    return Path(job.raw.path).name if job else ""
