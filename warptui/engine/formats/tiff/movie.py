"""TIFF movies, one page per frame. Rows are flipped so that row 0 is the first MRC row."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np

from warptui.engine.errors import CorruptError, InputError, TruncatedError
from warptui.engine.formats.source import Frames, Source
from warptui.engine.formats.tiff import structure as tags
from warptui.engine.formats.tiff.structure import ByteOrder, Chain, Page

log = logging.getLogger(__name__)

LZW = 5
# Decoders and the most bytes that one compressed byte may become: a wrong image size in the
# tags must not allocate more than the data can hold.
_DECODERS: dict[int, tuple[str, Callable[..., Any] | None, int]] = {
    1: ("uncompressed", None, 1),
    LZW: ("LZW", None, 4096),
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
_MARGIN = 280  # what the LZW kernel needs around its output and after its input


@dataclass(frozen=True)
class Layout:
    """Storage of the pixels of a page: size, type, strips or tiles, compression."""

    shape_yx: tuple[int, int]
    bits: int
    dtype: np.dtype  # native
    stored: np.dtype  # with the file's byte order
    compression: int
    predictor: int
    chunk_yx: tuple[int, int]
    tiled: bool

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a strip or tile."""
        return -(-self.chunk_yx[1] * self.bits // 8)


def tiff_frames(source: Source, chain: Chain) -> Frames:
    """Open a TIFF movie.

    Raises
    ------
    TruncatedError
        If the file ends before its last page.
    CorruptError
        If pages differ in size or type, or contradict themselves.
    InputError
        If a page uses an unsupported feature.
    """
    pages = [page for page in chain.pages if not page.integer(tags.NEW_SUBFILE_TYPE, 0) & 1]
    if chain.problem or not pages:
        problem = chain.problem or "no full-size page"
        raise TruncatedError(
            f"{source.name}: only {len(pages)} frames are readable ({problem}); copy the file again"
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
    """Read the storage of a page from its tags.

    Raises
    ------
    CorruptError
        If the tags make no sense.
    InputError
        If the tags ask for an unsupported feature.
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
            "use LZW, deflate, zstd or no compression"
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
    scratch = np.empty(_MARGIN + rows * layout.row_bytes, np.uint8)
    for number, (offset, count) in enumerate(zip(*page.chunks(), strict=True)):
        y, x = number // per_row * rows, number % per_row * columns
        n_rows, n_columns = min(rows, ny - y), min(columns, nx - x)
        data = np.empty(count + _MARGIN, np.uint8)
        source.read_into(offset, data[:count])
        try:
            decoded = _decompress(data, count, layout.compression, scratch)
        except (RuntimeError, ValueError) as error:
            raise _corrupt(source.name, where, y, layout, str(error)) from error
        # Tiles are stored whole, the last strip usually only as far as the image goes.
        wanted = (rows if layout.tiled else n_rows) * layout.row_bytes
        if decoded.size not in (wanted, rows * layout.row_bytes):
            found = f"{decoded.size} bytes instead of {wanted}"
            raise _corrupt(source.name, where, y, layout, found)
        pixels = _pixels(decoded, layout)[:n_rows, :n_columns]
        out[ny - y - n_rows : ny - y, x : x + n_columns] = pixels[::-1]


def _corrupt(name: str, where: str, row: int, layout: Layout, why: str) -> CorruptError:
    codec = _DECODERS[layout.compression][0]
    return CorruptError(
        f"{name}: {where}, row {row}: {codec} data do not decode ({why}); copy the file again"
    )


def _decompress(data: np.ndarray, count: int, compression: int, scratch: np.ndarray) -> np.ndarray:
    """The bytes of one strip or tile; ValueError or RuntimeError if they do not decode.

    ``data`` and ``scratch`` have `_MARGIN` bytes more than they need, for the LZW kernel.
    """
    if compression == 1:
        return data[:count]
    if compression == LZW:
        kernels = lzw_kernels()
        if kernels is None:
            room = scratch.size - _MARGIN
            return np.frombuffer(imagecodecs.lzw_decode(data[:count].tobytes(), out=room), np.uint8)
        n_bytes = kernels.decode_lzw(data, count, scratch, scratch.size - _MARGIN)
        if n_bytes < 0:
            raise ValueError("an impossible code")
        return scratch[kernels.OUTPUT_START : kernels.OUTPUT_START + n_bytes]
    decoder = _DECODERS[compression][1]
    assert decoder is not None
    return np.frombuffer(decoder(data[:count], out=scratch[: scratch.size - _MARGIN]), np.uint8)


@cache
def lzw_kernels() -> ModuleType | None:
    """The compiled LZW decoder; None if it does not compile: imagecodecs then decodes."""
    try:
        from warptui.engine.formats.tiff import lzw_kernels as kernels
    except (ImportError, AttributeError) as problem:
        log.warning("the LZW kernel cannot be loaded, imagecodecs decodes: %s", problem)
        return None
    return kernels if kernels.kernel_compiles() else None


def _pixels(decoded: np.ndarray, layout: Layout) -> np.ndarray:
    """Bytes as (y, x) pixels in native order, before flipping."""
    columns = layout.chunk_yx[1]
    rows = decoded.size // layout.row_bytes
    if layout.bits == 4:
        packed = decoded.reshape(rows, layout.row_bytes, 1)
        unpacked = np.concatenate((packed >> 4, packed & 15), axis=2)
        return unpacked.reshape(rows, -1)[:, :columns]
    if layout.predictor == 3:
        plain = decoded.view(layout.stored).reshape(rows, columns)
        return imagecodecs.floatpred_decode(plain, axis=-1)
    pixels = decoded.view(layout.stored).reshape(rows, columns)
    if layout.predictor == 2:
        return imagecodecs.delta_decode(pixels.astype(layout.dtype), axis=-1)
    return pixels


def pixel_size(page: Page) -> float | None:
    """Pixel size in Å from the resolution tags; None if they have no sensible value."""
    value = page.tags.get(tags.X_RESOLUTION, ())
    angstrom = {2: 2.54e8, 3: 1e8}.get(page.integer(tags.RESOLUTION_UNIT, 2), 0.0)
    if isinstance(value, bytes) or not value or value[0] <= 0:
        return None
    size = angstrom / value[0]
    return size if 0.01 <= size <= 1000 else None


def _describe(layout: Layout) -> str:
    return f"{layout.shape_yx[1]} x {layout.shape_yx[0]} px {layout.dtype}"
