"""The settings screen: a form, the cost of the changes, and one key that applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from textual.timer import Timer
from textual.widget import Widget

from warptui.engine.errors import SettingsError, WarptuiError
from warptui.engine.project.paths import CONFIG_NAME
from warptui.screens.dialogs.prompts import Ask, Choose
from warptui.screens.dialogs.windows import TextDialog
from warptui.screens.keys.names import key_name
from warptui.screens.keys.tables.settings import APPLY, SETTINGS
from warptui.screens.link.feed import Engine
from warptui.screens.link.mirror import Changes
from warptui.screens.page import Page
from warptui.screens.settings import presets
from warptui.screens.settings.applying import OnDisk, apply, listing, missing, read_disk
from warptui.screens.settings.cost import cost
from warptui.screens.settings.form import (
    Draft,
    Field,
    Kind,
    Values,
    adopted,
    all_fields,
    differences,
)
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.form_pane import Advice, FormPane
from warptui.screens.workspace import Workspace

PAUSE_S = 0.3  # s without a key after which the engine is asked what the changes cost


class SettingsScreen(Page):
    """Every setting by section, with errors beside the fields and the cost of the changes below."""

    BINDINGS = list(SETTINGS)
    HIDDEN = frozenset({"choose", "exclude", "problem", "export"})
    topic = "settings"

    def __init__(
        self,
        workspace: Workspace,
        client: Callable[[], Engine | None],
        project: Path,
        ask_about_draft: Callable[[], object],
    ) -> None:
        super().__init__(workspace)
        self._client, self._project = client, project
        self._ask_about_draft = ask_about_draft  # called if the screen is left with changes
        self.draft = Draft(all_fields(), workspace.draft, project)
        self._disk: OnDisk | None = None
        self._hints: dict[str, str] = {}
        self._effects: dict[str, Any] | str | None = (
            None  # the engine's preview, or why it is missing
        )
        self._asked = 0  # numbers the requests for previews: only the newest counts
        self._timer: Timer | None = None
        self._version = -1  # version of the settings that were read last
        self._adopt: str | None = None  # an item whose settings to adopt, once the file is read
        self._can_apply = False

    def content(self) -> Iterable[Widget]:
        yield FormPane(id="form")
        yield Advice(id="advice")

    def opened(self) -> None:
        self.query_one(FormPane).border_title = "config.toml"
        self.query_one(FormPane).focus_fields()

    def on_unmount(self) -> None:
        if self.draft.n_changes and self.app.return_code is None:
            self.app.call_later(self._ask_about_draft)

    def targets(self) -> list:
        return []  # keys for items do nothing here: no item is visible

    def paths(self, raw: bool = False) -> tuple[str, list[str]]:
        return "settings file", [str(self._project / CONFIG_NAME)]

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        if changes.everything and self._version != self.workspace.settings_version:
            self._version = self.workspace.settings_version
            self.read_file()
        self._show()

    def draw_choices(self, names: set[str]) -> None:
        """The settings do not depend on choices."""

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.read_file()  # a person may have edited the file meanwhile

    # reading the file, in a thread: it may lie on a slow file system

    def read_file(self) -> None:
        """Read config.toml again."""

        def work() -> None:
            found = read_disk(self._project)
            self.call_later(self._take_file, found)

        self.run_worker(work, thread=True, group="file", exclusive=True)

    def _take_file(self, found: OnDisk) -> None:
        self._disk = found
        in_use = self.workspace.config
        self.draft.rebase(in_use if found.problem else found.written)
        if self._adopt is not None:
            self._ask_item(self._adopt)
        self._draft_changed()

    @property
    def edited_by_hand(self) -> list[tuple[Field, Any]]:
        """Settings that differ between the file and the engine, with the engine's value."""
        in_use = self.workspace.config
        if self._disk is None or self._disk.problem or not in_use or self.workspace.lost:
            return []
        return differences(self.draft.fields, self._disk.meant, in_use)

    # changes in the form

    def on_form_pane_changed(self) -> None:
        self._draft_changed()

    def on_form_pane_typed(self) -> None:
        self._show()

    def on_field_list_moved(self) -> None:
        self._show()

    def _draft_changed(self) -> None:
        self.draft.check()
        self._effects = None
        self._asked += 1
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_S, self._preview)
        self._show()

    def _preview(self) -> None:
        number, client = self._asked, self._client()
        changes = _copy(self.draft.changes)
        wanted = bool(changes or self.edited_by_hand) and not self.draft.problems
        paths = [
            (entry, self.draft.path(str(value)))
            for entry in self.draft.fields
            if entry.kind is Kind.PATH and (value := self.draft.value(entry))
        ]

        def work() -> None:
            hints = {entry.name: hint for entry, path in paths if (hint := missing(entry, path))}
            effects: dict[str, Any] | str | None = None
            if wanted and client is not None:
                try:
                    effects = client.preview(changes)
                except (WarptuiError, KeyError) as problem:
                    effects = str(problem)
            self.call_later(self._take_preview, number, hints, effects)

        self.run_worker(work, thread=True, group="preview", exclusive=True)

    def _take_preview(
        self, number: int, hints: dict[str, str], effects: dict[str, Any] | str | None
    ) -> None:
        if number == self._asked:
            self._hints, self._effects = hints, effects
            if isinstance(effects, dict):
                self.draft.problems |= effects["problems"]
            self._show()

    # drawing the screen

    def _show(self) -> None:
        if not self.alive:
            return
        form = self.query_one(FormPane)
        form.show(self.draft, self._hints)
        self.query_one(Advice).show(self._about_field(form), self._outlook())
        if self._can_apply != (can_apply := bool(self.draft.n_changes or self.edited_by_hand)):
            self._can_apply = can_apply
            self.refresh_bindings()  # which takes longer than all else here

    def _about_field(self, form: FormPane) -> list[list[Piece]]:
        entry, colours = form.current, self.query_one(Advice).colours
        if entry is None:
            return []
        default = "this folder" if entry.default == "." else entry.show(entry.default)
        allowed = f"{entry.allowed}; default {default or 'none'}"
        if self.draft.is_changed(entry):
            allowed += f"; in config.toml {entry.show(self.draft.before(entry)) or 'none'}"
        lines: list[list[Piece]] = [
            [(f" {entry.name}  ", BOLD), (entry.help, PLAIN)],
            [(" ", PLAIN), (allowed, colours["muted"])],
        ]
        typing = form.typing is not None
        if problem := form.problem if typing else self.draft.problems.get(entry.name):
            lines.insert(1, [(" ! ", colours["alert"] + BOLD), (problem, colours["alert"])])
        elif hint := self._hints.get(entry.name):
            lines.insert(1, [(" ! ", colours["warning-text"] + BOLD), (hint, PLAIN)])
        if typing:
            lines[-1] = [(" enter takes it, esc leaves it as it was", colours["muted"])]
        return lines

    @property
    def locked(self) -> bool:
        """Whether processing runs: applying then pauses, applies and continues."""
        status = self.workspace.mirror.status
        return status is not None and status.state == "running" and not self.workspace.lost

    def _outlook(self) -> list[list[Piece]]:
        """The cost of the changes, and the key that applies them."""
        colours = self.query_one(Advice).colours
        problems, by_hand = self.draft.problems, self.edited_by_hand
        if self._disk is not None and self._disk.problem:
            return [[(" ! ", colours["alert"] + BOLD), (self._disk.problem, PLAIN)]]
        n = self.draft.n_changes
        if not n and not by_hand:
            return [[(" nothing is changed: ", colours["muted"]), (NOTHING, colours["muted"])]]
        what = _count(n, "change")
        if by_hand:
            edits = f"{_count(len(by_hand), 'edit')} by hand in config.toml"
            what = f"{what} and {edits}" if n else edits
        head: Piece = (f" * {what}: ", colours["warning-text"] + BOLD)
        if problems:
            name, text = next(iter(problems.items()))
            wrong = f"{name}: {text}"
            return [[head, ("not applied", PLAIN)], [(" ! ", colours["alert"]), (wrong, PLAIN)]]
        key = self._key()
        if self.workspace.lost:
            return [[head, (f"no engine runs: {key} writes config.toml for its next start", PLAIN)]]
        match self._effects:
            case None:
                text = "asking what it costs"
            case str(problem):
                text = problem
            case effects:
                text = cost(effects)
        return [[head, (text, PLAIN)], [(f"   {self._key_words()}", BOLD)]]

    def _key(self) -> str:
        keys = self.workspace.config.get("keys", {})
        return key_name(keys, APPLY.id or "", (APPLY,))

    def _key_words(self) -> str:
        key = self._key()
        if self.locked:
            return f"Locked while processing runs: {key} pauses, applies, goes on"
        status = self.workspace.mirror.status
        paused = status is not None and status.state == "paused"
        return f"{key} applies; processing stays paused" if paused else f"{key} applies"

    # actions of keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # without changes this key starts and pauses, as everywhere
        return action != "apply" or self._can_apply

    def action_undo(self) -> None:
        entry = self.query_one(FormPane).current
        if entry is not None:
            self.draft.undo(entry)
            self._draft_changed()

    def action_undo_all(self) -> None:
        n = self.draft.n_changes
        self.draft.undo_all()
        self._draft_changed()
        self.notify(f"{_count(n, 'change')} forgotten" if n else "nothing is changed")

    def action_default(self) -> None:
        entry = self.query_one(FormPane).current
        if entry is not None:
            self.draft.set(entry, entry.default)
            self._draft_changed()

    def action_apply(self) -> None:
        if self.draft.problems:
            name, text = next(iter(self.draft.problems.items()))
            self.query_one(FormPane).fields.go(name)
            self.notify(f"not applied: {name}: {text}", severity="error", markup=False)
            return
        changes, client, locked = _copy(self.draft.changes), self._client(), self.locked
        lost = bool(self.workspace.lost)

        def work() -> None:
            from warptui.engine.config import file

            try:
                if lost or client is None:
                    file.write_config(self._project, changes)
                else:
                    apply(client, changes, locked=locked)
            except (WarptuiError, KeyError) as problem:
                self.call_later(self._refused, str(problem))
            else:
                self.call_later(self._applied, lost)

        self.run_worker(work, thread=True, group="apply")

    def _refused(self, reason: str) -> None:
        self.notify(f"not applied: {reason}", severity="error", markup=False)
        self.read_file()

    def _applied(self, written_only: bool) -> None:
        self.notify("written to config.toml" if written_only else "applied")
        self.draft.undo_all()
        self.read_file()

    def action_differences(self) -> None:
        in_use, base = self.workspace.config, self.draft.base
        values = self.draft.all_values()
        parts = [
            listing("Changed here, not applied (before -> now)", values,
                     differences(self.draft.fields, values, base)),
            listing("Edited by hand in config.toml, not in use yet (in use -> file)",
                     self._disk.meant if self._disk else {}, self.edited_by_hand),
            listing("Different from the defaults (default -> now)", values,
                     [(entry, entry.default) for entry in self.draft.fields
                      if self.draft.value(entry) != entry.default]),
        ]  # fmt: skip
        if not in_use:
            parts.insert(0, "The settings that the engine uses are not known yet.")
        self.app.push_screen(TextDialog("Differences", "\n\n".join(parts)))

    # taking over presets and settings of items

    def action_save_as(self) -> None:
        known = presets.names()
        there = f"There are: {', '.join(known)}" if known else "There are none yet."
        text = f"A name, kept in {presets.folder()}, or a path.\n{there}"

        def answered(name: str | None) -> None:
            if name:
                self._save(presets.locate(name))

        self.app.push_screen(Ask("Save these settings as", text, suggestions=known), answered)

    def _save(self, path: Path) -> None:
        def save(answer: str | None = "y") -> None:
            if answer != "y":
                return
            try:
                presets.write(path, self.draft.all_values(), self._project)
            except SettingsError as problem:
                self.notify(str(problem), severity="error", markup=False)
            else:
                self.notify(f"saved as {path}", markup=False)

        if path.exists():
            answers = {"y": "replace it", "n": "leave it"}
            self.app.push_screen(Choose("Save as", f"{path} is there already.", answers), save)
        else:
            save()

    def action_load(self) -> None:
        known = presets.names()
        there = f"There are: {', '.join(known)}" if known else "None are kept there yet."
        text = f"A name from {presets.folder()}, or a path.\n{there}\nNothing is applied yet."

        def refuse(text: str) -> str:
            return "" if text and presets.locate(text).is_file() else "no such file"

        def answered(name: str | None) -> None:
            if name:
                self._load(presets.locate(name))

        first = known[0] if known else ""
        self.app.push_screen(
            Ask("Load settings", text, first, suggestions=known, refuse=refuse), answered
        )

    def _load(self, path: Path) -> None:
        try:
            values = presets.read(path)
        except SettingsError as problem:
            self.notify(str(problem), severity="error", markup=False)
            return
        self._take_values(values, path.stem)

    def adopt(self, name: str) -> None:
        """Change the form to the settings that an item was processed with."""
        if self._disk is None:
            self._adopt = name
        else:
            self._ask_item(name)

    def _ask_item(self, name: str) -> None:
        self._adopt, client = None, self._client()
        if client is None:
            self.notify("the engine is not reachable", severity="error")
            return

        def work() -> None:
            try:
                values = adopted(client.item(name).settings)
            except (WarptuiError, KeyError) as problem:
                self.call_later(self.notify, str(problem), severity="error", markup=False)
                return
            self.call_later(self._take_values, values, name)

        self.run_worker(work, thread=True, group="adopt", exclusive=True)

    def _take_values(self, values: Values, source: str) -> None:
        before = _copy(self.draft.changes)
        strange = self.draft.take(values)
        self._draft_changed()
        if strange:
            self.notify(
                f"{source}: no settings of this version: {', '.join(strange)}",
                severity="warning",
                markup=False,
            )
        if not values:
            message = f"{source} was not processed yet: there is nothing to adopt"
        elif self.draft.changes == before:
            message = f"nothing to change: these are the settings of {source}"
        else:
            message = f"settings of {source}: {_count(self.draft.n_changes, 'change')}, not applied"
        self.notify(message, markup=False)


NOTHING = "enter edits, d compares, S and O save and load, A takes an item's settings"


def _copy(values: Values) -> Values:
    return {section: dict(entries) for section, entries in values.items()}


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
