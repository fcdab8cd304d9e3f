"""Starts the process of a training, follows its messages and stops it.

It is a process of its own because it loads torch and fills a device; when it dies, nothing is lost
but the steps since its last checkpoint, and the model before stays in use.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from warptui.engine.errors import TrainingError
from warptui.engine.execution.child_process import (
    ChildProcess,
    LogFile,
    compute_environment,
    describe_exit,
    python_module,
)
from warptui.engine.model import codec
from warptui.engine.model.training import TrainingStatus
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.training import models
from warptui.engine.training.task import Task

log = logging.getLogger(__name__)

HOLD = "training"  # the reason, among others, why no item is begun


@dataclass(frozen=True)
class TrainerMessage:
    """A status of the training process, or its exit."""

    generation: int
    status: TrainingStatus | None  # None = the process ended
    returncode: int = 0


class Trainer:
    """Used from one thread; ``deliver`` gets the messages of the process in another thread."""

    def __init__(self, paths: ProjectPaths, deliver: Callable[[TrainerMessage], None]) -> None:
        self._paths, self._deliver = paths, deliver
        self._process: ChildProcess | None = None
        self._generation = 0
        self._log = LogFile(paths.worker_logs / "training.log")
        self.task: Task | None = None
        self.status = models.last_training(paths)

    @property
    def running(self) -> str:
        """The name of the model in training; empty while no training runs."""
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
        self._close_input()
        self._generation += 1
        try:
            self._process = self._start(task, self._generation)
        except OSError as problem:
            raise TrainingError(f"no process could be started to train: {problem}") from problem
        self.task = task
        request = task.request
        self.status = TrainingStatus(
            request.model,
            "examples",
            n_epochs=int(task.settings["epochs"]),
            device=task.device,
            start_from=request.start_from,
            message="starting; processing waits until it is done",
        )
        self._process.send(task.to_json())
        log.info("training %s from %s on %s", request.model, request.start_from, task.device)

    def take(self, message: TrainerMessage) -> bool:
        """Take note of a message; whether the training is over."""
        if message.generation != self._generation or self._process is None:
            return False
        if message.status is not None:
            self.status = message.status
            return False
        self._close_input()
        if self.status is None:  # it was done, and its model was discarded since
            return True
        if self.status.active:
            why = describe_exit(message.returncode)
            self.status = models.interrupted(self._paths, self.status.model, self.status)
            self.status = replace(self.status, message=f"{self.status.message} ({why})")
            tail = self._log.tail()
            log.warning("the training process %s%s", why, f":\n{tail}" if tail else "")
        level = logging.WARNING if self.status.phase == "failed" else logging.INFO
        verdict = f"; {self.status.verdict}" if self.status.verdict else ""
        log.log(level, "training %s: %s%s", self.status.model, self.status.message, verdict)
        return True

    def cancel(self, *, keep_best: bool) -> None:
        """Ask it to end.

        Raises
        ------
        TrainingError
            If none runs.
        """
        if not self.running or self._process is None:
            raise TrainingError("nothing is being trained")
        self._process.send({"keep_best": True} if keep_best else {"cancel": True})

    def close(self) -> None:
        """The engine ends: the process writes a checkpoint and ends by itself."""
        self._generation += 1
        self._close_input()

    def _close_input(self) -> None:
        """Let go of the process: it ends by itself, and the reading thread waits for that."""
        process, self._process = self._process, None
        if process is not None:
            process.close_input()

    def _start(self, task: Task, generation: int) -> ChildProcess:
        def read(line: bytes) -> None:
            status = codec.decode(TrainingStatus, json.loads(line))
            self._deliver(TrainerMessage(generation, status))

        return ChildProcess(
            python_module("warptui.engine.training"),
            on_line=read,
            on_exit=lambda code: self._deliver(TrainerMessage(generation, None, code)),
            log=self._log,
            environment=compute_environment(task.threads or 1),
            name="training",
        )
