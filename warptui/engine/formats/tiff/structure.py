"""The structure of TIFF and BigTIFF files: the chain of pages and their tags.

A small reader of our own, because a movie may be growing, truncated or hostile: nothing is
allocated beyond the file's size, and problems are reported instead of guessing values.
Source: TIFF 6.0 specification; BigTIFF design by Aware Systems.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from warptui.engine.errors import CorruptError
from warptui.engine.formats.source import Source

NEW_SUBFILE_TYPE = 254
IMAGE_WIDTH = 256
IMAGE_LENGTH = 257
BITS_PER_SAMPLE = 258
COMPRESSION = 259
PHOTOMETRIC = 262
FILL_ORDER = 266
STRIP_OFFSETS = 273
SAMPLES_PER_PIXEL = 277
ROWS_PER_STRIP = 278
STRIP_BYTE_COUNTS = 279
X_RESOLUTION = 282
Y_RESOLUTION = 283
RESOLUTION_UNIT = 296
PREDICTOR = 317
TILE_WIDTH = 322
TILE_LENGTH = 323
TILE_OFFSETS = 324
TILE_BYTE_COUNTS = 325
SAMPLE_FORMAT = 339
EER_METADATA = 65001
EER_RUN_BITS = 65007
EER_SUB_BITS_X = 65008
EER_SUB_BITS_Y = 65009

_WANTED = frozenset(
    value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
)
_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii"}
_TYPES |= {11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}

ByteOrder = Literal["<", ">"]
Value = tuple[float, ...] | bytes


@dataclass(frozen=True)
class Page:
    """One page (image file directory) with the tags that warptui uses."""

    tags: dict[int, Value]

    def integers(self, tag: int) -> tuple[int, ...]:
        """All values of a tag; empty if the tag is absent."""
        value = self.tags.get(tag, ())
        return () if isinstance(value, bytes) else tuple(int(number) for number in value)

    def integer(self, tag: int, default: int) -> int:
        """First value of a tag."""
        values = self.integers(tag)
        return values[0] if values else default

    def text(self, tag: int) -> str:
        """An ASCII or undefined tag as text; empty if the tag is absent."""
        value = self.tags.get(tag, b"")
        return value.decode("utf-8", "replace").rstrip("\0 \n") if isinstance(value, bytes) else ""

    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Offsets and byte counts of the strips or tiles."""
        if TILE_OFFSETS in self.tags:
            return self.integers(TILE_OFFSETS), self.integers(TILE_BYTE_COUNTS)
        return self.integers(STRIP_OFFSETS), self.integers(STRIP_BYTE_COUNTS)


@dataclass(frozen=True)
class Chain:
    """The readable pages of a file, and the problem that hides further pages."""

    byte_order: ByteOrder
    pages: tuple[Page, ...]
    problem: str  # "" = the chain ends as it should


def is_tiff(head: bytes) -> bool:
    """Whether the first bytes are those of a TIFF or BigTIFF file."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_chain(source: Source) -> Chain:
    """Follow the chain of pages as far as the file goes.

    Raises
    ------
    CorruptError
        If the file does not begin as a TIFF file does.
    """
    head = source.read_at(0, min(16, source.size))
    if not is_tiff(head) or len(head) < 8:
        raise CorruptError(f"{source.name}: not a TIFF file")
    order: ByteOrder = "<" if head[:1] == b"I" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if big and len(head) < 16:
        return Chain(order, (), "the file ends within its header")
    next_page = struct.unpack(order + "Q", head[8:16])[0] if big else _u32(order, head[4:8])
    pages: list[Page] = []
    seen: set[int] = set()
    while next_page:
        if next_page in seen:
            return Chain(order, tuple(pages), f"page {len(pages)} points back to an earlier page")
        seen.add(next_page)
        found = _read_page(source, order, big, next_page)
        if isinstance(found, str):
            return Chain(order, tuple(pages), f"page {len(pages)}: {found}")
        page, next_page = found
        outside = _outside(page, source.size)
        if outside:
            return Chain(order, tuple(pages), f"page {len(pages)}: {outside}")
        pages.append(page)
    return Chain(order, tuple(pages), "" if pages else "no page has been written")


def _u32(order: str, data: bytes) -> int:
    return int(struct.unpack(order + "I", data)[0])


def _outside(page: Page, size: int) -> str:
    offsets, counts = page.chunks()
    if not offsets or len(offsets) != len(counts):
        return "its image data are not located"
    end, offset = max((o + c, o) for o, c in zip(offsets, counts, strict=True))
    if end > size:
        return f"image data at {offset} reach {end - size} bytes beyond the end of the file"
    if min(offsets) <= 0 or min(counts) <= 0:
        return "image data have not been written"
    return ""


def _read_page(source: Source, order: str, big: bool, offset: int) -> tuple[Page, int] | str:
    """The page at ``offset`` and the offset of the next page, or why no page can be read."""
    count_size, entry_size, inline = (8, 20, 8) if big else (2, 12, 4)
    if offset + count_size > source.size:
        return f"it would begin at byte {offset}, the file ends at {source.size}"
    # Most directories are shorter than 512 bytes: one read fetches them whole.
    block = source.read_at(offset, min(512, source.size - offset))
    count = int(struct.unpack(order + ("Q" if big else "H"), block[:count_size])[0])
    length = count_size + count * entry_size + inline
    if offset + length > source.size:
        return f"its directory of {count} tags reaches beyond the end of the file"
    if count == 0:
        return "its directory is empty"
    if length > len(block):
        block = source.read_at(offset, length)
    tags: dict[int, Value] = {}
    for start in range(count_size, count_size + count * entry_size, entry_size):
        tag, kind = struct.unpack(order + "HH", block[start : start + 4])
        if tag not in _WANTED or kind not in _TYPES:
            continue
        value = block[start + entry_size - inline : start + entry_size]
        number = int(
            struct.unpack(order + ("Q" if big else "I"), block[start + 4 : start + 4 + inline])[0]
        )
        n_bytes = number * struct.calcsize("=" + _TYPES[kind])
        if n_bytes > inline:
            at = int(struct.unpack(order + ("Q" if big else "I"), value)[0])
            if at + n_bytes > source.size:
                return f"values of tag {tag} reach beyond the end of the file"
            value = source.read_at(at, n_bytes)
        tags[tag] = _unpack(order, kind, number, value[:n_bytes])
    end = count_size + count * entry_size
    return Page(tags), int(
        struct.unpack(order + ("Q" if big else "I"), block[end : end + inline])[0]
    )


def _unpack(order: str, kind: int, number: int, data: bytes) -> Value:
    code = _TYPES[kind]
    if code == "s":
        return data
    values = struct.unpack(f"{order}{number * len(code)}{code[0]}", data)
    if len(code) == 1:
        return values
    pairs = zip(values[::2], values[1::2], strict=True)
    return tuple(a / b if b else 0.0 for a, b in pairs)
