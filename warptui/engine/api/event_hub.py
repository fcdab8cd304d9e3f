"""Events of the engine, kept once for all viewers.

Nothing is queued per viewer. The latest event of every item is kept in order of its sequence
number, and a viewer asks for what is newer than the number it has: a slow viewer gets fewer, newer
events, and no viewer can make the engine wait or grow. Changed limits are sent immediately: the
user who moves a limit waits for the counts.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from warptui.engine.api.events import (
    CatchingUp,
    Event,
    ItemChanged,
    ItemRemoved,
    LogLine,
    Snapshot,
    StatusChanged,
)
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus

BATCH_S = 0.25  # between batches to a viewer, unless limits changed
QUIET_S = 5.0  # an empty batch after this long shows the server whether the viewer still listens
FEW_NEWS, NEWS_SHARE = 1000, 10  # more, and more than one part in so many: a snapshot instead
KEPT_LINES = 500
KEPT_DETAILS = 300  # debug lines, so that they push out no others
KEPT_REMOVALS = 1000

Batch = list[tuple[int, Event]]


class EventHub:
    """The current rows, status and last log lines, with the order in which they changed."""

    def __init__(self, status: EngineStatus) -> None:
        # A random start: numbers of an earlier engine are never taken for this one's.
        self._first = self._sequence = (1 + secrets.randbits(20)) << 32
        self._forgotten = self._first  # removals up to here are not known any more
        self._status = status
        self._rows: dict[str, ItemRow] = {}
        self._latest: OrderedDict[tuple[str, object], tuple[int, Event]] = OrderedDict()
        self._removals: deque[str] = deque()
        self._lines: deque[int] = deque()
        self._details: deque[int] = deque()
        lock = threading.RLock()
        self._changed, self._hurried = threading.Condition(lock), threading.Condition(lock)
        self._urgent = self._first  # number of the last word that no viewer is to wait for
        self._closed = False

    def publish(self, *events: Event) -> None:
        """Number events and publish them. An event that changes nothing is dropped."""
        with self._changed:
            numbers = self._sequence
            for event in events:
                self._take(event)
            self._forget()
            if self._sequence != numbers:
                self._changed.notify_all()

    def publish_rows(self, otherwise: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Publish other values of many rows together: a third of the cost of `publish`."""
        with self._changed:
            rows, latest, number = self._rows, self._latest, self._sequence
            for name, values in otherwise:
                rows[name] = row = rows[name].with_values(**values)
                number += 1
                latest["item", name] = (number, ItemChanged(row))
                latest.move_to_end(("item", name))
            if number != self._sequence:
                self._sequence = number
                self._changed.notify_all()

    def _take(self, event: Event) -> None:
        match event:
            case ItemChanged(row):
                if self._rows.get(row.name) == row:
                    return
                self._rows[row.name] = row
                key = ("item", row.name)
            case ItemRemoved(name):
                if self._rows.pop(name, None) is None:
                    return
                key = ("item", name)
                self._removals.append(name)
            case StatusChanged(status):
                if status == self._status:
                    return
                if status.filters != self._status.filters:
                    self._urgent = self._sequence + 1
                    self._hurried.notify_all()
                self._status = status
                key = ("status", None)
            case LogLine(level=level):
                key = ("line", self._sequence)
                (self._details if level == "debug" else self._lines).append(self._sequence)
            case Snapshot() | CatchingUp():
                raise ValueError("made for one viewer on demand, not published")
        self._sequence += 1
        self._latest[key] = (self._sequence, event)
        self._latest.move_to_end(key)

    def rows(self) -> list[ItemRow]:
        """All rows in order of arrival."""
        with self._changed:
            return sorted(self._rows.values(), key=lambda row: row.sequence)

    def status(self) -> EngineStatus:
        """The latest status."""
        with self._changed:
            return self._status

    def row(self, name: str) -> ItemRow:
        """The row of one item. Raises KeyError when it is unknown."""
        with self._changed:
            return self._rows[name]

    def close(self) -> None:
        """End: no more events follow, and followers stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._hurried.notify_all()

    def follow(self, after: int = 0) -> Iterator[Batch]:
        """Batches of numbered events later than ``after``, four a second at most but for limits.

        The first is a `Snapshot` and the last log lines where ``after`` is not a number of this
        engine, or so old that removals since then are forgotten, and where much is new: all rows in
        columns are soon sent, a large part of them one by one is not. A batch may be empty.
        """
        while True:
            with self._changed:
                if not self._knows(after):
                    batch = self._everything()
                else:
                    if self._sequence == after and not self._closed:
                        self._changed.wait(QUIET_S)
                    batch = self._since(after)
                    if len(batch) > max(FEW_NEWS, len(self._rows) // NEWS_SHARE):
                        # the counts first: a viewer waits for them
                        batch = [(after, StatusChanged(self._status)), *self._everything()]
                closed = self._closed
            if batch:
                after = batch[-1][0]
            yield batch
            if closed:
                return
            if batch:
                self._rest(after)

    def _rest(self, after: int) -> None:
        """The pause between batches."""
        with self._changed:
            self._hurried.wait_for(lambda: self._closed or self._urgent > after, BATCH_S)

    def _knows(self, after: int) -> bool:
        return self._forgotten <= after <= self._sequence and after >= self._first

    def _everything(self) -> Batch:
        rows = sorted(self._rows.values(), key=lambda row: row.sequence)
        batch: Batch = [(self._sequence, Snapshot(tuple(rows), self._status))]
        for number in sorted((*self._lines, *self._details)):
            batch.append((self._sequence, self._latest["line", number][1]))
        return batch

    def _since(self, after: int) -> Batch:
        batch: Batch = []
        for sequence, event in reversed(self._latest.values()):
            if sequence <= after:
                break
            batch.append((sequence, event))
        batch.reverse()
        return batch

    def _forget(self) -> None:
        while len(self._lines) > KEPT_LINES:
            self._latest.pop(("line", self._lines.popleft()))
        while len(self._details) > KEPT_DETAILS:
            self._latest.pop(("line", self._details.popleft()))
        while len(self._removals) > KEPT_REMOVALS:
            name = self._removals.popleft()
            if name not in self._rows and ("item", name) in self._latest:
                self._forgotten = max(self._forgotten, self._latest.pop(("item", name))[0])
