"""Reads items around the cursor ahead, so that a step to a neighbour is immediate. No Textual."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from warptui.engine.errors import WarptuiError
from warptui.engine.model.row import ItemRow
from warptui.screens.link.feed import Engine
from warptui.screens.stages import StageView
from warptui.screens.stages.view import Loaded

KEPT = 16  # items whose record and picture stay in memory
AHEAD = (1, -1, 2, -2, 3, -3)  # neighbours in the order in which they are read


class Shelf:
    """The items that were read last. A changed item stays until it is read again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Loaded] = OrderedDict()
        self._stale: set[str] = set()
        self.reading = ""  # the item that a thread is reading

    def get(self, name: str | None) -> Loaded | None:
        """The item as read, if it is here."""
        return self._kept.get(name) if name else None

    def forget(self, rows: Iterable[ItemRow]) -> None:
        """Mark changed items for reading again, unless only their progress changed."""
        for row in rows:
            loaded = self._kept.get(row.name)
            known = loaded.detail.row if loaded and loaded.detail else None
            if row.name == self.reading or known is None or _settled(known) != _settled(row):
                self._stale.add(row.name)

    def wanted(self, names: Sequence[str | None]) -> str | None:
        """The first of ``names`` that must be read; it is then marked as being read."""
        if self.reading:
            return None
        for name in names:
            if name and (name not in self._kept or name in self._stale):
                self.reading = name
                self._stale.discard(name)
                return name
        return None

    def put(self, name: str, loaded: Loaded) -> None:
        """Keep an item that was read."""
        self.reading = ""
        self._kept[name] = loaded
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            gone, _ = self._kept.popitem(last=False)
            self._stale.discard(gone)


def _settled(row: ItemRow) -> ItemRow:
    return replace(row, fraction=0.0, stage="")


def read(client: Engine, name: str, views: Sequence[StageView]) -> Loaded:
    """An item's record, and the pictures and arrays that the views need. Runs in a thread."""
    try:
        detail = client.item(name)
    except (WarptuiError, KeyError) as problem:
        return Loaded(problem=str(problem))
    return Loaded(detail, {view.stage: view.read(detail) for view in views})
