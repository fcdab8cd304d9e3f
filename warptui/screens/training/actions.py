"""The actions of the training screen; each asks first and shows what it will cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from warptui.engine.errors import WarptuiError
from warptui.engine.model.training import ModelInfo, TrainingRequest
from warptui.screens.dialogs.prompts import Choose
from warptui.screens.dialogs.windows import Question
from warptui.screens.item import picks
from warptui.screens.link.feed import Engine
from warptui.screens.page import Page
from warptui.screens.settings.form import Values
from warptui.screens.training import words as training_words
from warptui.screens.training.data import TrainingData
from warptui.screens.training.form import make_request


class TrainingActions:
    """Starts, stops, uses and discards the selected model.

    ``go_to_field`` puts the form's cursor on a field, ``show_run`` shows the pane of the run where
    the window shows one pane at a time.
    """

    def __init__(
        self,
        page: Page,
        data: TrainingData,
        client: Callable[[], Engine | None],
        go_to_field: Callable[[str], object],
        show_run: Callable[[], object],
    ) -> None:
        self._page, self._data, self._client = page, data, client
        self._go_to_field, self._show_run = go_to_field, show_run

    # running a training

    def train(self) -> None:
        """Start a training with the form's settings, after a question."""
        if active := self._data.active:
            self._page.notify(
                f"{active} is being trained; {self._data.keys['stop']} stops it", markup=False
            )
        elif self._data.draft.problems:
            name, text = next(iter(self._data.draft.problems.items()))
            self._go_to_field(name)
            self._page.notify(f"not begun: {name}: {text}", severity="error", markup=False)
        else:
            self._ask_to_train(make_request(self._data.draft))

    def resume(self) -> None:
        """Continue an interrupted training, after a question."""
        shown, name = self._data.shown(), ""
        if shown.status is not None and shown.status.resumable:
            name = shown.status.model
        elif shown.model is not None and shown.model.state == "interrupted":
            name = shown.model.name
        if active := self._data.active:
            self._page.notify(f"{active} is being trained already", markup=False)
        elif not name:
            self._page.notify("choose an interrupted training in the list of models first")
        else:
            self._ask_to_train(make_request(self._data.draft, resume=name))

    def _ask_to_train(self, request: TrainingRequest) -> None:
        def take(preview: dict[str, Any]) -> None:
            if problem := preview.get("problem"):
                self._page.notify(f"not begun: {problem}", severity="error", markup=False)
                return
            text = training_words.question(
                preview, self._data.batch, runs=self._data.processing, resume=request.resume
            )
            self._page.app.push_screen(Question(text, title="Train BoxNet"), answered)

        def answered(yes: bool | None) -> None:
            if yes:
                self._data.request(lambda engine: engine.train(request), self._begun)

        self._data.request(lambda engine: engine.preview_training(request), take)

    def _begun(self, name: str) -> None:
        workspace = self._page.workspace
        workspace.training_begun = name
        workspace.training.clear()
        self._data.looked_at = ""
        self._data.new_draft()
        self._show_run()
        self._data.refresh()

    def stop(self) -> None:
        """Stop the training, after a question that says what is kept."""
        name = self._data.active
        if not name:
            self._page.notify("nothing is being trained")
            return
        text = f"Stop training {name}?\n\nThe model in use stays in use either way."
        answers = {"k": "keep the best", "x": "keep nothing", "n": "go on"}

        def answered(answer: str | None) -> None:
            if answer in ("k", "x"):
                self._cancel(keep_best=answer == "k")

        self._page.app.push_screen(Choose("Stop", text, answers), answered)

    def _cancel(self, *, keep_best: bool) -> None:
        client = self._client()
        if client is None:
            self._page.notify(self._data.not_reachable, severity="error")
            return

        def work() -> None:
            try:
                client.cancel_training(keep_best=keep_best)
            except (WarptuiError, KeyError) as problem:
                self._page.call_later(
                    self._page.notify, str(problem), severity="error", markup=False
                )
            else:
                text = "it stops after the step that it works on"
                self._page.call_later(self._page.notify, text, title="stopping", markup=False)
                self._page.call_later(self._data.refresh)

        self._page.run_worker(work, thread=True, group="cancel")

    # handling models

    def _chosen(self) -> ModelInfo | None:
        """The selected model, on which keys act."""
        model = self._data.shown().model
        if model is None:
            self._page.notify("there is no such model")
        return model

    def use(self) -> None:
        """Use the selected model for picking, after a question."""
        model = self._chosen()
        if model is None:
            return
        if model.state != training_words.READY:
            why = model.problem or training_words.STATES.get(model.state, model.state)
            self._page.notify(f"{model.name} cannot be used: {why}", markup=False)
            return
        if model.used:
            self._page.notify(f"{model.name} is used already", markup=False)
            return

        def take(preview: dict[str, Any]) -> None:
            key = self._page.workspace.key("start-pause")
            text = training_words.use_question(model, preview, runs=self._data.processing, key=key)
            self._page.app.push_screen(Question(text, title="Use this model"), answered)

        def answered(yes: bool | None) -> None:
            if yes:
                self._data.request(
                    lambda engine: engine.use_model(model.name), self._used(model.name)
                )

        changes: Values = {picks.STAGE: {"model": model.name}}
        self._data.request(lambda engine: engine.preview(changes), take)

    def _used(self, name: str) -> Callable[[Any], None]:
        def done(_: Any) -> None:
            self._page.notify(f"{name} is used for picking from now on", markup=False)
            self._data.refresh()

        return done

    def discard(self) -> None:
        """Remove the selected model, after a question."""
        model = self._chosen()
        if model is None:
            return
        if model.bundled:
            self._page.notify(f"{model.name} comes with the program and stays", markup=False)
        elif model.name == self._data.active:
            self._page.notify(f"{model.name} is being trained; {self._data.keys['stop']} stops it")
        elif model.used:
            self._page.notify(f"{model.name} is used: use another one first", markup=False)
        else:

            def answered(yes: bool | None) -> None:
                if yes:
                    self._data.request(
                        lambda engine: engine.discard_model(model.name), self._discarded
                    )

            text = training_words.discard_question(model)
            self._page.app.push_screen(Question(text, title="Discard"), answered)

    def _discarded(self, _: Any) -> None:
        self._data.forget_model()
        self._data.refresh()
