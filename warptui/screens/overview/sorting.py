"""The order in which items are listed. Pure."""

from __future__ import annotations

import numpy as np

from warptui.engine.model.item import State
from warptui.engine.model.summary import Summary
from warptui.screens.link.mirror import STATE_NUMBERS, Mirror

ARRIVAL, STATE, NAME = "arrival", "state", "name"
Sort = tuple[str, bool]  # key of a summary value or of one of the above; descending

_WORST_FIRST = (
    State.FAILED,
    State.MISSING,
    State.OUTDATED,
    State.WAITING,
    State.RUNNING,
    State.QUEUED,
    State.DONE,
)
_RANKS = np.zeros(len(STATE_NUMBERS), dtype=np.int8)
for _rank, _state in enumerate(_WORST_FIRST):
    _RANKS[STATE_NUMBERS[_state]] = _rank


def ordered(mirror: Mirror, numbers: np.ndarray, sort: Sort | None) -> np.ndarray:
    """``numbers`` (ascending) sorted; equal ones by arrival, unknown values last."""
    if sort is None or not len(numbers):
        return numbers
    key, descending = sort
    if key == ARRIVAL:
        return numbers[::-1] if descending else numbers
    if key == NAME:
        names = mirror.names
        chosen = sorted(numbers.tolist(), key=names.__getitem__, reverse=descending)
        return np.array(chosen, dtype=np.intp)
    if key == STATE:
        # excluded items come between done and failed ones
        values = _RANKS[mirror.states] * 2.0 - (mirror.filtered & ~mirror.selected)
    else:
        values = mirror.values(key)
    values = values[numbers]
    return numbers[np.argsort(-values if descending else values, kind="stable")]  # NaN sorts last


def places(order: np.ndarray, n: int) -> np.ndarray:
    """(item,) position of each item in ``order``; -1 for items that are not in it."""
    found = np.full(n, -1, dtype=np.intp)
    found[order] = np.arange(len(order))
    return found


def sortable(summaries: tuple[Summary, ...]) -> tuple[str, ...]:
    """All keys that the list can be sorted by, from left to right."""
    return (STATE, NAME, *(summary.key for summary in summaries))


def first_look(key: str, summaries: tuple[Summary, ...]) -> Sort:
    """The sort by ``key`` that puts likely bad items on top."""
    summary = next((entry for entry in summaries if entry.key == key), None)
    return key, bool(summary is not None and summary.filter_max and not summary.filter_min)
