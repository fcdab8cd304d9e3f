"""Writes TIFF and BigTIFF containers page by page: movies as TIFF and as EER."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from warptui.engine.errors import OutputError
from warptui.engine.formats.tiff import structure as tags
from warptui.engine.formats.writing import replacing

_CODECS: dict[str, tuple[int, Callable[..., Any] | None]] = {
    "none": (1, None),
    "lzw": (5, imagecodecs.lzw_encode),
    "deflate": (8, imagecodecs.zlib_encode),
    "zstd": (50000, imagecodecs.zstd_encode),
}
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}
_SHORT, _LONG, _RATIONAL, _LONG8, _UNDEFINED = 3, 4, 5, 16, 7
_SIZES = {_SHORT: 2, _LONG: 4, _RATIONAL: 8, _LONG8: 8, _UNDEFINED: 1}
_CLASSIC_LIMIT = 1 << 32


class PageWriter:
    """Appends pages to an open little-endian TIFF (``big=False``) or BigTIFF file."""

    def __init__(self, file: BinaryIO, *, big: bool = False) -> None:
        self._file = file
        self._big = big
        file.write(
            b"II" + (struct.pack("<HHHQ", 43, 8, 0, 0) if big else struct.pack("<HI", 42, 0))
        )
        self._link = 8 if big else 4  # place in the file for the offset of the next page

    def write(self, chunks: list[bytes], entries: dict[int, tuple[int, Any]]) -> None:
        """Append one page: its strips and its tags, {tag: (type, values)}.

        Raises
        ------
        OutputError
            If a classic TIFF grows beyond 4 GiB.
        """
        offsets = []
        for chunk in chunks:
            offsets.append(self._align())
            self._file.write(chunk)
        place = _LONG8 if self._big else _LONG
        everything = entries | {
            tags.STRIP_OFFSETS: (place, offsets),
            tags.STRIP_BYTE_COUNTS: (place, [len(chunk) for chunk in chunks]),
        }
        inline = 8 if self._big else 4
        packed: list[bytes] = []
        for tag, (kind, values) in sorted(everything.items()):
            data, number = _pack(kind, values)
            if len(data) > inline:
                at = self._align()
                self._file.write(data)
                data = struct.pack("<Q" if self._big else "<I", at)
            head = struct.pack("<HHQ" if self._big else "<HHI", tag, kind, number)
            packed.append(head + data.ljust(inline, b"\0"))
        start = self._align()
        if not self._big and start + 12 * len(packed) + 6 >= _CLASSIC_LIMIT:
            raise OutputError(f"{self._file.name}: beyond 4 GiB; write it as BigTIFF")
        self._file.write(struct.pack("<Q" if self._big else "<H", len(packed)) + b"".join(packed))
        self._file.write(bytes(inline))
        end = self._file.tell()
        self._file.seek(self._link)
        self._file.write(struct.pack("<Q" if self._big else "<I", start))
        self._file.seek(end)
        self._link = end - inline

    def _align(self) -> int:
        """Move to an even position, as the specification requires, and return the position."""
        if self._file.tell() % 2:
            self._file.write(b"\0")
        return self._file.tell()


def _pack(kind: int, values: Any) -> tuple[bytes, int]:
    if kind == _UNDEFINED:
        return values, len(values)
    flat = values if isinstance(values, list) else [values]
    if kind == _RATIONAL:
        return b"".join(struct.pack("<II", *pair) for pair in flat), len(flat)
    code = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}[kind]
    return struct.pack(f"<{len(flat)}{code}", *flat), len(flat)


def write_tiff_movie(
    path: Path,
    frames: Iterable[np.ndarray],
    compression: str = "lzw",
    *,
    pixel_size: float | None = None,
    rows_per_strip: int = 64,
    big: bool = False,
) -> None:
    """Write frames (y, x), one a page, rows flipped: the last MRC row comes first.

    The SampleFormat tag is always written, because some programs read zeros without it.
    The file is written beside, synced and renamed.

    Parameters
    ----------
    compression : {"lzw", "deflate", "zstd", "none"}
    pixel_size
        Å/px for the resolution tags.

    Raises
    ------
    OutputError
        If a classic TIFF grows beyond 4 GiB, or there is no frame.
    OSError
        If the file cannot be written; no partial file is left.
    """
    number, encode = _CODECS[compression]

    def write(file: BinaryIO) -> int:
        writer = PageWriter(file, big=big)
        count = 0
        for frame in frames:
            flipped = np.ascontiguousarray(frame[::-1])
            flipped = flipped.astype(flipped.dtype.newbyteorder("<"), copy=False)
            strips = [
                flipped[row : row + rows_per_strip].tobytes()
                for row in range(0, len(flipped), rows_per_strip)
            ]
            writer.write(
                [encode(strip) for strip in strips] if encode else strips,
                _image_tags(flipped, number, rows_per_strip, pixel_size),
            )
            count += 1
        return count

    _write_atomically(Path(path), write)


def _image_tags(
    frame: np.ndarray, compression: int, rows_per_strip: int, pixel_size: float | None
) -> dict[int, tuple[int, Any]]:
    entries: dict[int, tuple[int, Any]] = {
        tags.IMAGE_WIDTH: (_LONG, frame.shape[1]),
        tags.IMAGE_LENGTH: (_LONG, frame.shape[0]),
        tags.BITS_PER_SAMPLE: (_SHORT, frame.dtype.itemsize * 8),
        tags.COMPRESSION: (_SHORT, compression),
        tags.PHOTOMETRIC: (_SHORT, 1),
        tags.SAMPLES_PER_PIXEL: (_SHORT, 1),
        tags.ROWS_PER_STRIP: (_LONG, rows_per_strip),
        tags.SAMPLE_FORMAT: (_SHORT, _SAMPLE_FORMATS[frame.dtype.kind]),
    }
    if pixel_size:
        # Pixels per cm as a fraction; the divisor makes the most of 32 bits.
        divisor = max(1, int(40 * pixel_size))
        per_cm = (round(1e8 / pixel_size * divisor), divisor)
        entries[tags.X_RESOLUTION] = entries[tags.Y_RESOLUTION] = (_RATIONAL, [per_cm])
        entries[tags.RESOLUTION_UNIT] = (_SHORT, 3)
    return entries


def write_eer(
    path: Path,
    events: Iterable[tuple[np.ndarray, np.ndarray]],
    shape_yx: tuple[int, int],
    *,
    metadata: str = "",
    run_bits: int = 7,
) -> None:
    """Write an EER movie, one raw frame a page, rows as they are in MRC.

    Parameters
    ----------
    events
        Per raw frame the event positions (y, x) in pixels as two float arrays, where pixel
        p reaches from p - 0.5 to p + 0.5. Kept to a quarter of a pixel; of several events
        in one pixel of one raw frame the first stays, as in a real detector's frame.
    metadata
        XML of the acquisition, for the first page's tag 65001.
    run_bits : {7, 8}

    Raises
    ------
    ValueError
        If an event lies outside the frame.
    OutputError, OSError
        As `write_tiff_movie`.
    """
    from warptui.engine.formats.eer.kernels import write_symbols
    from warptui.engine.formats.eer.movie import EER_7_BIT, EER_8_BIT

    ny, nx = shape_yx

    def write(file: BinaryIO) -> int:
        writer = PageWriter(file)
        count = 0
        for y, x in events:
            positions, symbols = _code_events(np.asarray(y), np.asarray(x), shape_yx)
            room = 4 * (positions.size + 2) + 2 * (ny * nx // ((1 << run_bits) - 1) + 2)
            data = np.empty(room, np.uint8)
            n_bytes = write_symbols(positions, symbols, ny * nx, run_bits, data)
            entries: dict[int, tuple[int, Any]] = {
                tags.IMAGE_WIDTH: (_LONG, nx),
                tags.IMAGE_LENGTH: (_LONG, ny),
                tags.BITS_PER_SAMPLE: (_SHORT, 1),
                tags.COMPRESSION: (_SHORT, EER_7_BIT if run_bits == 7 else EER_8_BIT),
                tags.PHOTOMETRIC: (_SHORT, 1),
                tags.SAMPLES_PER_PIXEL: (_SHORT, 1),
                tags.ROWS_PER_STRIP: (_LONG, ny),
            }
            if metadata and not count:
                entries[tags.EER_METADATA] = (_UNDEFINED, metadata.encode())
            # Some decoders read two or four bytes at a time.
            coded = data[:n_bytes].tobytes() + bytes(-n_bytes % 4)
            writer.write([coded], entries)
            count += 1
        return count

    _write_atomically(Path(path), write)


def _code_events(
    y: np.ndarray, x: np.ndarray, shape_yx: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending pixel positions, and 4-bit symbols: quarter of the pixel, top bits inverted."""
    ny, nx = shape_yx
    quarters_y = np.floor((y + 0.5) * 4).astype(np.int64)
    quarters_x = np.floor((x + 0.5) * 4).astype(np.int64)
    if y.size and not (
        quarters_y.min() >= 0 and quarters_y.max() < 4 * ny
        and quarters_x.min() >= 0 and quarters_x.max() < 4 * nx
    ):  # fmt: skip
        raise ValueError(f"events outside a frame of {nx} x {ny} px")
    positions, first = np.unique((quarters_y >> 2) * nx + (quarters_x >> 2), return_index=True)
    symbols = ((quarters_y & 3) << 2 | (quarters_x & 3)) ^ 0b1010
    return positions, symbols[first]


def _write_atomically(path: Path, write: Callable[[BinaryIO], int]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        if not write(file):
            raise OutputError(f"{path.name}: a movie without frames is not written")
        file.flush()
        os.fsync(file.fileno())
