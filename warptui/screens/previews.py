"""Small pictures that the engine left on disk: the only images that the app ever opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LARGEST_PX = 2048


class PreviewError(ValueError):
    """The file is no preview; says what was found."""


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
