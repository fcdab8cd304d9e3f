"""The data of the training screen, asked of the engine and read from disk, always in threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from textual.timer import Timer

from warptui.engine.errors import WarptuiError
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingStatus
from warptui.screens.keys.names import key_name
from warptui.screens.keys.tables.training import TRAINING
from warptui.screens.link.feed import Engine
from warptui.screens.link.mirror import Changes
from warptui.screens.page import Page
from warptui.screens.training import words as training_words
from warptui.screens.training.account import Shown
from warptui.screens.training.curves import MEASURES
from warptui.screens.training.form import make_request, training_draft
from warptui.screens.training.pictures import Compared, read_compared

PAUSE_S = 0.3  # s without a key after which the engine is asked what a training would cost
AGAIN_S = 2.0  # s between two readings of files that change during a training
EXAMPLES, MODELS, COST = "examples", "models", "cost"  # topics on which the engine is asked

T = TypeVar("T")


class TrainingData:
    """Training data, models, the last training and its measurements.

    ``changed`` is called when some of these change, ``pictures_read`` when the pictures of
    the selected model were read.
    """

    def __init__(
        self,
        page: Page,
        client: Callable[[], Engine | None],
        project: Path,
        changed: Callable[[], object],
        pictures_read: Callable[[], object],
    ) -> None:
        workspace = page.workspace
        self._page, self._workspace, self._client, self._project = page, workspace, client, project
        self._changed, self._pictures_read = changed, pictures_read
        self.examples: tuple[TrainingExample, ...] | None = None  # None: not asked for yet
        self.models: tuple[ModelInfo, ...] = ()  # those that the engine lists
        self.problems: dict[str, str] = {}  # by topic: why the engine did not answer
        self.preview: dict[str, Any] | None = None  # the engine's, of the next training
        self.looked_at = ""  # name of the model selected in the list; empty: the last trained one
        self.metrics: list[dict[str, Any]] = []
        self.compared: Compared | str = ""  # its pictures, or why they are missing
        self.measure = MEASURES[0]
        self.draft = training_draft((), workspace.training, workspace.config, project)
        self._report: dict[str, Any] = {}
        self._marks: dict[str, tuple[str, float]] = {}  # by item: what the examples show
        self._timer: Timer | None = None
        self._asked = 0  # numbers the requests for previews: only the newest counts
        self._read: tuple[Any, ...] = ()  # model, phase and step of the data read last
        self._read_at = float("-inf")  # monotonic
        self._version = -1  # version of the settings from which the form was made

    # data of the engine

    def refresh(self) -> None:
        """Ask again for examples and models, which may have changed."""
        self._ask_examples()
        self._ask_models()

    def _ask_examples(self) -> None:
        self._look_up(EXAMPLES, lambda engine: engine.training_examples(), self._take_examples)

    def _ask_models(self) -> None:
        self._look_up(MODELS, lambda engine: engine.models(), self._take_models)

    def _look_up(
        self, topic: str, call: Callable[[Engine], T], done: Callable[[T], object]
    ) -> None:
        """Ask the engine in a thread; if it refuses, keep the reason in `problems`."""

        def refused(problem: str) -> None:
            self.problems[topic] = problem
            self._changed()

        def answered(answer: T) -> None:
            self.problems.pop(topic, None)
            if self._page.alive:
                done(answer)

        self._call(call, answered, refused)

    def request(self, call: Callable[[Engine], T], done: Callable[[T], object]) -> None:
        """Ask the engine in a thread for the action of a key; if it refuses, show the reason."""

        def refused(problem: str) -> None:
            self._page.notify(problem, severity="error", markup=False)

        def answered(answer: T) -> None:
            if self._page.alive:
                done(answer)

        if self._client() is None:
            self._page.notify(self.not_reachable, severity="error")
        else:
            self._call(call, answered, refused)

    def _call(
        self,
        call: Callable[[Engine], T],
        answered: Callable[[T], object],
        refused: Callable[[str], object],
    ) -> None:
        client, page = self._client(), self._page
        if client is None:
            return

        def work() -> None:
            try:
                answer = call(client)
            except (WarptuiError, KeyError, OSError) as problem:
                page.call_later(refused, str(problem))
            else:
                page.call_later(answered, answer)

        page.run_worker(work, thread=True, group="training")

    def _take_examples(self, examples: list[TrainingExample]) -> None:
        if self.examples != tuple(examples):
            self.examples = tuple(examples)
            self._ask_cost()
        self._changed()

    def _take_models(self, models: list[ModelInfo]) -> None:
        if self.models != tuple(models):
            self.models = tuple(models)
            self.new_draft()
            self._ask_cost()
        self._changed()
        self.read_model()

    def new_draft(self) -> None:
        """Make the form again after settings, models or the changes for this training changed."""
        workspace = self._workspace
        self.draft = training_draft(
            self.models, workspace.training, workspace.config, self._project
        )
        self._version = workspace.settings_version

    def follow(self, changes: Changes) -> None:
        """Ask again for data that depend on the engine's events."""
        workspace = self._workspace
        if changes.everything and self._version != workspace.settings_version:
            self.new_draft()
            self._ask_models()
            self._ask_cost()
        if changes.items or changes.everything:
            self._notice_marks(changes)
        if changes.status or changes.everything:
            self._follow_training()

    def _notice_marks(self, changes: Changes) -> None:
        """Ask for examples again if a mark or the values of a marked item changed."""
        mirror, other = self._workspace.mirror, False
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
            self._ask_examples()

    def _follow_training(self) -> None:
        training = self.status
        if training is None:
            return
        known = self._workspace.training_seen
        now = (training.model, training.active, training.used)
        if known != now:
            self._workspace.training_seen = now
            if training.active and (known is None or known[0] != training.model):
                self.looked_at = ""  # the running training is selected
            self._ask_models()
            self._ask_examples()
        self.read_model()

    # data read from disk

    def read_model(self) -> None:
        """Read curves, report and pictures of the selected model, in a thread."""
        shown, client = self.shown(), self._client()
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
            self._page.call_later(self._take_read, name, metrics, report, compared)

        self._page.run_worker(work, thread=True, group="read-model")

    def _take_read(
        self,
        name: str,
        metrics: list[dict[str, Any]],
        report: dict[str, Any],
        compared: Compared | str,
    ) -> None:
        if name == self._read[0] and self._page.alive:
            self.metrics, self._report, self.compared = metrics, report, compared
            self._pictures_read()
            self._changed()

    # data to show

    @property
    def status(self) -> TrainingStatus | None:
        """The state of the training that runs or ran last."""
        status = self._workspace.mirror.status
        return status.training if status is not None else None

    @property
    def active(self) -> str:
        """The model being trained now; empty without a training."""
        training = self.status
        return training.model if training is not None and training.active else ""

    @property
    def processing(self) -> bool:
        """Whether the engine processes items, or would if there were any."""
        status = self._workspace.mirror.status
        return status is not None and status.state in ("running", "idle")

    def shown(self) -> Shown:
        """The selected model, and everything known about it."""
        status = self.status
        used = next((model.name for model in self.models if model.used), "")
        names = [model.name for model in self.models]
        if status is not None and status.phase == "done" and names and status.model not in names:
            status = None  # the model was discarded
        name = self.looked_at or (status.model if status is not None else used)
        model = next((model for model in self.all_models() if model.name == name), None)
        known = self._read[:1] == (name,)
        return Shown(
            model,
            status if status is not None and status.model == name else None,
            self.metrics if known else (),
            self._report if known else {},
            self.compared.signs if known and isinstance(self.compared, Compared) else "",
            self.measure,
            begun_here=self._workspace.training_begun == name,
            lost=bool(self._workspace.lost),
            cost=self.cost if self._page.narrow or status is None else "",
            keys=self.keys,
        )

    def look_at(self, name: str) -> None:
        """Select another model; empty: the last trained one."""
        self.looked_at = name
        self.read_model()

    def forget_model(self) -> None:
        """Forget the selected model, which was removed."""
        self.looked_at, self._read = "", ()

    def all_models(self) -> tuple[ModelInfo, ...]:
        """The models that the engine lists, and the one in training."""
        training = self.status
        if training is None or not training.active:
            return self.models
        if all(model.name != training.model for model in self.models):
            made = ModelInfo(training.model, "training", start_from=training.start_from)
            return (made, *self.models)
        return tuple(
            replace(model, state="training") if model.name == training.model else model
            for model in self.models
        )

    @property
    def keys(self) -> dict[str, str]:
        """The keys that texts name, by what they do."""
        keys = self._workspace.config.get("keys", {})
        names = ("start", "stop", "use", "discard", "resume")
        found = {name: key_name(keys, f"training.{name}", TRAINING) for name in names}
        return found | {"train": found["start"]}

    @property
    def connected(self) -> bool:
        """Whether the engine can be asked."""
        return self._client() is not None

    @property
    def not_reachable(self) -> str:
        """A sentence for an engine that is not reachable, with the key that starts one."""
        key = self._workspace.key("start-pause")
        return f"the engine is not reachable; {key} starts it"

    @property
    def cost(self) -> str:
        """Cost of a training that could be started now; empty if it cannot."""
        if self.preview is None or self.preview.get("problem"):
            return ""
        return training_words.task(self.preview, self.batch)

    @property
    def batch(self) -> int | None:
        """Batch size in pictures, from the form."""
        batch = next((entry for entry in self.draft.fields if entry.key == "batch"), None)
        value = self.draft.value(batch) if batch is not None else None
        return value if isinstance(value, int) else None

    # preview of the next training

    def draft_changed(self) -> None:
        """A field of the form changed: check it, and soon ask what the training costs."""
        self.draft.check()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._page.set_timer(PAUSE_S, self._ask_cost)
        self._changed()

    def _ask_cost(self) -> None:
        self._asked += 1
        number = self._asked
        if self.draft.problems:
            return

        def take(preview: dict[str, Any]) -> None:
            if number == self._asked:
                self.preview = preview
                self._changed()

        request = make_request(self.draft)
        self._look_up(COST, lambda engine: engine.preview_training(request), take)
