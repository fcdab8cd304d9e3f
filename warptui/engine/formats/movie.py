"""Movies of any format: opened, checked for completeness, decoded in parallel."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from warptui.engine.errors import InputError, TruncatedError
from warptui.engine.formats import mrc
from warptui.engine.formats.completeness import check_complete
from warptui.engine.formats.eer import movie as eer
from warptui.engine.formats.source import Frames, Source, transient_errors
from warptui.engine.formats.tiff import movie as tiff
from warptui.engine.formats.tiff import structure

__all__ = ["MovieReader", "check_complete", "open_movie"]


class MovieReader:
    """An open movie. Frames may be decoded from several threads; closing frees the file."""

    def __init__(self, source: Source, frames: Frames) -> None:
        self._source = source
        self._frames = frames
        self.path = source.path
        self.format = frames.format
        self.n_frames = frames.n_frames
        self.n_raw_frames = frames.n_raw_frames
        self.shape_yx = frames.shape_yx
        self.dtype = frames.dtype
        self.pixel_size = frames.pixel_size
        self.dose_per_frame = frames.dose_per_frame
        self.notes = frames.notes

    def read(self, index: int, out: np.ndarray) -> None:
        """Decode frame ``index`` into ``out`` (y, x), C-contiguous, of the movie's dtype.

        Raises
        ------
        TruncatedError, CorruptError
            If the frame's data end early or do not decode.
        TransientError
            If the file system hiccups.
        """
        if not 0 <= index < self.n_frames:
            raise IndexError(f"{self.path.name}: frame {index} of {self.n_frames}")
        if out.shape != self.shape_yx or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out is {out.dtype} {out.shape}; expected contiguous {self.dtype} {self.shape_yx}"
            )
        with transient_errors(self.path):
            self._frames.decode(index, out)

    def read_all(
        self, threads: int = 2, progress: Callable[[float], None] | None = None
    ) -> np.ndarray:
        """All frames (frame, y, x) in one allocation, decoded by ``threads`` threads.

        Raises
        ------
        TruncatedError, CorruptError, TransientError
            As `read`; the first frame that fails is named.
        """
        stack = np.empty((self.n_frames, *self.shape_yx), self.dtype)
        with ThreadPoolExecutor(max(1, threads), thread_name_prefix="decode") as pool:
            jobs = [pool.submit(self.read, index, stack[index]) for index in range(self.n_frames)]
            try:
                for done, job in enumerate(jobs, 1):
                    job.result()
                    if progress is not None:
                        progress(done / self.n_frames)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return stack

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._source.close()

    def __enter__(self) -> MovieReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_movie(
    path: Path, *, eer_frames_per_group: int = 32, eer_upsampling: int = 1
) -> MovieReader:
    """Open a movie; the format is found from the content, not from the name.

    Raises
    ------
    OSError
        If the file cannot be opened (missing, no permission).
    TransientError
        If the file system hiccups.
    TruncatedError, CorruptError, InputError
        If it is incomplete, damaged, or of a kind that is not supported.
    """
    with transient_errors(path):
        source = Source(Path(path))
        try:
            return MovieReader(source, _find_frames(source, eer_frames_per_group, eer_upsampling))
        except BaseException:
            source.close()
            raise


def _find_frames(source: Source, frames_per_group: int, upsampling: int) -> Frames:
    if source.size == 0:
        raise TruncatedError(f"{source.name}: the file is empty; copy it again")
    if not structure.is_tiff(source.read_at(0, min(4, source.size))):
        if source.path.suffix.lower() in (".tif", ".tiff", ".eer", ".gain"):
            raise InputError(f"{source.name}: does not begin as a TIFF file does; copy it again")
        return mrc.mrc_frames(source)
    chain = structure.read_chain(source)
    if eer.is_eer(chain) or source.path.suffix.lower() == ".eer":
        return eer.eer_frames(source, chain, frames_per_group, upsampling)
    return tiff.tiff_frames(source, chain)
