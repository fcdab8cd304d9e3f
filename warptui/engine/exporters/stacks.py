"""The folder of the stacks that are cut out for a list."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from warptui.engine.formats.writing import TEMPORARY_SUFFIX


def stacks_of(target: Path) -> Path:
    """The folder of the stacks that are cut out for a list."""
    return target.with_suffix("")


def sweep(folder: Path) -> None:
    """Remove what a program that was ended left half in a folder of stacks.

    For whoever holds the list alone: nobody else writes there then.
    """
    for part in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            part.unlink()
