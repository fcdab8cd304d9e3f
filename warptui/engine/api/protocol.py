"""The language between engine and viewers: one JSON object a line over a Unix socket.

The calls are the verbs of `api.verbs.VERBS`. ::

    engine: {"hello": {"protocol": 5, "version": ..., "pid": ..., "host": ..., "project": ...}}
    viewer: {"id": 1, "call": "status", "args": {}}
    engine: {"id": 1, "ok": ...}   or   {"id": 1, "error": {"type": ..., "message": ...}}
    viewer: {"id": 2, "call": "subscribe", "args": {"after": 0}}
    engine: {"part": {columns}}        ... while a snapshot has more items than go in one message
    engine: {"snapshot": {"sequence": n, "items": {columns}, "status": {...}}}
    engine: {"events": [[sequence, {"event": ...}], ...]}     ... until {"bye": reason}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from warptui.engine import errors
from warptui.engine.api.events import Snapshot
from warptui.engine.model import codec
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warptui.engine.model.item_columns import Columns

ROWS = Sequence[ItemRow]

PROTOCOL = 5
PART = 4096  # items in a message: neither side holds the text of 100,000 at the same time
SUBSCRIBE = "subscribe"  # the one call that is no verb: it has no answer, but events
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


def encode_snapshot(sequence: int, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Messages with a snapshot and the sequence number up to which it is true."""
    rows, last = snapshot.rows, 0
    for last in range(PART, len(rows), PART):
        yield {"part": codec.encode(rows[last - PART : last], ROWS)}
    items = codec.encode(rows[last:], ROWS)
    status = codec.encode(snapshot.status)
    yield {"snapshot": {"sequence": sequence, "status": status, "items": items}}


def decode_part(record: dict[str, Any]) -> Columns:
    """Some of a snapshot's rows."""
    return codec.decode(ROWS, record)


def decode_snapshot(parts: list[Columns], record: dict[str, Any]) -> tuple[int, Snapshot]:
    """The inverse of `encode_snapshot`, given the decoded parts and the last message's content."""
    from warptui.engine.model.item_columns import (
        Columns,
    )  # NumPy: the command line starts without it

    status = codec.decode(EngineStatus, record["status"])
    rows = Columns.joined([*parts, decode_part(record["items"])])
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
