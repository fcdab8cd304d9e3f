"""A table of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of texts under their heads. The first column is text; others may be numbers."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold whole numbers alone, and are aligned right."""
        return [
            column > 0 and all(row[column].replace(",", "").isdigit() for row in self.rows)
            for column in range(len(self.heads))
        ]
