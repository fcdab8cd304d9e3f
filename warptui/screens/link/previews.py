"""Small arrays that the engine left on disk: the only ones that the app ever opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LARGEST_PX = 2048
MOST_CANDIDATES = 100_000


class PreviewError(ValueError):
    """The file is not what it should be; says what was found."""


def read_preview(path: Path) -> np.ndarray:
    """A uint8 picture (y, x).

    Raises
    ------
    PreviewError
        When it cannot be read, or is something else.
    """
    try:
        picture = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise PreviewError(f"the preview cannot be read\n{path}\n{problem}") from problem
    if picture.dtype != np.uint8 or picture.ndim != 2 or max(picture.shape) > LARGEST_PX:
        raise PreviewError(
            f"the preview is no small uint8 picture\n{path}\nit has {picture.dtype}, "
            f"{' x '.join(map(str, picture.shape))}"
        )
    return np.array(picture)


def read_candidates(path: Path) -> np.ndarray:
    """(n, 4) float32 of what may be a particle: y, x, score, area.

    Raises
    ------
    PreviewError
        When it cannot be read, or is something else.
    """
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise PreviewError(f"the candidates cannot be read\n{path}\n{problem}") from problem
    if table.dtype != np.float32 or table.ndim != 2 or table.shape[1] != 4:
        found = f"{table.dtype}, {' x '.join(map(str, table.shape))}"
        raise PreviewError(f"this is no table of candidates\n{path}\nit has {found}")
    if len(table) > MOST_CANDIDATES:
        raise PreviewError(f"too many candidates: {len(table):,}\n{path}")
    table = np.array(table)
    if not np.isfinite(table).all():
        raise PreviewError(f"some candidates are not finite\n{path}")
    return table
