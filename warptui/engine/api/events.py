"""The events that the engine sends to its viewers: frozen records (`encode`, `decode`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warptui.engine.model import codec
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus


@dataclass(frozen=True)
class ItemChanged:
    """An item is new, or anything in its row changed."""

    row: ItemRow


@dataclass(frozen=True)
class ItemRemoved:
    """An item left the list (its file vanished before anything was done with it)."""

    name: str


@dataclass(frozen=True)
class StatusChanged:
    """The engine's state, counts, rates or devices changed; at most a few times a second."""

    status: EngineStatus


@dataclass(frozen=True)
class LogLine:
    """A line for the live log. ``level`` is debug, info, warning or error."""

    at: float  # Unix time, for display
    level: str
    text: str
    item: str = ""


@dataclass(frozen=True)
class Snapshot:
    """All rows and the status: the first event of a viewer, and whenever it fell too far behind.

    Replaces all that the viewer knew: an item that is not in ``rows`` is gone.
    """

    rows: Sequence[ItemRow]  # in order of arrival; from the socket as `item_columns.Columns`
    status: EngineStatus


@dataclass(frozen=True)
class CatchingUp:
    """A snapshot is on its way and takes long; made by the viewer's side, never sent."""

    n_items: int  # so far


Event = ItemChanged | ItemRemoved | StatusChanged | LogLine | Snapshot | CatchingUp
_SENT = {kind.__name__: kind for kind in (ItemChanged, ItemRemoved, StatusChanged, LogLine)}


def encode(event: Event) -> dict[str, Any]:
    """An event as JSON values, with its type's name under ``event``; a snapshot goes in parts."""
    return {"event": type(event).__name__, **codec.encode(event)}


def decode(record: dict[str, Any]) -> Event:
    """The inverse of `encode`.

    Raises
    ------
    ValueError
        For an event that this version does not know, or that lacks something.
    """
    kind = _SENT.get(str(record.get("event")))
    if kind is None:
        found = record.get("event")
        raise ValueError(f"unknown event {found!r}: viewer and engine differ in version")
    return codec.decode(kind, record)
