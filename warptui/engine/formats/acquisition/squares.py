"""The grid square of a movie, from names and metadata of the acquisition software.

EPU puts each square's movies into a folder ``GridSquare_12345``; its file names contain only the
hole. Leginon and SmartScope put the square into the file name. SerialEM's mdoc has the Navigator's
label of the point: ``12-3`` is the third point of the group on square 12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from warptui.engine.errors import InputError
from warptui.engine.formats.acquisition.mdoc import movie_facts

_FOLDER = re.compile(r"^grid[ _-]?square[ _-]?(\d+)", re.IGNORECASE)  # EPU
_IN_NAME = (
    re.compile(r"(?:^|_)(\d+gr_\d+sq)(?:_|$)", re.IGNORECASE),  # Leginon: grid and square
    re.compile(r"(?:^|[_-])(?:grid)?[_-]?square[_-]?(\d+)(?:[_-]|$)", re.IGNORECASE),  # SmartScope
)
_GROUP = re.compile(r"^(\w+)-\d+$")


def square_of_parts(parts: Sequence[str]) -> str:
    """The square in a path's folders or file name; "" if the path names no square."""
    for folder in reversed(parts[:-1]):
        if found := _FOLDER.match(folder):
            return found[1]
    root = parts[-1].partition(".")[0] if parts else ""
    for form in _IN_NAME:
        if found := form.search(root):
            return found[1]
    return ""


def square_of_label(label: str) -> str:
    """The group in a label of SerialEM's Navigator; "" for a point without a group."""
    found = _GROUP.match(label.strip())
    return found[1] if found else ""


def square_told_beside(movie_path: Path) -> str:
    """The square in the mdoc beside a movie, for paths without a square; "" if unknown."""
    if square_of_parts(movie_path.parts):
        return ""
    with suppress(OSError, InputError):  # processing of the movie reports the problem
        facts = movie_facts(movie_path)
        return square_of_label(facts.navigator_label) if facts else ""
    return ""
