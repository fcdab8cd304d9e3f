"""A particles' STAR file taken apart as text: thousands of them become one without being parsed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from warptui.engine.errors import InputError
from warptui.engine.formats.star import VERSION

GROUP, GROUP_NAME = "rlnOpticsGroup", "rlnOpticsGroupName"
_LAST_WORD = re.compile(rb"[ \t]+[^ \t\n]+[ \t]*$", re.MULTILINE)
_BEGINS = b"\ndata_particles"


@dataclass(frozen=True)
class Head:
    """What many items have in common: the labels of their rows, and their optics."""

    labels: tuple[str, ...]  # without that of the optics group
    optics: tuple[tuple[str, str], ...]  # label and value, without number and name of the group


@dataclass(frozen=True)
class Rows:
    """The particles of one item: lines of text that lack nothing but the group's number."""

    head: Head
    n: int
    body: bytes  # each line ends with a line end


def split_star(data: bytes, what: str) -> Rows:
    """Take a file with one optics group and its particles apart.

    Raises
    ------
    InputError
        If it is no such file; it names ``what``.
    """
    before, _, table = data.replace(b"\r\n", b"\n").partition(_BEGINS)
    labels, rows = _labels_and_rows(table)
    optics_labels, optics_rows = _labels_and_rows(before.partition(b"data_optics")[2])
    values = optics_rows.split(b"#")[0].decode().split()
    if not labels or labels[-1] != GROUP or len(values) != len(optics_labels) or not values:
        raise InputError(f"{what}: no particles with one optics group are in it")
    own = zip(optics_labels, values, strict=True)
    optics = tuple((label, value) for label, value in own if label not in (GROUP, GROUP_NAME))
    text = rows.strip(b"\n")
    body = _without_last_word(text + b"\n") if text else b""
    n = body.count(b"\n")
    if b"\n\n" in body or b"#" in body:
        raise InputError(f"{what}: something stands behind or between the rows")
    return Rows(Head(tuple(labels[:-1]), optics), n, body)


def _labels_and_rows(table: bytes) -> tuple[list[str], bytes]:
    """A table's labels, and everything that stands behind them."""
    _, _, rest = table.partition(b"loop_\n")
    labels = []
    while rest.startswith(b"_"):
        line, _, rest = rest.partition(b"\n")
        labels.append(line.split()[0][1:].decode())
    return labels, rest


def _without_last_word(body: bytes) -> bytes:
    """Lines without the optics group's number, which is 1 in files of ours."""
    if body.count(b" 1\n") == body.count(b"\n"):
        return body.replace(b" 1\n", b"\n")
    return _LAST_WORD.sub(b"", body)


def table_head(name: str, labels: Sequence[str]) -> bytes:
    """Everything of a table that stands before its rows."""
    heads = "\n".join(f"_{label} #{number}" for number, label in enumerate(labels, 1))
    return f"{VERSION}\n\ndata_{name}\n\nloop_\n{heads}\n".encode()
