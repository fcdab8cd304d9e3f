"""The jobs screen: workers, lists of running, queued and failed items, and the engine's log."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.exports import Export
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.screens.dialogs.windows import Question, TextDialog
from warptui.screens.exporting.optics_groups_dialog import BeamDialog
from warptui.screens.jobs.dialogs import FailureDialog, RetryQuestion
from warptui.screens.keys.tables.jobs import JOBS
from warptui.screens.link.calls import Calls
from warptui.screens.link.mirror import Changes
from warptui.screens.page import Page
from warptui.screens.widgets.lists.exports_pane import ExportsPane, account
from warptui.screens.widgets.lists.job_table import JobTable, Tab
from warptui.screens.widgets.lists.log_pane import LogPane
from warptui.screens.widgets.lists.slots_pane import SlotsPane
from warptui.screens.workspace import Workspace

QUEUE_EVERY_S = 2.0  # s, at least, between questions for the engine's order
MOST_SLOTS = 8  # workers shown without scrolling
MOST_EXPORTS = 3
_CANCELLABLE = (State.RUNNING, State.QUEUED, State.OUTDATED)


class Jobs(Page):
    """The jobs screen: workers, lists of items by state, exports, and the log."""

    BINDINGS = list(JOBS)
    PANES = ("Jobs", "Log")
    NOTICE_LINES = 4
    topic = "jobs"

    class Opened(Message):
        """Asks for the current item's screen."""

    def __init__(self, workspace: Workspace, calls: Calls) -> None:
        super().__init__(workspace)
        self._calls = calls
        self._queue: list[tuple[str, str]] = []
        self._queue_asked_at = float("-inf")

    def content(self) -> Iterable[Widget]:
        yield Static(classes="tabs", markup=False)
        with Horizontal(id="jobs-main"):
            with Vertical(id="jobs-left"):
                yield SlotsPane(id="slots")
                yield JobTable(id="jobs")
                yield ExportsPane(id="exports")
            yield LogPane(id="log")
        yield Input(id="search-line", placeholder="a word to look for in the log")

    def opened(self) -> None:
        self.query_one("#search-line").display = False
        self.query_one("#slots").border_title = "Now"
        self.query_one("#jobs").border_title = "Items"
        self.query_one("#exports").border_title = "Exports"
        self.log_pane.border_title = "Log"
        self.table.focus()

    @property
    def table(self) -> JobTable:
        """The lists of items."""
        return self.query_one(JobTable)

    @property
    def exports(self) -> ExportsPane:
        """The exports."""
        return self.query_one(ExportsPane)

    @property
    def log_pane(self) -> LogPane:
        """The log."""
        return self.query_one(LogPane)

    def targets(self) -> list[ItemRow]:
        if isinstance(self.focused, SlotsPane):
            return self._rows([self.focused.current])
        if isinstance(self.focused, LogPane):
            line = self.focused.current
            return self._rows([line.item if line else ""])
        if isinstance(self.focused, ExportsPane):
            return []
        return self.table.marked

    def clear_marks(self) -> bool:
        had = self.table.mark_from is not None or bool(self.log_pane.search)
        self.table.mark_from = None
        self.log_pane.search_for("")
        self.table.repaint()
        return had

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        workspace = self.workspace
        mirror = workspace.mirror
        if changes.status or changes.everything:
            slots = self.query_one(SlotsPane)
            slots.show(None if workspace.lost else mirror.status)
            frame = 0 if self.narrow else 2
            slots.styles.height = min(max(1, slots.n_rows), MOST_SLOTS) + frame
            exports = mirror.status.exports if mirror.status else ()
            self.exports.show(exports)
            self.exports.styles.height = min(len(exports), MOST_EXPORTS) + frame
        if changes.everything or changes.items:
            self._ask_for_queue()
            self.table.show(mirror, self._queue)
        if changes.log or changes.everything:
            self.log_pane.show(mirror)

    def draw_choices(self, names: set[str]) -> None:
        self.table.repaint()

    def _rows(self, names: list[str]) -> list[ItemRow]:
        mirror = self.workspace.mirror
        return [mirror.rows[mirror.index[name]] for name in names if name in mirror.index]

    def _ask_for_queue(self) -> None:
        now = time.monotonic()
        wanted = self.table.tab is Tab.QUEUED and not self.workspace.lost
        if wanted and now - self._queue_asked_at >= QUEUE_EVERY_S:
            self._queue_asked_at = now
            self._calls.ask(lambda engine: engine.queue(), done=self._take_queue)

    def _take_queue(self, queue: list[tuple[str, str]]) -> None:
        self._queue = queue
        if self.is_mounted:
            self.table.show(self.workspace.mirror, queue)

    # keys

    def action_turn(self, step: int) -> None:
        tabs = self.table.tabs
        self.table.turn_to(tabs[(tabs.index(self.table.tab) + step) % len(tabs)])
        self._queue_asked_at = float("-inf")
        self._ask_for_queue()

    def action_pane(self, step: int) -> None:
        on_jobs = self.narrow and self.PANES[self._pane] == "Jobs"
        if on_jobs and step > 0 and self.exports.display and self.focused is not self.exports:
            self.exports.focus()  # shown below the items, before the log takes the place of both
        else:
            self._next_pane(step)

    def _next_pane(self, step: int) -> None:
        super().action_pane(step)
        if self.narrow:
            shown = self.log_pane if self.PANES[self._pane] == "Log" else self.table
            self.call_after_refresh(shown.focus)

    def action_cancel(self) -> None:
        if self.focused is self.exports:
            self._cancel_export()
            return
        if isinstance(self.focused, SlotsPane) and (tried := self.focused.trial):
            message = f"{tried}: the trial is stopped"
            self._calls.ask(lambda engine: engine.drop_trial(tried), message=message)
            return
        rows = [row for row in self.targets() if row.state in _CANCELLABLE]
        names = [row.name for row in rows]
        if not names:
            self.notify("nothing to cancel: it neither runs nor waits")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.clear_marks()
                what = f"{len(names):,} items" if len(names) > 1 else names[0]
                key = self.workspace.key("reprocess")
                message = f"cancelled: {what}; {key} processes it after all"
                self._calls.ask(lambda engine: engine.cancel(names), message=message)

        if len(names) == 1:
            answered(True)
        else:
            self.app.push_screen(Question(f"Cancel {len(names):,} items?"), answered)

    def _cancel_export(self) -> None:
        export = self.exports.current
        if export is None or export.state != "running":
            self.notify("nothing to cancel: this list is not being written")
        else:
            message = f"cancelled: {export.name}; what was there before stays"
            self._calls.ask(lambda engine: engine.cancel_export(export.id), message=message)

    def paths(self, raw: bool = False) -> tuple[str, list[str]]:
        if self.focused is self.exports and self.exports.current is not None:
            return "list", [self.exports.current.path]
        return super().paths(raw)

    def retry(self) -> bool:
        """Try failed items again: the marked ones, or this one or all after a question."""
        rows = self.targets()
        failed = [row.name for row in rows if row.state is State.FAILED]
        everything = self.workspace.mirror.named(State.FAILED)
        if len(rows) != 1 or not failed or len(everything) < 2:
            return False

        def answered(answer: str | None) -> None:
            names = everything if answer == "all" else failed
            if answer:
                what = f"{len(names):,} items" if len(names) > 1 else names[0]
                message = f"queued again: {what}"
                self._calls.ask(lambda engine: engine.retry(names), message=message)

        self.app.push_screen(RetryQuestion(failed[0], len(everything)), answered)
        return True

    def follow(self) -> bool:
        self.log_pane.follow(not self.log_pane.tail)
        return True

    def match(self, direction: int) -> bool:
        if self.log_pane.search and not self.log_pane.go_to_match(direction):
            self.notify("nothing matches")
        return bool(self.log_pane.search)

    def action_level(self) -> None:
        self.log_pane.next_level()

    def action_search(self) -> None:
        if self.narrow and self.PANES[self._pane] != "Log":
            self._next_pane(1)
        line = self.query_one("#search-line", Input)
        line.display = True
        self.set_focus(line)  # in this call: the next key is meant for the search line

    def on_input_changed(self, event: Input.Changed) -> None:
        self.log_pane.search_for(event.value)

    def on_input_submitted(self) -> None:
        self._leave_search_line()

    def on_key(self, event: Key) -> None:
        line = self.query_one("#search-line", Input)
        if event.key == "escape" and line.has_focus:
            event.stop()
            line.value = ""
            self._leave_search_line()

    def _leave_search_line(self) -> None:
        self.query_one("#search-line").display = False
        self.log_pane.focus()

    # opening what is under the cursor

    def on_list_pane_opened(self) -> None:
        rows = self.targets()
        line = self.log_pane.current
        export = self.exports.current
        if self.focused is self.exports and export is not None:
            if export.state == "live":
                self._calls.ask(
                    lambda engine: engine.optics_groups(), done=partial(self._show_list, export)
                )
            else:
                self._show_list(export, {})
        elif rows:
            self._open(rows[0])
        elif self.focused is self.log_pane and line is not None:
            self.app.push_screen(TextDialog("Log", line.text))

    def _show_list(self, export: Export, groups: dict[str, Any]) -> None:
        """Show an export in full, with its optics groups where they are made by beam shift."""
        if groups:
            groups = {**groups, "summary": f"{export.reason}\n{export.path}"}
            dialog = BeamDialog(export.name, groups, self.workspace.drawing)
        else:
            dialog = TextDialog(export.name, account(export))
        self.app.push_screen(dialog)

    def _open(self, row: ItemRow) -> None:
        if row.state is not State.FAILED:
            self._go_to(row.name)
            return
        self._calls.ask(lambda engine: engine.item(row.name), done=self._show_failure)

    def _show_failure(self, detail: ItemDetail) -> None:
        name = detail.row.name

        def answered(answer: str | None) -> None:
            if answer == "item":
                self._go_to(name)
            elif answer == "retry":
                message = f"queued again: {name}"
                self._calls.ask(lambda engine: engine.retry([name]), message=message)

        self.app.push_screen(FailureDialog(detail), answered)

    def _go_to(self, name: str) -> None:
        self.workspace.current = name
        self.workspace.following = False
        self.post_message(self.Opened())
