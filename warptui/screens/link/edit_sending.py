"""Brings edits of picks to the engine: one call at a time, the newest of an item alone.

An edit is sent at once, those that follow at most `PAUSE_S` later. What the engine refuses, or
cannot get while it is gone, is kept and tried again; who leaves before is asked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.timer import Timer

from warptui.engine.errors import WarptuiError
from warptui.screens.dialogs.windows import Question
from warptui.screens.look.app import LookApp

if TYPE_CHECKING:
    from warptui.screens.link.feed import Feed
    from warptui.screens.workspace import Workspace

PAUSE_S = 0.3  # between two calls
RETRY_S = 5.0
LEAVING_S = 3.0  # how long the end of the app waits for the engine to take the last edits


class EditSender(LookApp):
    """An app that has edits to send."""

    workspace: Workspace
    feed: Feed
    _called_at = float("-inf")  # monotonic
    _timer: Timer | None = None
    _calling = False
    _leaving = False

    def send_edits(self, *, now: bool = False) -> None:
        """Send what the engine does not have yet: soon, or ``now``."""
        if self._calling or not self.workspace.edits.unsaved:
            return
        wait = self._called_at + PAUSE_S - time.monotonic()
        if wait > 0 and not now:
            if self._timer is None:
                self._timer = self.set_timer(wait, self._send_next)
        else:
            self._send_next()

    def send_again(self) -> None:
        """Try once more what failed, if that is long enough ago."""
        if time.monotonic() > self._called_at + RETRY_S:
            self.send_edits()

    def _send_next(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        client = self.feed.client
        if client is None:
            for name in self.workspace.edits.unsaved:
                self._complain(name, "the engine is not reachable")
            self._show_unsaved()
            return
        if self._calling or (taken := self.workspace.edits.take()) is None:
            return
        name, edits = taken
        self._calling, self._called_at = True, time.monotonic()

        def work() -> None:
            problem = ""
            try:
                client.edit(name, edits)
            except (WarptuiError, KeyError) as refusal:
                problem = str(refusal)
            self.call_later(self._answered, name, problem)

        self.run_worker(work, thread=True, group="edits")

    def _answered(self, name: str, problem: str) -> None:
        self._calling = False
        if problem:
            self._complain(name, problem)
        else:
            self.workspace.edits.arrived(name)
        self._show_unsaved()
        if self._leaving and not self.workspace.edits.unsaved:
            self.exit()
        elif not problem:
            self.send_edits(now=self._leaving)

    def _complain(self, name: str, problem: str) -> None:
        if self.workspace.edits.refused(name, problem):
            said = f"{name}: the last edits are not saved yet: {problem}"
            self.notify(said, severity="error", markup=False)

    def _show_unsaved(self) -> None:
        """Whether the edits that are seen are saved is said beside them."""
        show = getattr(self.screen, "show_edited", None) if self.screen_stack else None
        if show is not None:
            show()

    # leaving

    def leave_with_edits(self) -> bool:
        """Send what is left before the app ends; False if there is nothing, and it can end now."""
        if not self.workspace.edits.unsaved:
            return False
        if not self._leaving:
            self._leaving = True
            self.send_edits(now=True)
            self.set_timer(LEAVING_S if self._calling else 0.01, self._ask_to_leave)
        return True

    def _ask_to_leave(self) -> None:
        self._leaving = False
        n = len(self.workspace.edits.unsaved)
        if not n:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.exit()

        items = "1 item" if n == 1 else f"{n:,} items"
        self.push_screen(
            Question(
                f"The last edits of picks on {items} are not saved: the engine did not take them. "
                "Leave and lose them?",
                title="Not saved",
            ),
            answered,
        )
