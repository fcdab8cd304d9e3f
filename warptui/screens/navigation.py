"""Moves the cursor among items, and goes from screen to screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.app import App

from warptui.screens.detaching import Detaching
from warptui.screens.item.screen import ItemScreen
from warptui.screens.jobs.screen import Jobs
from warptui.screens.link.calls import Calls
from warptui.screens.link.mirror import Changes
from warptui.screens.link.pending_edits import EditSender
from warptui.screens.overview.screen import Overview
from warptui.screens.page import Page, page_of
from warptui.screens.stages import VIEWS
from warptui.screens.stages.view import Side
from warptui.screens.workspace import Workspace


class Navigation:
    """Moves the cursor among items, and goes from screen to screen."""

    def __init__(
        self, app: App, workspace: Workspace, calls: Calls, edits: EditSender, project: Path
    ) -> None:
        self._app, self._workspace, self._calls = app, workspace, calls
        self._edits, self._project = edits, project
        self._detaching = Detaching(app, workspace, edits, self.to_settings)

    # items

    def go(self, name: str | None, complaint: str = "") -> None:
        """Put the cursor on an item; without an item, show ``complaint``."""
        if name is None:
            if complaint:
                self._app.notify(complaint)
            return
        self._workspace.following = False
        self._workspace.current = name
        self._show_current()

    def step(self, steps: int) -> None:
        """Move the cursor so many items on in the list."""
        self.go(self._workspace.step(steps))

    def match(self, direction: int) -> None:
        """Go to the next match; each screen defines its matches."""
        page = page_of(self._app)
        if page is None or not page.match(direction):
            self.go(self._workspace.next_match(direction), "nothing matches")

    def problem(self) -> None:
        """Go to the next item with a problem; clear a filter that hides it."""
        workspace, page = self._workspace, page_of(self._app)
        name = workspace.next_problem()
        number = workspace.mirror.index.get(name) if name else None
        if number is not None and number not in workspace.order:
            if page is not None:
                page.clear_marks()
            workspace.filter = None
            workspace.refresh()
            workspace.current = name
            if page is not None:
                page.show(Changes(order=True))
        self.go(name, "no item failed, is missing or lacks a number")

    def follow_newest(self) -> None:
        """Keep the cursor on the newest processed item, or stop doing so."""
        workspace, page = self._workspace, page_of(self._app)
        if page is not None and page.follow():
            return
        workspace.following = not workspace.following
        if workspace.following:
            workspace.current = workspace.newest()
        self._show_current()

    def _show_current(self) -> None:
        if (page := page_of(self._app)) is not None:
            page.show_current()

    # screens

    def to_overview(self) -> None:
        """Close all pages above the overview."""
        while page_of(self._app) is not None and len(self._app.screen_stack) > 1:
            self._app.pop_screen()

    def to_item(self) -> None:
        """Open the current item's page."""
        if not isinstance(self._app.screen, ItemScreen) and self._workspace.current is not None:
            page = ItemScreen(self._workspace, self._calls.client, self._edits.send)
            self._app.push_screen(page)

    def to_side(self, side: Side) -> None:
        """Open the current item's page with one side full width; a second call shows both sides."""
        self.to_item()
        page = self._app.screen
        if isinstance(page, ItemScreen):
            self._app.call_later(page.show_side, side)

    def to_jobs(self) -> None:
        """Open the jobs screen."""
        self._to(Jobs, lambda: Jobs(self._workspace, self._calls))

    def to_training(self) -> None:
        """Open the training screen."""
        # imported late: needs pydantic
        from warptui.screens.training.screen import TrainingScreen

        self._to(
            TrainingScreen,
            lambda: TrainingScreen(self._workspace, self._calls.client, self._project),
        )

    def _to(self, kind: type[Page], make: Callable[[], Page]) -> None:
        """Return to the page of this kind if it is open, else open one."""
        while any(isinstance(page, kind) for page in self._app.screen_stack[:-1]):
            self._app.pop_screen()
        if not isinstance(self._app.screen, kind):
            self._app.push_screen(make())

    def to_settings(self, adopt: str = "") -> None:
        """Open the settings, with those that the item ``adopt`` was processed with as changes."""
        # imported late: needs pydantic
        from warptui.screens.settings.screen import SettingsScreen

        page = self._app.screen
        if not isinstance(page, SettingsScreen):
            page = SettingsScreen(
                self._workspace, self._calls.client, self._project, self._detaching.ask_about_draft
            )
            self._app.push_screen(page)
        if adopt:
            page.adopt(adopt)

    def adopt(self) -> None:
        """Open the settings with those of the current item as changes."""
        if self._workspace.current is None:
            self._app.notify("there is no item")
        else:
            self.to_settings(self._workspace.current)

    def try_settings(self, stage: str) -> None:
        """Open the trial screen: other settings of a stage on the current item."""
        from warptui.screens.item.trial import TrialScreen  # imported late: needs pydantic

        page, client = self._app.screen, self._calls.client
        loaded = page.loaded if isinstance(page, ItemScreen) else None
        view = next(view for view in VIEWS if view.stage == stage)
        if loaded is None or loaded.detail is None:
            self._app.notify("nothing is known of this item yet")
        elif client() is None or not self._workspace.config:
            self._app.notify("the engine is not reachable; s starts it", severity="error")
        else:
            self._app.push_screen(TrialScreen(self._workspace, client, self._project, view, loaded))

    def back(self) -> None:
        """Undo one thing: a maximized pane, marks, the page, the filter."""
        page = self._app.screen
        if page.maximized is not None:
            page.minimize()
        elif isinstance(page, Page) and page.clear_marks():
            return
        elif len(self._app.screen_stack) > 1:
            self._app.pop_screen()
        elif isinstance(page, Overview):
            page.clear_filter()

    def detach(self) -> None:
        """Close the app, after questions where something would be lost."""
        self._detaching.detach()
