"""Keys that come in one burst are taken one after the other, as a person meant them.

Textual hands every key at once to the widget that has the focus then: of ``/res`` typed fast, the
letters would go to the list, since the filter line gets the focus only when ``/`` has come all the
way up to the app. Here a key waits until the one before it has done all that it does.
"""

from __future__ import annotations

import time
from collections import deque

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump

ROUNDS = 6  # trips from the focused widget up to the app; two are enough where no screen opens
LONGEST_S = 0.5  # a widget that was taken away keeps the messenger: then the next key goes on


class KeyPassed(Message):
    """Follows a key on its way up: what it overtook by nothing is done when it arrives."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class KeyOrderApp(App[None]):
    """An app that gives out a key when the one before it is done with."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: deque[events.Key] = deque()
        self._messengers = 0  # sent so far; only the latest counts
        self._rounds_left = 0
        self._given_at: float | None = None  # monotonic; None: no key is under way
        self._asked: MessagePump | None = None  # whom the messenger was sent to

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self._keys.append(event)
        if self._given_at is None or time.monotonic() > self._given_at + LONGEST_S:
            await self._give_next()
        else:
            self.set_timer(LONGEST_S, self._give_if_stuck)

    async def _give_next(self) -> None:
        self._given_at = None
        if not self._keys or not self.screen_stack:
            return
        self._given_at, self._rounds_left = time.monotonic(), ROUNDS
        before = self.focused or self.screen
        await super().on_event(self._keys.popleft())
        self._send_messenger(before)

    def _send_messenger(self, to: MessagePump) -> None:
        self._messengers += 1
        self._rounds_left -= 1
        self._asked = to
        to.post_message(KeyPassed(self._messengers))

    async def on_key_passed(self, message: KeyPassed) -> None:
        """The key is done with, unless the focus went elsewhere: then that has to settle too."""
        message.stop()
        if message.number != self._messengers or not self.screen_stack:
            return
        now = self.focused or self.screen
        first = self._rounds_left == ROUNDS - 1
        if self._rounds_left and (first or now is not self._asked):
            self._send_messenger(now)
        else:
            await self._give_next()

    async def _give_if_stuck(self) -> None:
        if self._given_at is not None and time.monotonic() > self._given_at + LONGEST_S:
            await self._give_next()
