"""Handles keys that arrive in one burst one after the other, in the order they were typed.

Textual sends all keys of a burst to the widget that has the focus then: of ``/res`` typed fast, the
letters would go to the list, since the filter line gets the focus only when ``/`` has come all the
way up to the app. Here a key waits until the one before it has done all that it does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump

ROUNDS = 6  # trips from the focused widget up to the app; two are enough where no screen opens
LONGEST_S = 0.5  # a removed widget never passes its `KeyPassed` on: go on after so long


class KeyPassed(Message):
    """Follows a key on its way up to the app: when it arrives, all that came before it is done."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class KeyOrder:
    """Gives each key to the app after the key before it was handled.

    The app passes its events and its `KeyPassed` messages through here; ``take`` is what Textual
    does with an event.
    """

    def __init__(self, app: App, take: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._take = app, take
        self._keys: deque[events.Key] = deque()
        self._sent = 0  # number of the latest `KeyPassed`; older ones are ignored
        self._rounds_left = 0
        self._given_at: float | None = None  # monotonic; None: no key is being handled
        self._sent_to: MessagePump | None = None

    async def on_event(self, event: events.Event) -> None:
        """Handle an event; a key waits until the keys before it were handled."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await self._take(event)
            return
        self._keys.append(event)
        if self._given_at is None or time.monotonic() > self._given_at + LONGEST_S:
            await self._give_next()
        else:
            self._app.set_timer(LONGEST_S, self._give_if_stuck)

    async def on_key_passed(self, message: KeyPassed) -> None:
        """The key was handled; if the focus moved, wait until that has settled, too."""
        message.stop()
        if message.number != self._sent or not self._app.screen_stack:
            return
        now = self._app.focused or self._app.screen
        first = self._rounds_left == ROUNDS - 1
        if self._rounds_left and (first or now is not self._sent_to):
            self._send_after(now)
        else:
            await self._give_next()

    async def _give_next(self) -> None:
        self._given_at = None
        if not self._keys or not self._app.screen_stack:
            return
        self._given_at, self._rounds_left = time.monotonic(), ROUNDS
        before = self._app.focused or self._app.screen
        await self._take(self._keys.popleft())
        self._send_after(before)

    def _send_after(self, to: MessagePump) -> None:
        self._sent += 1
        self._rounds_left -= 1
        self._sent_to = to
        to.post_message(KeyPassed(self._sent))

    async def _give_if_stuck(self) -> None:
        if self._given_at is not None and time.monotonic() > self._given_at + LONGEST_S:
            await self._give_next()
