"""What all screens share: the mirror of the session, the list's filter and order, the cursor."""

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
    """One viewer's view of the session."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        # shown items as they are listed: numbers into the mirror's rows
        self.order = np.zeros(0, dtype=np.intp)
        self._ordered = (self.mirror.rows, 0)  # what `order` was made of
        self.filter: Filter | None = None
        self.sort: Sort | None = None  # None: as they arrived
        self.frozen = False  # a range is being marked: the order stays as long as that is possible
        self.along = Along.ORDER
        self.limits = Limits(self.mirror)
        self.current: str | None = None
        self.following = True  # the cursor goes with the newest processed item
        self.drawing = Drawing.QUADRANT
        self.lost = ""  # why the engine is not reachable; empty while it is
        self.other_version: OtherVersionError | None = None  # it is of another version
        self.connecting = True
        self.catching_up: int | None = None  # items of a snapshot that have come so far
        self.config: dict[str, Any] = {}  # the engine's settings as JSON values
        self.draft: dict[str, dict[str, Any]] = {}  # settings changed here, not applied yet
        self.trial: dict[str, dict[str, Any]] = {}  # settings to be tried on items, not to apply
        self.training: dict[str, dict[str, Any]] = {}  # settings of the next training alone
        self.training_begun = ""  # the model whose training was begun here
        self.training_seen: tuple[Any, ...] | None = None  # the training as it was shown last
        self.edits = PendingEdits()  # of picks, with what is needed to undo them
        self.settings_version = 0  # of the engine's settings that were asked for last

    def key(self, name: str) -> str:
        """The key that works for the app's binding of this id, as texts name it."""
        return key_name(self.config.get("keys", {}), name)

    @property
    def n_drafted(self) -> int:
        """How many settings are changed but not applied."""
        return sum(map(len, self.draft.values()))

    @property
    def current_number(self) -> int | None:
        """The current item's place in the order of arrival."""
        return self.mirror.index.get(self.current) if self.current else None

    @property
    def current_row(self) -> ItemRow | None:
        """The current item."""
        number = self.current_number
        return None if number is None else self.mirror.rows[number]

    @property
    def order_depends_on_items(self) -> bool:
        """Whether an item that changed may be shown elsewhere, or no more."""
        return self.filter is not None or self.sort is not None

    def refresh(self) -> None:
        """Filter and sort again, and keep the current item or follow the newest."""
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
            # never act on an item that is not shown: its nearest neighbour that is takes over
            self.current = self.mirror.names[self.order[self.place(number)]]

    def _keep_order(self) -> bool:
        """While a range is marked the order stays, and what is new comes last."""
        rows, n = self._ordered
        if not self.frozen or rows is not self.mirror.rows:
            return False  # numbers mean other items now
        self.order = np.concatenate([self.order, np.arange(n, len(self.mirror))])
        self._ordered = (rows, len(self.mirror))
        return True

    def place(self, number: int) -> int:
        """Place in `order` of an item, or of the shown one that arrived nearest to it."""
        found = int(places(self.order, len(self.mirror))[number])
        return found if found >= 0 else int(np.argmin(np.abs(self.order - number)))

    def newest(self) -> str | None:
        """The newest shown item that something was done with, else the newest."""
        if not len(self.order):
            return None
        touched = np.isin(self.mirror.states[self.order], [STATE_NUMBERS[s] for s in _TOUCHED])
        found = self.order[touched]
        return self.mirror.names[found.max() if len(found) else self.order.max()]

    def go_to(self, name: str) -> None:
        """Make an item the current one; a filter that hides it goes."""
        number = self.mirror.index.get(name)
        if number is not None and number not in self.order:
            self.filter = None
            self.refresh()
        self.following = False
        self.current = name

    def step(self, steps: int) -> str | None:
        """The item so many places from the current one in the list; stays at the ends."""
        if not len(self.order):
            return None
        there = self.place(self.current_number or 0) + steps
        return self.mirror.names[self.order[min(max(there, 0), len(self.order) - 1)]]

    def step_in_session(self, steps: int) -> str | None:
        """The shown item so many further on along the session's axis; stays at the ends."""
        if not len(self.order):
            return None
        place = np.arange(len(self.mirror), dtype=float)
        if self.along is Along.SQUARE:
            place = axis_of(self.mirror, self.along).x
        shown = self.order[np.argsort(place[self.order])]
        here = int(np.searchsorted(place[shown], place[self.current_number or 0]))
        return self.mirror.names[shown[min(max(here + steps, 0), len(shown) - 1)]]

    def next_problem(self, direction: int = 1) -> str | None:
        """The next item that failed, is missing or has no signal, round the end; None: none is."""
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
        """The next item in the list, round the end."""
        if not len(self.order):
            return None
        there = self.place(self.current_number or 0) + direction
        return self.mirror.names[self.order[there % len(self.order)]]
