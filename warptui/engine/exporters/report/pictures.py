"""Thumbnails for a page: small PNG files as data URIs, made with zlib alone."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

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
    """A grey picture, the first row on top."""
    ny, nx = picture.shape
    rows = np.zeros((ny, nx + 1), dtype=np.uint8)  # each begins with its filter: none
    rows[:, 1:] = picture
    header = struct.pack(">IIBBBBB", nx, ny, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
