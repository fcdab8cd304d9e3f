"""The file that holds the edits of one item."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from warptui.engine.errors import InputError
from warptui.engine.formats.writing import write_text
from warptui.engine.model.edits import NO_EDITS, Edits

FORMAT = 1  # of the file


def read_edits(path: Path) -> Edits:
    """The edits in a file; none where there is no file.

    Raises
    ------
    InputError
        If the file is damaged or of another version: changes made by hand are never ignored.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NO_EDITS
    except UnicodeDecodeError as problem:
        raise _unreadable(path, "it is not text") from problem
    try:
        values = json.loads(text)
    except ValueError as problem:
        raise _unreadable(path, f"it is not JSON ({problem})") from problem
    if not isinstance(values, dict):
        raise _unreadable(path, f"it holds a {type(values).__name__}, not an object")
    found = values.pop("format", None)
    if found != FORMAT:
        raise _unreadable(path, f"its format is {found!r}, this version knows {FORMAT}")
    try:
        return Edits.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise _unreadable(path, f"{where}: {first['msg']}") from problem


def write_edits(path: Path, edits: Edits) -> None:
    """Write ``edits`` beside ``path``, renamed into place; none at all take the file away."""
    if edits == NO_EDITS:
        path.unlink(missing_ok=True)
        return
    values = {"format": FORMAT, **edits.model_dump(mode="json", exclude_defaults=True)}
    write_text(path, json.dumps(values, indent=1) + "\n")


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: the edits of picks cannot be read: {reason}. "
        "Repair it, or move it away to work without these edits"
    )
