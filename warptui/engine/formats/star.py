"""STAR files as RELION 3.1 and its followers read them: written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warptui.engine.errors import OutputError
from warptui.engine.paths import write_text

VERSION = "# version 30001"  # RELION asks for it before it believes in optics groups
Value = str | int | float


@dataclass(frozen=True)
class Pairs:
    """A block of single values."""

    name: str
    values: Mapping[str, Value]

    def text(self) -> str:
        """The block as it stands in the file."""
        lines = [f"_{label:<40} {format_value(value)}" for label, value in self.values.items()]
        return f"{VERSION}\n\ndata_{self.name}\n\n" + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Table:
    """A block of rows."""

    name: str
    labels: Sequence[str]
    rows: Sequence[Sequence[Value]]

    def text(self) -> str:
        """The block as it stands in the file."""
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


def is_writable(text: str) -> bool:
    """Whether a text can stand in a STAR file: RELION 3.1 knows no quotes."""
    return bool(text) and not any(letter.isspace() for letter in text) and text[0] not in "#_'\"$;"


def format_value(value: Value) -> str:
    """A value as RELION writes it; numbers never depend on the locale."""
    if isinstance(value, float):
        return f"{value:.6e}" if 0 < abs(value) < 0.01 else f"{value:.6f}"
    if isinstance(value, str) and not is_writable(value):
        raise OutputError(f"{value!r} cannot stand in a STAR file: it is empty or has blanks")
    return str(value)
