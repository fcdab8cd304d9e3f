"""How every item was last judged, and the values that limits judge, in columns.

Going through 20,000 items takes tens of milliseconds, whatever is done with them; counting them and
applying limits to all of them takes one in columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

import numpy as np

from warptui.engine.items.selection import KEPT, Selection, Spread, Verdict, vector
from warptui.engine.model.item import Choice, State
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.limits import Limit
from warptui.engine.stages.base import Role
from warptui.engine.stages.registry import field_of

FROM_SPREAD = field_of(Role.ASTIGMATISM_SIGMA)  # a value that takes all items to know
# of the same stage: size, angle
ASTIGMATISM = field_of(Role.ASTIGMATISM)[1], field_of(Role.ASTIGMATISM_ANGLE)[1]
ABSENT, OPEN, EXCLUDED, INCLUDED, STAYS, FILTERED = range(6)  # verdict on an item
PARTICLES = field_of(Role.PARTICLES)
_STATES = {state: number for number, state in enumerate(State)}
_CHOICES = {choice: number for number, choice in enumerate(Choice)}
_X, _Y = ((FROM_SPREAD[0], f"astigmatism {axis}") for axis in "xy")  # as vectors

Field = tuple[str, str]  # stage, and field of its result


class SelectionCache:
    """Verdicts on all items, by their places in the columns.

    A stored item is never changed but replaced: where it is the same object as before, so are its
    values. A column is made when a limit first asks for it.
    """

    def __init__(self) -> None:
        self._verdicts, self._states, self._choices = bytearray(), bytearray(), bytearray()
        self._kinds: list[str] = []  # of items
        self._stored: list[StoredItem | None] = []
        self._columns: dict[Field, array[float]] = {PARTICLES: array("d")}
        self._free: list[int] = []

    def add(self, kind: str) -> int:
        """The place of another item."""
        if self._free:
            place = self._free.pop()
            self._kinds[place] = kind
            return place
        self._kinds.append(kind)
        for codes in (self._verdicts, self._states, self._choices):
            codes.append(0)
        self._stored.append(None)
        for column in self._columns.values():
            column.append(np.nan)
        return len(self._stored) - 1

    def remove(self, place: int) -> None:
        """There is no such item any more."""
        self._verdicts[place], self._stored[place] = ABSENT, None
        self._free.append(place)

    def note(self, place: int, state: State, stored: StoredItem, selection: Selection) -> None:
        """How an item was judged just now."""
        self._states[place] = _STATES[state]
        self._choices[place] = _CHOICES[stored.choice]
        self._verdicts[place] = _code(selection)
        if stored is not self._stored[place]:
            self._stored[place] = stored
            for field, column in self._columns.items():
                column[place] = _value(stored, field)

    def counts(self) -> tuple[dict[str, int], dict[str, int], int, int, int]:
        """Items per state and per choice; those that are selected, and filtered; particles."""
        verdicts = np.frombuffer(self._verdicts, np.uint8)
        there = verdicts != ABSENT
        states = np.bincount(np.frombuffer(self._states, np.uint8)[there], minlength=len(_STATES))
        choices = np.frombuffer(self._choices, np.uint8)[there]
        chosen = np.bincount(choices, minlength=len(_CHOICES))
        selected = (verdicts == STAYS) | (verdicts == INCLUDED)
        particles = np.nansum(self._column(PARTICLES)[selected])
        return (
            {str(state): int(n) for state, n in zip(State, states, strict=True)},
            {str(choice): int(n) for choice, n in zip(Choice, chosen, strict=True)},
            int(np.count_nonzero(selected)),
            int(np.count_nonzero(verdicts == FILTERED)),
            int(particles),
        )

    def apply(
        self,
        before: dict[Field, Limit],
        now: dict[Field, Limit],
        spread: Spread,
        kind_of: Mapping[str, str],
    ) -> Iterator[tuple[int, Selection]]:
        """Judge all items by other limits together: `counts` is by these limits from here on.

        What is returned finds, place by place, the words for all items whose verdict or reason may
        be another. A reason names every limit that is broken, and so it may be another where one
        that changed is, though the item was out before. ``kind_of`` names, by stage, the kind of
        the items that the limits on its values judge.
        """
        n = len(self._stored)
        out, reworded = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        broken: list[tuple[Limit, np.ndarray, np.ndarray]] = []
        for field, limit in now.items():
            values = self._values(field, spread)
            outside = _outside(limit, values) & self._is(kind_of[field[0]])
            out |= outside
            broken.append((limit, values, outside))
            if before.get(field) != limit:
                reworded |= outside
        for field, limit in before.items():
            if now.get(field) != limit:
                values = self._values(field, spread)
                reworded |= _outside(limit, values) & self._is(kind_of[field[0]])
        verdicts = np.frombuffer(self._verdicts, np.uint8)
        was_out = verdicts == FILTERED
        looked_at = ((verdicts == STAYS) & out) | (was_out & (reworded | ~out))
        now_is = np.where(looked_at, np.where(out, FILTERED, STAYS), verdicts)
        self._verdicts[:] = now_is.astype(np.uint8).tobytes()
        return _worded(np.flatnonzero(looked_at), broken)

    def _is(self, kind: str) -> np.ndarray | bool:
        """(item,) bool: the items of this kind; True where there are no others."""
        found = set(self._kinds)
        return np.array([other == kind for other in self._kinds]) if found != {kind} else True

    def _values(self, field: Field, spread: Spread) -> np.ndarray:
        if field != FROM_SPREAD:
            return self._column(field)
        return spread.distances(self._column(_X), self._column(_Y))

    def _column(self, field: Field) -> np.ndarray:
        if field not in self._columns:
            found = (np.nan if item is None else _value(item, field) for item in self._stored)
            self._columns[field] = array("d", found)
        return np.array(self._columns[field])  # a view of an array would keep it from growing


def _worded(
    places: np.ndarray, broken: list[tuple[Limit, np.ndarray, np.ndarray]]
) -> Iterator[tuple[int, Selection]]:
    """The selection of the items at these places, with the limits that each one breaks."""
    complaints: dict[int, str] = {}
    for limit, values, outside in broken:
        those = places[outside[places]]
        for place, value in zip(those.tolist(), values[those].tolist(), strict=True):
            complaint = limit.complaint(None if value != value else value)
            wording = complaints.get(place)
            complaints[place] = complaint if wording is None else f"{wording}, {complaint}"
    for place in places.tolist():
        wording = complaints.get(place)
        yield place, KEPT if wording is None else Selection.filtered_by(wording)


def _outside(limit: Limit, values: np.ndarray) -> np.ndarray:
    """(item,) bool: items outside of a limit, among them those with unknown values."""
    inside = np.ones(len(values), dtype=bool)
    if limit.low is not None:
        inside &= values >= limit.low  # NaN compares as false
    if limit.high is not None:
        inside &= values <= limit.high
    return ~inside


def _value(stored: StoredItem, field: Field) -> float:
    """NaN where it is unknown."""
    stage, name = field
    record = stored.records.get(stage)
    if record is None:
        return np.nan
    if field in (_X, _Y):
        size, angle = map(record.result.get, ASTIGMATISM)
        if size is None or angle is None:
            return np.nan
        return vector(size, angle)[field == _Y]
    value = record.result.get(name)
    return np.nan if value is None else value


def _code(selection: Selection) -> int:
    if selection is KEPT:
        return STAYS
    if selection.filtered:
        return FILTERED
    if selection.verdict is Verdict.OPEN:
        return OPEN
    return INCLUDED if selection.verdict is Verdict.IN else EXCLUDED
