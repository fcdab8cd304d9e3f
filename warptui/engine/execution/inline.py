"""An executor that runs jobs in this process, one at a time: for tests and for debugging."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from warptui.engine.errors import Cancelled, WorkerError
from warptui.engine.execution.executor import (
    Event,
    ExecutorMessage,
    Place,
    Places,
    Progress,
    Started,
    event_of,
    item_name,
)
from warptui.engine.worker.job_runner import JobRunner
from warptui.engine.worker.protocol import Job
from warptui.engine.worker.roots import Roots

log = logging.getLogger(__name__)

NAME = "inline-0"


@dataclass(frozen=True)
class InlineMessage(ExecutorMessage):
    """An event of a job, on its way into the engine's thread."""

    event: Event
    last: bool  # the job is over


class Inline:
    """One place. ``submit`` returns when the job is over, or immediately with ``threaded``.

    A stage that hangs or crashes takes this process with it, and no time limit holds.
    """

    def __init__(
        self,
        roots: Roots,
        deliver: Callable[[ExecutorMessage], None],
        *,
        device: str = "cpu",
        threads: int = 1,
        threaded: bool = False,
    ) -> None:
        self._deliver, self._device, self._threaded = deliver, device, threaded
        self._runner = JobRunner(roots, device, threads, self._report, self._stop, self._note)
        self._job: Job | None = None
        self._stage, self._fraction = "", 0.0
        self._stopping: dict[int, str] = {}  # reasons by number of the job
        self._log = io.StringIO()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """There is nothing to start."""
        self._closed = False

    def close(self, grace_s: float) -> None:
        """Stop the job at its next progress call, and wait for that for ``grace_s`` seconds."""
        self._closed = True
        if self._thread is not None:
            self._thread.join(grace_s)

    def capacity(self) -> Places:
        """The one place."""
        job = self._job
        return Places(
            [
                Place(
                    name=NAME,
                    device=self._device,
                    host=socket.gethostname(),
                    free=job is None and not self._closed,
                    item=item_name(job),
                    trial=job is not None and job.trial,
                    stage=self._stage,
                    fraction=self._fraction,
                )
            ]
        )

    def submit(self, job: Job) -> str:
        """Run a job. Raises WorkerError while another one runs."""
        if self._job is not None or self._closed:
            raise WorkerError(f"no place is free for job {job.number}")
        self._job, self._log = job, io.StringIO()
        if self._threaded:
            self._thread = threading.Thread(target=self._runner.run, args=(job,), name=NAME)
            self._thread.start()
        else:
            self._runner.run(job)
        return NAME

    def cancel(self, number: int) -> None:
        """Have a job stop at its next progress call."""
        self._stopping[number] = "cancelled by the user"

    def take(self, message: ExecutorMessage) -> Sequence[Event]:
        """The event of a message; empty after `close`."""
        if not isinstance(message, InlineMessage):
            raise TypeError(f"a message of another executor: {message}")
        if message.last:
            self._job, self._stage, self._fraction = None, "", 0.0
        elif isinstance(message.event, Started):
            self._stage, self._fraction = message.event.stage, 0.0
        elif isinstance(message.event, Progress):
            self._fraction = message.event.fraction
        return [] if self._closed else [message.event]

    def check(self) -> None:
        """No limit holds here."""

    def _report(self, kind: str, /, **values: Any) -> None:
        assert self._job is not None
        answer = {"is": kind, **values}
        event = event_of(answer, self._job, NAME, self._device, self._log.getvalue().strip())
        if event is not None:
            self._deliver(InlineMessage(event, kind in ("done", "failed")))

    def _stop(self, number: int) -> None:
        if self._closed:
            raise Cancelled("the engine stops")
        if number in self._stopping:
            raise Cancelled(self._stopping.pop(number))

    def _note(self, text: str) -> None:
        self._log.write(text + "\n")
        log.debug("%s", text)
