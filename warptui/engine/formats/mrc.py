"""MRC images and movies: permissive reading, strict writing.

Source: MRC2014 (Cheng et al. 2015) and IMOD's description of its own extensions.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warptui.engine.errors import CorruptError, InputError, OutputError, TruncatedError
from warptui.engine.formats.source import Frames, Source
from warptui.engine.formats.writing import naming, replacing, temporary

HEADER_BYTES = 1024
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", 101: "u1"}
_MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}
_IMOD_STAMP = 1146047817
_MAX_SIDE = 1 << 20


@dataclass(frozen=True)
class MrcHeader:
    """The fields of an MRC header that warptui uses."""

    shape_zyx: tuple[int, int, int]
    mode: int
    stored: np.dtype  # of one pixel, with the file's byte order
    data_offset: int
    pixel_size: float | None  # Å/px

    @property
    def row_bytes(self) -> int:
        """Bytes of one row: mode 101 packs two pixels in a byte."""
        nx = self.shape_zyx[2]
        return (nx + 1) // 2 if self.mode == 101 else nx * self.stored.itemsize

    @property
    def frame_bytes(self) -> int:
        """Bytes of one section."""
        return self.shape_zyx[1] * self.row_bytes


def read_header(source: Source) -> MrcHeader:
    """Read the header of an MRC file in either byte order, with or without its stamps.

    Raises
    ------
    TruncatedError
        If the file is shorter than a header.
    CorruptError
        If the numbers make no sense in either byte order.
    InputError
        If the mode is not supported.
    """
    if source.size < HEADER_BYTES:
        raise TruncatedError(f"{source.name}: {source.size} bytes, an MRC header alone has 1024")
    data = source.read_at(0, HEADER_BYTES)
    stamped = ">" if data[212:214] == b"\x11\x11" else "<"
    orders = [stamped, "<" if stamped == ">" else ">"]
    order = next((o for o in orders if _is_plausible(data, o)), None)
    if order is None:
        numbers = struct.unpack("<4i", data[:16])
        raise CorruptError(
            f"{source.name}: header with nx, ny, nz, mode = {numbers}: "
            "not an MRC file, or a damaged one"
        )
    nx, ny, nz, mode = struct.unpack(order + "4i", data[:16])
    if mode not in _DTYPES:
        raise InputError(
            f"{source.name}: MRC mode {mode} is not supported; expected 0, 1, 2, 6, 12 or 101"
        )
    extended = struct.unpack(order + "i", data[92:96])[0]
    if extended < 0 or HEADER_BYTES + extended > source.size:
        raise CorruptError(
            f"{source.name}: extended header of {extended} bytes in a file of {source.size}"
        )
    dtype = _DTYPES[mode]
    stamp, flags = struct.unpack(order + "2i", data[152:160])
    if mode == 0 and stamp == _IMOD_STAMP and not flags & 1:
        dtype = "u1"  # IMOD and SerialEM: bytes are signed only if bit 0 is set
    return MrcHeader(
        shape_zyx=(nz, ny, nx),
        mode=mode,
        stored=np.dtype(order + dtype),
        data_offset=HEADER_BYTES + extended,
        pixel_size=_pixel_size(struct.unpack(order + "3f", data[40:52]), nx, ny),
    )


def _is_plausible(data: bytes, order: str) -> bool:
    nx, ny, nz, mode = struct.unpack(order + "4i", data[:16])
    sane = 0 < nx <= _MAX_SIDE and 0 < ny <= _MAX_SIDE and 0 < nz <= _MAX_SIDE
    return sane and 0 <= mode <= 1024


def _pixel_size(cell: tuple[float, ...], nx: int, ny: int) -> float | None:
    """Å/px as cell / n, as in Warp; None if the header has no sensible value."""
    x, y = cell[0] / nx, cell[1] / ny
    if not (math.isfinite(x) and 0.01 <= x <= 1000):
        return None
    # Some programs fill only the first axis.
    return None if y > 0 and abs(x - y) > 0.02 * x else float(np.round(x, 6))


def mrc_frames(source: Source) -> Frames:
    """Open an MRC movie, whose frames are its sections.

    Raises
    ------
    TruncatedError
        If the file is shorter than the header promises.
    CorruptError, InputError
        As `read_header`.
    """
    header = read_header(source)
    nz, ny, nx = header.shape_zyx
    present = source.size - header.data_offset
    if present < nz * header.frame_bytes:
        raise TruncatedError(
            f"{source.name}: {present // header.frame_bytes} of {nz} frames are readable; the file "
            f"has {source.size} bytes, its header promises "
            f"{header.data_offset + nz * header.frame_bytes}; copy it again"
        )
    extra = present - nz * header.frame_bytes
    note = f"{extra} bytes after the last of the {nz} frames that the header promises"

    def decode(index: int, out: np.ndarray) -> None:
        decode_section(source, header, index, out)

    return Frames(
        format="mrc",
        shape_yx=(ny, nx),
        dtype=header.stored.newbyteorder("="),
        n_frames=nz,
        n_raw_frames=nz,
        decode=decode,
        pixel_size=header.pixel_size,
        notes=(note,) if extra else (),
    )


def decode_section(source: Source, header: MrcHeader, index: int, out: np.ndarray) -> None:
    """Read section ``index`` into ``out`` (y, x), in native byte order."""
    offset = header.data_offset + index * header.frame_bytes
    if header.mode == 101:
        ny, nx = out.shape
        packed = np.empty((ny, header.row_bytes), np.uint8)
        source.read_into(offset, packed)
        out[:, 0::2] = packed[:, : (nx + 1) // 2] & 15
        out[:, 1::2] = packed[:, : nx // 2] >> 4
        return
    source.read_into(offset, out)
    if not header.stored.isnative:
        out.byteswap(inplace=True)


def read_mrc(path: Path) -> tuple[np.ndarray, float | None]:
    """Read an MRC file: (y, x) for one section, else (z, y, x); and Å/px, None if unknown.

    Raises
    ------
    OSError, TruncatedError, CorruptError, InputError
        If the file cannot be read.
    """
    with Source(path) as source:
        frames = mrc_frames(source)
        array = np.empty((frames.n_frames, *frames.shape_yx), frames.dtype)
        for index in range(frames.n_frames):
            frames.decode(index, array[index])
    return (array[0] if len(array) == 1 else array), frames.pixel_size


def read_shape_and_pixel_size(path: Path) -> tuple[tuple[int, int], float]:
    """Size (y, x) and Å/px of an image, from its header alone.

    Raises
    ------
    InputError
        If the header has no pixel size.
    """
    with Source(path) as source:
        header = read_header(source)
    if not header.pixel_size:
        raise InputError(f"{path}: its header has no pixel size; process the movie again (P)")
    _, ny, nx = header.shape_zyx
    return (ny, nx), header.pixel_size


def write_mrc(path: Path, array: np.ndarray, pixel_size: float, mode: str = "float32") -> None:
    """Write (y, x) or (z, y, x) as MRC: into a temporary file, synced, then renamed.

    Parameters
    ----------
    mode : {"float16", "float32", "int8", "int16", "uint16"}
        "float16" becomes float32 where values exceed the range of half precision.

    Raises
    ------
    OutputError
        If values are not finite, or do not fit an integer mode.
    OSError
        If the file cannot be written; no partial file is left.
    """
    path = Path(path)
    stack = np.asarray(array)
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3 or stack.size == 0:
        raise OutputError(f"{path.name}: an image of shape {np.shape(array)} cannot be written")
    low, high = float(stack.min()), float(stack.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise OutputError(f"{path.name}: the image has values that are not finite")
    if mode == "float16" and max(-low, high) > float(np.finfo(np.float16).max):
        mode = "float32"
    dtype = np.dtype(mode)
    if dtype.kind in "iu" and not (np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max):
        raise OutputError(f"{path.name}: values {low:g} to {high:g} do not fit {mode}")
    with replacing(path) as part, part.open("wb") as file:
        file.write(_header(stack, _MODES[mode], pixel_size, low, high))
        for section in stack:
            file.write(np.ascontiguousarray(section, dtype=dtype.newbyteorder("<")).data)
        file.flush()
        os.fsync(file.fileno())


def _header(stack: np.ndarray, mode: int, pixel_size: float, low: float, high: float) -> bytes:
    mean = float(stack.mean(dtype=np.float64))
    # Per section: a float64 copy of a whole stack would double the memory.
    squares = [np.square(section, dtype=np.float64).mean() for section in stack]
    rms = math.sqrt(max(float(np.mean(squares)) - mean * mean, 0.0))
    return _packed_header(stack.shape, mode, pixel_size, low, high, mean, rms)


def _packed_header(
    shape_zyx: Sequence[int],
    mode: int,
    pixel_size: float,
    low: float,
    high: float,
    mean: float,
    rms: float,
) -> bytes:
    nz, ny, nx = shape_zyx
    cell = (nx * pixel_size, ny * pixel_size, nz * pixel_size)
    header = struct.pack("<10i", nx, ny, nz, mode, 0, 0, 0, nx, ny, nz)
    header += struct.pack("<6f3i", *cell, 90, 90, 90, 1, 2, 3)
    header += struct.pack("<3f2i", low, high, mean, 0, 0)
    header = header.ljust(108, b"\0") + struct.pack("<i", 20141)
    header = header.ljust(208, b"\0") + b"MAP " + b"\x44\x44\0\0" + struct.pack("<fi", rms, 0)
    return header.ljust(HEADER_BYTES, b"\0")


class StackWriter:
    """Writes images (y, x) of one size one after the other, as float32, then renames the stack.

    Used as a context manager, which removes the file unless `complete` and `rename` were called.
    """

    def __init__(self, path: Path, shape_yx: tuple[int, int], pixel_size: float) -> None:
        self.path, self.n = path, 0
        self._shape, self._pixel_size = shape_yx, pixel_size
        self._low, self._high = math.inf, -math.inf
        self._sum = self._squares = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = temporary(path)
        with naming(path):
            self._file = self._part.open("wb")
        self._file.write(b"\0" * HEADER_BYTES)

    def __enter__(self) -> StackWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # on a full disk closing fails again; the file is removed
            self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, images: np.ndarray) -> None:
        """Write (n, y, x) images.

        Raises
        ------
        OutputError
            If one has values that are not finite, or is constant, or is of another size.
        OSError
            If the disk is full.
        """
        if images.shape[1:] != self._shape:
            raise OutputError(f"{self.path.name}: images of {images.shape[1:]}, not {self._shape}")
        if not len(images):
            return
        lows, highs = images.min(axis=(1, 2)), images.max(axis=(1, 2))
        if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
            raise OutputError(f"{self.path.name}: an image has values that are not finite")
        if (lows == highs).any():
            number = self.n + 1 + int(np.argmax(lows == highs))
            raise OutputError(f"{self.path.name}: image {number} is the same everywhere")
        self._low = min(self._low, float(lows.min()))
        self._high = max(self._high, float(highs.max()))
        flat = np.ascontiguousarray(images, "<f4").reshape(-1)
        self._sum += float(flat.sum(dtype=np.float64))
        self._squares += float(np.dot(flat, flat))
        with naming(self.path):
            self._file.write(flat.data)
        self.n += len(images)

    def complete(self) -> None:
        """Complete the header, verify the size, sync; `rename` follows.

        Raises
        ------
        OutputError
            If nothing was added, or the file is not as long as it should be.
        """
        n_pixels = self.n * self._shape[0] * self._shape[1]
        if not n_pixels:
            raise OutputError(f"{self.path.name}: a stack without images")
        mean = self._sum / n_pixels
        rms = math.sqrt(max(self._squares / n_pixels - mean * mean, 0.0))
        size = (self.n, *self._shape)
        header = _packed_header(size, 2, self._pixel_size, self._low, self._high, mean, rms)
        with naming(self.path):
            self._file.seek(0)
            self._file.write(header)
            self._file.flush()
            os.fsync(self._file.fileno())
        written = self._part.stat().st_size
        if written != HEADER_BYTES + 4 * n_pixels:
            raise OutputError(f"{self.path.name}: {written} bytes were written; disk full?")

    def rename(self) -> None:
        """Put the complete stack into place."""
        with naming(self.path):
            self._part.replace(self.path)
