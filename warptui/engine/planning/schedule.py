"""Pure: in which order items are processed."""

from __future__ import annotations

import heapq
from enum import IntEnum


class Urgency(IntEnum):
    """Fresh items before outdated ones; what people look at first, first."""

    ASKED = 0  # the user asked for it just now
    FRESH = 1  # arrived while we watched
    BACKLOG = 2  # was there before, never processed
    OUTDATED = 3
    EXCLUDED = 4  # by the user: last, but not never, for he may change his mind


class Schedule:
    """A queue of names. Within an urgency the newest is first, but the backlog goes in order."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._wanted: dict[str, tuple[int, int, str]] = {}
        self._later: dict[str, tuple[float, Urgency, int]] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def __contains__(self, name: str) -> bool:
        return name in self._wanted or name in self._later

    @property
    def n_later(self) -> int:
        """Items that wait for their back-off to pass."""
        return len(self._later)

    def push(self, name: str, urgency: Urgency, sequence: int) -> None:
        """Queue an item, or move it to another place."""
        rank = sequence if urgency is Urgency.BACKLOG else -sequence
        entry = (int(urgency), rank, name)
        self._later.pop(name, None)
        if self._wanted.get(name) != entry:
            self._wanted[name] = entry
            heapq.heappush(self._heap, entry)

    def push_later(self, name: str, due: float, urgency: Urgency, sequence: int) -> None:
        """Queue an item when the monotonic clock shows ``due``."""
        self.discard(name)
        self._later[name] = (due, urgency, sequence)

    def ripen(self, now: float) -> None:
        """Queue what is due by now."""
        for name, (due, urgency, sequence) in list(self._later.items()):
            if due <= now:
                self.push(name, urgency, sequence)

    def pop(self) -> str | None:
        """The next item; None when the queue is empty."""
        while self._heap:
            entry = heapq.heappop(self._heap)
            if self._wanted.get(entry[2]) == entry:
                del self._wanted[entry[2]]
                return entry[2]
        return None

    def first(self, n: int) -> list[tuple[str, Urgency, float | None]]:
        """The next names in order, each with its urgency and, where it waits, when it is due."""
        ready = heapq.nsmallest(n, self._wanted.values())
        found: list[tuple[str, Urgency, float | None]] = [
            (name, Urgency(urgency), None) for urgency, _, name in ready
        ]
        waiting = heapq.nsmallest(n - len(found), self._later.items(), key=lambda entry: entry[1])
        return found + [(name, urgency, due) for name, (due, urgency, _) in waiting]

    def discard(self, name: str) -> None:
        """Take an item out, if it is in."""
        self._wanted.pop(name, None)
        self._later.pop(name, None)
