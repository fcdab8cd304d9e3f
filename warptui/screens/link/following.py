"""Takes in the engine's events and shows them, a few times a second at most."""

from __future__ import annotations

import asyncio
import contextvars
import time
from typing import Any

from textual.app import App

from warptui.engine.api.events import CatchingUp, Event, LogLine, Snapshot
from warptui.screens.link.announcements import Announcements
from warptui.screens.link.calls import Calls
from warptui.screens.link.feed import Feed, Found, Lost
from warptui.screens.link.launching import EngineControl
from warptui.screens.link.mirror import Changes
from warptui.screens.link.pending_edits import EditSender
from warptui.screens.page import page_of
from warptui.screens.workspace import Workspace

UPDATE_S = 0.5  # the screen follows the engine at 2 Hz at most
AGES_S = 5.0  # s between repaints of ages, which grow while the engine sends nothing


class EventFollower:
    """Brings the engine's events into the workspace, and changes onto the visible screen."""

    def __init__(
        self,
        app: App,
        feed: Feed,
        workspace: Workspace,
        calls: Calls,
        control: EngineControl,
        edits: EditSender,
        announcements: Announcements,
    ) -> None:
        self._app, self._feed, self._workspace, self._calls = app, feed, workspace, calls
        self._control, self._edits, self._announcements = control, edits, announcements
        self._followed_at = float("-inf")  # monotonic

    def start(self) -> None:
        """Connect to the engine and follow its events from now on; the app runs."""
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def on_news() -> None:  # called in the feed's thread, outside the app
            loop.call_soon_threadsafe(self._schedule, context=context)

        self._feed.on_news = on_news
        self._feed.start()
        self._app.set_interval(AGES_S, self.follow)

    def _schedule(self) -> None:
        """Take in events now, or when the last time is long enough ago."""
        wait = self._followed_at + UPDATE_S - time.monotonic()
        if wait > 0:
            self._app.set_timer(wait, self.follow)
        else:
            self._app.call_next(self.follow)

    def follow(self) -> None:
        """Take in the events since the last time, and show them."""
        if not self._app.is_running:
            return  # when the app closes, its widgets go before its timer
        workspace = self._workspace
        if workspace.mirror.status is not None:  # the first items are shown without waiting
            self._followed_at = time.monotonic()
        events, engine_lost = self._take_notices()
        changes = workspace.mirror.apply(events)
        changes.status = True  # ages grow without events
        self._announcements.announce(engine_lost=engine_lost)
        self._edits.send_again()
        status = workspace.mirror.status
        if status is not None and status.settings_version != workspace.settings_version:
            workspace.settings_version = status.settings_version
            self.read_config()
        changes.everything = changes.everything or engine_lost
        current = workspace.current
        if changes.everything or (changes.items and workspace.order_depends_on_items):
            workspace.refresh()
            changes.order = True
        elif changes.items and workspace.following:
            workspace.current = workspace.newest()
            changes.order = workspace.current != current
        if (page := page_of(self._app)) is not None:
            page.show(changes)

    def _take_notices(self) -> tuple[list[Event], bool]:
        """New events for the mirror, and whether the connection to the engine was lost."""
        workspace, events, engine_lost = self._workspace, list[Event](), False
        for notice in self._feed.take():
            match notice:
                case Found():
                    workspace.lost, workspace.connecting = "", False
                    workspace.other_version = None
                    self.read_config()
                    self._edits.send()
                case Lost(reason, other):
                    workspace.other_version = other
                    if other is not None:
                        workspace.lost = self._control.other_version_found(other)
                    else:
                        workspace.lost = self._control.end_reason(reason)
                    events.append(LogLine(time.time(), "error", workspace.lost))
                    workspace.connecting, workspace.catching_up = False, None
                    engine_lost = True
                case CatchingUp(n_items):
                    workspace.catching_up = n_items
                case _:
                    if isinstance(notice, Snapshot):
                        workspace.catching_up = None
                    events.append(notice)
        return events, engine_lost

    # the settings that the engine uses

    def read_config(self) -> None:
        """Ask for the engine's settings; their [keys] are in force when the answer comes."""
        self._calls.ask(lambda engine: engine.config(), done=self._take_config)

    def _take_config(self, config: dict[str, Any]) -> None:
        before, self._workspace.config = self._workspace.config, config
        keys = {str(name): str(key) for name, key in config.get("keys", {}).items()}
        if keys:
            self._check_keys(keys)
        self._app.set_keymap(keys)
        if (page := page_of(self._app)) is not None:
            other = before.get("optics") != config.get("optics")
            page.show(Changes(everything=True, values=other))

    def _check_keys(self, keys: dict[str, str]) -> None:
        from warptui.screens.keys.bindings import clashes, unknown  # every widget with bindings

        problems = []
        if names := unknown(keys):
            lists = f"{self._workspace.key('help')} lists them"
            problems.append(f"no binding is called {', '.join(names)}; {lists}")
        if found := clashes(keys):
            problems.append(f"the same key twice: {'; '.join(found)}")
        for problem in problems:
            text = f"[keys] in config.toml: {problem}"
            self._app.notify(text, severity="warning", markup=False)
