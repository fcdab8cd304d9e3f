"""Temporary files that a crash left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from warptui.engine.formats.writing import TEMPORARY_SUFFIX

PRODUCT_FOLDERS = (
    "average",
    "powerspectrum",
    "matching",
    "deconv",
    "thumbnails",
    "mask",
    "motion",
    "models",
    "particles",
)


def find_leftovers(project: Path, pid: int | None = None) -> Iterator[Path]:
    """Temporary files in the project and its own folders, nowhere else; those of one process."""
    ending = TEMPORARY_SUFFIX if pid is None else f".{pid}{TEMPORARY_SUFFIX}"
    yield from project.glob(f".*{ending}")
    for folder in (".warptui", *PRODUCT_FOLDERS):
        yield from (project / folder).rglob(f"*{ending}")
