"""What this viewer knows of the session, in columns, so that 100,000 items cost no time to show.

No Textual here: the mirror is fed with events and read by every screen.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from warptui.engine.events import (
    Event,
    ItemChanged,
    ItemRemoved,
    LogLine,
    Snapshot,
    StatusChanged,
)
from warptui.engine.items import Choice, EngineStatus, ItemRow, State, Summary

STATES = tuple(State)
CHOICES = tuple(Choice)
STATE_NUMBERS = {state: number for number, state in enumerate(STATES)}
CHOICE_NUMBERS = {choice: number for number, choice in enumerate(CHOICES)}
LOG_LINES = 2000


@dataclass
class Changes:
    """What a batch of events touched; screens repaint only that."""

    items: set[str] = field(default_factory=set)
    everything: bool = False  # items came, went, or changed their order
    values: bool = False  # a summary value or a selection is another: plots change
    order: bool = False  # the filter shows other items
    status: bool = False
    log: bool = False


class Mirror:
    """The items in order of arrival, the engine's status, and the last lines of its log."""

    def __init__(self) -> None:
        self.rows: list[ItemRow] = []
        self.index: dict[str, int] = {}
        self.texts: list[str] = []  # name and reason in lower case, for the filter
        self.status: EngineStatus | None = None
        self.status_at = 0.0  # monotonic, of this viewer
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._columns: dict[str, np.ndarray] = {}
        self._capacity = 0
        self._allocate(64)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The values that the engine's stages declare."""
        return self.status.summaries if self.status else ()

    @property
    def states(self) -> np.ndarray:
        """(item,) numbers into `STATES`."""
        return self._columns["state"][: len(self.rows)]

    @property
    def choices(self) -> np.ndarray:
        """(item,) numbers into `CHOICES`."""
        return self._columns["choice"][: len(self.rows)]

    @property
    def selected(self) -> np.ndarray:
        """(item,) bool: goes into exports."""
        return self._columns["selected"][: len(self.rows)]

    def values(self, key: str) -> np.ndarray:
        """(item,) float64 of a summary value; NaN where it is unknown."""
        if key not in self._columns:
            return np.full(len(self.rows), np.nan)
        return self._columns[key][: len(self.rows)]

    def counts(self) -> dict[State, int]:
        """Items in each state."""
        counted = np.bincount(self.states, minlength=len(STATES))
        return {state: int(counted[number]) for number, state in enumerate(STATES)}

    def newest_age_s(self) -> float | None:
        """Age of the newest file now, counted on from the engine's last word."""
        if self.status is None or self.status.newest_age_s is None:
            return None
        return self.status.newest_age_s + self.status_age_s()

    def status_age_s(self) -> float:
        """How long ago the engine last said how it is."""
        return time.monotonic() - self.status_at

    def apply(self, events: Iterable[Event]) -> Changes:
        """Take in a batch of events."""
        changes = Changes()
        removed: set[str] = set()
        for event in events:
            match event:
                case ItemChanged(row):
                    removed.discard(row.name)
                    self._put(row, changes)
                case ItemRemoved(name):
                    removed.add(name)
                case StatusChanged(status):
                    self._set_status(status, changes)
                case LogLine():
                    self.log.append(event)
                    changes.log = True
                case Snapshot(rows, status):
                    removed.clear()
                    self._set_status(status, changes)
                    self._rebuild(rows)
                    changes.everything = changes.values = True
        if removed:
            self._rebuild([row for row in self.rows if row.name not in removed])
            changes.everything = changes.values = True
        return changes

    def choose(self, names: Iterable[str], choice: Choice) -> None:
        """Show the user's choice before the engine has confirmed it."""
        for name in names:
            number = self.index.get(name)
            if number is not None:
                self._store(number, replace(self.rows[number], choice=choice))

    def _set_status(self, status: EngineStatus, changes: Changes) -> None:
        declared = self.status.summaries if self.status else ()
        self.status, self.status_at = status, time.monotonic()
        changes.status = True
        if status.summaries != declared:
            self._rebuild(self.rows)
            changes.everything = changes.values = True

    def _put(self, row: ItemRow, changes: Changes) -> None:
        number = self.index.get(row.name)
        changes.items.add(row.name)
        old = None if number is None else self.rows[number]
        if old is None or (old.summary, old.selected) != (row.summary, row.selected):
            changes.values = True
        if number is not None and self.rows[number].sequence == row.sequence:
            self._store(number, row)
            return
        changes.everything = changes.values = True
        if number is None and (not self.rows or row.sequence >= self.rows[-1].sequence):
            if len(self.rows) == self._capacity:
                self._allocate(2 * self._capacity)
            self.index[row.name] = len(self.rows)
            self.rows.append(row)
            self.texts.append("")
            self._store(len(self.rows) - 1, row)
            return
        others = [other for other in self.rows if other.name != row.name]
        self._rebuild([*others, row])

    def _store(self, number: int, row: ItemRow) -> None:
        self.rows[number] = row
        self.texts[number] = f"{row.name} {row.reason}".lower()
        columns = self._columns
        columns["state"][number] = STATE_NUMBERS[row.state]
        columns["choice"][number] = CHOICE_NUMBERS[row.choice]
        columns["selected"][number] = row.selected
        for summary in self.summaries:
            value = row.summary.get(summary.key)
            columns[summary.key][number] = np.nan if value is None else value

    def _rebuild(self, rows: Sequence[ItemRow]) -> None:
        self.rows = sorted(rows, key=lambda row: row.sequence)
        self.index = {row.name: number for number, row in enumerate(self.rows)}
        self.texts = [""] * len(self.rows)
        self._columns = {}
        self._allocate(max(64, len(rows) + len(rows) // 4))
        for number, row in enumerate(self.rows):
            self._store(number, row)

    def _allocate(self, capacity: int) -> None:
        kinds: dict[str, tuple[type, float]] = {
            "state": (np.uint8, 0),
            "choice": (np.uint8, 0),
            "selected": (np.bool_, 0),
            **{summary.key: (np.float64, np.nan) for summary in self.summaries},
        }
        grown = {}
        for name, (kind, empty) in kinds.items():
            grown[name] = np.full(capacity, empty, dtype=kind)
            old = self._columns.get(name)
            if old is not None:
                n = min(len(old), capacity)
                grown[name][:n] = old[:n]
        self._columns, self._capacity = grown, capacity
