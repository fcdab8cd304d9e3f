"""The app's copy of the engine's state, in columns: 100,000 items are shown without delay.

No Textual here: the mirror is fed with events and read by every screen.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from warptui.engine.api.events import (
    Event,
    ItemChanged,
    ItemRemoved,
    LogLine,
    Snapshot,
    StatusChanged,
)
from warptui.engine.model.item import Choice, State
from warptui.engine.model.item_columns import (
    CHOICE_NUMBERS,
    CHOICES,
    STATE_NUMBERS,
    STATES,
    Columns,
)
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.summary import Summary
from warptui.screens.link.name_search import NameSearch

LOG_LINES = 2000

__all__ = ["CHOICES", "CHOICE_NUMBERS", "STATES", "STATE_NUMBERS", "Changes", "Mirror"]


@dataclass
class Changes:
    """The changes that a batch of events made; screens repaint only those."""

    items: set[str] = field(default_factory=set)
    everything: bool = False  # items came or went, or their order changed
    values: bool = False  # a summary value or a selection changed: repaint plots
    order: bool = False  # the filter shows other items
    status: bool = False
    log: bool = False


class Mirror:
    """The items in order of arrival, the engine's status, and the last lines of its log.

    ``rows`` is a sequence of `ItemRow` that makes each when it is asked for: take single ones from
    it, and read columns (`names`, `states`, `values`) where all items matter.
    """

    def __init__(self) -> None:
        self.rows = Columns()
        self.index: dict[str, int] = {}
        self._search: NameSearch | None = None  # made at the first search
        self.status: EngineStatus | None = None
        self.status_at = 0.0  # monotonic clock of this viewer
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.n_logged = 0  # number of lines so far, with those already dropped
        self._replayed: set[tuple[int, str]] = set()  # also sent as events, maybe

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The summary values that the engine's stages declare."""
        return self.status.summaries if self.status else ()

    @property
    def names(self) -> list[str]:
        """(item,) names in order of arrival."""
        return self.rows.names

    @property
    def states(self) -> np.ndarray:
        """(item,) numbers into `STATES`."""
        return self.rows.number("state")

    @property
    def choices(self) -> np.ndarray:
        """(item,) numbers into `CHOICES`."""
        return self.rows.number("choice")

    @property
    def selected(self) -> np.ndarray:
        """(item,) bool: exports include the item."""
        return self.rows.number("selected")

    @property
    def filtered(self) -> np.ndarray:
        """(item,) bool: a limit of [filters] excludes the item."""
        return self.rows.number("filtered")

    @property
    def arrived_at(self) -> np.ndarray:
        """(item,) Unix time of the arrival, by the engine's clock."""
        return self.rows.number("arrived_at")

    @property
    def squares(self) -> list[str]:
        """(item,) names of the grid squares; "" where unknown."""
        return self.rows.square

    @property
    def trainings(self) -> list[str]:
        """(item,) marks for training BoxNet; "" without a mark."""
        return self.rows.training

    def values(self, key: str) -> np.ndarray:
        """(item,) float64 of a summary value; NaN where unknown."""
        return self.rows.value(key)

    def containing(self, part: str) -> np.ndarray:
        """(item,) bool: ``part`` occurs in the name or the reason, in upper or lower case."""
        if self._search is None or self._search.n_names != len(self):
            self._search = NameSearch(self.names)
        found = self._search.containing(part)
        reasons = self.rows.reason
        telling = {reason for reason in set(reasons) if part.lower() in reason.lower()}
        if telling:
            found |= np.fromiter((reason in telling for reason in reasons), bool, len(reasons))
        return found

    def named(self, *states: State) -> list[str]:
        """Names of the items in these states."""
        numbers = [STATE_NUMBERS[state] for state in states]
        return [self.names[n] for n in np.flatnonzero(np.isin(self.states, numbers)).tolist()]

    def counts(self) -> dict[State, int]:
        """Number of items in each state."""
        counted = np.bincount(self.states, minlength=len(STATES))
        return {state: int(counted[number]) for number, state in enumerate(STATES)}

    def newest_age_s(self) -> float | None:
        """Present age of the newest file, in s, counted on from the engine's last status."""
        if self.status is None or self.status.newest_age_s is None:
            return None
        return self.status.newest_age_s + self.status_age_s()

    def status_age_s(self) -> float:
        """Seconds since the engine's last status."""
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
                    changes.log = self.take_line(event) or changes.log
                case Snapshot(rows, status):
                    removed.clear()
                    self._replayed = {_line_key(line) for line in self.log}
                    self._set_status(status, changes)
                    self._rebuild(rows)
                    # Names and texts of 100,000 items stay for good: a garbage collection that goes
                    # through them delays a key by 0.15 s, whenever it comes.
                    gc.collect()  # collect first: what is garbage now would be kept, too
                    gc.freeze()
                    _give_back_memory()
                    changes.everything = changes.values = True
        if removed:
            kept = [n for n, name in enumerate(self.names) if name not in removed]
            self._rebuild(self.rows.taken(np.array(kept, dtype=np.intp)))
            changes.everything = changes.values = True
        return changes

    def take_line(self, line: LogLine) -> bool:
        """Add a line to the log, unless it is there already."""
        if _line_key(line) in self._replayed:
            return False
        name, colon, text = line.text.partition(": ")
        if colon and not line.item and name in self.index:  # lines read from the log file
            line = replace(line, text=text, item=name)
        self.log.append(line)
        self.n_logged += 1
        return True

    def choose(self, names: Iterable[str], choice: Choice) -> None:
        """Show the user's choice before the engine has confirmed it."""
        for name in names:
            number = self.index.get(name)
            if number is not None:
                self.rows.choose(number, choice)

    def _set_status(self, status: EngineStatus, changes: Changes) -> None:
        declared = self.summaries
        self.status, self.status_at = status, time.monotonic()
        changes.status = True
        if status.summaries != declared:
            changes.everything = changes.values = True

    def _put(self, row: ItemRow, changes: Changes) -> None:
        number = self.index.get(row.name)
        changes.items.add(row.name)
        if number is None:
            changes.everything = changes.values = True
            self.index[row.name] = len(self.rows)
            self.rows.put(len(self.rows), row)
            in_order = len(self) < 2 or self._sequence(-2) <= row.sequence
        else:
            old = self.rows[number]
            if (old.summary, old.selected, old.filtered) != (
                row.summary,
                row.selected,
                row.filtered,
            ):
                changes.values = True
            self.rows.put(number, row)
            in_order = old.sequence == row.sequence
        if not in_order:
            changes.everything = changes.values = True
            self._rebuild(self.rows)

    def _sequence(self, number: int) -> int:
        return int(self.rows.number("sequence")[number])

    def _rebuild(self, rows: Sequence[ItemRow]) -> None:
        columns = rows if isinstance(rows, Columns) else Columns(rows)
        sequence = columns.number("sequence")
        if (sequence[1:] < sequence[:-1]).any():
            columns = columns.taken(np.argsort(sequence, kind="stable"))
        self.rows = columns
        self.index = {name: number for number, name in enumerate(columns.names)}
        self._search = None


def _line_key(line: LogLine) -> tuple[int, str]:
    """A key that is equal for a line from an event and for the same line from the log file."""
    return int(line.at), f"{line.item}: {line.text}" if line.item else line.text


def _give_back_memory() -> None:
    """Return to the system the memory that decoding left free between objects that stay."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only with glibc
    if trim is not None:
        trim(0)
