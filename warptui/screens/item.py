"""One item: its picture, its motion, its numbers and its story."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.widget import Widget
from textual.widgets import Static

from warptui.screens.page import Page
from warptui.screens.workspace import Workspace


class ItemScreen(Page):
    """One item."""

    def __init__(self, workspace: Workspace, ask: Callable[..., None]) -> None:
        super().__init__(workspace)
        self.ask = ask

    def content(self) -> Iterable[Widget]:
        yield Static("item")

    def toggle_full_picture(self) -> None: ...
