"""TIFF movies: one page a frame. Rows are flipped so that row 0 is the first MRC row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np

from warptui.engine.errors import CorruptError, InputError, TruncatedError
from warptui.engine.formats import tiff_structure as tags
from warptui.engine.formats.source import Frames, Source
from warptui.engine.formats.tiff_structure import ByteOrder, Chain, Page

# Decoders and the most bytes that one compressed byte may become: a lie about the image
# size must not allocate more than the data can hold.
_DECODERS: dict[int, tuple[str, Callable[..., Any] | None, int]] = {
    1: ("uncompressed", None, 1),
    5: ("LZW", imagecodecs.lzw_decode, 4096),
    8: ("deflate", imagecodecs.zlib_decode, 1100),
    32946: ("deflate", imagecodecs.zlib_decode, 1100),
    32773: ("PackBits", imagecodecs.packbits_decode, 128),
    34926: ("zstd", imagecodecs.zstd_decode, 65536),
    50000: ("zstd", imagecodecs.zstd_decode, 65536),
}
_DTYPES = {
    (1, 8): "u1", (1, 16): "u2", (1, 32): "u4",
    (2, 8): "i1", (2, 16): "i2", (2, 32): "i4",
    (3, 16): "f2", (3, 32): "f4", (3, 64): "f8",
    (1, 4): "u1",  # two pixels a byte, as SerialEM packs counted frames
}  # fmt: skip
_MAX_SIDE = 1 << 17


@dataclass(frozen=True)
class Layout:
    """How the pixels of a page are stored."""

    shape_yx: tuple[int, int]
    bits: int
    dtype: np.dtype  # native
    stored: np.dtype  # with the file's byte order
    compression: int
    predictor: int
    chunk_yx: tuple[int, int]
    tiled: bool


def tiff_frames(source: Source, chain: Chain) -> Frames:
    """Frames of a TIFF movie.

    Raises
    ------
    TruncatedError
        If the file ends before its last page.
    CorruptError
        If pages differ in size or type, or contradict themselves.
    InputError
        If a page uses what is not supported.
    """
    pages = [page for page in chain.pages if not page.integer(tags.NEW_SUBFILE_TYPE, 0) & 1]
    if chain.problem or not pages:
        problem = chain.problem or "no full-size page"
        raise TruncatedError(
            f"{source.name}: {len(pages)} frames are readable, then {problem}; copy the file again"
        )
    layouts = {read_layout(page, chain.byte_order, source.name): i for i, page in enumerate(pages)}
    if len(layouts) > 1:
        (first, _), (other, at) = list(layouts.items())[:2]
        raise CorruptError(
            f"{source.name}: frame {at} is {_describe(other)}, others are {_describe(first)}"
        )
    layout = next(iter(layouts))
    check_room(pages, layout, source.name)

    def decode(index: int, out: np.ndarray) -> None:
        decode_page(source, pages[index], layout, out, f"frame {index} of {len(pages)}")

    return Frames(
        format="tiff",
        shape_yx=layout.shape_yx,
        dtype=layout.dtype,
        n_frames=len(pages),
        n_raw_frames=len(pages),
        decode=decode,
        pixel_size=pixel_size(pages[0]),
    )


def read_layout(page: Page, byte_order: ByteOrder, name: str) -> Layout:
    """How a page is stored.

    Raises
    ------
    CorruptError
        If the tags make no sense.
    InputError
        If they ask for what is not supported.
    """
    ny, nx = page.integer(tags.IMAGE_LENGTH, 0), page.integer(tags.IMAGE_WIDTH, 0)
    if not (0 < nx <= _MAX_SIDE and 0 < ny <= _MAX_SIDE):
        raise CorruptError(f"{name}: a page of {nx} x {ny} px; expected 1 to {_MAX_SIDE} a side")
    bits = page.integer(tags.BITS_PER_SAMPLE, 1)
    # Writers may leave SampleFormat out: unsigned integers then, says the specification.
    kind = page.integer(tags.SAMPLE_FORMAT, 1)
    compression = page.integer(tags.COMPRESSION, 1)
    predictor = page.integer(tags.PREDICTOR, 1)
    if (kind, bits) not in _DTYPES or page.integer(tags.SAMPLES_PER_PIXEL, 1) != 1:
        raise InputError(
            f"{name}: {page.integer(tags.SAMPLES_PER_PIXEL, 1)} samples of {bits} bits, format "
            f"{kind}, a pixel; expected one of 8 to 32 bits: export the movie as 8 or 16 bit"
        )
    if compression not in _DECODERS:
        raise InputError(
            f"{name}: TIFF compression {compression} is not supported; "
            "use LZW, deflate, zstd or none"
        )
    if page.integer(tags.FILL_ORDER, 1) != 1 or predictor not in (1, 2, 3):
        raise InputError(f"{name}: reversed bits or predictor {predictor} are not supported")
    stored = np.dtype(_DTYPES[kind, bits]).newbyteorder(byte_order)
    tiled = tags.TILE_OFFSETS in page.tags
    if tiled:
        chunk = page.integer(tags.TILE_LENGTH, 0), page.integer(tags.TILE_WIDTH, 0)
    else:
        chunk = min(page.integer(tags.ROWS_PER_STRIP, ny), ny), nx
    n_chunks = -(-ny // max(chunk[0], 1)) * -(-nx // max(chunk[1], 1))
    offsets, _ = page.chunks()
    if min(chunk) <= 0 or max(chunk) > _MAX_SIDE or n_chunks != len(offsets):
        raise CorruptError(
            f"{name}: {len(offsets)} strips or tiles of {chunk[1]} x {chunk[0]} px "
            f"cannot make a page of {nx} x {ny}"
        )
    return Layout(
        (ny, nx), bits, stored.newbyteorder("="), stored, compression, predictor, chunk, tiled
    )


def check_room(pages: list[Page], layout: Layout, name: str) -> None:
    """Raise CorruptError if the compressed data cannot hold as many pixels as the tags say."""
    growth = _DECODERS[layout.compression][2]
    n_bytes = layout.shape_yx[0] * layout.shape_yx[1] * layout.bits // 8
    for index, page in enumerate(pages):
        held = sum(page.chunks()[1])
        if held * growth + 65536 * growth.bit_length() < n_bytes:
            raise CorruptError(
                f"{name}: frame {index} has {held} bytes for {_describe(layout)}, which cannot be"
            )


def decode_page(source: Source, page: Page, layout: Layout, out: np.ndarray, where: str) -> None:
    """Decode a page into ``out`` (y, x), rows flipped.

    Raises
    ------
    TruncatedError, CorruptError
        If the data end early or do not decode.
    """
    ny, nx = layout.shape_yx
    rows, columns = layout.chunk_yx
    per_row = -(-nx // columns)
    row_bytes = -(-columns * layout.bits // 8)
    scratch = np.empty(rows * row_bytes, np.uint8)
    offsets, counts = page.chunks()
    for number, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        y, x = number // per_row * rows, number % per_row * columns
        n_rows, n_columns = min(rows, ny - y), min(columns, nx - x)
        # Tiles are stored whole, the last strip only as far as the image goes.
        target = scratch if layout.tiled else scratch[: n_rows * row_bytes]
        try:
            chunk = _decode_chunk(source.read_at(offset, count), layout, target)
        except (imagecodecs.DelayedImportError, TruncatedError):
            raise
        except (RuntimeError, ValueError) as error:
            codec = _DECODERS[layout.compression][0]
            raise CorruptError(
                f"{source.name}: {where}, row {y}: {codec} data do not decode ({error}); "
                "copy the file again"
            ) from error
        pixels = chunk.reshape(-1, columns)[:n_rows, :n_columns]
        out[ny - y - n_rows : ny - y, x : x + n_columns] = pixels[::-1]


def _decode_chunk(data: bytes, layout: Layout, target: np.ndarray) -> np.ndarray:
    """One strip or tile as (rows * columns) pixels; ValueError if it has another size."""
    decoder = _DECODERS[layout.compression][1]
    if decoder is None:
        decoded = np.frombuffer(data, np.uint8, count=min(len(data), target.size))
    else:
        decoded = np.frombuffer(decoder(data, out=target), np.uint8)
    if decoded.size != target.size:
        raise ValueError(f"{decoded.size} bytes of {target.size}")
    rows = decoded.size // -(-layout.chunk_yx[1] * layout.bits // 8)
    if layout.bits == 4:
        unpacked = np.empty((rows, decoded.size // rows, 2), np.uint8)
        unpacked[..., 0] = decoded.reshape(rows, -1) >> 4
        unpacked[..., 1] = decoded.reshape(rows, -1) & 15
        return unpacked.reshape(rows, -1)[:, : layout.chunk_yx[1]].reshape(-1)
    pixels = decoded.view(layout.stored).reshape(rows, -1)
    if layout.predictor == 2:
        pixels = imagecodecs.delta_decode(pixels.astype(layout.dtype), axis=-1)
    elif layout.predictor == 3:
        pixels = imagecodecs.floatpred_decode(pixels, axis=-1)
    return pixels.reshape(-1)


def pixel_size(page: Page) -> float | None:
    """Pixel size in Å from the resolution tags, None if they say nothing sensible."""
    value = page.tags.get(tags.X_RESOLUTION, ())
    angstrom = {2: 2.54e8, 3: 1e8}.get(page.integer(tags.RESOLUTION_UNIT, 2), 0.0)
    if isinstance(value, bytes) or not value or value[0] <= 0:
        return None
    size = angstrom / value[0]
    return size if 0.01 <= size <= 1000 else None


def _describe(layout: Layout) -> str:
    return f"{layout.shape_yx[1]} x {layout.shape_yx[0]} px {layout.dtype}"
