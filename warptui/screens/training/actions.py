"""What the keys of the training screen do; each asks first and says what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from warptui.engine.errors import WarptuiError
from warptui.engine.model.training import ModelInfo, TrainingRequest
from warptui.screens.dialogs.prompts import Choose
from warptui.screens.dialogs.windows import Question
from warptui.screens.item import picks
from warptui.screens.settings.form import Values
from warptui.screens.training import words as said
from warptui.screens.training.curves import MEASURES
from warptui.screens.training.form import make_request
from warptui.screens.training.page import TrainingPage
from warptui.screens.widgets.lists.form_pane import FormPane


class TrainingActions(TrainingPage):
    """Starting, stopping, using and discarding."""

    def turn_to(self, pane: str) -> None:
        """Show another pane, where the window shows one at a time."""
        raise NotImplementedError

    # the run

    def action_measure(self) -> None:
        self._measure = MEASURES[(MEASURES.index(self._measure) + 1) % len(MEASURES)]
        self.show_all()

    def _active(self) -> str:
        """The model that is being trained now; empty: none is."""
        status = self.workspace.mirror.status
        training = status.training if status is not None else None
        return training.model if training is not None and training.active else ""

    @property
    def _runs(self) -> bool:
        status = self.workspace.mirror.status
        return status is not None and status.state in ("running", "idle")

    def action_train(self) -> None:
        if active := self._active():
            self.notify(f"{active} is being trained; {self._keys['stop']} stops it", markup=False)
        elif self.draft.problems:
            name, text = next(iter(self.draft.problems.items()))
            self.query_one(FormPane).fields.go(name)
            self.notify(f"not begun: {name}: {text}", severity="error", markup=False)
        else:
            self._ask_to_train(make_request(self.draft))

    def action_resume(self) -> None:
        shown, name = self._shown(), ""
        if shown.status is not None and shown.status.resumable:
            name = shown.status.model
        elif shown.model is not None and shown.model.state == "interrupted":
            name = shown.model.name
        if active := self._active():
            self.notify(f"{active} is being trained already", markup=False)
        elif not name:
            self.notify("choose an interrupted training in the list of models first")
        else:
            self._ask_to_train(make_request(self.draft, resume=name))

    def _ask_to_train(self, request: TrainingRequest) -> None:
        def take(told: dict[str, Any]) -> None:
            if problem := told.get("problem"):
                self.notify(f"not begun: {problem}", severity="error", markup=False)
                return
            text = said.question(told, self._batch, runs=self._runs, resume=request.resume)
            self.app.push_screen(Question(text, title="Train BoxNet"), answered)

        def answered(yes: bool | None) -> None:
            if yes:
                self._fetch("train", self._begun, request, quiet=False)

        self._fetch("preview_training", take, request, quiet=False)

    def _begun(self, name: str) -> None:
        self.workspace.training_begun = name
        self._looked_at = ""
        self.workspace.training.clear()
        self._new_draft()
        if self.narrow:
            self.turn_to("Run")
        self.ask_again()

    def action_stop(self) -> None:
        name = self._active()
        if not name:
            self.notify("nothing is being trained")
            return
        text = f"Stop training {name}?\n\nThe model in use stays in use either way."
        answers = {"k": "keep the best", "x": "keep nothing", "n": "go on"}

        def answered(answer: str | None) -> None:
            if answer in ("k", "x"):
                self._cancel(keep_best=answer == "k")

        self.app.push_screen(Choose("Stop", text, answers), answered)

    def _cancel(self, *, keep_best: bool) -> None:
        client = self._client()
        if client is None:
            self.notify(self._away, severity="error")
            return

        def work() -> None:
            try:
                client.cancel_training(keep_best=keep_best)
            except (WarptuiError, KeyError) as problem:
                self.call_later(self.notify, str(problem), severity="error", markup=False)
            else:
                said = "it stops after the step that it works on"
                self.call_later(self.notify, said, title="stopping", markup=False)
                self.call_later(self.ask_again)

        self.run_worker(work, thread=True, group="cancel")

    # models

    def _chosen(self) -> ModelInfo | None:
        """The model that keys act on: the one that is looked at."""
        model = self._shown().model
        if model is None:
            self.notify("there is no such model")
        return model

    def action_use(self) -> None:
        model = self._chosen()
        if model is None:
            return
        if model.state != said.READY:
            why = model.problem or said.STATES.get(model.state, model.state)
            self.notify(f"{model.name} cannot be used: {why}", markup=False)
            return
        if model.used:
            self.notify(f"{model.name} is used already", markup=False)
            return

        def take(told: dict[str, Any]) -> None:
            key = self.workspace.key("start-pause")
            text = said.use_question(model, told, runs=self._runs, key=key)
            self.app.push_screen(Question(text, title="Use this model"), answered)

        def answered(yes: bool | None) -> None:
            if yes:
                self._fetch("use_model", self._used(model.name), model.name, quiet=False)

        changes: Values = {picks.STAGE: {"model": model.name}}
        self._fetch("preview", take, changes, quiet=False)

    def _used(self, name: str) -> Callable[[Any], None]:
        def done(_: Any) -> None:
            self.notify(f"{name} is used for picking from now on", markup=False)
            self.ask_again()

        return done

    def action_discard(self) -> None:
        model = self._chosen()
        if model is None:
            return
        if model.bundled:
            self.notify(f"{model.name} comes with the program and stays", markup=False)
        elif model.name == self._active():
            self.notify(f"{model.name} is being trained; {self._keys['stop']} stops it")
        elif model.used:
            self.notify(f"{model.name} is used: use another one first", markup=False)
        else:

            def answered(yes: bool | None) -> None:
                if yes:
                    self._fetch("discard_model", self._discarded, model.name, quiet=False)

            text = said.discard_question(model)
            self.app.push_screen(Question(text, title="Discard"), answered)

    def _discarded(self, _: Any) -> None:
        self._looked_at, self._read = "", ()
        self.ask_again()
