"""Thumbnails for a page: small PNG files as data URIs."""

from __future__ import annotations

import base64
from pathlib import Path

import imagecodecs
import numpy as np

SIDE_PX = 256


def data_uri(path: Path, side: int = SIDE_PX) -> str:
    """The small picture of an item, with the first row at the bottom; "" where there is none."""
    try:
        picture = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return ""  # not made yet, or being replaced: the page says that there is none
    if picture.ndim != 2 or picture.dtype != np.uint8 or not picture.size:
        return ""
    return "data:image/png;base64," + base64.b64encode(png(shrunk(picture, side)[::-1])).decode()


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """(y, x) uint8, its longer side at most ``side``: means of whole pixels."""
    factor = -(-max(picture.shape) // side)
    if factor == 1:
        return picture
    ny, nx = (n // factor for n in picture.shape)
    blocks = picture[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    """A grey picture (y, x) uint8 as a PNG file, the first row on top."""
    return imagecodecs.png_encode(np.ascontiguousarray(picture), level=9)
