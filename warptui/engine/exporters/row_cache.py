"""A cache of the rows of all items, in one file instead of many small ones.

The cache lies beside the project's other inner files; if deleted, it is made again from the items'
own files. Each record is a line of JSON, then the rows. Records are only appended; the last record
of an item counts.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from warptui.engine.errors import CorruptError
from warptui.engine.formats.star.rows import Head, Rows
from warptui.engine.formats.writing import naming, replacing

WASTE = 0.5  # share of unused bytes in the file above which it is rewritten
LEAST_WASTE = 16 << 20  # bytes


@dataclass(slots=True)
class Kept:
    """The place of an item's rows in the file, and the key of their sources."""

    key: str
    rank: int  # order in which items came in
    head: Head
    n: int
    offset: int
    length: int
    crc: int


class Spool:
    """The cache file; used from one thread only."""

    def __init__(self, path: Path) -> None:
        self.items: dict[str, Kept] = {}
        self._path, self._heads, self._ranks = path, dict[Head, Head](), 0
        self._used = 0  # bytes of rows that count
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._end = self._scan()
        os.ftruncate(self._file, self._end)  # half a record of a program that died

    def put(self, found: Iterable[tuple[str, str, Rows]]) -> None:
        """Append rows of items, given as name, key, rows. Raises OSError."""
        pieces, kept, end = [], [], self._end
        for name, key, rows in found:
            head = self._heads.setdefault(rows.head, rows.head)
            crc = zlib.crc32(rows.body)
            line = _line(name, key, head, rows.n, len(rows.body), crc)
            end += len(line)
            kept.append((name, Kept(key, -1, head, rows.n, end, len(rows.body), crc)))
            end += len(rows.body)
            pieces += [line, rows.body]
        if not pieces:
            return
        with naming(self._path):
            _write_all(self._file, b"".join(pieces), self._end)
        self._end = end
        for name, entry in kept:
            self._take(name, entry)
        if self._end - self._used > max(LEAST_WASTE, WASTE * self._end):
            self._compact()

    def read(self, name: str) -> bytes:
        """The rows of an item. Raises CorruptError if damaged; the item is then removed."""
        kept = self.items[name]
        with naming(self._path):
            data = os.pread(self._file, kept.length, kept.offset)
        if zlib.crc32(data) != kept.crc:
            del self.items[name]
            raise CorruptError(f"{self._path}: the rows of {name} are damaged")
        return data

    def close(self) -> None:
        """Close the file; the cache must not be used afterwards."""
        os.close(self._file)

    def _take(self, name: str, entry: Kept) -> None:
        before = self.items.get(name)
        if before is None:
            self._ranks += 1
        else:
            self._used -= before.length
        entry.rank = self._ranks if before is None else before.rank
        self.items[name] = entry
        self._used += entry.length

    def _scan(self) -> int:
        """Read the records of the file; returns where the last complete record ends."""
        size, end = os.fstat(self._file).st_size, 0
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            while end < size:
                line = file.readline()
                try:
                    record = json.loads(line)
                    head = Head(
                        tuple(record["labels"]),
                        tuple((label, value) for label, value in record["optics"]),
                    )
                    offset = end + len(line)
                    entry = Kept(
                        record["key"], -1, self._heads.setdefault(head, head), record["n"],
                        offset, record["length"], record["crc"],
                    )  # fmt: skip
                    name = record["name"]
                except (ValueError, KeyError, TypeError):
                    break  # what a crash left, or another version
                if offset + entry.length > size:
                    break
                self._take(name, entry)
                end = offset + entry.length
                file.seek(end)
        return end

    def _compact(self) -> None:
        """Write the records in use into a new file, in the order of their ranks."""
        with replacing(self._path) as part:
            with part.open("wb") as file:
                end, moved = 0, {}
                for name, kept in sorted(self.items.items(), key=lambda pair: pair[1].rank):
                    data = os.pread(self._file, kept.length, kept.offset)
                    line = _line(name, kept.key, kept.head, kept.n, kept.length, kept.crc)
                    file.write(line)
                    file.write(data)
                    moved[name] = end + len(line)
                    end += len(line) + kept.length
            fresh = os.open(part, os.O_RDWR | os.O_CLOEXEC)
        os.close(self._file)
        self._file, self._end = fresh, end
        for name, offset in moved.items():
            self.items[name].offset = offset


def _line(name: str, key: str, head: Head, n: int, length: int, crc: int) -> bytes:
    record = {
        "name": name, "key": key, "n": n, "length": length, "crc": crc,
        "labels": head.labels, "optics": head.optics,
    }  # fmt: skip
    return json.dumps(record).encode() + b"\n"


def _write_all(file: int, data: bytes, offset: int) -> None:
    view, end = memoryview(data), offset
    try:
        while view:
            n = os.pwrite(file, view, end)
            view, end = view[n:], end + n
    except OSError:
        os.ftruncate(file, offset)  # a part of it would only take up the room that is left
        raise
