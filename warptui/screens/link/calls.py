"""What the keys ask of the engine: start, pause, choose, process again. The screen never waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from warptui import client as engine_client
from warptui.engine.errors import OtherVersionError, WarptuiError
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.engine.project.paths import ProjectPaths
from warptui.screens.dialogs.windows import Question, TextDialog
from warptui.screens.exporting.dialog import ExportDialog
from warptui.screens.link.edit_sending import EditSender
from warptui.screens.link.feed import Feed
from warptui.screens.look.glyphs import Drawing
from warptui.screens.page import Page
from warptui.screens.workspace import Workspace

LOG_TAIL_BYTES = 16_000
_CYCLE = {
    Choice.AUTO: Choice.EXCLUDE,
    Choice.EXCLUDE: Choice.INCLUDE,
    Choice.INCLUDE: Choice.AUTO,
}


class CallingApp(EditSender):
    """An app with a project, an engine to call, and a user's view of its items."""

    def __init__(
        self, project: Path, feed: Feed, launch: Callable[[], None], drawing: Drawing | None
    ) -> None:
        super().__init__(drawing)
        self.project = project
        self.workspace = Workspace()
        self.workspace.drawing = self.drawing
        self.feed = feed
        self._launch = launch
        self._exporting: set[str] = set()  # begun here: what comes of them is told
        self._in_training = ""  # the model that was being trained when last heard of

    def ask(
        self,
        call: str,
        *args: Any,
        done: Callable[[Any], object] | None = None,
        failed: Callable[[], object] | None = None,
        said: str = "",
    ) -> None:
        """Call the engine in a thread; ``done`` gets the answer, ``said`` is shown then.

        Threads use `call_later`: `call_from_thread` waits, for ever when the app is left meanwhile.
        """
        client = self.feed.client
        if client is None:
            self.notify(
                f"the engine is not reachable; {self.workspace.key('start-pause')} starts it",
                severity="error",
            )
            if failed is not None:
                failed()
            return

        def work() -> None:
            try:
                answer = getattr(client, call)(*args)
            except (WarptuiError, KeyError) as problem:
                self.call_later(self.notify, str(problem), severity="error", markup=False)
                if failed is not None:
                    self.call_later(failed)
                return
            if done is not None:
                self.call_later(done, answer)
            if said:
                self.call_later(self.notify, said, markup=False)

        self.run_worker(work, thread=True, group="calls")

    def _targets(self) -> list[ItemRow]:
        return self.screen.targets() if isinstance(self.screen, Page) else []

    def _choose(self, rows: Sequence[ItemRow], choice: Choice) -> None:
        if not rows:
            return
        names = [row.name for row in rows]
        said = f"{len(names):,} items: {choice}" if len(names) > 1 else ""
        self.workspace.mirror.choose(names, choice)
        page = self.screen
        if isinstance(page, Page):
            page.clear_marks()
            page.show_choices(set(names))
        self.ask("choose", names, choice, said=said)

    def action_choose(self) -> None:
        rows = self._targets()
        if rows:
            self._choose(rows, _CYCLE[rows[0].choice])

    def action_exclude(self) -> None:
        rows = self._targets()
        excluded = all(row.choice is Choice.EXCLUDE for row in rows)
        self._choose(rows, Choice.AUTO if excluded else Choice.EXCLUDE)

    def action_process(self) -> None:
        status = self.workspace.mirror.status
        if self.workspace.stranger is not None:
            self._ask_to_succeed()
        elif self.workspace.lost:
            self.run_worker(self._start_engine, thread=True, group="launch", exclusive=True)
            self.notify("starting the engine")
        elif status is not None and status.state in ("running", "idle"):
            self.ask("pause", said="paused: what runs is finished, nothing new is begun")
        else:
            self.ask("start", said="processing")

    def meet(self, other: OtherVersionError) -> str:
        """An engine runs that is of another version: asks what to do; what the log says."""
        self.call_later(self._ask_to_succeed)
        return f"process {other.pid} on {other.host} is an engine of version {other.version}"

    def _ask_to_succeed(self) -> None:
        other = self.workspace.stranger
        if other is None or isinstance(self.screen, Question):
            return

        def answered(yes: bool | None) -> None:
            if yes and self.workspace.stranger is not None:
                self.run_worker(self._succeed, thread=True, group="launch", exclusive=True)
                self.notify("ending the other engine, then starting one")

        self.push_screen(
            Question(
                f"An engine of another version runs on this project (version {other.version}, "
                f"process {other.pid} on {other.host}); this app is version {other.own_version} "
                "and cannot speak with it.\n\nEnd it, and start an engine of this version? "
                "Nothing is lost: it finishes what it is writing, and items that run are begun "
                "anew. Who watches with the other version has to open the app again.",
                title="Another version",
            ),
            answered,
        )

    def _succeed(self) -> None:
        try:
            engine_client.end_engine(self.project)
        except WarptuiError as problem:
            self.call_later(self.notify, str(problem), severity="error", markup=False)
            return
        self._start_engine()

    def _start_engine(self) -> None:
        try:
            self._launch()
        except WarptuiError as problem:
            self.call_later(self._engine_failed, str(problem))
        self.feed.hurry()

    def _engine_failed(self, reason: str) -> None:
        self.workspace.lost = reason
        self.push_screen(TextDialog("The engine does not start", reason, at_end=True))

    def action_reprocess(self) -> None:
        if isinstance(self.screen, Page) and self.screen.retry():
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
                self.ask("retry", failed)
            again = [name for name in names if name not in set(failed)]
            if again:
                self.ask("reprocess", again)
            self.notify(f"{len(names):,} queued again")

        if len(names) == 1:
            answered(True)
        else:
            self.push_screen(Question(f"Process {len(names):,} items again?"), answered)

    def action_seen(self) -> None:
        status = self.workspace.mirror.status
        if status is None or not status.notices:
            self.notify("there is no notice")
            return
        self.ask("acknowledge", [status.notices[-1].id])

    def action_export(self) -> None:
        """Write a list for another program, after a look at its first rows."""
        if not isinstance(self.screen, Page):
            return
        marked = [row.name for row in self._targets()]

        def preview(request: ExportRequest, take: Callable[[dict[str, Any]], object]) -> None:
            self.ask("preview_export", request, done=take)

        def answered(request: ExportRequest | None) -> None:
            if request is not None:
                self.ask("export", request, done=self._await_export)

        names = marked if len(marked) > 1 else []
        self.push_screen(ExportDialog(names, preview, self.workspace.drawing), answered)

    def _await_export(self, number: str) -> None:
        self._exporting.add(number)

    def tell_of_exports(self) -> None:
        """What came of the exports that were begun here."""
        status = self.workspace.mirror.status
        for export in status.exports if status is not None else ():
            if export.id in self._exporting and export.state != "running":
                self._exporting.discard(export.id)
                rows = f"{export.rows:,} rows in " if export.state == "done" else ""
                said = "\n".join(filter(None, (f"{rows}{export.path}", export.reason)))
                severity = "error" if export.state == "failed" else "information"
                self.notify(said, title=f"export {export.state}", severity=severity, markup=False)

    def tell_of_training(self) -> None:
        """What came of a training that ran while one looked, whoever began it."""
        status = self.workspace.mirror.status
        training = status.training if status is not None else None
        before, self._in_training = self._in_training, ""
        if training is None:
            return
        if training.active:
            self._in_training = training.model
        elif before == training.model:
            key = self.workspace.key("training")
            told = "\n".join(filter(None, (training.verdict or training.message, f"{key}: more")))
            severity = "error" if training.phase == "failed" else "information"
            title = f"training of {training.model}: {training.phase}"
            self.notify(told, title=title, severity=severity, markup=False)

    def retry_all(self) -> None:
        """Queue every failed item again."""
        failed = self.workspace.mirror.named(State.FAILED)
        if failed:
            self.ask("retry", failed, said=f"{len(failed):,} queued again")
        else:
            self.notify("no item failed")

    # its log, and what it says of its end

    def action_engine_log(self) -> None:
        self.push_screen(TextDialog("Engine log", self._log_tail(), at_end=True))

    def _obituary(self, reason: str) -> str:
        """Why the engine went, with the last line that it wrote where it went by itself."""
        if "\n" in reason or not reason.endswith("start it again"):
            return reason
        tail = self._log_tail().strip().rpartition("\n")[2].strip()
        if any(word in tail for word in ("Error", "ERROR", "CRITICAL")):
            return f"the engine ended\n{tail}"
        return f"the engine ended without a word ({self.workspace.key('palette')} shows its log)"

    def _log_tail(self) -> str:
        log = ProjectPaths(self.project).log
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
                return file.read().decode(errors="replace")
        except OSError as problem:
            return f"{log}: {problem.strerror}"
