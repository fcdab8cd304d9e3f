"""The trial screen: run a stage with other settings on one item, and compare the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Footer, Static

from warptui.engine.errors import WarptuiError
from warptui.engine.model.detail import Trial
from warptui.screens import words
from warptui.screens.dialogs.prompts import Choose
from warptui.screens.keys.tables.item import TRIAL as TRIAL_KEYS
from warptui.screens.link.feed import Engine
from warptui.screens.look.glyphs import plain
from warptui.screens.look.palette import Palette
from warptui.screens.settings.applying import apply
from warptui.screens.settings.cost import cost
from warptui.screens.settings.form import Draft, Values, all_fields
from warptui.screens.stages.view import Fact, Loaded, Pane, Side, StageView
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece
from warptui.screens.widgets.lists.form_pane import Advice, FormPane
from warptui.screens.widgets.lists.text_pane import TextPane
from warptui.screens.widgets.pictures.image import Image
from warptui.screens.workspace import Workspace

SLIM = 76  # columns below which numbers and pictures take turns
PAUSE_S = 0.3  # s without a key after which the engine is asked what adopting costs
LABEL_WIDTH, VALUE_WIDTH = 12, 14
STORED, TRIAL = "stored", "trial"


class TrialScreen(ModalScreen[None]):
    """Tries the settings of one stage on one item; stores nothing unless they are adopted."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (SLIM, "-narrow"), (100, "-normal")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-high")]
    BINDINGS = list(TRIAL_KEYS)

    def __init__(
        self,
        workspace: Workspace,
        client: Callable[[], Engine | None],
        project: Path,
        view: StageView,
        stored: Loaded,
    ) -> None:
        super().__init__()
        assert stored.detail is not None
        self._workspace, self._client, self._view = workspace, client, view
        self._item, self._stored = stored.detail.row.name, stored
        self._panes = [pane for pane in view.panes if pane.side is Side.FOURIER]
        fields = tuple(
            entry
            for entry in all_fields()
            if entry.section == view.stage and entry.key != "enabled"
        )
        self.draft = Draft(fields, workspace.trial, project)
        self.draft.rebase(workspace.config)
        self._trying = False
        self._tried: Loaded | None = None  # the item with the trial's result
        self._trial: Trial | None = None
        self._tried_values: Values = {}
        self._failed = ""
        self._cost = ""
        self._turned = 0  # which pictures a small window shows
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="trial-top"):
            yield FormPane(flat=True, id="trial-form")
            yield TextPane(id="trial-numbers")
        with Horizontal(id="trial-pictures"):
            for which in (STORED, TRIAL):
                with Vertical(id=f"{which}-side"):
                    yield Static(f" {which}", classes="which", markup=False)
                    yield from self._widgets(which)
        yield Advice(id="trial-advice")
        yield Footer(show_command_palette=False, compact=True)

    def _widgets(self, which: str) -> Iterable[Widget]:
        for pane in self._panes:
            yield pane.widget(id=f"{which}-{pane.id}", classes="pane")

    def on_mount(self) -> None:
        for widget in self.query(LineWidget):
            widget.drawing = self._workspace.drawing
        for which in (STORED, TRIAL):
            for pane in self._panes:
                widget, title = self.query_one(f"#{which}-{pane.id}"), f"{which}: {pane.title}"
                if isinstance(widget, Image):
                    widget.entitle(title)
                else:
                    widget.border_title = plain(title, self._workspace.drawing)
        self.query_one("#trial-form").border_title = f"{self._view.stage} settings to try"
        self.query_one("#trial-numbers").border_title = self._item
        self.query_one(FormPane).focus_fields()
        self._draft_changed()
        self._turn(len(self._panes) if self.app.size.width < SLIM else 0)
        for pane in self._panes:
            self._show_pane(STORED, pane, self._stored)
        self._show_tried()

    @property
    def alive(self) -> bool:
        """Whether the screen is still open when a thread comes back."""
        return self in self.app.screen_stack and bool(self.query(Advice))

    # the form

    def on_form_pane_changed(self) -> None:
        self._draft_changed()

    def on_form_pane_typed(self) -> None:
        self._show()

    def on_field_list_moved(self) -> None:
        self._show()

    def action_undo(self) -> None:
        entry = self.query_one(FormPane).current
        if entry is not None:
            self.draft.undo(entry)
            self._draft_changed()

    def action_undo_all(self) -> None:
        self.draft.undo_all()
        self._draft_changed()

    def _draft_changed(self) -> None:
        self.draft.check()
        self._cost = ""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_S, self._ask_cost)
        self._show()

    def _ask_cost(self) -> None:
        client, changes = self._client(), _copy(self.draft.changes)
        if client is None or not changes or self.draft.problems:
            return

        def work() -> None:
            try:
                sentence = cost(client.preview(changes))
            except (WarptuiError, KeyError) as problem:
                sentence = str(problem)
            self.call_later(self._take_cost, changes, sentence)

        self.run_worker(work, thread=True, group="preview", exclusive=True)

    def _take_cost(self, changes: Values, sentence: str) -> None:
        if changes == self.draft.changes:
            self._cost = sentence
            self._show()

    # the trial

    def action_try(self) -> None:
        client = self._client()
        if self._trying:
            self.notify("it runs already; x stops it")
            return
        if self.draft.problems:
            name, text = next(iter(self.draft.problems.items()))
            self.query_one(FormPane).fields.go(name)
            self.notify(f"not tried: {name}: {text}", severity="error", markup=False)
            return
        if client is None:
            self.notify("the engine is not reachable", severity="error")
            return
        self._trying, self._failed = True, ""
        self._trial = self._tried = None
        self._show_tried()
        values = self.draft.all_values()

        def work() -> None:
            try:
                trial = client.try_settings(self._item, values)
            except (WarptuiError, KeyError) as problem:
                self.call_later(self._refused, str(problem.args[0]))
                return
            self.call_later(self._take_trial, values, trial, self._as_item(trial))

        self.run_worker(work, thread=True, group="trial")

    def _as_item(self, trial: Trial) -> Loaded:
        """The item with the trial's result and picture; in a thread."""
        detail = self._stored.detail
        assert detail is not None
        stage, results = self._view.stage, {**detail.results, self._view.stage: trial.result}
        shown = self._view.pictures
        paths = {name: path for name, path in detail.paths.items() if name not in shown}
        paths |= {name: path for name, path in trial.pictures.items() if name in shown}
        detail = replace(detail, results=results, paths=paths)
        parts = {**self._stored.parts, stage: self._view.read(detail)}
        return Loaded(detail, parts)

    def _take_trial(self, values: Values, trial: Trial, tried: Loaded) -> None:
        self._trying = False
        self._trial, self._tried, self._tried_values = trial, tried, values
        self._show_tried()

    def _refused(self, reason: str) -> None:
        self._trying, self._failed = False, reason
        self._show_tried()

    def action_stop(self) -> None:
        client = self._client()
        if not self._trying or client is None:
            self.notify("no trial runs")
            return
        self.run_worker(lambda: self._drop(client), thread=True, group="drop")

    def _drop(self, client: Engine) -> None:
        try:
            client.drop_trial(self._item)
        except (WarptuiError, KeyError) as problem:
            self.app.call_later(self.notify, str(problem), severity="error", markup=False)

    def action_leave(self) -> None:
        client = self._client()
        if self._trying and client is not None:
            # sent by the app: this screen is gone before the engine has answered
            self.app.run_worker(lambda: self._drop(client), thread=True, group="drop")
        self.dismiss(None)

    # adopting

    def action_adopt(self) -> None:
        if self._trial is None or self._tried_values != self.draft.all_values():
            self.notify("these settings were not tried yet: t tries them", severity="warning")
            return
        changes = _copy(self.draft.changes)
        if not changes:
            self.notify("nothing to adopt: these settings are in use")
            return
        shown = [
            f"{entry.name} {entry.show(self.draft.before(entry))} -> "
            f"{entry.show(self.draft.value(entry))} {entry.unit}".rstrip()
            for entry in self.draft.changed()
        ]
        text = "\n".join([*shown, "", f"For all items: {self._cost or 'cost not known yet'}."])
        answers = {"y": "write into config.toml", "n": "not now"}

        def answered(answer: str | None) -> None:
            if answer == "y":
                self._apply(changes)

        self.app.push_screen(Choose("Adopt these settings", text, answers), answered)

    def _apply(self, changes: Values) -> None:
        client, status = self._client(), self._workspace.mirror.status
        if client is None:
            self.notify("the engine is not reachable", severity="error")
            return
        locked = status is not None and status.state == "running"

        def work() -> None:
            try:
                apply(client, changes, locked=locked)
            except (WarptuiError, KeyError) as problem:
                sentence = f"not applied: {problem}"
                self.app.call_later(self.notify, sentence, severity="error", markup=False)
            else:
                self.app.call_later(self._adopted)

        self.run_worker(work, thread=True, group="apply")

    def _adopted(self) -> None:
        self.notify("adopted for all items: written into config.toml")
        self.draft.undo_all()
        if self.is_current:
            self.dismiss(None)

    # showing

    def action_turn(self) -> None:
        self._turn(self._turned + 1)

    def _turn(self, number: int) -> None:
        """Show the next pictures; a narrow window also has a turn with the numbers alone."""
        slim = self.app.size.width < SLIM
        self._turned = number % (len(self._panes) + slim)
        self.set_class(self._turned < len(self._panes), "-pictures")
        for position, pane in enumerate(self._panes):
            for which in (STORED, TRIAL):
                shown = position == self._turned
                self.query_one(f"#{which}-{pane.id}").set_class(shown, "-shown")

    def _show_tried(self) -> None:
        if not self.alive:
            return
        for pane in self._panes:
            self._show_pane(TRIAL, pane, self._tried)
        self._show()

    def _show_pane(self, which: str, pane: Pane, loaded: Loaded | None) -> None:
        if loaded is not None:
            content = pane.content(loaded)
        elif self._trying:
            content = "a worker takes it as soon as one is free"
        else:
            content = self._failed or "t tries these settings on this item"
        self.query_one(f"#{which}-{pane.id}").show(content)  # pyright: ignore[reportAttributeAccessIssue]

    def _show(self) -> None:
        if not self.alive:
            return
        form, advice = self.query_one(FormPane), self.query_one(Advice)
        form.show(self.draft, {})
        stage, compared = self._view.stage, self._view.compared
        tried = compared(self._trial.result) if self._trial else []
        notes = self._trial.result.get("notes") or () if self._trial else ()
        self.query_one("#trial-numbers", TextPane).show(
            comparison(compared(self._stored.result(stage)), tried, notes, advice.colours)
        )
        advice.show(self._about_field(form, advice.colours), self._outlook(advice.colours))

    def _about_field(self, form: FormPane, colours: Palette) -> list[list[Piece]]:
        entry = form.current
        if entry is None:
            return []
        problem = form.problem if form.typing else self.draft.problems.get(entry.name)
        if problem:
            return [[(" ! ", colours["alert"] + BOLD), (problem, colours["alert"])]]
        used = entry.show(self.draft.before(entry))
        sentence = f"{entry.help} ({entry.allowed}; in use {used})"
        return [[(f" {entry.key}  ", BOLD), (sentence, colours["muted"])]]

    def _outlook(self, colours: Palette) -> list[list[Piece]]:
        """The state of the trial, and what adopting its settings would cost."""
        n = self.draft.n_changes
        adopting = f"for all items: {self._cost or 'asking what it costs'}" if n else ""
        if self._trying:
            head = [(" trial: ", colours["state-running"] + BOLD), ("runs; x stops it", PLAIN)]
        elif self._failed:
            return [[(" ! trial: ", colours["alert"] + BOLD), (self._failed, PLAIN)]]
        elif self._trial is None:
            head = [(" nothing was tried yet: ", BOLD), ("t tries, enter edits a value", PLAIN)]
        elif self._tried_values != self.draft.all_values():
            head = [(" trial of other settings: ", BOLD), ("t tries these", PLAIN)]
        else:
            took = f"{self._trial.seconds:.1f} s on {self._trial.device}"
            sentence = f"{took}; nothing is stored. " + ("A adopts, esc discards" if n else "")
            head = [(" trial: ", colours["state-done"] + BOLD), (sentence, PLAIN)]
        return [head, *([[(f" {adopting}", PLAIN)]] if adopting else ())]


def comparison(
    stored: Sequence[Fact], tried: Sequence[Fact], notes: Iterable[str], colours: Palette
) -> list[list[Piece]]:
    """Stored and tried values side by side; different values are bold."""
    muted, known, new = colours["muted"], dict(stored), dict(tried)
    lines: list[list[Piece]] = [
        [(f" {'':{LABEL_WIDTH}}{STORED:{VALUE_WIDTH}}", muted), (TRIAL, muted)]
    ]
    for label in known | new:
        before, now = known.get(label, words.UNKNOWN), new.get(label, "")
        lines.append(
            [
                (f" {label:{LABEL_WIDTH}}", muted),
                (f"{before:{VALUE_WIDTH}}", PLAIN),
                (now, PLAIN if now == before else BOLD),
            ]
        )
    return lines + [[(" note ", muted), (str(note), PLAIN)] for note in notes]


def _copy(values: Values) -> Values:
    return {section: dict(entries) for section, entries in values.items()}
