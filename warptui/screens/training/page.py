"""What the training screen knows: asked of the engine and read from disk, always in threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.timer import Timer

from warptui.engine.errors import WarptuiError
from warptui.engine.model.training import ModelInfo, TrainingExample
from warptui.screens.keys.names import key_name
from warptui.screens.keys.tables.training import TRAINING
from warptui.screens.link.feed import Engine
from warptui.screens.link.mirror import Changes
from warptui.screens.page import Page
from warptui.screens.training import words as said
from warptui.screens.training.account import Shown
from warptui.screens.training.curves import MEASURES
from warptui.screens.training.form import make_request, training_draft
from warptui.screens.training.pictures import Compared, read_compared
from warptui.screens.workspace import Workspace

PAUSE_S = 0.3  # without a key, before the engine is asked what a training would cost
AGAIN_S = 2.0  # between two readings of what changes while it runs


class TrainingPage(Page):
    """Examples, models, the last training and what it measured; subclasses show them."""

    def __init__(
        self, workspace: Workspace, client: Callable[[], Engine | None], project: Path
    ) -> None:
        super().__init__(workspace)
        self._client, self._project = client, project
        self._examples: tuple[TrainingExample, ...] | None = None  # None: not heard of yet
        self._models: tuple[ModelInfo, ...] = ()
        self._problems: dict[str, str] = {}  # by call: why it was not answered
        self._marks: dict[str, tuple[str, float]] = {}  # by item: as the examples were made of
        self._told: dict[str, Any] | None = None  # the engine's preview
        self._timer: Timer | None = None
        self._asked = 0  # numbers the previews: only the newest counts
        self._looked_at = ""  # the model that was chosen in the list; empty: the last trained
        self._metrics: list[dict[str, Any]] = []
        self._report: dict[str, Any] = {}
        self._compared: Compared | str = ""
        self._read: tuple[Any, ...] = ()  # model, phase and step of what was read
        self._read_at = float("-inf")
        self._measure = MEASURES[0]
        self._version = -1  # of the settings that the form is based on
        self.draft = training_draft((), workspace.training, workspace.config, project)

    def show_all(self) -> None:
        """Something of what is known is another."""
        raise NotImplementedError

    def show_pictures(self) -> None:
        """The pictures of the model that is looked at were read."""
        raise NotImplementedError

    # what the engine knows

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.ask_again()

    def ask_again(self) -> None:
        """Examples and models may be others now."""
        self._fetch("training_examples", self._take_examples)
        self._fetch("models", self._take_models)

    def _fetch(
        self, call: str, done: Callable[[Any], None], *args: Any, quiet: bool = True
    ) -> None:
        """Call the engine in a thread; where it does not answer, the panes say so."""
        client = self._client()
        if client is None:
            if not quiet:
                self.notify(self._away, severity="error")
            return

        def work() -> None:
            try:
                answer = getattr(client, call)(*args)
            except (WarptuiError, KeyError, OSError) as problem:
                self.call_later(self._refused, call, str(problem), quiet)
            else:
                self.call_later(self._answered, call, done, answer)

        self.run_worker(work, thread=True, group="training")

    def _answered(self, call: str, done: Callable[[Any], None], answer: Any) -> None:
        self._problems.pop(call, None)
        if self.alive:
            done(answer)

    def _refused(self, call: str, problem: str, quiet: bool) -> None:
        if quiet:
            self._problems[call] = problem
            self.show_all()
        else:
            self.notify(problem, severity="error", markup=False)

    def _take_examples(self, examples: list[TrainingExample]) -> None:
        if self._examples != tuple(examples):
            self._examples = tuple(examples)
            self._ask_cost()
        self.show_all()

    def _take_models(self, models: list[ModelInfo]) -> None:
        if self._models != tuple(models):
            self._models = tuple(models)
            self._new_draft()
            self._ask_cost()
        self.show_all()
        self._read_model()

    def _new_draft(self) -> None:
        workspace = self.workspace
        self.draft = training_draft(
            self._models, workspace.training, workspace.config, self._project
        )
        self._version = workspace.settings_version

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        workspace = self.workspace
        if changes.everything and self._version != workspace.settings_version:
            self._new_draft()
            self._fetch("models", self._take_models)
            self._ask_cost()
        if changes.items or changes.everything:
            self._notice_marks(changes)
        if changes.status or changes.everything:
            self._follow_training()
        self.show_all()

    def _notice_marks(self, changes: Changes) -> None:
        """Examples are asked for again where a mark, or what a marked item shows, is another."""
        mirror, other = self.workspace.mirror, False
        names = mirror.names if changes.everything else changes.items
        for name in names:
            number = mirror.index.get(name)
            if number is None:
                continue
            mark = mirror.rows.training[number]
            if not mark and name not in self._marks:
                continue
            known = (mark, mirror.rows[number].edited_at)
            other = other or self._marks.get(name) != known
            if mark:
                self._marks[name] = known
            else:
                self._marks.pop(name, None)
        if other:
            self._fetch("training_examples", self._take_examples)

    def _follow_training(self) -> None:
        status = self.workspace.mirror.status
        training = status.training if status is not None else None
        if training is None:
            return
        known = self.workspace.training_seen
        now = (training.model, training.active, training.used)
        if known != now:
            self.workspace.training_seen = now
            if training.active and (known is None or known[0] != training.model):
                self._looked_at = ""  # what runs is what is looked at
            self._fetch("models", self._take_models)
            self._fetch("training_examples", self._take_examples)
        self._read_model()

    # what is read from disk

    def _read_model(self) -> None:
        """Curves, report and pictures of the model that is looked at, in a thread."""
        shown, client = self._shown(), self._client()
        if shown.model is None or client is None:
            return
        name, status = shown.model.name, shown.status
        ended = status is None or not status.active
        state = (name, status.phase, status.step) if status is not None else (name, "", 0)
        same = self._read[:2] == state[:2]
        if self._read == state or (same and time.monotonic() - self._read_at < AGAIN_S):
            return
        self._read, self._read_at = state, time.monotonic()

        def work() -> None:
            try:
                metrics = client.training_metrics(name)
            except (WarptuiError, KeyError, OSError):
                metrics = []
            report: dict[str, Any] = {}
            compared: Compared | str = "the pictures come when it is done"
            if ended:
                report, compared = read_compared(client, name)
            self.call_later(self._take_read, name, metrics, report, compared)

        self.run_worker(work, thread=True, group="read-model")

    def _take_read(
        self,
        name: str,
        metrics: list[dict[str, Any]],
        report: dict[str, Any],
        compared: Compared | str,
    ) -> None:
        if name == self._read[0] and self.alive:
            self._metrics, self._report, self._compared = metrics, report, compared
            self.show_pictures()
            self.show_all()

    # what is shown

    def _shown(self) -> Shown:
        """The model that is looked at, and all that is known of it."""
        mirror = self.workspace.mirror
        status = mirror.status.training if mirror.status is not None else None
        used = next((model.name for model in self._models if model.used), "")
        names = [model.name for model in self._models]
        if status is not None and status.phase == "done" and names and status.model not in names:
            status = None  # it was discarded
        name = self._looked_at or (status.model if status is not None else used)
        model = next((model for model in self._all_models() if model.name == name), None)
        known = self._read[:1] == (name,)
        return Shown(
            model,
            status if status is not None and status.model == name else None,
            self._metrics if known else (),
            self._report if known else {},
            self._compared.signs if known and isinstance(self._compared, Compared) else "",
            self._measure,
            begun_here=self.workspace.training_begun == name,
            lost=bool(self.workspace.lost),
            cost=self._cost if self.narrow or status is None else "",
            keys=self._keys,
        )

    def _all_models(self) -> tuple[ModelInfo, ...]:
        """Those that the engine lists, and the one that is being made."""
        status = self.workspace.mirror.status
        training = status.training if status is not None else None
        if training is None or not training.active:
            return self._models
        if all(model.name != training.model for model in self._models):
            made = ModelInfo(training.model, "training", start_from=training.start_from)
            return (made, *self._models)
        return tuple(
            replace(model, state="training") if model.name == training.model else model
            for model in self._models
        )

    @property
    def _keys(self) -> dict[str, str]:
        keys = self.workspace.config.get("keys", {})
        own = TRAINING
        names = ("start", "stop", "use", "discard", "resume")
        found = {name: key_name(keys, f"training.{name}", own) for name in names}
        return found | {"train": found["start"]}

    @property
    def _away(self) -> str:
        key = self.workspace.key("start-pause")
        return f"the engine is not reachable; {key} starts it"

    @property
    def _cost(self) -> str:
        """Of a training that could begin now; empty: none could."""
        if self._told is None or self._told.get("problem"):
            return ""
        return said.task(self._told, self._batch)

    @property
    def _batch(self) -> int | None:
        batch = next((entry for entry in self.draft.fields if entry.key == "batch"), None)
        value = self.draft.value(batch) if batch is not None else None
        return value if isinstance(value, int) else None

    # what the next one would take

    def _draft_changed(self) -> None:
        self.draft.check()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_S, self._ask_cost)
        self.show_all()

    def _ask_cost(self) -> None:
        self._asked += 1
        number = self._asked
        if self.draft.problems:
            return

        def take(told: dict[str, Any]) -> None:
            if number == self._asked:
                self._told = told
                self.show_all()

        self._fetch("preview_training", take, make_request(self.draft))
