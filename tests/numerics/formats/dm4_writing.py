"""A minimal DM4 file, written from the public description of the format."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

PIXEL_CODES = {"i2": 1, "f4": 2, "u1": 6, "i4": 7, "i1": 9, "u2": 10, "u4": 11, "f8": 12}
VALUE_CODES = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "u1": 10, "i1": 10}


class Dm:
    """Builds tags; ``version`` 3 has 32-bit lengths, 4 has 64-bit ones."""

    def __init__(self, version: int, order: str) -> None:
        self.version, self.order = version, order

    def length(self, value: int) -> bytes:
        return struct.pack(">Q" if self.version == 4 else ">I", value)

    def tag(self, kind: int, name: str, body: bytes) -> bytes:
        size = self.length(len(body)) if self.version == 4 else b""
        return struct.pack(">BH", kind, len(name)) + name.encode() + size + body

    def group(self, name: str, *tags: bytes) -> bytes:
        return self.tag(20, name, b"\1\0" + self.length(len(tags)) + b"".join(tags))

    def value(self, name: str, description: list[int], data: bytes) -> bytes:
        numbers = b"".join(self.length(number) for number in [len(description), *description])
        return self.tag(21, name, b"%%%%" + numbers + data)

    def number(self, name: str, value: int) -> bytes:
        return self.value(name, [5], struct.pack(self.order + "I", value))

    def text(self, name: str, text: str) -> bytes:
        data = text.encode("utf-16-le" if self.order == "<" else "utf-16-be")
        return self.value(name, [20, 4, len(text)], data)

    def image(self, pixels: np.ndarray) -> bytes:
        kind = pixels.dtype.str[1:]
        data = pixels.astype(pixels.dtype.newbyteorder(self.order)).tobytes()
        sides = [self.number("", side) for side in pixels.shape[::-1]]
        return self.group(
            "",
            self.group(
                "ImageData",
                self.group("Calibrations", self.value("Rect", [15, 0, 2, 0, 6, 0, 6], bytes(8))),
                self.value("Data", [20, VALUE_CODES[kind], pixels.size], data),
                self.number("DataType", PIXEL_CODES[kind]),
                self.group("Dimensions", *sides),
                self.number("PixelDepth", pixels.dtype.itemsize),
            ),
            self.text("Name", "gain"),
        )

    def file(self, *tags: bytes) -> bytes:
        body = b"\1\0" + self.length(len(tags)) + b"".join(tags)
        head = struct.pack(">I", self.version) + self.length(len(body))
        return head + struct.pack(">I", self.order == "<") + body + bytes(8)


def write_dm(path: Path, pixels: np.ndarray, *, version: int = 4, order: str = "<") -> None:
    """Write an image (y, x), top row first, behind a small thumbnail as Gatan does."""
    dm = Dm(version, order)
    thumbnail = np.zeros((4, 5), np.int32)
    rectangle = [20, 15, 0, 2, 0, 2, 0, 2, 3]  # an array of three structs of two shorts
    path.write_bytes(
        dm.file(
            dm.text("Application", "x"),
            dm.value("Corners", rectangle, bytes(12)),
            dm.group("ImageList", dm.image(thumbnail), dm.image(pixels)),
            dm.number("InImageMode", 1),
        )
    )
