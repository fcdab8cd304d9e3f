"""Starts, pauses and replaces the engine from the app, and shows why it ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.app import App

from warptui import client as engine_client
from warptui.engine.errors import OtherVersionError, WarptuiError
from warptui.engine.project.paths import ProjectPaths
from warptui.screens.dialogs.windows import Question, TextDialog
from warptui.screens.link.calls import Calls
from warptui.screens.link.feed import Feed
from warptui.screens.workspace import Workspace

LOG_TAIL_BYTES = 16_000


class EngineControl:
    """The engine process of one project: ``launch`` starts it and returns when it answers."""

    def __init__(
        self,
        app: App,
        project: Path,
        feed: Feed,
        workspace: Workspace,
        calls: Calls,
        launch: Callable[[], None],
    ) -> None:
        self._app, self._project, self._feed = app, project, feed
        self._workspace, self._calls, self._launch = workspace, calls, launch

    def start_or_pause(self) -> None:
        """Start processing or pause it; start an engine where none runs."""
        status = self._workspace.mirror.status
        if self._workspace.other_version is not None:
            self.offer_replacement()
        elif self._workspace.lost:
            self._app.run_worker(self._start, thread=True, group="launch", exclusive=True)
            self._app.notify("starting the engine")
        elif status is not None and status.state in ("running", "idle"):
            message = "paused: what runs is finished, nothing new is begun"
            self._calls.ask(lambda engine: engine.pause(), message=message)
        else:
            self._calls.ask(lambda engine: engine.start(), message="processing")

    # an engine of another version

    def offer_replacement(self) -> None:
        """Ask whether to end an engine of another version and start one of this version."""
        other = self._workspace.other_version
        if other is None or isinstance(self._app.screen, Question):
            return

        def answered(yes: bool | None) -> None:
            if yes and self._workspace.other_version is not None:
                self._app.run_worker(self._replace, thread=True, group="launch", exclusive=True)
                self._app.notify("ending the other engine, then starting one")

        self._app.push_screen(
            Question(
                f"An engine of another version runs on this project (version {other.version}, "
                f"process {other.pid} on {other.host}); this app is version {other.own_version} "
                "and cannot speak with it.\n\nEnd it, and start an engine of this version? "
                "Nothing is lost: it finishes what it is writing, and items that run are begun "
                "again. People who watch with the other version have to open the app again.",
                title="Another version",
            ),
            answered,
        )

    def other_version_found(self, other: OtherVersionError) -> str:
        """An engine of another version runs: offer to replace it. Returns a line for the log."""
        self._app.call_later(self.offer_replacement)
        return f"process {other.pid} on {other.host} is an engine of version {other.version}"

    # called in threads

    def _replace(self) -> None:
        try:
            engine_client.end_engine(self._project)
        except WarptuiError as problem:
            self._app.call_later(self._app.notify, str(problem), severity="error", markup=False)
            return
        self._start()

    def _start(self) -> None:
        try:
            self._launch()
        except WarptuiError as problem:
            self._app.call_later(self._start_failed, str(problem))
        self._feed.hurry()

    def _start_failed(self, reason: str) -> None:
        self._workspace.lost = reason
        self._app.push_screen(TextDialog("The engine does not start", reason, at_end=True))

    # of its log

    def show_log(self) -> None:
        """Show the end of the engine's log in a dialog."""
        self._app.push_screen(TextDialog("Engine log", self._log_tail(), at_end=True))

    def end_reason(self, reason: str) -> str:
        """Why the engine ended, with the last line of its log where it ended by itself."""
        if "\n" in reason or not reason.endswith("start it again"):
            return reason
        tail = self._log_tail().strip().rpartition("\n")[2].strip()
        if any(word in tail for word in ("Error", "ERROR", "CRITICAL")):
            return f"the engine ended\n{tail}"
        return f"the engine ended without a word ({self._workspace.key('palette')} shows its log)"

    def _log_tail(self) -> str:
        log = ProjectPaths(self._project).log
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
                return file.read().decode(errors="replace")
        except OSError as problem:
            return f"{log}: {problem.strerror}"
