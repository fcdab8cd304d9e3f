"""Teaching BoxNet: examples, settings, the run, what came of it, and which model is used."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container, Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.row import ItemRow
from warptui.screens.item import picks
from warptui.screens.link.mirror import Changes
from warptui.screens.training import words as said
from warptui.screens.training.account import Shown, account
from warptui.screens.training.actions import TrainingActions
from warptui.screens.training.curves import NAMES, loss_plot, scores_plot
from warptui.screens.training.keys import TRAINING_KEYS, how_to_mark
from warptui.screens.training.pictures import Compared
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.example_list import ExampleList
from warptui.screens.widgets.lists.form_pane import Advice, FormPane
from warptui.screens.widgets.lists.model_list import ModelList
from warptui.screens.widgets.lists.text_pane import TextPane
from warptui.screens.widgets.pictures.twin_image import TwinImage
from warptui.screens.widgets.plots.chart import Chart

BEFORE, AFTER = "before", "after"
LEAST_CURVES = 9  # lines
LEAST_RUN = 7
MOST_MODELS = 6  # that are seen without scrolling


class TrainingScreen(TrainingActions):
    """One page for all that belongs to a training."""

    BINDINGS = list(TRAINING_KEYS)
    PANES = ("Examples", "Settings", "Run", "Curves", "Pictures", "Models")
    HIDDEN = frozenset({"choose", "exclude", "problem", "export"})
    topic = "training"

    _drawn: tuple[str, int, str] | None = None  # model, measurements and measure of the curves

    class Opened(Message):
        """The current item is to be looked at."""

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
        """The micrographs that are marked."""
        return self.query_one(ExampleList)

    @property
    def models(self) -> ModelList:
        """What could be picked with."""
        return self.query_one(ModelList)

    def targets(self) -> list[ItemRow]:
        example = self.examples.current if self.focused is self.examples else None
        number = self.workspace.mirror.index.get(example.name) if example is not None else None
        return [] if number is None else [self.workspace.mirror.rows[number]]

    def draw_choices(self, names: set[str]) -> None:
        """Nothing here depends on them."""

    def draw_current(self) -> None:
        """The cursor among the items is not seen here."""

    def show_all(self) -> None:
        if not self.alive:
            return
        models = self._all_models()
        waiting = "asking the engine" if self._client() is not None else self._away
        known = self._examples or ()
        self.examples.show(known, "" if known else self._no_examples(waiting))
        shown = self._shown()
        self.models.show(models, self._problems.get("models", waiting))
        if shown.model is not None:
            self.models.point_at(shown.model.name)
        frame = 0 if self.narrow else 2
        self.models.styles.height = min(max(len(models), 1), MOST_MODELS) + 1 + frame
        form = self.query_one(FormPane)
        form.show(self.draft, {})
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
        metrics, measure = shown.metrics, self._measure
        state = (shown.model.name if shown.model else "", len(metrics), measure)
        if state == self._drawn:
            return  # large ones take plotext many milliseconds
        self._drawn = state
        self.set_class(not metrics, "-no-curves")
        scores, loss = self.query_one("#scores", Chart), self.query_one("#loss", Chart)
        scores.border_title = f"{NAMES[measure]} by epoch; h e c: before"
        scores.show(scores_plot(metrics, measure) if metrics else "no curves yet")
        loss.show(loss_plot(metrics) if metrics else "")

    def show_pictures(self) -> None:
        compared = self._compared
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
        if problem := self._problems.get("training_examples"):
            return problem
        if self._examples is None:
            return waiting
        keys = self.workspace.config.get("keys", {})
        return how_to_mark(keys)

    def _about_field(self, form: FormPane) -> list[list[Piece]]:
        entry, colours = form.current, self.query_one(Advice).colours
        if entry is None:
            return []
        problem = form.problem if form.typing else self.draft.problems.get(entry.name)
        if problem:
            return [[(" ! ", colours["alert"] + BOLD), (problem, colours["alert"])]]
        text = f"{entry.help} ({entry.allowed})"
        if self.draft.is_changed(entry):
            before = entry.show(self.draft.before(entry)) or "empty"
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
        if self.draft.problems:
            name, text = next(iter(self.draft.problems.items()))
            return [*lines, [(" ! ", colours["alert"] + BOLD), (f"{name}: {text}", PLAIN)]]
        if active := self._active():
            text = f" {active} is being trained: settings are of the next one"
            return [*lines, [(text, colours["muted"])]]
        if self._told is None:
            why = self._problems.get("preview_training", "")
            why = why or ("asking what it takes" if self._client() is not None else self._away)
            return [*lines, [(f" {why}", colours["muted"])]]
        if problem := self._told.get("problem"):
            return [*lines, [(" ! ", colours["warning-text"] + BOLD), (str(problem), PLAIN)]]
        lines.append(
            [(f" {self._keys['train']}: ", BOLD), (said.task(self._told, self._batch), BOLD)]
        )
        return lines

    # the form

    def on_form_pane_changed(self) -> None:
        self._draft_changed()

    def on_form_pane_typed(self) -> None:
        self.show_all()

    def on_field_list_moved(self) -> None:
        self.show_all()

    def action_undo(self) -> None:
        entry = self.query_one(FormPane).current
        if entry is not None and self.query_one(FormPane).fields.has_focus:
            self.draft.undo(entry)
            self._draft_changed()

    # lists

    def on_list_pane_moved(self) -> None:
        if self.focused is self.models and self.models.current is not None:
            self._looked_at = self.models.current.name
            self._read_model()
            self.show_all()

    def on_list_pane_opened(self) -> None:
        if self.focused is self.models:
            self.on_list_pane_moved()
            if self.narrow:
                self.turn_to("Run")
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
            self.ask_again()
            if not role:
                text = f"{example.name} is no example now; its edits stay. Its own screen marks it"
                self.notify(text, markup=False)

        def take(detail: ItemDetail) -> None:
            if detail.edits_problem:
                self.notify(detail.edits_problem, severity="error", markup=False)
                return
            edits = {**detail.edits, "training": role}
            self._fetch("edit", done, example.name, edits, quiet=False)

        self._fetch("item", take, example.name, quiet=False)

    def turn_to(self, pane: str) -> None:
        self._pane = self.PANES.index(pane)
        self._show_pane()
        self._focus_pane()
        self.call_after_refresh(self.show, Changes(everything=True, values=True, status=True))

    def action_pane(self, step: int) -> None:
        super().action_pane(step)
        if self.narrow:
            self._focus_pane()

    def _focus_pane(self) -> None:
        """The keys of what is seen, in a window that shows one pane."""
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
