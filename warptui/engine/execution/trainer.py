"""The engine's side of a training: starts the process, hears it, stops it.

It is a process of its own because it loads torch and fills a device; when it dies, nothing is lost
but the steps since its last checkpoint, and the model before stays in use.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from warptui.engine.errors import TrainingError
from warptui.engine.execution.local_pool import (
    MALLOC,
    THREAD_VARIABLES,
    WAITING,
    cause_of_death,
    log_tail,
)
from warptui.engine.model import codec
from warptui.engine.model.training import TrainingStatus
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.training import models
from warptui.engine.training.task import Task

log = logging.getLogger(__name__)

HOLD = "training"  # the reason, among others, why no item is begun


@dataclass(frozen=True)
class Heard:
    """The training process said where it stands, or ended."""

    generation: int
    status: TrainingStatus | None
    returncode: int = 0


class Trainer:
    """Used from one thread; what the process says comes through ``deliver``, from another."""

    def __init__(self, paths: ProjectPaths, deliver: Callable[[Heard], None]) -> None:
        self._paths, self._deliver = paths, deliver
        self._process: subprocess.Popen[bytes] | None = None
        self._generation = 0
        self._log_start = 0
        self.task: Task | None = None
        self.status = models.last_training(paths)

    @property
    def running(self) -> str:
        """The model that is being trained; empty = none is."""
        if self._process is None or self.status is None or not self.status.active:
            return ""
        return self.status.model

    def begin(self, task: Task) -> None:
        """Start the process.

        Raises
        ------
        TrainingError
            If one runs already, or none can be started.
        """
        if self.running:
            raise TrainingError(f"{self.running} is being trained: wait for it, or cancel it")
        self._let_go()
        path = self._log
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as output:
                self._log_start = output.tell()
                process = self._popen(task, output.fileno())
        except OSError as problem:
            raise TrainingError(f"no process could be started to train: {problem}") from problem
        self._process, self.task = process, task
        self._generation += 1
        request = task.request
        self.status = TrainingStatus(
            request.model,
            "examples",
            n_epochs=int(task.settings["epochs"]),
            device=task.device,
            start_from=request.start_from,
            message="starting; processing waits until it is done",
        )
        threading.Thread(
            target=self._read, args=(process, self._generation), name="training", daemon=True
        ).start()
        self._send(task.to_json())
        log.info("training %s from %s on %s", request.model, request.start_from, task.device)

    def hear(self, heard: Heard) -> bool:
        """Take note; whether the training is over."""
        if heard.generation != self._generation or self._process is None:
            return False
        if heard.status is not None:
            self.status = heard.status
            return False
        self._let_go()
        if self.status is None:  # it had said that it is done, and its model was discarded since
            return True
        if self.status.active:
            why = cause_of_death(heard.returncode)
            self.status = models.interrupted(self._paths, self.status.model, self.status)
            self.status = replace(self.status, message=f"{self.status.message} ({why})")
            tail = log_tail(self._log, self._log_start)
            log.warning("the training process %s%s", why, f":\n{tail}" if tail else "")
        level = logging.WARNING if self.status.phase == "failed" else logging.INFO
        said = f"; {self.status.verdict}" if self.status.verdict else ""
        log.log(level, "training %s: %s%s", self.status.model, self.status.message, said)
        return True

    def cancel(self, *, keep_best: bool) -> None:
        """Ask it to end.

        Raises
        ------
        TrainingError
            If none runs.
        """
        if not self.running:
            raise TrainingError("nothing is being trained")
        self._send({"keep_best": True} if keep_best else {"cancel": True})

    def close(self) -> None:
        """The engine ends: the process writes a checkpoint and ends by itself."""
        self._generation += 1
        self._let_go()

    def _let_go(self) -> None:
        """Its stdin is closed: it ends, if it has not; the reading thread waits for it."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()

    @property
    def _log(self) -> Path:
        return self._paths.worker_logs / "training.log"

    def _popen(self, task: Task, output: int) -> subprocess.Popen[bytes]:
        threads = str(task.threads or 1)
        return subprocess.Popen(
            [sys.executable, "-m", "warptui.engine.training"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env=os.environ | MALLOC | WAITING | dict.fromkeys(THREAD_VARIABLES, threads),
            cwd="/",
            start_new_session=True,
        )

    def _read(self, process: subprocess.Popen[bytes], generation: int) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # else it died in the middle of a word
                    status = codec.decode(TrainingStatus, json.loads(line))
                    self._deliver(Heard(generation, status))
        self._deliver(Heard(generation, None, process.wait()))

    def _send(self, record: dict) -> None:
        assert self._process is not None and self._process.stdin is not None
        with suppress(BrokenPipeError):  # it just died: that will be heard
            self._process.stdin.write(json.dumps(record).encode() + b"\n")
            self._process.stdin.flush()
