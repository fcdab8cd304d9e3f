"""The language between engine and viewers: one JSON object a line over a Unix socket.

::

    engine: {"hello": {"protocol": 1, "version": ..., "pid": ..., "host": ..., "project": ...}}
    viewer: {"id": 1, "call": "status", "args": {}}
    engine: {"id": 1, "ok": ...}   or   {"id": 1, "error": {"type": ..., "message": ...}}
    viewer: {"id": 2, "call": "subscribe", "args": {"after": 0}}
    engine: {"snapshot": {"sequence": n, "fields": [...], "rows": [[...], ...], "status": {...}}}
    engine: {"events": [[sequence, {"event": ...}], ...]}     ... until {"bye": reason}
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from warptui.engine import errors
from warptui.engine.events import Snapshot
from warptui.engine.items import EngineStatus, ItemRow

PROTOCOL = 1
FIELDS = tuple(field.name for field in fields(ItemRow))
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
    "reload",
    "config",
    "subscribe",
)
_RAISED = {
    kind.__name__: kind
    for kind in (KeyError, ValueError, errors.SettingsError, errors.EngineError, errors.ItemError)
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


def encode_rows(rows: list[ItemRow]) -> dict[str, Any]:
    """Rows without the repetition of their field names: 10,000 of them in well under a second."""
    return {"fields": FIELDS, "rows": [[getattr(row, name) for name in FIELDS] for row in rows]}


def decode_rows(record: dict[str, Any]) -> list[ItemRow]:
    """The inverse of `encode_rows`."""
    names = record["fields"]
    return [ItemRow.from_json(dict(zip(names, row, strict=True))) for row in record["rows"]]


def encode_snapshot(sequence: int, snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot and the sequence number up to which it is true."""
    status = snapshot.status.to_json()
    return {"sequence": sequence, "status": status, **encode_rows(list(snapshot.rows))}


def decode_snapshot(record: dict[str, Any]) -> tuple[int, Snapshot]:
    """The inverse of `encode_snapshot`."""
    status = EngineStatus.from_json(record["status"])
    return record["sequence"], Snapshot(tuple(decode_rows(record)), status)


def encode_error(problem: BaseException) -> dict[str, str]:
    """An exception as its type and message."""
    text = str(problem.args[0]) if isinstance(problem, KeyError) and problem.args else str(problem)
    return {"type": type(problem).__name__, "message": text or type(problem).__name__}


def raise_error(record: dict[str, str]) -> None:
    """Raise what the engine raised; a type that viewers do not know becomes EngineError."""
    raise _RAISED.get(record["type"], errors.EngineError)(record["message"])
