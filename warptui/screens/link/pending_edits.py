"""Edits of picks that the engine has not saved yet, and the steps to undo them.

What a person did is shown immediately and sent soon after: one call at a time, the newest edits of
an item alone. Until the engine is known to have them, they replace whatever is read of the item.
What the engine refuses, or cannot get while it is gone, is kept and tried again; a person who
leaves before that is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.app import App
from textual.timer import Timer

from warptui.engine.errors import WarptuiError
from warptui.screens.dialogs.windows import Question

if TYPE_CHECKING:  # imported late: pydantic takes 0.2 s, and a start of the app does not need it
    from warptui.engine.model.edits import Edits
    from warptui.screens.link.feed import Feed

KEPT = 500  # steps of undo for one item
PAUSE_S = 0.3  # s between two calls
RETRY_S = 5.0
LEAVING_S = 3.0  # s, at most, that the end of the app waits until the engine has the last edits


@dataclass
class _ItemEdits:
    """The edits of one item, and how far they are saved."""

    now: Edits | None = None  # replace the edits that are read; None: those that are read are right
    last: Edits | None = None  # the edits as last set here, or read since
    before: list[Edits] = field(default_factory=list)
    after: list[Edits] = field(default_factory=list)  # edits that were undone
    kind: str = ""  # of the last edit: several edits by a slider are one step of undo
    version: int = 0  # grows with every edit
    sent: int = 0  # the version that the engine has
    sending: int = 0  # the version being sent, 0 = no version
    problem: str = ""  # why the engine refused the edits


class PendingEdits:
    """All edits of this viewer since it was opened."""

    def __init__(self) -> None:
        self._items: dict[str, _ItemEdits] = {}

    def over(self, name: str, read: Edits) -> Edits:
        """The edits to show for an item, given those that were read."""
        known = self._items.get(name)
        return read if known is None or known.now is None else known.now

    def put(self, name: str, before: Edits, now: Edits, kind: str = "") -> None:
        """Keep an edit from ``before`` to ``now``; several of one ``kind`` are one step of undo."""
        known = self._items.setdefault(name, _ItemEdits())
        if not kind or kind != known.kind or not known.before:
            known.before = [*known.before[-KEPT + 1 :], before]
        known.after.clear()
        self._set(known, now, kind)

    def undo(self, name: str, now: Edits) -> bool:
        """Undo the last edit of an item; False without an edit."""
        known = self._items.get(name)
        if known is None or not known.before:
            return False
        known.after.append(now)
        self._set(known, known.before.pop())
        return True

    def redo(self, name: str, now: Edits) -> bool:
        """Redo the edit that was undone last; False without one."""
        known = self._items.get(name)
        if known is None or not known.after:
            return False
        known.before.append(now)
        self._set(known, known.after.pop())
        return True

    def steps(self, name: str) -> int:
        """How many edits of an item can be taken back."""
        known = self._items.get(name)
        return len(known.before) if known is not None else 0

    def _set(self, known: _ItemEdits, now: Edits, kind: str = "") -> None:
        known.now, known.last, known.kind = now, now, kind
        known.version += 1

    # sending to the engine

    @property
    def unsaved(self) -> list[str]:
        """Items whose edits the engine has not saved, as far as is known."""
        return [name for name, known in self._items.items() if known.sent < known.version]

    def why_unsaved(self, name: str) -> str:
        """Why the engine refused the edits; "" if it did not."""
        known = self._items.get(name)
        return known.problem if known is not None and known.sent < known.version else ""

    def take(self) -> tuple[str, Edits] | None:
        """The next edits to send; they count as being sent until `arrived` or `refused`."""
        for name in self.unsaved:
            known = self._items[name]
            if not known.sending and known.now is not None:
                known.sending = known.version
                return name, known.now
        return None

    def arrived(self, name: str) -> None:
        """The engine has saved the edits that were sent."""
        known = self._items[name]
        known.sent, known.sending, known.problem = known.sending, 0, ""

    def refused(self, name: str, why: str) -> bool:
        """The engine refused the edits; False when the reason is the one shown before."""
        known = self._items[name]
        news = why != known.problem
        known.sending, known.problem = 0, why
        return news

    # reading items

    def mark(self, name: str) -> int | None:
        """A number to take before an item is read, and to pass to `read` afterwards."""
        known = self._items.get(name)
        if known is None:
            return 0
        return None if known.sent < known.version else known.version

    def read(self, name: str, mark: int | None, edits: Edits) -> None:
        """Take in the edits that were read, unless newer ones were being sent meanwhile.

        If they differ from those left here, another viewer made them: then nothing is undone.
        """
        known = self._items.get(name)
        if known is None or mark is None or mark != known.version:
            return
        if known.last is not None and known.last != edits:
            known.before.clear()
            known.after.clear()
        known.now, known.last = None, edits


class EditSender:
    """Sends pending edits; calls ``changed`` when the set of unsaved items changes."""

    def __init__(
        self, app: App, feed: Feed, edits: PendingEdits, changed: Callable[[], object]
    ) -> None:
        self._app, self._feed, self._edits, self._changed = app, feed, edits, changed
        self._called_at = float("-inf")  # monotonic
        self._timer: Timer | None = None
        self._calling = False
        self._leaving = False

    def send(self, *, now: bool = False) -> None:
        """Send the edits that the engine does not have yet: soon, or ``now``."""
        if self._calling or not self._edits.unsaved:
            return
        wait = self._called_at + PAUSE_S - time.monotonic()
        if wait > 0 and not now:
            if self._timer is None:
                self._timer = self._app.set_timer(wait, self._send_next)
        else:
            self._send_next()

    def send_again(self) -> None:
        """Send failed edits again, if the last try is long enough ago."""
        if time.monotonic() > self._called_at + RETRY_S:
            self.send()

    def _send_next(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        client = self._feed.client
        if client is None:
            for name in self._edits.unsaved:
                self._refused(name, "the engine is not reachable")
            self._changed()
            return
        if self._calling or (taken := self._edits.take()) is None:
            return
        name, edits = taken
        self._calling, self._called_at = True, time.monotonic()

        def work() -> None:
            problem = ""
            try:
                client.edit(name, edits)
            except (WarptuiError, KeyError) as refusal:
                problem = str(refusal)
            self._app.call_later(self._answered, name, problem)

        self._app.run_worker(work, thread=True, group="edits")

    def _answered(self, name: str, problem: str) -> None:
        self._calling = False
        if problem:
            self._refused(name, problem)
        else:
            self._edits.arrived(name)
        self._changed()
        if self._leaving and not self._edits.unsaved:
            self._app.exit()
        elif not problem:
            self.send(now=self._leaving)

    def _refused(self, name: str, problem: str) -> None:
        if self._edits.refused(name, problem):
            text = f"{name}: the last edits are not saved yet: {problem}"
            self._app.notify(text, severity="error", markup=False)

    # leaving the app

    def exit_when_sent(self) -> None:
        """Close the app: now if all edits are saved, else after they are, or after a question."""
        if not self._edits.unsaved:
            self._app.exit()
        elif not self._leaving:
            self._leaving = True
            self.send(now=True)
            self._app.set_timer(LEAVING_S if self._calling else 0.01, self._ask_to_leave)

    def _ask_to_leave(self) -> None:
        self._leaving = False
        n = len(self._edits.unsaved)
        if not n:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._app.exit()

        items = "1 item" if n == 1 else f"{n:,} items"
        self._app.push_screen(
            Question(
                f"The last edits of picks on {items} are not saved: the engine did not take them. "
                "Leave and lose them?",
                title="Not saved",
            ),
            answered,
        )
