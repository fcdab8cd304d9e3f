"""Copies paths of files to the clipboard, by the terminal's OSC 52 sequence."""

from __future__ import annotations

from textual.app import App

from warptui.engine.model.detail import AVERAGE, ItemDetail
from warptui.screens.link.calls import Calls
from warptui.screens.page import RAW, page_of
from warptui.screens.workspace import Workspace


class PathCopier:
    """Copies the paths of the items that the visible screen points at."""

    def __init__(self, app: App, workspace: Workspace, calls: Calls) -> None:
        self._app, self._workspace, self._calls = app, workspace, calls

    def copy(self, *, raw: bool = False) -> None:
        """Copy the path of the average, or of the ``raw`` file."""
        page = page_of(self._app)
        if page is None:
            return
        kind, paths = page.paths(raw)
        if kind == RAW and len(paths) == 1 and not raw and not self._workspace.lost:
            name = page.targets()[0].name  # only the engine knows whether there is an average
            self._calls.ask(lambda engine: engine.item(name), done=self._copy_of)
        else:
            self._copy(kind, paths)

    def _copy_of(self, detail: ItemDetail) -> None:
        average = detail.path(AVERAGE)
        self._copy("average" if average else RAW, [average or detail.raw_path])

    def _copy(self, kind: str, paths: list[str]) -> None:
        if not paths:
            self._app.notify("no item: nothing to copy")
            return
        self._app.copy_to_clipboard("\n".join(paths))
        text = paths[0] if len(paths) == 1 else f"{len(paths):,} paths"
        self._app.notify(text, title=f"copied: {kind}", markup=False)
