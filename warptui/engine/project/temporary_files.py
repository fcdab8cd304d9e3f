"""Temporary files that a crash left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from warptui.engine.formats.writing import TEMPORARY_SUFFIX
from warptui.engine.stages.registry import STAGES

OTHER_FOLDERS = ("motion", "models")  # of the motion's export, and of training
_OF_STAGES = [product.folder for stage in STAGES for product in stage.products]
# Folders in a project that hold results: no movies are looked for in them.
PRODUCT_FOLDERS = tuple(
    dict.fromkeys([*(folder.partition("/")[0] for folder in _OF_STAGES), *OTHER_FOLDERS])
)


def find_leftovers(project: Path, pid: int | None = None) -> Iterator[Path]:
    """Temporary files in the project and its own folders, nowhere else; those of one process."""
    ending = TEMPORARY_SUFFIX if pid is None else f".{pid}{TEMPORARY_SUFFIX}"
    yield from project.glob(f".*{ending}")
    for folder in (".warptui", *PRODUCT_FOLDERS):
        yield from (project / folder).rglob(f"*{ending}")
