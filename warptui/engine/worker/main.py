"""A program that runs stages: receives jobs on stdin, answers on a descriptor of its own.

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

from warptui.engine.errors import Cancelled
from warptui.engine.worker.job_runner import JobRunner
from warptui.engine.worker.loading import STAGES_VARIABLE, load_bench
from warptui.engine.worker.parent import die_with_parent
from warptui.engine.worker.protocol import BEAT_S, Job
from warptui.engine.worker.roots import Roots

NICE = 5  # below the app and the engine
CANCEL_GRACE_S = 4.0  # for unwinding after stdin closed; then the process ends anyway


def note(text: str) -> None:
    """Write to the log; a full disk is no reason to lose a result."""
    with suppress(OSError):
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


class Reporter:
    """Writes answers; also used by the thread that sends heartbeats."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._turn = threading.Lock()

    def __call__(self, kind: str, /, **values: Any) -> None:
        """Write one answer. If the engine reads no more, the process ends."""
        line = json.dumps({"is": kind, **values}, allow_nan=True).encode() + b"\n"
        try:
            with self._turn:
                self._output.write(line)
                self._output.flush()
        except OSError:
            os._exit(1)


class JobQueue:
    """Jobs from stdin, read by a thread so that its end is seen in the middle of a stage."""

    def __init__(self, source: BinaryIO) -> None:
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self._closed = threading.Event()
        self._cancelled = 0  # number of the job that must stop
        self._source = source
        threading.Thread(target=self._read, daemon=True).start()

    def stop(self, number: int) -> None:
        """Raise Cancelled if the job with this number must end."""
        if self._closed.is_set():
            raise Cancelled("the engine stops")
        if self._cancelled == number:
            raise Cancelled("cancelled by the user")

    def _read(self) -> None:
        for line in self._source:
            record = json.loads(line)
            if "cancel" in record:
                self._cancelled = record["cancel"]
            else:
                self.jobs.put(Job.from_json(record))
        self._closed.set()
        self.jobs.put(None)
        time.sleep(CANCEL_GRACE_S)
        os._exit(1)


def _beat(report: Reporter) -> None:
    while True:
        time.sleep(BEAT_S)
        report("beat")


def _warm_up(device: str, threads: int) -> None:
    from warptui.engine.worker.warm_up import warm_up

    try:
        note(f"warm after {warm_up(device, threads):.1f} s")
    except Exception:  # noqa: BLE001 - a real movie will show the problem, with the item
        note(f"the made-up movie failed:\n{traceback.format_exc()}")


def main(arguments: list[str] | None = None) -> int:
    """Serve jobs until stdin closes."""
    parser = argparse.ArgumentParser(prog="warptui.engine.worker.main", description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--project", type=Path, default=Path(), help="project folder of the jobs")
    parser.add_argument("--input", type=Path, default=Path(), help="input folder of the jobs")
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
    report, queued = Reporter(output), JobQueue(sys.stdin.buffer)
    roots = Roots(options.project.absolute(), options.input.absolute())
    runner = JobRunner(roots, options.device, options.threads, report, queued.stop, note)
    threading.Thread(target=_beat, args=(report,), daemon=True).start()
    load_bench()  # imports torch once; the process stays warm
    report("ready", device=options.device, pid=os.getpid())
    if STAGES_VARIABLE not in os.environ and queued.jobs.empty():
        _warm_up(options.device, options.threads)
    while (job := queued.jobs.get()) is not None:
        note(f"job {job.number}: {job.raw.path}: {', '.join(job.stages)}")
        if not runner.run(job):
            return 1
    return 0


if __name__ == "__main__":
    # Daemon threads may be inside C code: skip the interpreter's tear-down.
    status = main()
    sys.stderr.flush()
    os._exit(status)
