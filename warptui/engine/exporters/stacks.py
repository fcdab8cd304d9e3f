"""The folder of the stacks that are cut out for a list."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from warptui.engine.formats.writing import TEMPORARY_SUFFIX


def stacks_of(target: Path) -> Path:
    """The folder of the stacks that are cut out for a list."""
    return target.with_suffix("")


def sweep(folder: Path) -> None:
    """Remove incomplete stacks, left by an ended program, from a folder of stacks.

    Only the holder of the list's lock may call this: no other program writes there then.
    """
    for part in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            part.unlink()
