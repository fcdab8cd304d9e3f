"""A program that runs stages: receives `Job` lines on stdin, answers on a descriptor of its own.

``python -m warptui.engine.worker.main --device cpu --threads 2`` and a job on stdin runs by hand.
Stdout and stderr are the log, also for libraries that print from C. It ends when stdin closes, so
that it never outlives its engine.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from warptui.engine.errors import (
    Cancelled,
    DiskFullError,
    TransientError,
    WarptuiError,
)
from warptui.engine.model.item import Item
from warptui.engine.project import filesystem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import fingerprint as calculate_fingerprint
from warptui.engine.worker.fault_injection import crash_point
from warptui.engine.worker.parent import die_with_parent
from warptui.engine.worker.protocol import (
    BEAT_S,
    STAGES_VARIABLE,
    FailureKind,
    Job,
    decode_config,
    load_bench,
    load_stages,
    load_trial_bench,
)

NICE = 5  # below the app and the engine
PROGRESS_S = 0.2  # no progress is told more often
CANCEL_GRACE_S = 4.0  # for unwinding after stdin closed; then the process ends anyway
DEVICE_LOST = "CUDA error"  # after one, every call of the process fails


def note(text: str) -> None:
    """Write to the log; a full disk is no reason to lose a result."""
    with suppress(OSError):
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


class Voice:
    """Writes answers; safe to use from the beating thread."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._turn = threading.Lock()

    def say(self, what: str, /, **values: Any) -> None:
        """Send one answer. When nobody listens any more, the process ends."""
        line = json.dumps({"is": what, **values}, allow_nan=True).encode() + b"\n"
        try:
            with self._turn:
                self._output.write(line)
                self._output.flush()
        except OSError:
            os._exit(1)


class Inbox:
    """Jobs from stdin, read by a thread so that its end is seen in the middle of a stage."""

    def __init__(self, source: BinaryIO) -> None:
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self.closed = threading.Event()
        self.cancelled = 0  # number of the job that is to stop
        self._source = source
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._source:
            record = json.loads(line)
            if "cancel" in record:
                self.cancelled = record["cancel"]
            else:
                self.jobs.put(Job.from_json(record))
        self.closed.set()
        self.jobs.put(None)
        time.sleep(CANCEL_GRACE_S)
        os._exit(1)


def run_job(job: Job, inbox: Inbox, voice: Voice, device: str, threads: int) -> bool:
    """Run the stages of ``job``; every outcome is said, none is raised.

    Returns whether this process is fit for another job.
    """
    running = Running()
    try:
        if job.trial:  # nothing is kept that a replaced raw file could make wrong
            _run_stages(job, inbox, voice, device, threads, running)
            voice.say("done", fingerprint="")
            return True
        running.fingerprint = calculate_fingerprint(Path(job.path))
        _run_stages(job, inbox, voice, device, threads, running)
        if calculate_fingerprint(Path(job.path)) != running.fingerprint:
            voice.say(
                "failed",
                stage=running.stage,
                kind=FailureKind.CHANGED,
                reason="the raw file changed while it was processed",
                traceback="",
                fingerprint=running.fingerprint,
            )
            return True
    except Exception as problem:  # noqa: BLE001 - the one place where any failure becomes a record
        kind, reason = classify(problem, job)
        fit = DEVICE_LOST not in str(problem)
        text = traceback.format_exc()
        note(text)
        voice.say(
            "failed",
            stage=running.stage,
            kind=kind,
            reason=reason,
            traceback="" if isinstance(problem, WarptuiError) else text,
            fingerprint=running.fingerprint,
            leaves=not fit,
        )
        return fit
    voice.say("done", fingerprint=running.fingerprint)
    return True


class Running:
    """Where a job stands, for the account of its failure."""

    stage = ""
    fingerprint = ""


