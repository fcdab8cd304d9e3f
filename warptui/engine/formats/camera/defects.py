"""Defect maps: mask images or text files of rectangles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warptui.engine.errors import GainError
from warptui.engine.formats.image import orient, read_image

_TEXT_SUFFIXES = (".txt", ".csv", ".lst")
_MAX_TEXT_BYTES = 16 << 20


def read_defects(
    path: Path,
    *,
    shape_yx: tuple[int, int],
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
) -> np.ndarray:
    """Read a defect map in the orientation of the gain reference: bool (y, x), True = bad.

    An image marks bad pixels by values other than zero. A text file (``.txt``) has lines
    ``x y width height``, counted from 0 at the first pixel of the first MRC row (bottom
    left); empty lines and those that begin with # are skipped.

    Raises
    ------
    GainError
        If the size does not fit, or a line is not understood (it says which).
    OSError, TransientError, TruncatedError, CorruptError, InputError
        If the file cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() in _TEXT_SUFFIXES:
        unturned = (shape_yx[1], shape_yx[0]) if transpose else shape_yx
        mask = _read_rectangles(path, unturned)
    else:
        mask = read_image(path) != 0
    mask = orient(mask, flip_x=flip_x, flip_y=flip_y, transpose=transpose)
    if mask.shape != shape_yx:
        hint = ""
        if mask.shape[::-1] == shape_yx:
            hint = f"; it fits with gain_transpose = {str(not transpose).lower()}"
        raise GainError(
            f"{path.name}: the defect map is {mask.shape[1]} x {mask.shape[0]} px (x, y), "
            f"the frames {shape_yx[1]} x {shape_yx[0]}{hint}"
        )
    if mask.mean() > 0.5:
        raise GainError(
            f"{path.name}: {100 * mask.mean():.0f} % of the pixels are marked as bad; "
            "expected zeros where pixels are good"
        )
    return mask


def _read_rectangles(path: Path, shape_yx: tuple[int, int]) -> np.ndarray:
    if path.stat().st_size > _MAX_TEXT_BYTES:
        raise GainError(f"{path.name}: too large for a list of rectangles; expected lines x y w h")
    mask = np.zeros(shape_yx, bool)
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            x, y, width, height = (int(word) for word in words)
        except ValueError:
            raise GainError(
                f"{path.name}, line {number}: {line.strip()[:60]!r}; "
                "expected four whole numbers: x y width height"
            ) from None
        fits = x >= 0 and y >= 0 and width > 0 and height > 0
        if not fits or x + width > shape_yx[1] or y + height > shape_yx[0]:
            raise GainError(
                f"{path.name}, line {number}: the rectangle {x} {y} {width} {height} does not lie "
                f"within {shape_yx[1]} x {shape_yx[0]} px"
            )
        mask[y : y + height, x : x + width] = True
    return mask
