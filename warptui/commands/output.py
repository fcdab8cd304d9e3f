"""Output of commands: data to stdout, messages to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

DONE, SOME_FAILED, WRONG_CALL = 0, 1, 2


def say(message: str) -> None:
    """Print a message on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print data for programs: one JSON document."""
    print(json.dumps(value, indent=1))


def print_table(rows: list[list[str]]) -> None:
    """Print columns as wide as their widest entry; callers right-align numbers themselves."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def one_line(text: str) -> str:
    """A name or reason with its control characters made visible."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
