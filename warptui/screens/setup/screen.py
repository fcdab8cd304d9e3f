"""The first page of a new project: movies found, settings proposed, and values that are missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.events import Event
from textual.filter import LineFilter
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Static

from warptui.engine.errors import SettingsError, WarptuiError
from warptui.engine.project.paths import CONFIG_NAME
from warptui.screens.dialogs.windows import TextDialog
from warptui.screens.keys.order import KeyOrder, KeyPassed
from warptui.screens.keys.tables.settings import FIRST_RUN
from warptui.screens.look.appearance import Appearance
from warptui.screens.look.glyphs import Drawing
from warptui.screens.look.palette import VARIABLES
from warptui.screens.settings.form import Draft, Field, Kind, Values, all_fields
from warptui.screens.setup.survey import Found, Survey, survey
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece
from warptui.screens.widgets.lists.form_pane import Advice, FormPane
from warptui.screens.widgets.lists.text_pane import TextPane

MISSING = "missing"
PAUSE_S = 0.4  # s without a key after which a changed folder is looked at
PROJECT = Field(
    section="",
    key="project",
    kind=Kind.PATH,
    unit="",
    help="where config.toml and all results go",
    allowed="a folder; made where it is not there",
    default="",
)
ASKED = (
    "input.folder",
    "input.pattern",
    "input.recursive",
    "input.pixel_size",
    "input.dose_per_frame",
    "input.gain",
    "input.gain_flip_x",
    "input.gain_flip_y",
    "input.gain_transpose",
    "optics.voltage",
    "optics.cs",
)
LOOK_AGAIN = ("folder", "pattern", "recursive", "gain", "project")  # fields that a look depends on


class FirstDraft(Draft):
    """The form of a new project: proposed settings, and the project folder."""

    def check(self, trial: tuple[Field, Any] | None = None) -> dict[str, str]:
        """As in the settings screen; the project folder is no setting, and must be writable."""
        project = str(trial[1] if trial and trial[0] == PROJECT else self.value(PROJECT) or "")
        found = super().check(trial)
        if problem := unusable(project):
            found[PROJECT.name] = problem
        if trial is None:
            self.problems = found
        return found

    def settings(self) -> Values:
        """All values except the project folder."""
        return {section: values for section, values in self.all_values().items() if section}

    def path(self, value: str) -> Path:
        """The file that a path names, relative to the project."""
        return self.project / Path(value).expanduser()

    @property
    def project(self) -> Path:
        """The folder of the new project."""
        return Path(str(self.value(PROJECT) or ".")).expanduser().absolute()


class FirstRun(Screen[Path | None]):
    """Shows the first page. Gives the project after config.toml is written; None if it was left."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-low"), (32, "-high")]
    BINDINGS = list(FIRST_RUN)
    DEFAULT_CSS = """
    #first-title { height: 1; padding: 0 1; text-style: bold; background: $surface; }
    FirstRun #found { height: 10; border: round $foreground 25%; }
    FirstRun FormPane { border: round $foreground 25%; }
    FirstRun FormPane:focus-within { border: round $border; }
    FirstRun Advice { height: 5; padding: 0; }
    FirstRun.-ascii #found, FirstRun.-ascii FormPane { border: ascii $foreground 25%; }
    FirstRun.-narrow #found, FirstRun.-narrow FormPane, FirstRun.-narrow FormPane:focus-within {
        border: none;
    }
    FirstRun.-short #found { height: 4; }
    FirstRun.-short Advice { height: 4; }
    FirstRun.-low #found { height: 6; }
    """

    def __init__(
        self, folder: Path, ask: Survey = survey, drawing: Drawing = Drawing.QUADRANT
    ) -> None:
        super().__init__()
        folder = folder.absolute()
        fields = {entry.name: entry for entry in all_fields()}
        asked = (PROJECT, *(fields[name] for name in ASKED))
        self.draft = FirstDraft(asked, {}, folder)
        self.draft.base = {"": {"project": str(folder)}, "input": {"folder": str(folder)}}
        self.found: Found | None = None
        self._folder, self._ask, self._drawing = folder, ask, drawing
        self._problem = ""  # why nothing was found
        self._number = 0
        self._timer: Timer | None = None
        self._looked_for: object = None

    def compose(self) -> ComposeResult:
        title = f"A new session: {self._folder} has no {CONFIG_NAME} yet"
        yield Static(title, id="first-title", markup=False)
        yield TextPane(id="found")
        yield FormPane(flat=True, id="form")
        yield Advice(id="advice")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        for widget in self.query(LineWidget):
            widget.drawing = self._drawing
        self.set_class(self._drawing is Drawing.ASCII, "-ascii")
        self.query_one("#found").border_title = "Found"
        self.query_one(FormPane).border_title = "Settings to begin with"
        self.query_one(FormPane).focus_fields()
        self.draft.check()
        self._look()

    # looking into the folder, in a thread

    def _look(self) -> None:
        self._timer = None
        self._number += 1
        number, draft = self._number, self.draft
        project, folder = draft.project, draft.path(str(self._given_folder()))
        given = dict(draft.changes.get("input", {}))
        if given.get("gain"):
            given["gain"] = str(draft.path(str(given["gain"])))
        self._looked_for = self._wanted()
        self.found, self._problem = None, ""

        def work() -> None:
            try:
                found: Found | str = self._ask(project, folder, {"input": given})
            except WarptuiError as problem:
                found = str(problem)
            self.call_later(self._take, number, found)

        self.run_worker(work, thread=True, group="survey")
        self._show()

    def _given_folder(self) -> str:
        """The folder to look into: the typed one, else the one given on the command line."""
        typed = self.draft.changes.get("input", {}).get("folder")
        return str(typed) if typed else str(self._folder)

    def _wanted(self) -> object:
        changes = self.draft.changes.get("input", {})
        return (str(self.draft.project), *(str(changes.get(key)) for key in LOOK_AGAIN))

    def _take(self, number: int, found: Found | str) -> None:
        if number != self._number:
            return
        if isinstance(found, str):
            self._problem = found
        else:
            self.found = found
            proposed = {section: dict(values) for section, values in found.settings.items()}
            fitting = [gain["path"] for gain in found.gains if gain["fits"]]
            if found.facts.get("format") in ("tif", "tiff", "eer") and len(fitting) == 1:
                proposed.setdefault("input", {}).setdefault("gain", fitting[0])
            typed = self.draft.changes.get("input", {}).get("folder")
            if typed:  # typed values stay; proposals follow the folder
                self.draft.changes["input"].pop("folder")
            self.draft.rebase({**proposed, "": self.draft.base[""]})
        self.draft.check()
        fields = self.query_one(FormPane).fields
        missing = [name for name, why in self.missing().items() if why.startswith(MISSING)]
        if missing and fields.current in (None, PROJECT):
            self._show()
            fields.go(missing[0])
        self._show()

    def on_form_pane_changed(self) -> None:
        self.draft.check()
        if self._wanted() != self._looked_for:
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(PAUSE_S, self._look)
        self._show()

    def on_form_pane_typed(self) -> None:
        self._show()

    def on_field_list_moved(self) -> None:
        self._show()

    # drawing the page

    def missing(self) -> dict[str, str]:
        """Values that neither the movies nor the user gave, by the name of the field."""
        if self.found is None:
            return {}
        hints = {}
        has_movie = bool(self.found.movie)
        for name, why in (
            ("input.pixel_size", f"{MISSING}: nothing can be processed without it"),
            ("input.dose_per_frame", f"{MISSING}: no dose weighting without it"),
        ):
            entry = self._field(name)
            if not self.draft.value(entry):
                hints[name] = why if has_movie else "0: taken from the movies, if they tell it"
        if has_movie and Path(self.found.movie).parent == self.draft.project:
            hints[PROJECT.name] = "results will lie among the movies; another folder is possible"
        gain = self._field("input.gain")
        fitting = [entry for entry in self.found.gains if entry["fits"]]
        chosen = str(self.draft.value(gain) or "")
        if not chosen and fitting:
            hints[gain.name] = f"G takes {Path(fitting[0]['path']).name}, which fits"
        elif chosen:
            for gain_found in self.found.gains:
                if not gain_found["fits"] and Path(gain_found["path"]) == self.draft.path(chosen):
                    hints[gain.name] = gain_found["text"]
        return hints

    def _show(self) -> None:
        form = self.query_one(FormPane)
        form.show(self.draft, self.missing())
        self.query_one("#found", TextPane).show(self._findings())
        self.query_one(Advice).show(self._about(form), [self._next_step()])

    def _findings(self) -> list[list[Piece]]:
        colours = self.query_one("#found", TextPane).colours
        if self._problem:
            return [[(" ! ", colours["alert"] + BOLD), (self._problem, PLAIN)]]
        if self.found is None:
            return [[(" looking into ", colours["muted"]), (self._given_folder(), PLAIN)]]
        facts, found = self.found.facts, self.found
        lines: list[list[Piece]] = []
        if "n_frames" in facts:
            n = facts.get("n_movies") or 1
            size = f"{facts['n_frames']} frames of {facts['width']} x {facts['height']} px"
            head = f"{n:,} {'movie' if n == 1 else 'movies'}, {facts['format'].upper()}: {size}"
            lines.append([(f" {head}", BOLD)])
        for gain in found.gains:
            style = colours["state-done"] if gain["fits"] else colours["warning-text"]
            lines.append([(f" gain {Path(gain['path']).name}: ", PLAIN), (gain["text"], style)])
        first = f"{Path(found.movie).name}: {facts.get('format', '')}"
        notes = [note for note in found.notes if not note.startswith(first)]
        lines += [[(" ", PLAIN), (note, colours["muted"])] for note in notes]
        return lines or [[(" nothing yet", colours["muted"])]]

    def _about(self, form: FormPane) -> list[list[Piece]]:
        entry, colours = form.current, self.query_one(Advice).colours
        if entry is None:
            return []
        name = entry.name.removeprefix(".")
        lines: list[list[Piece]] = [[(f" {name}  ", BOLD), (entry.help, PLAIN)]]
        problem = form.problem if form.typing else self.draft.problems.get(entry.name)
        if problem:
            lines.append([(" ! ", colours["alert"] + BOLD), (problem, colours["alert"])])
        elif hint := self.missing().get(entry.name):
            lines.append([(" ! ", colours["warning-text"] + BOLD), (hint, PLAIN)])
        else:
            lines.append([(" ", PLAIN), (entry.allowed, colours["muted"])])
        return lines

    def _next_step(self) -> list[Piece]:
        colours = self.query_one(Advice).colours
        wanting = self.draft.problems
        if wanting:
            name, text = next(iter(wanting.items()))
            name = name.removeprefix(".")
            return [(" ! ", colours["alert"] + BOLD), (f"{name}: {text}", PLAIN)]
        if self.found is None and not self._problem:
            return [(" looking at the folder", colours["muted"])]
        if self._lacks_pixel_size():
            return [
                (" ! ", colours["warning-text"] + BOLD),
                ("type the pixel size: enter, the number, enter", BOLD),
            ]
        return [(" s ", BOLD), (f"writes {self.draft.project / CONFIG_NAME} and begins", PLAIN)]

    def _lacks_pixel_size(self) -> bool:
        found = self.found
        return bool(found and found.movie and not self.draft.value(self._field("input.pixel_size")))

    def _field(self, name: str) -> Field:
        return next(entry for entry in self.draft.fields if entry.name == name)

    # actions of keys

    def action_undo(self) -> None:
        entry = self.query_one(FormPane).current
        if entry is not None:
            self.draft.undo(entry)
            self.on_form_pane_changed()

    def action_gain(self) -> None:
        fitting = [gain["path"] for gain in self.found.gains if gain["fits"]] if self.found else []
        if not fitting:
            self.notify("no file that was found here fits as a gain reference")
            return
        entry = self._field("input.gain")
        now = str(self.draft.value(entry) or "")
        choices = [*fitting, ""]
        here = choices.index(now) if now in choices else -1
        self.draft.set(entry, choices[(here + 1) % len(choices)])
        self.draft.check()
        self.query_one(FormPane).fields.go(entry.name)
        self._looked_for = self._wanted()  # this gain reference is known to fit
        self._show()

    def action_begin(self) -> None:
        fields = self.query_one(FormPane).fields
        if self.draft.problems:
            name, text = next(iter(self.draft.problems.items()))
            fields.go(name)
            self.notify(text, severity="error", markup=False)
        elif self.found is None and not self._problem:
            self.notify("the folder is still being looked at")
        elif self._problem:
            fields.go("input.folder")
            self.notify(self._problem, severity="error", markup=False)
        elif self._lacks_pixel_size():
            fields.go("input.pixel_size")
            self.notify("the pixel size is missing: the movies do not tell it", severity="warning")
        else:
            self._write()

    def _write(self) -> None:
        from warptui.engine.config import file

        project, found = self.draft.project, self.found
        given = {name: dict(values) for name, values in found.settings.items()} if found else {}
        for section, values in self.draft.settings().items():
            given.setdefault(section, {}).update(values)
        try:
            file.create(project / CONFIG_NAME, given)
        except SettingsError as problem:
            self.notify(str(problem), severity="error", markup=False)
            return
        self.dismiss(project)

    def action_help(self) -> None:
        self.app.push_screen(TextDialog("A new session", HELP))

    def action_leave(self) -> None:
        self.dismiss(None)


