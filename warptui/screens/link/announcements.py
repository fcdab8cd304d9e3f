"""Messages and the bell for exports, trainings and notices that end or arrive meanwhile."""

from __future__ import annotations

from textual.app import App

from warptui.screens.workspace import Workspace


class Announcements:
    """Compares the engine's status with its status at the last look."""

    def __init__(self, app: App, workspace: Workspace) -> None:
        self._app, self._workspace = app, workspace
        self._exports: set[str] = set()  # exports begun in this app and not announced yet
        self._in_training = ""  # the model in training at the last look
        self._rung: set[tuple[int, int]] | None = None  # notices for which the bell rang

    def export_begun(self, number: str) -> None:
        """Remember to announce the end of an export that was begun here."""
        self._exports.add(number)

    def announce(self, *, engine_lost: bool) -> None:
        """Show what ended since the last call; ring for new notices or a lost engine."""
        self._ring(engine_lost)
        self._announce_exports()
        self._announce_training()

    def _ring(self, engine_lost: bool) -> None:
        """Ring the bell once for each notice that came since the app was opened."""
        status = self._workspace.mirror.status
        if status is None:
            return
        notices = {(status.pid, notice.id) for notice in status.notices}
        new = notices - self._rung if self._rung is not None else set()
        self._rung = notices | (self._rung or set())
        if (new or engine_lost) and self._workspace.config.get("alerts", {}).get("bell", True):
            self._app.bell()

    def _announce_exports(self) -> None:
        status = self._workspace.mirror.status
        for export in status.exports if status is not None else ():
            if export.id in self._exports and export.state != "running":
                self._exports.discard(export.id)
                rows = f"{export.rows:,} rows in " if export.state == "done" else ""
                text = "\n".join(filter(None, (f"{rows}{export.path}", export.reason)))
                severity = "error" if export.state == "failed" else "information"
                title = f"export {export.state}"
                self._app.notify(text, title=title, severity=severity, markup=False)

    def _announce_training(self) -> None:
        """Announce the end of a training that ran while the app was open."""
        status = self._workspace.mirror.status
        training = status.training if status is not None else None
        before, self._in_training = self._in_training, ""
        if training is None:
            return
        if training.active:
            self._in_training = training.model
        elif before == training.model:
            key = self._workspace.key("training")
            text = "\n".join(filter(None, (training.verdict or training.message, f"{key}: more")))
            severity = "error" if training.phase == "failed" else "information"
            title = f"training of {training.model}: {training.phase}"
            self._app.notify(text, title=title, severity=severity, markup=False)
