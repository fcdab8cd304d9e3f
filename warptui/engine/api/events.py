"""Everything that the engine says. Frozen records; JSON on the wire (`encode`, `decode`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    """Everything at once: the first event of a viewer, and whenever it fell too far behind.

    Replaces all that the viewer knew: an item that is not in ``rows`` is gone.
    """

    rows: Sequence[ItemRow]  # in order of arrival; from the socket as `columns.Columns`
    status: EngineStatus


@dataclass(frozen=True)
class CatchingUp:
    """A snapshot is on its way and takes long; made by the viewer's side, never sent."""

    n_items: int  # so far


Event = ItemChanged | ItemRemoved | StatusChanged | LogLine | Snapshot | CatchingUp


def encode(event: Event) -> dict[str, Any]:
    """JSON-ready record with the event's type under ``event``."""
    return {"event": type(event).__name__, **asdict(event)}


def decode(record: dict[str, Any]) -> Event:
    """The inverse of `encode`.

    Raises
    ------
    ValueError
        For an event that this version does not know.
    """
    match record.get("event"):
        case "ItemChanged":
            return ItemChanged(ItemRow.from_json(record["row"]))
        case "ItemRemoved":
            return ItemRemoved(record["name"])
        case "StatusChanged":
            return StatusChanged(EngineStatus.from_json(record["status"]))
        case "LogLine":
            return LogLine(record["at"], record["level"], record["text"], record.get("item", ""))
        case "Snapshot":
            rows = tuple(ItemRow.from_json(row) for row in record["rows"])
            return Snapshot(rows, EngineStatus.from_json(record["status"]))
        case other:
            raise ValueError(f"unknown event {other!r}: viewer and engine differ in version")
