"""The training screen: examples, settings, the run, its results, and the models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from textual.containers import Container, Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.row import ItemRow
from warptui.screens.item import picks
from warptui.screens.keys.tables.training import TRAINING
from warptui.screens.link.feed import Engine
from warptui.screens.link.mirror import Changes
from warptui.screens.page import Page
from warptui.screens.training import words as training_words
from warptui.screens.training.account import Shown, account
from warptui.screens.training.actions import TrainingActions
from warptui.screens.training.curves import MEASURES, NAMES, loss_plot, scores_plot
from warptui.screens.training.data import COST, EXAMPLES, MODELS, TrainingData
from warptui.screens.training.pictures import Compared
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.example_list import ExampleList
from warptui.screens.widgets.lists.form_pane import Advice, FormPane
from warptui.screens.widgets.lists.model_list import ModelList
from warptui.screens.widgets.lists.text_pane import TextPane
from warptui.screens.widgets.pictures.twin_image import TwinImage
from warptui.screens.widgets.plots.chart import Chart
from warptui.screens.workspace import Workspace

BEFORE, AFTER = "before", "after"
LEAST_CURVES = 9  # height in lines
LEAST_RUN = 7
MOST_MODELS = 6  # rows that are shown without scrolling


class TrainingScreen(Page):
    """Shows everything that belongs to training BoxNet."""

    BINDINGS = list(TRAINING)
    PANES = ("Examples", "Settings", "Run", "Curves", "Pictures", "Models")
    HIDDEN = frozenset({"choose", "exclude", "problem", "export"})
    topic = "training"

    class Opened(Message):
        """Asks for the current item's screen."""

    def __init__(
        self, workspace: Workspace, client: Callable[[], Engine | None], project: Path
    ) -> None:
        super().__init__(workspace)
        self.data = TrainingData(self, client, project, self.show_all, self.show_pictures)
        self._actions = TrainingActions(self, self.data, client, self._go_to_field, self._show_run)
        # model, measurements and measure for which the curves were drawn
        self._drawn: tuple[str, int, str] | None = None

    def content(self) -> Iterable[Widget]:
        yield Static(classes="tabs", markup=False)
        with Horizontal(id="training"):
            with Vertical(id="training-left"):
                yield ExampleList(id="examples")
                yield FormPane(flat=True, id="training-form")
                yield Advice(id="training-advice")
                yield ModelList(id="models")
            with Container(id="training-right"):
                with Vertical(id="training-run"):
                    yield TextPane(id="run")
                    with Horizontal(id="curves"):
                        yield Chart(id="scores")
                        yield Chart(id="loss")
                with Container(id="training-pictures"):
                    yield TwinImage(id=BEFORE, classes="picture")
                    yield TwinImage(id=AFTER, classes="picture")

    def opened(self) -> None:
        for name, title in (
            ("examples", "Examples"),
            ("training-form", "Settings of the next training"),
            ("models", "Models"),
            ("run", "Run"),
            ("loss", "Loss by epoch"),
        ):
            self.query_one(f"#{name}").border_title = title
        before, after = (self.query_one(f"#{name}", TwinImage) for name in (BEFORE, AFTER))
        before.twin, after.twin = after, before
        self.add_class("-no-curves", "-no-pictures")
        self.examples.focus()

    @property
    def examples(self) -> ExampleList:
        """The list of marked micrographs."""
        return self.query_one(ExampleList)

    @property
    def models(self) -> ModelList:
        """The list of models."""
        return self.query_one(ModelList)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.data.refresh()

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        self.data.follow(changes)
        self.show_all()

    def targets(self) -> list[ItemRow]:
        example = self.examples.current if self.focused is self.examples else None
        number = self.workspace.mirror.index.get(example.name) if example is not None else None
        return [] if number is None else [self.workspace.mirror.rows[number]]

    def draw_choices(self, names: set[str]) -> None:
        """The screen does not depend on choices."""

    def draw_current(self) -> None:
        """The screen does not depend on the cursor among the items."""

    def show_all(self) -> None:
        """Repaint everything except the pictures."""
        if not self.alive:
            return
        data = self.data
        models = data.all_models()
        waiting = "asking the engine" if data.connected else data.not_reachable
        known = data.examples or ()
        self.examples.show(known, "" if known else self._no_examples(waiting))
        shown = data.shown()
        self.models.show(models, data.problems.get(MODELS, waiting))
        if shown.model is not None:
            self.models.point_at(shown.model.name)
        frame = 0 if self.narrow else 2
        self.models.styles.height = min(max(len(models), 1), MOST_MODELS) + 1 + frame
        form = self.query_one(FormPane)
        form.show(data.draft, {})
        self.query_one(Advice).show(self._about_field(form), self._outlook())
        run = self.query_one("#run", TextPane)
        run.show(account(shown, run.colours, run.glyphs))
        room = self.query_one("#training-run").size.height
        least = 0 if self.narrow else LEAST_CURVES
        wanted = run.lines_at(run.size.width or 60) + frame
        run.styles.height = min(wanted, max(room - least, LEAST_RUN))
        if shown.model is not None:
            run.border_title = f"Run: {shown.model.name}"
        self._show_curves(shown)

    def _show_curves(self, shown: Shown) -> None:
        metrics, measure = shown.metrics, self.data.measure
        state = (shown.model.name if shown.model else "", len(metrics), measure)
        if state == self._drawn:
            return  # plotext takes many milliseconds for a large plot
        self._drawn = state
        self.set_class(not metrics, "-no-curves")
        scores, loss = self.query_one("#scores", Chart), self.query_one("#loss", Chart)
        scores.border_title = f"{NAMES[measure]} by epoch; h e c: before"
        scores.show(scores_plot(metrics, measure) if metrics else "no curves yet")
        loss.show(loss_plot(metrics) if metrics else "")

    def show_pictures(self) -> None:
        """Repaint the pictures of the selected model."""
        compared = self.data.compared
        self.set_class(not isinstance(compared, Compared), "-no-pictures")
        for which in (BEFORE, AFTER):
            image = self.query_one(f"#{which}", TwinImage)
            if isinstance(compared, Compared):
                image.entitle(compared.title(which))
                image.show(compared.picture(which))
            else:
                image.entitle(which)
                image.show(compared or "no pictures yet")

    def _no_examples(self, waiting: str) -> str:
        if problem := self.data.problems.get(EXAMPLES):
            return problem
        if self.data.examples is None:
            return waiting
        keys = self.workspace.config.get("keys", {})
        return training_words.how_to_mark(keys)

    def _about_field(self, form: FormPane) -> list[list[Piece]]:
        entry, colours = form.current, self.query_one(Advice).colours
        if entry is None:
            return []
        problem = form.problem if form.typing else self.data.draft.problems.get(entry.name)
        if problem:
            return [[(" ! ", colours["alert"] + BOLD), (problem, colours["alert"])]]
        text = f"{entry.help} ({entry.allowed})"
        if self.data.draft.is_changed(entry):
            before = entry.show(self.data.draft.before(entry)) or "empty"
            text += f"; {before} in config.toml: this training alone has another"
        return [[(f" {entry.key}  ", BOLD), (text, colours["muted"])]]

    def _outlook(self) -> list[list[Piece]]:
        """The particles' size, and what a training would take."""
        colours = self.query_one(Advice).colours
        diameter = self.workspace.config.get(picks.STAGE, {}).get("diameter_angstrom")
        size = f"{diameter:g} Å" if diameter else self.query_one(Advice).glyphs.unknown
        key = self.workspace.key("settings")
        lines: list[list[Piece]] = [
            [(" particles of ", colours["muted"]), (size, BOLD),
             (f": picking.diameter_angstrom ({key})", colours["muted"])],
        ]  # fmt: skip
        if self.data.draft.problems:
            name, text = next(iter(self.data.draft.problems.items()))
            return [*lines, [(" ! ", colours["alert"] + BOLD), (f"{name}: {text}", PLAIN)]]
        if active := self.data.active:
            text = f" {active} is being trained: settings are of the next one"
            return [*lines, [(text, colours["muted"])]]
        preview = self.data.preview
        if preview is None:
            waiting = "asking what it takes" if self.data.connected else self.data.not_reachable
            why = self.data.problems.get(COST) or waiting
            return [*lines, [(f" {why}", colours["muted"])]]
        if problem := preview.get("problem"):
            return [*lines, [(" ! ", colours["warning-text"] + BOLD), (str(problem), PLAIN)]]
        lines.append(
            [
                (f" {self.data.keys['train']}: ", BOLD),
                (training_words.task(preview, self.data.batch), BOLD),
            ]
        )
        return lines

    # actions of keys

    def action_train(self) -> None:
        self._actions.train()

    def action_resume(self) -> None:
        self._actions.resume()

    def action_stop(self) -> None:
        self._actions.stop()

    def action_use(self) -> None:
        self._actions.use()

    def action_discard(self) -> None:
        self._actions.discard()

    def action_measure(self) -> None:
        data = self.data
        data.measure = MEASURES[(MEASURES.index(data.measure) + 1) % len(MEASURES)]
        self.show_all()

    # handling the form

    def on_form_pane_changed(self) -> None:
        self.data.draft_changed()

    def on_form_pane_typed(self) -> None:
        self.show_all()

    def on_field_list_moved(self) -> None:
        self.show_all()

    def action_undo(self) -> None:
        entry = self.query_one(FormPane).current
        if entry is not None and self.query_one(FormPane).fields.has_focus:
            self.data.draft.undo(entry)
            self.data.draft_changed()

    # handling the lists

    def on_list_pane_moved(self) -> None:
        if self.focused is self.models and self.models.current is not None:
            self.data.look_at(self.models.current.name)
            self.show_all()

    def on_list_pane_opened(self) -> None:
        if self.focused is self.models:
            self.on_list_pane_moved()
            self._show_run()
            return
        example = self.examples.current
        if example is not None and example.name in self.workspace.mirror.index:
            self.workspace.go_to(example.name)
            self.post_message(self.Opened())
        elif example is not None:
            self.notify(f"{example.name} is not in this session any more", markup=False)

    def action_mark(self) -> None:
        example = self.examples.current
        if example is None or self.focused is not self.examples:
            self.notify("no example is under the cursor: choose one in the list of examples")
            return
        role = {"examples": "held-out", "held-out": ""}.get(example.role, "examples")

        def done(_: object) -> None:
            self.data.refresh()
            if not role:
                text = f"{example.name} is no example now; its edits stay. Its own screen marks it"
                self.notify(text, markup=False)

        def take(detail: ItemDetail) -> None:
            if detail.edits_problem:
                self.notify(detail.edits_problem, severity="error", markup=False)
                return
            from warptui.engine.model.edits import Edits  # imported late: needs pydantic

            edits = Edits.model_validate({**detail.edits, "training": role})
            self.data.request(lambda engine: engine.edit(example.name, edits), done)

        self.data.request(lambda engine: engine.item(example.name), take)

    def _show_run(self) -> None:
        """Show the pane of the run, where the window shows one pane at a time."""
        if self.narrow:
            self.turn_to("Run")

    def _go_to_field(self, name: str) -> None:
        self.query_one(FormPane).fields.go(name)

    def turn_to(self, pane: str) -> None:
        """Show another pane, where the window shows one pane at a time."""
        self._pane = self.PANES.index(pane)
        self._show_pane()
        self._focus_pane()
        self.call_after_refresh(self.show, Changes(everything=True, values=True, status=True))

    def action_pane(self, step: int) -> None:
        super().action_pane(step)
        if self.narrow:
            self._focus_pane()

    def _focus_pane(self) -> None:
        """Give the focus to the visible pane, in a window that shows one pane."""
        ids = {
            "Examples": "examples",
            "Run": "run",
            "Curves": "scores",
            "Pictures": AFTER,
            "Models": "models",
        }
        name = self.PANES[self._pane]
        widget = self.query_one(f"#{ids[name]}") if name in ids else self.query_one(FormPane).fields
        self.call_after_refresh(widget.focus)
