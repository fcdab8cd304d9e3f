"""Calls of the engine, each in a thread, so that the screen never waits for an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from textual.app import App

from warptui.engine.errors import WarptuiError
from warptui.screens.link.feed import Engine, Feed
from warptui.screens.workspace import Workspace

T = TypeVar("T")


class Calls:
    """Sends calls to the engine that the app is connected to."""

    def __init__(self, app: App, feed: Feed, workspace: Workspace) -> None:
        self._app, self._feed, self._workspace = app, feed, workspace

    def client(self) -> Engine | None:
        """The client of the engine; None while the engine is not reachable."""
        return self._feed.client

    def ask(
        self,
        call: Callable[[Engine], T],
        *,
        done: Callable[[T], object] | None = None,
        failed: Callable[[], object] | None = None,
        message: str = "",
    ) -> None:
        """Make a call in a thread; then ``done`` gets the answer, and ``message`` is shown.

        ``failed`` is called where the engine refuses or is not reachable; the reason is shown.
        Threads use `call_later`: `call_from_thread` waits, for ever when the app is left meanwhile.
        """
        app, client = self._app, self._feed.client
        if client is None:
            key = self._workspace.key("start-pause")
            app.notify(f"the engine is not reachable; {key} starts it", severity="error")
            if failed is not None:
                failed()
            return

        def work() -> None:
            try:
                answer = call(client)
            except (WarptuiError, KeyError) as problem:
                app.call_later(app.notify, str(problem), severity="error", markup=False)
                if failed is not None:
                    app.call_later(failed)
                return
            if done is not None:
                app.call_later(done, answer)
            if message:
                app.call_later(app.notify, message, markup=False)

        app.run_worker(work, thread=True, group="calls")
