"""An executor whose places are worker processes on this machine, one per place."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from warptui.engine.errors import WorkerError
from warptui.engine.execution.child_process import (
    ChildProcess,
    LogFile,
    compute_environment,
    describe_exit,
    python_module,
    stop_all,
)
from warptui.engine.execution.executor import (
    Event,
    ExecutorMessage,
    Place,
    PlaceLost,
    Places,
    event_of,
    item_name,
)
from warptui.engine.execution.suspend_clock import SuspendClock, boot_clock
from warptui.engine.project.temporary_files import find_leftovers
from warptui.engine.worker.devices import SlotPlan
from warptui.engine.worker.protocol import Answer, Job, cancel_record
from warptui.engine.worker.roots import Roots

log = logging.getLogger(__name__)

BEAT_LIMIT_S = 60.0  # a worker that is silent for this long is stopped or stuck in the kernel
START_LIMIT_S = 300.0  # importing torch from a cold network file system takes its time
RESPAWN_S = 5.0  # until a process that could not be made is tried again
MAX_FAILED_STARTS = 3  # in a row, before a place is given up
# Of all pools of this process: messages of a replaced pool may arrive in its successor.
_GENERATIONS = itertools.count(1)


@dataclass(frozen=True)
class WorkerMessage(ExecutorMessage):
    """An answer of a worker (see `warptui.engine.worker.protocol`)."""

    place: str
    generation: int
    answer: Answer


@dataclass(frozen=True)
class WorkerExit(ExecutorMessage):
    """A worker's process ended."""

    loses_place: ClassVar[bool] = True
    place: str
    generation: int
    returncode: int


@dataclass
class _Slot:
    """A place for one worker process, and what it does now."""

    plan: SlotPlan
    log: LogFile
    process: ChildProcess | None = None
    generation: int = 0  # number of the process; 0 = its messages do not count
    ready: bool = False
    job: Job | None = None
    stage: str = ""
    fraction: float = 0.0
    began: float = 0.0  # the stage, or the process while it is not ready
    last_answer: float = 0.0
    verdict: str = ""  # why the process is ended, or ends by itself
    failed_starts: int = 0
    given_up: str = ""  # why this place is not used any more

    @property
    def free(self) -> bool:
        """Whether it can take a job."""
        return self.ready and self.job is None and not self.verdict

    def release(self) -> None:
        """The job is over."""
        self.job, self.stage, self.fraction = None, "", 0.0


