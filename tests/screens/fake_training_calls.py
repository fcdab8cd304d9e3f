"""The calls of the fake engine that train networks; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.screens import fake_training
from warptui.engine.errors import InputError, TrainingError
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest


class TrainingCalls:
    """A part of `tests.screens.fake_engine.FakeEngine`."""

    calls: list[tuple]
    examples: list[TrainingExample]
    known_models: list[ModelInfo]
    before_training = ""  # the engine's state
    folder: Path | None
    rows: Mapping[str, ItemRow]

    @property
    def state(self) -> EngineStatus:
        """See `FakeEngine`."""
        raise NotImplementedError

    def say_status(self, **changes: Any) -> None:
        """See `FakeEngine`."""
        raise NotImplementedError

    def training_examples(self) -> list[TrainingExample]:
        return list(self.examples)

    def preview_training(self, request: TrainingRequest) -> dict[str, Any]:
        begun = fake_training.begun(request, self.examples)
        return {
            "problem": "" if begun.n_examples else "no micrograph is marked for training",
            "notes": [example.problem for example in self.examples if example.problem],
            "model": begun.model,
            "start_from": begun.start_from,
            "n_examples": begun.n_examples,
            "n_particles": begun.n_particles,
            "n_held_out": begun.n_held_out,
            "n_steps": begun.n_steps,
            "seconds": begun.n_steps * fake_training.SECONDS_PER_STEP,
            "device": begun.device,
        }

    def train(self, request: TrainingRequest) -> str:
        self.calls.append(("train", request))
        if self.state.training is not None and self.state.training.active:
            raise TrainingError(f"{self.state.training.model} is being trained: wait or cancel it")
        if problem := self.preview_training(request)["problem"]:
            raise TrainingError(problem)
        self.before_training = self.state.state
        begun = fake_training.begun(request, self.examples)
        self.say_status(training=begun, state="paused", message="BoxNet is being trained")
        return begun.model

    def cancel_training(self, *, keep_best: bool = False) -> None:
        self.calls.append(("cancel_training", keep_best))
        if self.state.training is None or not self.state.training.active:
            raise TrainingError("nothing is being trained")
        if keep_best:
            self.advance_training(fake_training.N_STEPS)
            return
        said = "cancelled by the user; the model before it stays in use"
        ended = replace(self.state.training, phase="cancelled", message=said, resumable=True)
        self.say_status(training=ended, state=self.before_training, message="")

    def advance_training(self, step: int) -> None:
        """The training that runs has come so far; it is done at the last step."""
        assert self.state.training is not None
        now = fake_training.at(self.state.training, step)
        if now.active:
            self.say_status(training=now)
            return
        self.known_models.insert(0, ModelInfo(now.model, "ready", start_from=now.start_from,
                                              f1=0.948, verdict=now.verdict))  # fmt: skip
        self.say_status(training=now, state=self.before_training, message="")

    def models(self) -> list[ModelInfo]:
        return list(self.known_models)

    def use_model(self, name: str) -> None:
        self.calls.append(("use_model", name))
        if name not in {known.name for known in self.known_models if known.state == "ready"}:
            raise InputError(f"there is no model {name!r} to pick with")
        self.known_models = [replace(known, used=known.name == name) for known in self.known_models]
        training = self.state.training
        if training is not None:
            self.say_status(training=replace(training, used=training.model == name))

    def discard_model(self, name: str) -> None:
        self.calls.append(("discard_model", name))
        known = next((known for known in self.known_models if known.name == name), None)
        if known is None:
            raise TrainingError(f"{name} is no model of this project")
        if known.bundled:
            raise TrainingError(f"{name} comes with the program")
        if known.used:
            raise TrainingError(f"{name} is in use: pick with another model first")
        self.known_models = [known for known in self.known_models if known.name != name]

    def training_metrics(self, name: str) -> list[dict[str, Any]]:
        training = self.state.training
        if training is None or training.model != name:
            return fake_training.metrics(fake_training.N_STEPS)
        return [] if training.phase == "examples" else fake_training.metrics(training.step)

    def training_report(self, name: str) -> dict[str, Any]:
        training = self.state.training
        if training is not None and training.model == name and training.active:
            return {}
        report = fake_training.report(next(iter(self.rows)))
        if self.folder is None:
            return report
        for key in ("before", "after", "truth"):
            path = self.folder / f"{name}_{key}.npy"
            np.save(path, report[key])
            report[key] = str(path)
        return report
