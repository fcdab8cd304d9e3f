"""Reads the largest two-dimensional image of Digital Micrograph 3 and 4 files.

Gatan does not publish the format; this follows the description by Chris Boothroyd
(Digital Micrograph file format), which covers the tags and the types used here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from warptui.engine.errors import CorruptError, InputError
from warptui.engine.formats.source import Source

# Codes of values in tags, as NumPy types without byte order.
_VALUES = {
    2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "i1",
    11: "i8", 12: "u8",
}  # fmt: skip
# Codes of pixels in the tag DataType.
_PIXELS = {
    1: "i2", 2: "f4", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8", 14: "u1",
}  # fmt: skip
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_MAX_DEPTH = 32


@dataclass(frozen=True)
class DataBlock:
    """Place and type of an array in the file, which is read only when needed."""

    offset: int
    n_bytes: int


@dataclass
class _Cursor:
    """A position in the file, read through a window so that small reads are cheap."""

    source: Source
    wide: bool  # DM4: 64-bit lengths
    order: str  # of the values; lengths are always big-endian
    position: int
    _window: bytes = b""
    _start: int = field(default=0)

    def take(self, count: int) -> bytes:
        begin = self.position - self._start
        if begin < 0 or begin + count > len(self._window):
            room = self.source.size - self.position
            size = max(count, min(65536, room))
            self._window = self.source.read_at(self.position, size)
            self._start, begin = self.position, 0
        self.position += count
        return self._window[begin : begin + count]

    def length(self) -> int:
        return int(struct.unpack(">Q" if self.wide else ">I", self.take(8 if self.wide else 4))[0])


def is_dm(head: bytes) -> bool:
    """Whether the first bytes are those of a DM3 or DM4 file."""
    return head[:4] in (b"\0\0\0\3", b"\0\0\0\4")


def read_dm(source: Source) -> np.ndarray:
    """The largest image of a DM3 or DM4 file (y, x), first row on top, native type.

    Raises
    ------
    TruncatedError
        If the file ends early.
    CorruptError
        If its tags contradict each other.
    InputError
        If it holds no two-dimensional image of real numbers.
    """
    head = source.read_at(0, min(16, source.size))
    if not is_dm(head) or len(head) < 16:
        raise CorruptError(f"{source.name}: not a DM3 or DM4 file")
    wide = head[3] == 4
    little = struct.unpack(">I", head[12:16] if wide else head[8:12])[0]
    cursor = _Cursor(source, wide, "<" if little else ">", 16 if wide else 12)
    root = _read_group(cursor, 0)
    images = [_image(entry) for entry in root.get("ImageList", {}).values()]
    found = [image for image in images if image is not None]
    if not found:
        raise InputError(f"{source.name}: no two-dimensional image of real numbers in this file")
    block, dtype, shape = max(found, key=lambda image: image[2][0] * image[2][1])
    if shape[0] * shape[1] * np.dtype(dtype).itemsize != block.n_bytes:
        raise CorruptError(
            f"{source.name}: {block.n_bytes} bytes for an image of {shape[1]} x {shape[0]} {dtype}"
        )
    data = source.read_at(block.offset, block.n_bytes)
    stored = np.dtype(cursor.order + dtype)
    return np.frombuffer(data, stored).astype(np.dtype(dtype)).reshape(shape)


def _image(entry: Any) -> tuple[DataBlock, str, tuple[int, int]] | None:
    data = entry.get("ImageData", {}) if isinstance(entry, dict) else {}
    block, kind = data.get("Data"), data.get("DataType")
    sides = [int(side) for side in data.get("Dimensions", {}).values()]
    while len(sides) > 2 and sides[-1] == 1:
        sides.pop()
    if not isinstance(block, DataBlock) or kind not in _PIXELS or len(sides) != 2:
        return None
    return block, _PIXELS[kind], (sides[1], sides[0])


def _read_group(cursor: _Cursor, depth: int) -> dict[str, Any]:
    """Read a group of tags; unnamed tags are numbered."""
    if depth > _MAX_DEPTH:
        raise CorruptError(f"{cursor.source.name}: tags nested deeper than {_MAX_DEPTH}")
    cursor.take(2)  # sorted, open
    group: dict[str, Any] = {}
    for number in range(cursor.length()):
        kind, name_length = struct.unpack(">BH", cursor.take(3))
        name = cursor.take(name_length).decode("latin-1") or str(number)
        if cursor.wide and kind in (20, 21):
            cursor.length()  # bytes to the end of the tag
        if kind == 20:
            group[name] = _read_group(cursor, depth + 1)
        elif kind == 21:
            group[name] = _read_value(cursor)
        else:
            raise CorruptError(f"{cursor.source.name}: tag {name!r} of unknown kind {kind}")
    return group


def _read_value(cursor: _Cursor) -> Any:
    if cursor.take(4) != b"%%%%":
        raise CorruptError(f"{cursor.source.name}: no value where a tag promises one")
    count = cursor.length()
    if not 0 < count <= 1024:
        raise CorruptError(f"{cursor.source.name}: a value described by {count} numbers")
    description = [cursor.length() for _ in range(count)]
    kind = description[0]
    if kind in _VALUES:
        dtype = np.dtype(cursor.order + _VALUES[kind])
        return np.frombuffer(cursor.take(dtype.itemsize), dtype)[0].item()
    if kind == _STRUCT:
        return _skip(cursor, _struct_bytes(cursor, description))
    if kind == _STRING and count > 1:
        return _skip(cursor, description[1] * 2)
    if kind == _ARRAY and count > 2:
        number = description[-1]
        if description[1] == _STRUCT:
            return _skip(cursor, number * _struct_bytes(cursor, description[1:-1]))
        return _skip(cursor, number * _value_bytes(cursor, description[1]))
    raise CorruptError(f"{cursor.source.name}: a value of unknown type {kind}")


def _struct_bytes(cursor: _Cursor, description: list[int]) -> int:
    """Size of a struct: its description is 15, 0, fields, then (0, type) per field."""
    return sum(_value_bytes(cursor, kind) for kind in description[4::2])


def _value_bytes(cursor: _Cursor, kind: int) -> int:
    if kind not in _VALUES:
        raise CorruptError(f"{cursor.source.name}: a value of unknown type {kind}")
    return np.dtype(_VALUES[kind]).itemsize


def _skip(cursor: _Cursor, n_bytes: int) -> DataBlock:
    block = DataBlock(cursor.position, n_bytes)
    if block.offset + n_bytes > cursor.source.size:
        raise CorruptError(
            f"{cursor.source.name}: an array of {n_bytes} bytes reaches beyond the end of the file"
        )
    cursor.position += n_bytes
    return block
