"""Reads single images, such as gain references, from MRC, TIFF, DM3 and DM4 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warptui.engine.errors import InputError
from warptui.engine.formats import dm, mrc
from warptui.engine.formats.source import Source, transient_errors
from warptui.engine.formats.tiff import movie, structure


def read_image(path: Path, *, flip_tiff: bool = True) -> np.ndarray:
    """Read a file's only image (y, x) in its own type; the format is found from the content.

    TIFF and DM files hold the top row first and are flipped, so that row 0 is the first MRC
    row; ``flip_tiff=False`` leaves a TIFF's rows as they are in the file.

    Raises
    ------
    OSError, TransientError
        If the file cannot be opened.
    TruncatedError, CorruptError, InputError
        If it cannot be read, or holds more than one image.
    """
    with transient_errors(path), Source(Path(path)) as source:
        head = source.read_at(0, min(16, source.size))
        if dm.is_dm(head):
            return np.ascontiguousarray(dm.read_dm(source)[::-1])
        if structure.is_tiff(head):
            frames = movie.tiff_frames(source, structure.read_chain(source))
        else:
            frames = mrc.mrc_frames(source)
        if frames.n_frames != 1:
            raise InputError(f"{source.name}: {frames.n_frames} images in the file; expected one")
        image = np.empty(frames.shape_yx, frames.dtype)
        frames.decode(0, image)
    if frames.format == "tiff" and not flip_tiff:
        return np.ascontiguousarray(image[::-1])
    return image


def orient(image: np.ndarray, *, flip_x: bool, flip_y: bool, transpose: bool) -> np.ndarray:
    """Flip x, flip y, then transpose, in the order of the settings."""
    image = image[:, ::-1] if flip_x else image
    image = image[::-1] if flip_y else image
    return np.ascontiguousarray(image.T if transpose else image)
