"""Starts, feeds, watches and restarts worker processes, one per slot.

All methods are called from one thread, the session's; what workers say arrives through
``deliver``, which is called from a reading thread per worker.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from warptui.engine.errors import WorkerError
from warptui.engine.worker.devices import SlotPlan
from warptui.engine.worker.protocol import Job, cancel_line

log = logging.getLogger(__name__)

BEAT_LIMIT_S = 60.0  # a worker that is silent for this long is stopped or stuck in the kernel
START_LIMIT_S = 300.0  # importing torch from a cold network file system takes its time
RESPAWN_S = 5.0  # until a process that could not be made is tried again
MAX_FAILED_STARTS = 3  # in a row, before a slot is given up
TAIL_LINES = 40
MAX_LOG_BYTES = 5_000_000
# Freed pages stay with the process: large buffers come without page faults again.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "8589934592", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
# OpenMP threads that wait by spinning take the cores from whoever has work: with a second
# busy process on two cores the motion of a movie took 38 s instead of 2.7 s.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Said:
    """An answer of a worker (see `warptui.engine.worker.protocol`)."""

    slot: str
    generation: int
    record: dict[str, Any]


@dataclass(frozen=True)
class Died:
    """A worker's process ended."""

    slot: str
    generation: int
    returncode: int


@dataclass(frozen=True)
class Obituary:
    """What is known about a dead worker."""

    pid: int
    job: Job | None  # that it had
    stage: str
    reason: str
    log_tail: str


@dataclass
class Slot:
    """A place for one worker process, and what it does now."""

    plan: SlotPlan
    log: Path
    process: subprocess.Popen[bytes] | None = None
    generation: int = 0
    ready: bool = False
    job: Job | None = None
    stage: str = ""
    fraction: float = 0.0
    limits_s: Mapping[str, float] = field(default_factory=dict)  # per stage
    began: float = 0.0  # the stage, or the process while it is not ready
    heard: float = 0.0
    verdict: str = ""  # why we killed it
    log_start: int = 0  # where the job's part of the log begins
    failed_starts: int = 0
    given_up: str = ""  # why this slot is not used any more

    @property
    def free(self) -> bool:
        """Whether it can take a job."""
        return self.ready and self.job is None and not self.verdict


