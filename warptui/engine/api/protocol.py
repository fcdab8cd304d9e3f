"""The language between engine and viewers: one JSON object a line over a Unix socket.

::

    engine: {"hello": {"protocol": 1, "version": ..., "pid": ..., "host": ..., "project": ...}}
    viewer: {"id": 1, "call": "status", "args": {}}
    engine: {"id": 1, "ok": ...}   or   {"id": 1, "error": {"type": ..., "message": ...}}
    viewer: {"id": 2, "call": "subscribe", "args": {"after": 0}}
    engine: {"part": {columns}}        ... while a snapshot has more items than go in one message
    engine: {"snapshot": {"sequence": n, "items": {columns}, "status": {...}}}
    engine: {"events": [[sequence, {"event": ...}], ...]}     ... until {"bye": reason}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from warptui.engine import errors
from warptui.engine.api.events import Snapshot
from warptui.engine.model.status import EngineStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warptui.engine.model.item_columns import Columns
    from warptui.engine.model.row import ItemRow

PROTOCOL = 4
PART = 4096  # items in a message: neither side holds the text of 100,000 at once
CALLS = (
    "status",
    "items",
    "item",
    "start",
    "pause",
    "stop",
    "override",
    "retry",
    "reprocess",
    "cancel",
    "edit",
    "acknowledge",
    "queue",
    "reload",
    "config",
    "change",
    "preview",
    "preview_export",
    "export",
    "cancel_export",
    "optics_groups",
    "try_settings",
    "drop_trial",
    "training_examples",
    "preview_training",
    "train",
    "cancel_training",
    "models",
    "use_model",
    "discard_model",
    "subscribe",
)
_RAISED = {
    kind.__name__: kind
    for kind in (
        KeyError,
        ValueError,
        errors.SettingsError,
        errors.EngineError,
        errors.ItemError,
        errors.InputError,
        errors.ExportError,
        errors.TrainingError,
    )
}


def line(message: dict[str, Any]) -> bytes:
    """One message as it goes over the wire."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def message(line: bytes) -> dict[str, Any]:
    """The inverse of `line`.

    Raises
    ------
    EngineError
        When the line is no JSON object.
    """
    try:
        found = json.loads(line)
    except ValueError as problem:
        raise errors.EngineError(f"expected a line of JSON, found {line[:80]!r}") from problem
    if not isinstance(found, dict):
        raise errors.EngineError(f"expected a JSON object, found {line[:80]!r}")
    return found


def encode_rows(rows: Iterable[ItemRow]) -> dict[str, Any]:
    """Rows in columns: 100,000 of them in a fraction of a second."""
    from warptui.engine.model.item_columns import Columns  # NumPy: the command line answers without

    return (rows if isinstance(rows, Columns) else Columns(rows)).to_json()


def decode_rows(record: dict[str, Any]) -> Columns:
    """The inverse of `encode_rows`."""
    from warptui.engine.model.item_columns import Columns

    return Columns.from_json(record)


def encode_snapshot(sequence: int, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Messages with a snapshot and the sequence number up to which it is true."""
    from warptui.engine.model.item_columns import Columns

    rows, last = snapshot.rows, 0
    for last in range(PART, len(rows), PART):
        yield {"part": Columns(rows[last - PART : last]).to_json()}
    items = Columns(rows[last:]).to_json()
    status = snapshot.status.to_json()
    yield {"snapshot": {"sequence": sequence, "status": status, "items": items}}


def decode_snapshot(parts: list[Columns], record: dict[str, Any]) -> tuple[int, Snapshot]:
    """The inverse of `encode_snapshot`, given the decoded parts and the last message's content."""
    from warptui.engine.model.item_columns import Columns

    status = EngineStatus.from_json(record["status"])
    rows = Columns.joined([*parts, Columns.from_json(record["items"])])
    return record["sequence"], Snapshot(rows, status)


def encode_error(problem: BaseException) -> dict[str, str]:
    """An exception as its type and message."""
    text = str(problem.args[0]) if isinstance(problem, KeyError) and problem.args else str(problem)
    kinds = (kind.__name__ for kind in type(problem).__mro__)
    name = next((name for name in kinds if name in _RAISED), type(problem).__name__)
    return {"type": name, "message": text or type(problem).__name__}


def raise_error(record: dict[str, str]) -> None:
    """Raise what the engine raised; a type that viewers do not know becomes EngineError."""
    raise _RAISED.get(record["type"], errors.EngineError)(record["message"])