HELP = """\
This folder has no config.toml yet. Above is what was found in it: movies (also in the
sub-folders of EPU and SerialEM), what the first of them and its mdoc tell, and files that may be
gain references. Below are the settings that follow from it; what is missing is marked.

  j k, up down   another setting        enter   type a value, or switch
  u              back to the proposal   G       next gain reference that fits, or no gain
  s              write config.toml and begin    q   leave; nothing is written

All other settings have their defaults; 6 shows them once the session is open. The same without a
terminal: warptui init PROJECT --input FOLDER --pixel-size 0.83 --dose-per-frame 1.2"""


class FirstRunApp(App[None]):
    """An app that shows only the first page."""

    TITLE = "warptui"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, folder: Path, ask: Survey = survey, drawing: Drawing | None = None) -> None:
        super().__init__()
        self.key_order = KeyOrder(self, super().on_event)
        self.appearance = Appearance(self, drawing)
        self.made: Path | None = None  # the project, after its config.toml is written
        self._folder, self._survey = folder, ask

    def on_mount(self) -> None:
        first = FirstRun(self._folder, self._survey, self.appearance.drawing)
        self.push_screen(first, self._end)
        self.appearance.mounted()

    async def on_event(self, event: Event) -> None:
        await self.key_order.on_event(event)

    async def on_key_passed(self, message: KeyPassed) -> None:
        await self.key_order.on_key_passed(message)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def get_line_filters(self) -> Sequence[LineFilter]:
        return self.appearance.line_filters(super().get_line_filters())

    def get_key_display(self, binding: Binding) -> str:
        return self.appearance.key_display(super().get_key_display(binding))

    def _end(self, project: Path | None) -> None:
        self.made = project
        self.exit()


def unusable(project: str) -> str:
    """Why a folder cannot become a project; "" if it can."""
    if not project:
        return "expected a folder"
    path = Path(project).expanduser().absolute()
    if (path / CONFIG_NAME).exists():
        return f"{path} is a session already: open it with `warptui {path}`"
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK):
        return f"{there} cannot be written by you: choose another folder for the results"
    return ""