class Pool:
    """The worker processes of one engine."""

    def __init__(
        self, plans: list[SlotPlan], project: Path, logs: Path, deliver: Callable[[Any], None]
    ) -> None:
        self._project = project
        self._deliver = deliver
        logs.mkdir(parents=True, exist_ok=True)
        self.slots = {plan.name: Slot(plan, logs / f"{plan.name}.log") for plan in plans}

    def start(self) -> None:
        """Start the processes that do not run, also where that was given up before."""
        for slot in self.slots.values():
            if slot.process is None:
                slot.given_up, slot.failed_starts = "", 0
                self._spawn(slot)

    @property
    def given_up(self) -> list[str]:
        """Why slots are not used any more."""
        return [slot.given_up for slot in self.slots.values() if slot.given_up]

    def free_slots(self) -> list[Slot]:
        """Slots that wait for a job."""
        return [slot for slot in self.slots.values() if slot.free]

    def submit(self, slot: Slot, job: Job, limits_s: Mapping[str, float]) -> None:
        """Give a free slot a job, with the longest time that each stage may take."""
        if not slot.free or slot.process is None or slot.process.stdin is None:
            raise WorkerError(f"slot {slot.plan.name} is not free")
        slot.job, slot.stage, slot.fraction, slot.limits_s = job, "", 0.0, limits_s
        slot.began = slot.heard = time.monotonic()
        slot.log_start = slot.log.stat().st_size if slot.log.exists() else 0
        with suppress(BrokenPipeError):  # it just died: `Died` is on its way
            slot.process.stdin.write(job.line())
            slot.process.stdin.flush()

    def hear(self, said: Said) -> Slot | None:
        """Take note of an answer; None when it comes from a process that is gone."""
        slot = self.slots[said.slot]
        if said.generation != slot.generation:
            return None
        slot.heard = time.monotonic()
        match said.record["is"]:
            case "ready":
                slot.ready, slot.failed_starts = True, 0
            case "started":
                slot.stage, slot.fraction, slot.began = said.record["stage"], 0.0, slot.heard
            case "failed" if said.record.get("leaves"):
                slot.verdict = said.record["reason"]
            case "progress":
                slot.fraction = said.record["fraction"]
        return slot

    def cancel(self, number: int) -> None:
        """Ask the worker that has this job to stop it at its next progress call."""
        for slot in self.slots.values():
            if slot.job is None or slot.job.number != number or slot.process is None:
                continue
            if slot.process.stdin is not None:
                with suppress(BrokenPipeError):  # it just died: `Died` is on its way
                    slot.process.stdin.write(cancel_line(number))
                    slot.process.stdin.flush()

    def release(self, slot: Slot) -> None:
        """The job is over."""
        slot.job, slot.stage, slot.fraction = None, "", 0.0

    def bury(self, died: Died) -> Obituary | None:
        """Take note of a death, and start a successor. None when it is old news."""
        slot = self.slots[died.slot]
        if died.generation != slot.generation or slot.process is None:
            return None
        _close(slot.process)
        reason = slot.verdict or f"the worker {cause_of_death(died.returncode)}"
        tail = log_tail(slot.log, slot.log_start)
        obituary = Obituary(slot.process.pid, slot.job, slot.stage, reason, tail)
        if not slot.ready:
            slot.failed_starts += 1
        slot.process, slot.ready, slot.verdict = None, False, ""
        self.release(slot)
        if slot.failed_starts >= MAX_FAILED_STARTS:
            last_words = f": {tail.splitlines()[-1]}" if tail else ""
            slot.given_up = f"{slot.plan.name} cannot start: {reason}{last_words}"
        else:
            self._spawn(slot)
        return obituary

    def check(self, forgiven_s: float = 0.0) -> None:
        """Kill what is overdue; ``forgiven_s`` of the time since the last check do not count."""
        now = time.monotonic()
        for slot in self.slots.values():
            slot.began += forgiven_s
            slot.heard += forgiven_s
            if slot.process is None:
                if not slot.given_up and now - slot.began > RESPAWN_S:
                    self._spawn(slot)
                continue
            if slot.verdict:
                continue
            if not slot.ready:
                if now - slot.began > START_LIMIT_S:
                    self._kill(slot, f"the worker was not ready after {START_LIMIT_S:.0f} s")
            elif now - slot.heard > BEAT_LIMIT_S:
                self._kill(slot, f"the worker was silent for {BEAT_LIMIT_S:.0f} s")
            elif slot.job and slot.limits_s:
                limit = slot.limits_s.get(slot.stage, max(slot.limits_s.values()))
                if now - slot.began > limit:
                    what = slot.stage or "preparing"
                    self._kill(slot, f"{what} took longer than {limit:.0f} s: the worker was ended")

    def close(self, grace_s: float) -> None:
        """Ask all to end, and kill those that have not after ``grace_s``."""
        running = [slot.process for slot in self.slots.values() if slot.process is not None]
        for slot in self.slots.values():
            slot.generation += 1  # nothing that they say from now on counts
            slot.process = None
        for process in running:
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()
        deadline = time.monotonic() + grace_s
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def describe(self) -> tuple[dict[str, Any], ...]:
        """What each slot does, for `EngineStatus.devices`."""
        now = time.monotonic()
        return tuple(
            {
                "slot": slot.plan.name,
                "device": slot.plan.device,
                "item": Path(slot.job.path).name if slot.job else "",
                "stage": slot.stage,
                "trial": slot.job is not None and slot.job.trial,
                "fraction": round(slot.fraction, 3),
                "seconds": max(0, round(now - slot.began)) if slot.job else 0,  # of the stage
                "pid": slot.process.pid if slot.process else 0,
                "problem": slot.given_up,
            }
            for slot in self.slots.values()
        )

    def _spawn(self, slot: Slot) -> None:
        """Start a slot's process; where the system refuses, `check` tries again."""
        slot.began = slot.heard = time.monotonic()
        try:
            ours, theirs = os.pipe()
            try:
                slot.process = self._popen(slot, theirs)
            except BaseException:
                os.close(ours)
                raise
            finally:
                os.close(theirs)
        except OSError as problem:  # no memory, no descriptors: they come back
            log.warning("slot %s: no process could be made: %s", slot.plan.name, problem)
            return
        slot.generation += 1
        reader = threading.Thread(
            target=self._read, args=(slot.plan.name, slot.generation, slot.process, ours)
        )
        reader.daemon = True
        reader.start()

    def _popen(self, slot: Slot, answers: int) -> subprocess.Popen[bytes]:
        threads = str(slot.plan.threads)
        command = [sys.executable, "-m", "warptui.engine.worker.main"]
        command += ["--device", slot.plan.device, "--threads", threads]
        command += ["--answers", str(answers), "--parent", str(os.getpid())]
        with _open_log(slot.log) as output:
            slot.log_start = output.tell()
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(answers,),
                env=os.environ | MALLOC | WAITING | dict.fromkeys(THREAD_VARIABLES, threads),
                cwd="/",
                start_new_session=True,  # a Ctrl-C in the terminal is the engine's business
            )

    def _read(
        self, name: str, generation: int, process: subprocess.Popen[bytes], answers: int
    ) -> None:
        with os.fdopen(answers, "rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):  # else it died in the middle of a word
                    self._deliver(Said(name, generation, json.loads(line)))
        self._deliver(Died(name, generation, process.wait()))

    def _kill(self, slot: Slot, verdict: str) -> None:
        slot.verdict = verdict
        if slot.process is not None:
            slot.process.kill()


def cause_of_death(returncode: int) -> str:
    """The end of a process in words: the signal's name, or its exit status."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        number = signal.Signals(-returncode)
    except ValueError:
        return f"died of signal {-returncode}"
    hint = ", perhaps for lack of memory" if number is signal.SIGKILL else ""
    return f"died of {number.name} ({signal.strsignal(number)}{hint})"


def log_tail(log: Path, start: int) -> str:
    """The last lines of a log that were written after byte ``start``."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - 100_000) if start <= end else 0)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def _open_log(path: Path) -> BinaryIO:
    """The log to append to; nowhere, where the disk is full."""
    try:
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        return path.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


class Patience:
    """Tells how much of the time since the last look this process did not live through.

    A suspended laptop or a stopped engine must not make all workers look hung. The boot-time clock
    goes on while the machine sleeps, and the monotonic one shows when only this process stood
    still; after either, workers get their time again.
    """

    GAP_S = 10.0  # far more than the loop ever takes
    GRACE_S = 60.0  # after a sleep, for disks and GPUs to wake up

    def __init__(self) -> None:
        self._monotonic = 0.0
        self._boot = 0.0

    def look(self, monotonic: float, boot: float) -> float:
        """Seconds to forgive, given both clocks now."""
        passed = monotonic - self._monotonic
        slept = (boot - self._boot) - passed
        first = self._monotonic == 0.0
        self._monotonic, self._boot = monotonic, boot
        if first:
            return 0.0
        forgiven = passed if passed > self.GAP_S else 0.0
        return forgiven + self.GRACE_S if slept > self.GAP_S else forgiven


def boot_clock() -> float:
    """Seconds since boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
