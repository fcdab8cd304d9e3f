"""Edits of picks on their way to the engine, and back again by undo.

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

if TYPE_CHECKING:  # pydantic takes 0.2 s to import, which a start of the app can do without
    from warptui.engine.model.edits import Edits
    from warptui.screens.link.feed import Feed

KEPT = 500  # steps back on one item
PAUSE_S = 0.3  # between two calls
RETRY_S = 5.0
LEAVING_S = 3.0  # how long the end of the app waits for the engine to take the last edits


@dataclass
class _ItemEdits:
    """What is known of one item."""

    now: Edits | None = None  # over what is read; None: what is read is right
    last: Edits | None = None  # as it was left here, or read since
    before: list[Edits] = field(default_factory=list)
    after: list[Edits] = field(default_factory=list)  # undone
    kind: str = ""  # of the last edit: those of a slider are one step
    version: int = 0  # grows with every edit
    sent: int = 0  # the version that the engine has
    sending: int = 0  # the version that is on its way, 0 = none
    problem: str = ""  # why the engine has not


class PendingEdits:
    """All edits of this viewer since it was opened."""

    def __init__(self) -> None:
        self._items: dict[str, _ItemEdits] = {}

    def over(self, name: str, read: Edits) -> Edits:
        """An item's edits as they are to be shown, given those that were read."""
        known = self._items.get(name)
        return read if known is None or known.now is None else known.now

    def put(self, name: str, before: Edits, now: Edits, kind: str = "") -> None:
        """A person made ``now`` of ``before``. Of one ``kind`` in a row, undo takes all back."""
        known = self._items.setdefault(name, _ItemEdits())
        if not kind or kind != known.kind or not known.before:
            known.before = [*known.before[-KEPT + 1 :], before]
        known.after.clear()
        self._set(known, now, kind)

    def undo(self, name: str, now: Edits) -> bool:
        """Take the last edit of an item back; False if there is none."""
        known = self._items.get(name)
        if known is None or not known.before:
            return False
        known.after.append(now)
        self._set(known, known.before.pop())
        return True

    def redo(self, name: str, now: Edits) -> bool:
        """Do again what was taken back; False if there is nothing."""
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

    # on the way to the engine

    @property
    def unsaved(self) -> list[str]:
        """Items whose edits the engine does not have, as far as it is known."""
        return [name for name, known in self._items.items() if known.sent < known.version]

    def why_unsaved(self, name: str) -> str:
        """Why the engine refused, or "" if it did not."""
        known = self._items.get(name)
        return known.problem if known is not None and known.sent < known.version else ""

    def take(self) -> tuple[str, Edits] | None:
        """What is to be sent next; it counts as on its way until `arrived` or `refused`."""
        for name in self.unsaved:
            known = self._items[name]
            if not known.sending and known.now is not None:
                known.sending = known.version
                return name, known.now
        return None

    def arrived(self, name: str) -> None:
        """The engine has what was on its way."""
        known = self._items[name]
        known.sent, known.sending, known.problem = known.sending, 0, ""

    def refused(self, name: str, why: str) -> bool:
        """The engine has it not. False when it said the same before."""
        known = self._items[name]
        news = why != known.problem
        known.sending, known.problem = 0, why
        return news

    # what is read

    def mark(self, name: str) -> int | None:
        """To be asked for before an item is read, and given back with what was read."""
        known = self._items.get(name)
        if known is None:
            return 0
        return None if known.sent < known.version else known.version

    def read(self, name: str, mark: int | None, edits: Edits) -> None:
        """An item was read: if nothing was on its way meanwhile, that is how it is.

        If it is not as it was left here, somebody else edited it: to undo would undo their work.
        """
        known = self._items.get(name)
        if known is None or mark is None or mark != known.version:
            return
        if known.last is not None and known.last != edits:
            known.before.clear()
            known.after.clear()
        known.now, known.last = None, edits


class EditSender:
    """Sends pending edits; ``changed`` is called when others than before are saved."""

    def __init__(
        self, app: App, feed: Feed, edits: PendingEdits, changed: Callable[[], object]
    ) -> None:
        self._app, self._feed, self._edits, self._changed = app, feed, edits, changed
        self._called_at = float("-inf")  # monotonic
        self._timer: Timer | None = None
        self._calling = False
        self._leaving = False

    def send(self, *, now: bool = False) -> None:
        """Send what the engine does not have yet: soon, or ``now``."""
        if self._calling or not self._edits.unsaved:
            return
        wait = self._called_at + PAUSE_S - time.monotonic()
        if wait > 0 and not now:
            if self._timer is None:
                self._timer = self._app.set_timer(wait, self._send_next)
        else:
            self._send_next()

    def send_again(self) -> None:
        """Try once more what failed, if that is long enough ago."""
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

    # leaving

    def exit_when_sent(self) -> None:
        """End the app: now where all is sent, else when it is, or after a question."""
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
