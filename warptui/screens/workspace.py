"""What all screens share: the mirror of the session, the filter, the current item, the glyphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from warptui.engine.items import ItemRow, State
from warptui.screens.filters import Filter
from warptui.screens.mirror import STATE_NUMBERS, Mirror
from warptui.screens.widgets.glyphs import Drawing

_TOUCHED = (State.DONE, State.OUTDATED, State.FAILED)
_PROBLEMS = (State.FAILED, State.MISSING)


class Workspace:
    """One viewer's view of the session."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.order = np.zeros(0, dtype=np.intp)  # shown items: numbers into the mirror's rows
        self.filter: Filter | None = None
        self.current: str | None = None
        self.following = True  # the cursor goes with the newest processed item
        self.drawing = Drawing.QUADRANT
        self.lost = ""  # why the engine is not reachable; empty while it is
        self.connecting = True
        self.config: dict[str, Any] = {}  # the engine's settings as JSON values
        self.settings_version = 0  # of the engine's settings that were asked for last

    @property
    def current_number(self) -> int | None:
        """The current item's place in the order of arrival."""
        return self.mirror.index.get(self.current) if self.current else None

    @property
    def current_row(self) -> ItemRow | None:
        """The current item."""
        number = self.current_number
        return None if number is None else self.mirror.rows[number]

    def refresh(self) -> None:
        """Apply the filter again, and keep the current item or follow the newest."""
        n = len(self.mirror)
        if self.filter is None:
            self.order = np.arange(n)
        else:
            self.order = np.flatnonzero(self.filter.mask(self.mirror))
        number = self.current_number
        if self.following or number is None:
            self.current = self.newest()
        elif self.filter is not None and len(self.order):
            # never act on an item that is not shown: its nearest neighbour that is takes over
            nearest = min(int(np.searchsorted(self.order, number)), len(self.order) - 1)
            self.current = self.mirror.rows[self.order[nearest]].name

    def newest(self) -> str | None:
        """The newest shown item that something was done with, else the newest."""
        if not len(self.order):
            return None
        touched = np.isin(self.mirror.states[self.order], [STATE_NUMBERS[s] for s in _TOUCHED])
        found = np.flatnonzero(touched)
        number = self.order[found[-1]] if len(found) else self.order[-1]
        return self.mirror.rows[number].name

    def step(self, steps: int) -> str | None:
        """The shown item so many places from the current one; stays at the ends."""
        if not len(self.order):
            return None
        here = int(np.searchsorted(self.order, self.current_number or 0))
        there = min(max(here + steps, 0), len(self.order) - 1)
        return self.mirror.rows[self.order[there]].name

    def next_problem(self, direction: int = 1) -> str | None:
        """The next failed or missing item, round the end; None when there is none."""
        problems = np.isin(self.mirror.states, [STATE_NUMBERS[s] for s in _PROBLEMS])
        return self._next(problems, direction)

    def next_match(self, direction: int) -> str | None:
        """The next item that the filter shows, round the end."""
        shown = np.zeros(len(self.mirror), dtype=bool)
        shown[self.order] = True
        return self._next(shown, direction)

    def _next(self, wanted: np.ndarray, direction: int) -> str | None:
        found = np.flatnonzero(wanted)
        if not len(found):
            return None
        here = -1 if self.current_number is None else self.current_number
        if direction > 0:
            later = found[found > here]
            number = later[0] if len(later) else found[0]
        else:
            earlier = found[found < here]
            number = earlier[-1] if len(earlier) else found[-1]
        return self.mirror.rows[number].name
