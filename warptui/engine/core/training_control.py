"""Trainings of BoxNet: processing waits for them, and may go on with the new model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from warptui.engine.core.settings_control import SettingsControl
from warptui.engine.core.workers import Workers
from warptui.engine.errors import WarptuiError
from warptui.engine.execution.trainer import HOLD, Trainer, TrainerMessage
from warptui.engine.items.service import ItemService
from warptui.engine.model.item import root_name_of
from warptui.engine.model.training import TrainingStatus
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.picking import use_model
from warptui.engine.training import models
from warptui.engine.training.request import used_model
from warptui.engine.training.task import Task

log = logging.getLogger(__name__)


class TrainingControl:
    """Used from the engine's thread. ``publish`` sends the status to the viewers."""

    def __init__(
        self,
        paths: ProjectPaths,
        items: ItemService,
        settings: SettingsControl,
        workers: Workers,
        deliver: Callable[[TrainerMessage], None],
        publish: Callable[[], None],
    ) -> None:
        self._paths, self._items, self._settings = paths, items, settings
        self._workers, self._publish = workers, publish
        self._trainer = Trainer(paths, deliver)
        status = self._trainer.status
        if status is not None and status.phase == "failed":
            log.warning("%s", status.message)

    @property
    def running(self) -> str:
        """The name of the model in training; empty while no training runs."""
        return self._trainer.running

    def status(self) -> TrainingStatus | None:
        """The training that runs, or was the last; None where there was none yet."""
        status = self._trainer.status
        return status and replace(status, used=status.model == used_model(self._settings.config))

    def inputs(self) -> tuple[dict[str, str], tuple[str, int]]:
        """Names of the items by root name; the device to train on and its number of threads."""
        names = {root_name_of(name): name for name in self._items.table.entries}
        return names, self._workers.training_place(self._settings.config)

    def begin(self, task: Task) -> str:
        """Start a training; the new model's name. Raises TrainingError when it cannot start."""
        self._trainer.begin(task)
        self._items.holds[HOLD] = (
            f"BoxNet is being trained ({task.request.model}): processing waits until it is done"
        )
        self._publish()
        return task.request.model

    def cancel(self, *, keep_best: bool) -> None:
        """End the training that runs. Raises TrainingError when no training runs."""
        self._trainer.cancel(keep_best=keep_best)

    def discard(self, name: str) -> None:
        """Remove a model that was trained here, and the records of its training."""
        models.discard(self._paths, name, used_model(self._settings.config), self.running)
        if self._trainer.status is not None and self._trainer.status.model == name:
            self._trainer.status = None
        log.info("model %s was discarded", name)
        self._publish()

    def take(self, message: TrainerMessage) -> None:
        """Act on a message of the training process."""
        if self._trainer.take(message):
            self._finish()
        self._publish()

    def close(self) -> None:
        """Let the process write a checkpoint and end by itself."""
        self._trainer.close()

    def _finish(self) -> None:
        """Let processing go on, with the new model if that was requested."""
        self._items.holds.pop(HOLD, None)
        task, status = self._trainer.task, self._trainer.status
        if task is None or status is None or status.phase != "done" or not task.request.use:
            return
        try:
            self._settings.change(use_model(status.model))
        except WarptuiError as problem:
            log.error("%s is ready, but it could not be put to use: %s", status.model, problem)
