"""Reads previews and candidates from disk: the only files with results that the app opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LARGEST_PX = 2048
MOST_CANDIDATES = 100_000


class PreviewError(ValueError):
    """The file is damaged or has another content; the message says what was found."""


def read_preview(path: Path) -> np.ndarray:
    """Read a preview: a uint8 picture (y, x).

    Raises
    ------
    PreviewError
        When the file cannot be read, or is no preview.
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
    """Read candidates, (n, 4) float32: y, x, score, area.

    Raises
    ------
    PreviewError
        When the file cannot be read, or holds no candidates.
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
