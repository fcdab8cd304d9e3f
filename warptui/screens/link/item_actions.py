"""Actions on the items that a screen points at: choose, process, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.app import App

from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.screens.dialogs.windows import Question
from warptui.screens.link.announcements import Announcements
from warptui.screens.link.calls import Calls
from warptui.screens.page import page_of
from warptui.screens.workspace import Workspace

_CYCLE = {
    Choice.AUTO: Choice.EXCLUDE,
    Choice.EXCLUDE: Choice.INCLUDE,
    Choice.INCLUDE: Choice.AUTO,
}


class ItemActions:
    """Calls the engine's verbs for items, on those that the visible screen points at."""

    def __init__(
        self, app: App, workspace: Workspace, calls: Calls, announcements: Announcements
    ) -> None:
        self._app, self._workspace, self._calls = app, workspace, calls
        self._announcements = announcements

    def cycle_choice(self) -> None:
        """Set the next choice for all of them: automatic, excluded, included."""
        if rows := self._targets():
            self._choose(rows, _CYCLE[rows[0].choice])

    def switch_exclusion(self) -> None:
        """Exclude the items; if all are excluded, leave the decision to the filters again."""
        rows = self._targets()
        excluded = all(row.choice is Choice.EXCLUDE for row in rows)
        self._choose(rows, Choice.AUTO if excluded else Choice.EXCLUDE)

    def process_again(self) -> None:
        """Process the items again, or retry failed ones; several items after a question."""
        page = page_of(self._app)
        if page is not None and page.retry():
            return
        rows = self._targets()
        if not rows:
            return
        failed = [row.name for row in rows if row.state == "failed"]
        names = [row.name for row in rows]

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            if failed:
                self._calls.ask(lambda engine: engine.retry(failed))
            again = [name for name in names if name not in set(failed)]
            if again:
                self._calls.ask(lambda engine: engine.reprocess(again))
            self._app.notify(f"{len(names):,} queued again")

        if len(names) == 1:
            answered(True)
        else:
            self._app.push_screen(Question(f"Process {len(names):,} items again?"), answered)

    def retry_failed(self) -> None:
        """Queue every failed item again."""
        failed = self._workspace.mirror.named(State.FAILED)
        if failed:
            message = f"{len(failed):,} queued again"
            self._calls.ask(lambda engine: engine.retry(failed), message=message)
        else:
            self._app.notify("no item failed")

    def acknowledge_notice(self) -> None:
        """Mark the newest notice as seen, for all viewers."""
        status = self._workspace.mirror.status
        if status is None or not status.notices:
            self._app.notify("there is no notice")
            return
        number = status.notices[-1].id
        self._calls.ask(lambda engine: engine.acknowledge([number]))

    def export(self) -> None:
        """Write a list for another program, after a dialog with its first rows."""
        from warptui.screens.exporting.dialog import ExportDialog  # late, for a fast start

        if page_of(self._app) is None:
            return
        marked = [row.name for row in self._targets()]

        def preview(request: ExportRequest, take: Callable[[dict[str, Any]], object]) -> None:
            self._calls.ask(lambda engine: engine.preview_export(request), done=take)

        def answered(request: ExportRequest | None) -> None:
            if request is not None:
                begun = self._announcements.export_begun
                self._calls.ask(lambda engine: engine.export(request), done=begun)

        names = marked if len(marked) > 1 else []
        self._app.push_screen(ExportDialog(names, preview, self._workspace.drawing), answered)

    def _targets(self) -> list[ItemRow]:
        page = page_of(self._app)
        return page.targets() if page is not None else []

    def _choose(self, rows: Sequence[ItemRow], choice: Choice) -> None:
        if not rows:
            return
        names = [row.name for row in rows]
        self._workspace.mirror.choose(names, choice)
        page = page_of(self._app)
        if page is not None:
            page.clear_marks()
            page.show_choices(set(names))
        message = f"{len(names):,} items: {choice}" if len(names) > 1 else ""
        self._calls.ask(lambda engine: engine.choose(names, choice), message=message)
