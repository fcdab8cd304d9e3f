"""Questions before the app or the settings screen closes with changes not applied or not saved."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App

from warptui.screens.dialogs.prompts import keeping, leaving
from warptui.screens.link.pending_edits import EditSender
from warptui.screens.workspace import Workspace


class Detaching:
    """Asks before changes of settings are lost; ``open_settings`` opens the settings screen."""

    def __init__(
        self,
        app: App,
        workspace: Workspace,
        edits: EditSender,
        open_settings: Callable[[], object],
    ) -> None:
        self._app, self._workspace = app, workspace
        self._edits, self._open_settings = edits, open_settings

    def detach(self) -> None:
        """Close the app if nothing would be lost, else ask; the engine keeps running."""
        if not self._workspace.draft:
            self._edits.exit_when_sent()
            return

        def answered(answer: str | None) -> None:
            if answer == "x":
                self._edits.exit_when_sent()
            else:
                self._open_settings()

        self._app.push_screen(leaving(self._workspace.n_drafted), answered)

    def ask_about_draft(self) -> None:
        """Ask whether to keep the changes with which the settings screen was left."""

        def answered(answer: str | None) -> None:
            if answer == "x":
                self._workspace.draft.clear()

        key = self._workspace.key("settings")
        self._app.push_screen(keeping(self._workspace.n_drafted, key), answered)
