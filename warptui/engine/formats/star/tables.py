"""STAR files for RELION 3.1 and later, written completely or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warptui.engine.errors import InputError, OutputError
from warptui.engine.formats.writing import write_text

VERSION = "# version 30001"  # without this line RELION ignores optics groups
Value = str | int | float


@dataclass(frozen=True)
class Pairs:
    """A block of single values."""

    name: str
    values: Mapping[str, Value]

    def text(self) -> str:
        """The block as text of a STAR file."""
        lines = [f"_{label:<40} {format_value(value)}" for label, value in self.values.items()]
        return f"{VERSION}\n\ndata_{self.name}\n\n" + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Table:
    """A block of rows."""

    name: str
    labels: Sequence[str]
    rows: Sequence[Sequence[Value]]

    def text(self) -> str:
        """The block as text of a STAR file."""
        heads = "\n".join(f"_{label} #{number}" for number, label in enumerate(self.labels, 1))
        rows = "\n".join(" ".join(format_value(value) for value in row) for row in self.rows)
        return f"{VERSION}\n\ndata_{self.name}\n\nloop_\n{heads}\n{rows}\n"


def write_star(path: Path, blocks: Sequence[Pairs | Table]) -> None:
    """Write a STAR file beside ``path``, synced, then renamed into place.

    It ends with a blank line: RELION 3.1 drops a motion model whose last row ends the file.

    Raises
    ------
    OutputError
        If a text is empty or has blanks, which no version of RELION reads back.
    """
    text = "\n\n".join(block.text() for block in blocks)
    write_text(path, text + "\n")


def read_columns(
    path: Path, wanted: Sequence[str], optional: Sequence[str] = ()
) -> list[tuple[float, ...]]:
    """Read columns of numbers from the first table with all ``wanted`` labels, in their order.

    Columns of ``optional`` labels follow; 0 if the table lacks a label.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such table.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: cannot be read: {problem}") from problem
    labels: dict[str, int] = {}
    rows: list[list[str]] = []
    for line in (line.strip() for line in lines):
        if line == "loop_" or line.startswith("data_"):
            if set(labels) >= set(wanted):
                break
            labels, rows = {}, []
        elif line.startswith("_"):
            labels[line.split()[0][1:]] = len(labels)
        elif line and not line.startswith("#"):
            rows.append(line.split())
    if not set(labels) >= set(wanted):
        raise InputError(f"{path}: no table in it has {' and '.join(wanted)}")
    columns = [labels.get(name) for name in (*wanted, *optional)]
    try:
        return [
            tuple(0.0 if column is None else float(row[column]) for column in columns)
            for row in rows
        ]
    except (ValueError, IndexError) as problem:
        raise InputError(f"{path}: a row has no coordinates ({problem})") from problem


def is_writable(text: str) -> bool:
    """Whether a STAR file can hold a text: RELION 3.1 does not understand quotes."""
    return bool(text) and not any(letter.isspace() for letter in text) and text[0] not in "#_'\"$;"


def format_value(value: Value) -> str:
    """A value as RELION writes it; numbers never depend on the locale."""
    if isinstance(value, float):
        return f"{value:.6e}" if 0 < abs(value) < 0.01 else f"{value:.6f}"
    if isinstance(value, str) and not is_writable(value):
        raise OutputError(f"{value!r} cannot be written to a STAR file: it is empty or has blanks")
    return str(value)
