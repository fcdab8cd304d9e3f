"""Splits STAR files of particles as text, to merge thousands of files without parsing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from warptui.engine.errors import InputError
from warptui.engine.formats.star.tables import VERSION

GROUP, GROUP_NAME = "rlnOpticsGroup", "rlnOpticsGroupName"
_LAST_WORD = re.compile(rb"[ \t]+[^ \t\n]+[ \t]*$", re.MULTILINE)
_BEGINS, _OPTICS = b"\ndata_particles", b"data_optics"
_LABELS = re.compile(rb"loop_\n((?:_[^\n]*\n)+)")


@dataclass(frozen=True)
class Head:
    """Labels of rows, and optics, which many items share."""

    labels: tuple[str, ...]  # without that of the optics group
    optics: tuple[tuple[str, str], ...]  # label and value, without number and name of the group


@dataclass(frozen=True)
class Rows:
    """The particles of one item: complete lines of text, except for the optics group's number."""

    head: Head
    n: int
    body: bytes  # each line ends with a line end


def split_star(data: bytes, what: str) -> Rows:
    """Split a STAR file with one optics group and its particles.

    Raises
    ------
    InputError
        If it is no such file; it names ``what``.
    """
    data = data.replace(b"\r\n", b"\n")
    begins = data.find(_BEGINS)
    table = _LABELS.search(data, max(begins, 0))
    head = None
    if begins >= 0 and table is not None:
        head = _head(data[max(data.find(_OPTICS), 0) : begins], table[1])
    if head is None or table is None:
        raise InputError(f"{what}: no particles with one optics group are in it")
    text = data[table.end() :].strip(b"\n")
    if b"\n\n" in text or b"#" in text:
        raise InputError(f"{what}: unexpected text behind or between the rows")
    n = text.count(b"\n") + 1 if text else 0
    return Rows(head, n, _without_last_word(text + b"\n", n) if text else b"")


@lru_cache(maxsize=64)  # thousands of files have equal heads
def _head(optics: bytes, labels: bytes) -> Head | None:
    """Labels and optics from the text of the one table and the labels of the other."""
    names = [line.split()[0][1:].decode() for line in labels.splitlines()]
    table = _LABELS.search(optics)
    if table is None:
        return None
    of_optics = [line.split()[0][1:].decode() for line in table[1].splitlines()]
    values = optics[table.end() :].split(b"#")[0].decode().split()
    if names[-1] != GROUP or len(values) != len(of_optics):
        return None
    own = zip(of_optics, values, strict=True)
    kept = tuple((label, value) for label, value in own if label not in (GROUP, GROUP_NAME))
    return Head(tuple(names[:-1]), kept)


def _without_last_word(body: bytes, n: int) -> bytes:
    """Lines without the optics group's number, which is 1 in files of ours."""
    parts = body.split(b" 1\n")
    if len(parts) == n + 1:
        return b"\n".join(parts)
    return _LAST_WORD.sub(b"", body)


def table_head(name: str, labels: Sequence[str]) -> bytes:
    """The text of a table before its rows."""
    heads = "\n".join(f"_{label} #{number}" for number, label in enumerate(labels, 1))
    return f"{VERSION}\n\ndata_{name}\n\nloop_\n{heads}\n".encode()
