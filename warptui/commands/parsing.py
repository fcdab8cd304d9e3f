"""What the parsers of the verbs have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Parsers(Protocol):
    """Takes the parsers of verbs (`argparse.ArgumentParser.add_subparsers`)."""

    def add_parser(self, name: str, /, **options: Any) -> argparse.ArgumentParser:
        """A new parser for a verb."""
        ...


def new_parser(
    verbs: Parsers, verb: str, words: str, run: Callable[[argparse.Namespace], int] | None = None
) -> argparse.ArgumentParser:
    """The parser of a verb, which ``run`` carries out; ``words`` say what it does."""
    description = f"{words[0].upper()}{words[1:]}."
    parser = verbs.add_parser(verb, prog=f"warptui {verb}", help=words, description=description)
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print data as JSON")


def add_project(parser: argparse.ArgumentParser) -> None:
    """The project folder; the present one where it is left out."""
    parser.add_argument("project", nargs="?", default=".", metavar="PROJECT", type=Path)
