"""What must be looked at when it has been quiet for a while: many changes, one look."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class DueSet(Generic[Key]):
    """Keys that are due when nothing was added for them for a pause, or the longest wait is over.

    Parameters
    ----------
    pause_s
        A key is due this many seconds after it was added last,
    longest_s
        but never later than this many seconds after it was added first.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, pause_s: float, longest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_s, self._longest_s, self._clock = pause_s, longest_s, clock
        self._due: dict[Key, tuple[float, float]] = {}  # due, and latest

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: Key) -> None:
        """Note a change of ``key``: it is due after a pause without further changes."""
        now = self._clock()
        _, latest = self._due.get(key, (0.0, now + self._longest_s))
        self._due[key] = (min(now + self._pause_s, latest), latest)

    def discard(self, key: Key) -> None:
        """Forget ``key``."""
        self._due.pop(key, None)

    def take(self) -> list[Key]:
        """The keys that are due now, which are then not in the set any more."""
        now = self._clock()
        found = [key for key, (due, _) in self._due.items() if due <= now]
        for key in found:
            del self._due[key]
        return found
