"""Writing arrays as NumPy files, completely or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from warptui.engine.formats.writing import write_bytes


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array (``.npy``) beside ``path``, synced, then renamed into place."""
    memory = io.BytesIO()
    np.save(memory, array)
    write_bytes(path, memory.getbuffer())