@dataclass
class LocalPool:
    """The worker processes of one engine.

    ``deliver`` brings messages of the reading threads into the engine's thread.
    """

    plans: list[SlotPlan]
    roots: Roots
    logs: Path  # folder
    deliver: Callable[[ExecutorMessage], None]
    _slots: dict[str, _Slot] = field(init=False)
    _clock: SuspendClock = field(init=False, default_factory=SuspendClock)

    def __post_init__(self) -> None:
        self._slots = {
            plan.name: _Slot(plan, LogFile(self.logs / f"{plan.name}.log")) for plan in self.plans
        }

    def start(self) -> None:
        """Start the processes that do not run, also where that was given up before."""
        for slot in self._slots.values():
            if slot.process is None:
                slot.given_up, slot.failed_starts = "", 0
                self._spawn(slot)

    def capacity(self) -> Places:
        """The places, and what they do now."""
        now, host = time.monotonic(), socket.gethostname()
        return Places(
            Place(
                name=slot.plan.name,
                device=slot.plan.device,
                host=host,
                free=slot.free,
                pid=slot.process.pid if slot.process else 0,
                item=item_name(slot.job),
                trial=slot.job is not None and slot.job.trial,
                stage=slot.stage,
                fraction=slot.fraction,
                seconds=max(0, round(now - slot.began)) if slot.job else 0,
                problem=slot.given_up,
            )
            for slot in self._slots.values()
        )

    def submit(self, job: Job) -> str:
        """Run a job in a free place; returns the place's name. Raises WorkerError if none is."""
        slot = next((slot for slot in self._slots.values() if slot.free), None)
        if slot is None or slot.process is None:
            raise WorkerError(f"no place is free for job {job.number}")
        slot.job, slot.stage, slot.fraction = job, "", 0.0
        slot.began = slot.last_answer = time.monotonic()
        slot.log.mark()
        slot.process.send(job.to_json())
        return slot.plan.name

    def cancel(self, number: int) -> None:
        """Ask the worker that has this job to stop it at its next progress call."""
        for slot in self._slots.values():
            if slot.job is not None and slot.job.number == number and slot.process is not None:
                slot.process.send(cancel_record(number))

    def take(self, message: ExecutorMessage) -> Sequence[Event]:
        """The events of a worker's message; empty if it comes from a process that was replaced."""
        match message:
            case WorkerMessage(place, generation, answer):
                slot = self._slots[place]
                current = generation == slot.generation
                event = self._hear(slot, answer) if current else None
            case WorkerExit(place, generation, returncode):
                slot = self._slots[place]
                current = generation == slot.generation and slot.process is not None
                event = self._reap(slot, returncode) if current else None
            case _:
                raise TypeError(f"a message of another executor: {message}")
        return [event] if event is not None else []

    def check(self) -> None:
        """Kill the workers that exceed a limit, and start those that could not be started."""
        missed = self._clock.missed(time.monotonic(), boot_clock())
        for slot in self._slots.values():
            slot.began += missed
            slot.last_answer += missed
            if slot.process is None:
                if not slot.given_up and time.monotonic() - slot.began > RESPAWN_S:
                    self._spawn(slot)
            elif not slot.verdict and (verdict := _verdict(slot, time.monotonic())):
                slot.verdict = verdict
                slot.process.kill()

    def close(self, grace_s: float) -> None:
        """Ask all workers to end, and kill those that run after ``grace_s`` seconds."""
        running = [slot.process for slot in self._slots.values() if slot.process is not None]
        for slot in self._slots.values():
            slot.generation, slot.process = 0, None
        stop_all(running, grace_s)

    def _hear(self, slot: _Slot, answer: Answer) -> Event | None:
        slot.last_answer = time.monotonic()
        kind = answer["is"]
        if kind == "ready":
            slot.ready, slot.failed_starts = True, 0
        job = slot.job
        if job is None:
            return None
        failed = kind == "failed"
        log_tail = slot.log.tail() if failed else ""
        event = event_of(answer, job, slot.plan.name, slot.plan.device, log_tail)
        if kind == "started":
            slot.stage, slot.fraction, slot.began = answer["stage"], 0.0, slot.last_answer
        elif kind == "progress":
            slot.fraction = answer["fraction"]
        elif kind == "done" or failed:
            if answer.get("leaves"):
                slot.verdict = answer["reason"]
            slot.release()
        return event

    def _reap(self, slot: _Slot, returncode: int) -> PlaceLost:
        """Clean up after a worker that ended, and start its successor."""
        assert slot.process is not None
        slot.process.close_input()
        reason = slot.verdict or f"the worker {describe_exit(returncode)}"
        lost = PlaceLost(slot.plan.name, reason, slot.job, slot.stage, slot.log.tail())
        with suppress(OSError):  # the next start of an engine removes them
            for leftover in find_leftovers(self.roots.project, slot.process.pid):
                leftover.unlink(missing_ok=True)
        if not slot.ready:
            slot.failed_starts += 1
        slot.process, slot.ready, slot.verdict = None, False, ""
        slot.release()
        if slot.failed_starts >= MAX_FAILED_STARTS:
            last_line = f": {lost.log.splitlines()[-1]}" if lost.log else ""
            slot.given_up = f"{slot.plan.name} cannot start: {reason}{last_line}"
        else:
            self._spawn(slot)
        return lost

    def _spawn(self, slot: _Slot) -> None:
        """Start a place's process; where the system refuses, `check` tries again."""
        slot.began = slot.last_answer = time.monotonic()
        generation, plan = next(_GENERATIONS), slot.plan
        command = python_module("warptui.engine.worker.main")
        command += ["--device", plan.device, "--threads", str(plan.threads)]
        command += ["--project", str(self.roots.project), "--input", str(self.roots.input)]
        command += ["--parent", str(os.getpid())]
        try:
            slot.process = ChildProcess(
                command,
                on_line=partial(self._read, plan.name, generation),
                on_exit=lambda code: self.deliver(WorkerExit(plan.name, generation, code)),
                answers="descriptor",
                log=slot.log,
                environment=compute_environment(plan.threads),
                name=plan.name,
            )
        except OSError as problem:  # no memory, no descriptors: they come back
            log.warning("slot %s: no process could be made: %s", plan.name, problem)
            return
        slot.generation = generation

    def _read(self, place: str, generation: int, line: bytes) -> None:
        self.deliver(WorkerMessage(place, generation, json.loads(line)))


def _verdict(slot: _Slot, now: float) -> str:
    """Why the worker must be ended; empty while it keeps its limits."""
    if not slot.ready:
        if now - slot.began > START_LIMIT_S:
            return f"the worker was not ready after {START_LIMIT_S:.0f} s"
    elif now - slot.last_answer > BEAT_LIMIT_S:
        return f"the worker was silent for {BEAT_LIMIT_S:.0f} s"
    elif slot.job and slot.job.limits_s:
        limits = slot.job.limits_s
        limit = limits.get(slot.stage, max(limits.values()))
        if now - slot.began > limit:
            what = slot.stage or "preparing"
            return f"{what} took longer than {limit:.0f} s: the worker was ended"
    return ""
