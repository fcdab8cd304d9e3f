"""Problems of items: failed, missing, or processed without a value that others have. Pure."""

from __future__ import annotations

import numpy as np

from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary
from warptui.screens.link.mirror import CHOICE_NUMBERS, STATE_NUMBERS, Mirror

_GONE = [STATE_NUMBERS[state] for state in (State.FAILED, State.MISSING)]
_PROCESSED = [STATE_NUMBERS[state] for state in (State.DONE, State.OUTDATED)]


def problems(mirror: Mirror) -> np.ndarray:
    """(item,) bool: failed, missing or without signal."""
    return np.isin(mirror.states, _GONE) | without_signal(mirror)


def without_signal(mirror: Mirror) -> np.ndarray:
    """(item,) bool: processed, but a value could not be determined.

    Values that no item has do not count, and items excluded by hand are left out.
    """
    processed = np.isin(mirror.states, _PROCESSED)
    unknown = np.zeros(len(mirror), dtype=bool)
    for summary in mirror.summaries:
        values = np.isnan(mirror.values(summary.key))
        if not values[processed].all():
            unknown |= values
    return processed & unknown & (mirror.choices != CHOICE_NUMBERS[Choice.EXCLUDE])


def words(row: ItemRow, summaries: tuple[Summary, ...]) -> str:
    """A note on an item that explains its dashes; empty for most items."""
    reasons = [row.reason] if row.reason else []
    if row.state in (State.DONE, State.OUTDATED):
        unknown = [entry.label for entry in summaries if row.summary.get(entry.key) is None]
        if unknown and not row.filtered:
            reasons.append(f"no signal: {', '.join(unknown)} unknown")
    elif row.state in (State.FAILED, State.MISSING):
        reasons = reasons or [str(row.state)]
    if row.choice is Choice.EXCLUDE:
        reasons.append("excluded by you")
    elif row.choice is Choice.INCLUDE:
        reasons.append("included by you")
    return "; ".join(reasons)
