"""Raw files: reading from several threads, and the frames that a format finds in a file.

Files are read with ``pread``, never mapped: a mapped file that another host truncates
kills the process, a short read only raises.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warptui.engine.errors import InputError, TransientError, TruncatedError

TRANSIENT_ERRNOS = frozenset({errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN})


class Source:
    """A regular file opened for reading from several threads.

    Raises
    ------
    OSError
        If the file cannot be opened.
    InputError
        If it is a folder, a pipe or a device.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise InputError(f"{self.name}: not a regular file; remove it or exclude its name")
        self.size = status.st_size

    @property
    def name(self) -> str:
        """File name, for messages."""
        return self.path.name

    def read_at(self, offset: int, count: int) -> bytes:
        """Bytes ``offset`` to ``offset + count``.

        Raises
        ------
        TruncatedError
            If the file ends before.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            raise TruncatedError(
                f"{self.name}: bytes {offset} to {offset + count} are wanted, "
                f"but the file has {self.size}; copy it again"
            )
        parts: list[bytes] = []
        left = count
        while left:
            part = os.pread(self._descriptor, left, offset)
            if not part:
                raise TruncatedError(f"{self.name}: became shorter while it was read")
            parts.append(part)
            left -= len(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, offset: int, out: np.ndarray) -> None:
        """Fill the C-contiguous ``out`` with the bytes from ``offset`` on, without a copy.

        Raises
        ------
        TruncatedError
            If the file ends before ``out`` is full.
        """
        target = memoryview(out.reshape(-1).view(np.uint8).data)
        done = 0
        while done < len(target):
            count = os.preadv(self._descriptor, [target[done:]], offset + done)
            if not count:
                raise TruncatedError(
                    f"{self.name}: {len(target)} bytes from {offset} on are wanted, "
                    f"but the file has {self.size}; copy it again"
                )
            done += count

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Frames:
    """The frames of a movie, with a function that decodes one frame."""

    format: str  # "mrc", "tiff" or "eer"
    shape_yx: tuple[int, int]
    dtype: np.dtype
    n_frames: int  # delivered (EER: groups)
    n_raw_frames: int
    decode: Callable[[int, np.ndarray], None]  # index, out (y, x) of dtype, C-contiguous
    pixel_size: float | None = None
    dose_per_frame: float | None = None  # e/Å² of a delivered frame
    notes: tuple[str, ...] = ()


@contextmanager
def transient_errors(path: Path) -> Iterator[None]:
    """Turn file system hiccups into `TransientError`; other OSErrors pass through."""
    try:
        yield
    except OSError as error:
        if error.errno in TRANSIENT_ERRNOS:
            raise TransientError(f"{Path(path).name}: {error.strerror}; will try again") from error
        raise
