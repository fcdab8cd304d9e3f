"""State that all screens share: the mirror of the session, filter and order of the list, cursor."""

from __future__ import annotations

from typing import Any

import numpy as np

from warptui.engine.errors import OtherVersionError
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.screens.keys.names import key_name
from warptui.screens.link.mirror import STATE_NUMBERS, Mirror
from warptui.screens.link.pending_edits import PendingEdits
from warptui.screens.look.glyphs import Drawing
from warptui.screens.overview.acquisition import Along, axis_of
from warptui.screens.overview.filters import Filter
from warptui.screens.overview.limits import Limits
from warptui.screens.overview.problems import problems
from warptui.screens.overview.sorting import Sort, ordered, places

_TOUCHED = (State.DONE, State.OUTDATED, State.FAILED)


class Workspace:
    """One viewer's state: what is listed, in which order, and where the cursor is."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        # numbers of the listed items in the mirror's rows
        self.order = np.zeros(0, dtype=np.intp)
        self._ordered = (self.mirror.rows, 0)  # the data from which `order` was made
        self.filter: Filter | None = None
        self.sort: Sort | None = None  # None: in order of arrival
        self.frozen = False  # a range is being marked: keep the order as long as possible
        self.along = Along.ORDER
        self.limits = Limits(self.mirror)
        self.current: str | None = None
        self.following = True  # the cursor follows the newest processed item
        self.drawing = Drawing.QUADRANT
        self.lost = ""  # why the engine is not reachable; empty if it is
        self.other_version: OtherVersionError | None = None  # an engine of another version answers
        self.connecting = True
        self.catching_up: int | None = None  # items of a snapshot that have arrived so far
        self.config: dict[str, Any] = {}  # the engine's settings as JSON values
        self.draft: dict[str, dict[str, Any]] = {}  # settings changed in this app, not applied yet
        self.trial: dict[str, dict[str, Any]] = {}  # settings to try on items alone
        self.training: dict[str, dict[str, Any]] = {}  # settings of the next training alone
        self.training_begun = ""  # the model whose training was started in this app
        self.training_seen: tuple[Any, ...] | None = None  # the training as shown last
        self.edits = PendingEdits()  # edits of picks, with the steps to undo them
        self.settings_version = 0  # version of the settings that were asked for last

    def key(self, name: str) -> str:
        """The user's key for the app's binding of this id, for texts."""
        return key_name(self.config.get("keys", {}), name)

    @property
    def n_drafted(self) -> int:
        """Number of settings that are changed but not applied."""
        return sum(map(len, self.draft.values()))

    @property
    def current_number(self) -> int | None:
        """The current item's number in order of arrival."""
        return self.mirror.index.get(self.current) if self.current else None

    @property
    def current_row(self) -> ItemRow | None:
        """The current item."""
        number = self.current_number
        return None if number is None else self.mirror.rows[number]

    @property
    def order_depends_on_items(self) -> bool:
        """Whether a changed item may have to move in the list, or leave it."""
        return self.filter is not None or self.sort is not None

    def refresh(self) -> None:
        """Filter and sort again; keep the current item, or follow the newest."""
        if not self._keep_order():
            if self.filter is None:
                shown = np.arange(len(self.mirror))
            else:
                shown = np.flatnonzero(self.filter.mask(self.mirror))
            self.order = ordered(self.mirror, shown, self.sort)
            self._ordered = (self.mirror.rows, len(self.mirror))
        number = self.current_number
        if self.following or number is None:
            self.current = self.newest()
        elif len(self.order):
            # keys never act on an item that is not listed: move to the nearest one that is
            self.current = self.mirror.names[self.order[self.place(number)]]

    def _keep_order(self) -> bool:
        """While a range is marked, keep the order and append new items."""
        rows, n = self._ordered
        if not self.frozen or rows is not self.mirror.rows:
            return False  # the numbers refer to other items now
        self.order = np.concatenate([self.order, np.arange(n, len(self.mirror))])
        self._ordered = (rows, len(self.mirror))
        return True

    def place(self, number: int) -> int:
        """Position in `order` of an item, or of the listed item that arrived nearest to it."""
        found = int(places(self.order, len(self.mirror))[number])
        return found if found >= 0 else int(np.argmin(np.abs(self.order - number)))

    def newest(self) -> str | None:
        """The newest listed item that was processed, else the newest one."""
        if not len(self.order):
            return None
        touched = np.isin(self.mirror.states[self.order], [STATE_NUMBERS[s] for s in _TOUCHED])
        found = self.order[touched]
        return self.mirror.names[found.max() if len(found) else self.order.max()]

    def go_to(self, name: str) -> None:
        """Make an item the current one; clear a filter that hides it."""
        number = self.mirror.index.get(name)
        if number is not None and number not in self.order:
            self.filter = None
            self.refresh()
        self.following = False
        self.current = name

    def step(self, steps: int) -> str | None:
        """The item so many rows from the current one; stays at the ends of the list."""
        if not len(self.order):
            return None
        there = self.place(self.current_number or 0) + steps
        return self.mirror.names[self.order[min(max(there, 0), len(self.order) - 1)]]

    def step_in_session(self, steps: int) -> str | None:
        """Name of the listed item ``steps`` away along the session's axis; stops at both ends."""
        if not len(self.order):
            return None
        place = np.arange(len(self.mirror), dtype=float)
        if self.along is Along.SQUARE:
            place = axis_of(self.mirror, self.along).x
        shown = self.order[np.argsort(place[self.order])]
        here = int(np.searchsorted(place[shown], place[self.current_number or 0]))
        return self.mirror.names[shown[min(max(here + steps, 0), len(shown) - 1)]]

    def next_problem(self, direction: int = 1) -> str | None:
        """The next item that failed, is missing or has no signal, wrapping around, or None."""
        found = np.flatnonzero(problems(self.mirror))
        if not len(found):
            return None
        here = -1 if self.current_number is None else self.current_number
        if direction > 0:
            later = found[found > here]
            number = later[0] if len(later) else found[0]
        else:
            earlier = found[found < here]
            number = earlier[-1] if len(earlier) else found[-1]
        return self.mirror.names[number]

    def next_match(self, direction: int) -> str | None:
        """The next item of the list, wrapping around."""
        if not len(self.order):
            return None
        there = self.place(self.current_number or 0) + direction
        return self.mirror.names[self.order[there % len(self.order)]]
