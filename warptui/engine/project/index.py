"""A copy of the metadata in one SQLite file, to open a large project fast.

It lies in the user's local state folder (SQLite's locks are unreliable on network file systems)
and may be deleted or damaged at any time: the metadata files are the truth. Rows are valid
only for the very file that they were made from (`Stamp`).
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = 3  # raise it when what rows hold changes: older indices are then made again


class Stamp(NamedTuple):
    """Distinguishes versions of a file without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a file replaced in place may get its old modification time back
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Stamp:
        """The stamp of a file, from its stat."""
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


class Index:
    """Rows by table and file name. A damaged file is replaced by an empty one.

    Not thread-safe: its owner takes turns.
    """

    TABLES = ("metadata", "raw")

    def __init__(self, path: Path) -> None:
        self._path: Path | None = path
        self._connection = self._open()

    def read_all(
        self, table: str, made: Callable[[Any], Any] = lambda value: value
    ) -> dict[str, tuple[Stamp, Any]]:
        """Stamp of every row, and what is ``made`` of its value: all values are never there."""

        def read(connection: sqlite3.Connection) -> dict[str, tuple[Stamp, Any]]:
            rows = connection.execute(f"SELECT name, size, mtime, ctime, inode, value FROM {table}")
            return {
                os.fsdecode(name): (Stamp(*stamp), made(json.loads(value)))
                for name, *stamp, value in rows
            }

        return self._try(read)

    def write(self, table: str, rows: Iterable[tuple[str, Stamp, Any]]) -> None:
        """Insert or replace rows in one transaction."""
        values = [(os.fsencode(name), *stamp, json.dumps(value)) for name, stamp, value in rows]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(
                    f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?)", values
                )

        self._try(write)

    def delete(self, table: str, names: Iterable[str]) -> None:
        """Remove rows."""
        keys = [(os.fsencode(name),) for name in names]

        def delete(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(f"DELETE FROM {table} WHERE name = ?", keys)

        self._try(delete)

    def close(self) -> None:
        """Flush and close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect(self._path or ":memory:")
        except sqlite3.DatabaseError:
            return self._replace()

    def _replace(self) -> sqlite3.Connection:
        """An empty index, in memory if there is no place for it on disk."""
        try:
            if self._path is None:
                return self._connect(":memory:")
            for suffix in ("", "-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connect(self._path)
        except (OSError, sqlite3.DatabaseError) as error:
            logging.getLogger(__name__).warning(
                "no index at %s (%s): opening this project takes longer", self._path, error
            )
            self._path = None
            return self._connect(":memory:")

    def _connect(self, path: Path | str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != FORMAT:
                for table in self.TABLES:
                    connection.execute(f"DROP TABLE IF EXISTS {table}")
            # No write-ahead log: it maps a file into memory, and truncating that kills us.
            # No syncing: a power loss costs the index, which is made again.
            connection.execute("PRAGMA journal_mode=TRUNCATE")
            connection.execute("PRAGMA synchronous=OFF")
            for table in self.TABLES:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (name BLOB PRIMARY KEY, "
                    "size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, "
                    "value TEXT) WITHOUT ROWID"
                )
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.commit()
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _try(self, action: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run ``action``; once more on an empty index if this one is damaged or was deleted."""
        try:
            if self._path is not None and not self._path.exists():
                raise sqlite3.DatabaseError("the index was deleted")
            return action(self._connection)
        except (sqlite3.DatabaseError, ValueError):
            with closing(self._connection):
                self._connection = self._replace()
            return action(self._connection)