def _run_stages(
    job: Job, inbox: Inbox, voice: Voice, device: str, threads: int, running: Running
) -> None:
    stages = load_stages()
    config = decode_config(job.config, stages)
    told = 0.0

    def on_progress(fraction: float) -> None:
        nonlocal told
        if inbox.closed.is_set():
            raise Cancelled("the engine stops")
        if inbox.cancelled == job.number:
            raise Cancelled("cancelled by the user")
        now = time.monotonic()
        if now - told >= PROGRESS_S:
            told = now
            voice.say("progress", stage=running.stage, fraction=fraction)

    item = Item.movie(Path(job.path))
    project = ProjectPaths(Path(job.project))
    bench_class, more = load_bench(), {}
    if job.trial:
        bench_class, more = load_trial_bench(), {"folder": project.trial(job.number)}
    with bench_class(
        item, project, config, device, threads=threads, on_progress=on_progress, **more
    ) as bench:
        for stage in stages:
            if stage.name in job.results:
                bench.results[stage.name] = stage.Result.model_validate(job.results[stage.name])
        for stage in (stage for stage in stages if stage.name in job.stages):
            running.stage = stage.name
            crash_point(f"{stage.name}.before")
            voice.say("started", stage=stage.name)
            began = time.monotonic()
            on_progress(0.0)
            result = stage.run(item, bench, config.stage(stage.name))
            crash_point(f"{stage.name}.after")
            bench.results[stage.name] = result
            voice.say(
                "finished",
                stage=stage.name,
                result=result.model_dump(mode="json"),
                seconds=time.monotonic() - began,
                fingerprint=running.fingerprint,
                **({"pictures": bench.pictures} if job.trial else {}),
            )
            crash_point(f"{stage.name}.said")


def classify(problem: Exception, job: Job) -> tuple[FailureKind, str]:
    """What a failure means, and the sentence that the user reads."""
    said = str(problem) or type(problem).__name__
    match problem:
        case Cancelled():
            return FailureKind.CANCELLED, said
        case TransientError():
            return FailureKind.TRANSIENT, said
        case DiskFullError():
            return FailureKind.STORAGE, said
        case WarptuiError():
            return FailureKind.ITEM, said
        case MemoryError():
            return FailureKind.MEMORY, f"not enough memory: {said}"
        case OSError():
            return _classify_os_error(problem, job)
    if "out of memory" in said.lower() or "can't allocate memory" in said.lower():
        return FailureKind.MEMORY, said.splitlines()[0]
    if DEVICE_LOST in said:
        return FailureKind.TRANSIENT, said.splitlines()[0]
    return FailureKind.ITEM, f"{type(problem).__name__}: {said}"


def _classify_os_error(problem: OSError, job: Job) -> tuple[FailureKind, str]:
    path = str(problem.filename or "")
    said = f"{path}: {problem.strerror}" if path else str(problem)
    if problem.errno in filesystem.UNWRITABLE:
        return FailureKind.STORAGE, f"{filesystem.UNWRITABLE[problem.errno]}: {path or job.project}"
    if filesystem.is_transient(problem):
        return FailureKind.TRANSIENT, said
    if isinstance(problem, FileNotFoundError) and path == job.path:
        return FailureKind.MISSING, "the raw file is gone"
    if isinstance(problem, PermissionError) and path and path != job.path:
        return FailureKind.STORAGE, f"no permission to write {path}: change its owner or mode"
    return FailureKind.ITEM, said


def _beat(voice: Voice) -> None:
    while True:
        time.sleep(BEAT_S)
        voice.say("beat")


def _warm_up(device: str, threads: int) -> None:
    from warptui.engine.worker.warm_up import warm_up

    try:
        note(f"warm after {warm_up(device, threads):.1f} s")
    except Exception:  # noqa: BLE001 - a real movie will say what is wrong, with the item
        note(f"the made-up movie failed:\n{traceback.format_exc()}")


def main(arguments: list[str] | None = None) -> int:
    """Serve jobs until stdin closes."""
    parser = argparse.ArgumentParser(prog="warptui.engine.worker.main", description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--answers", type=int, default=1, help="descriptor to answer on")
    parser.add_argument("--parent", type=int, default=0, help="process to die with")
    options = parser.parse_args(arguments)
    die_with_parent(options.parent)
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGHUP):  # the engine decides when to end
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    output = os.fdopen(os.dup(options.answers), "wb")
    if options.answers == 1:
        os.dup2(2, 1)
    voice = Voice(output)
    inbox = Inbox(sys.stdin.buffer)
    threading.Thread(target=_beat, args=(voice,), daemon=True).start()
    load_bench()  # imports torch once; the process stays warm
    voice.say("ready", device=options.device, pid=os.getpid())
    if STAGES_VARIABLE not in os.environ and inbox.jobs.empty():
        _warm_up(options.device, options.threads)
    while (job := inbox.jobs.get()) is not None:
        note(f"job {job.number}: {job.path}: {', '.join(job.stages)}")
        if not run_job(job, inbox, voice, options.device, options.threads):
            return 1
    return 0


if __name__ == "__main__":
    # Daemon threads may be inside C code: skip the interpreter's tear-down.
    status = main()
    sys.stderr.flush()
    os._exit(status)
