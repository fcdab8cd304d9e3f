"""A copy of the metadata in one SQLite file, to open a large project fast.

It lies in the user's local state folder (SQLite's write-ahead log is unsafe on network file
systems) and may be deleted or damaged at any time: the metadata files are the truth. Rows are valid
only for the very file that they were made from (`Stamp`).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = 1  # raise it when what rows hold changes: older indices are then made anew


class Stamp(NamedTuple):
    """Tells one version of a file from another without reading it."""

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
        self._path = path
        self._connection = self._open()

    def read_all(self, table: str) -> dict[str, tuple[Stamp, Any]]:
        """Stamp and value of every row."""

        def read(connection: sqlite3.Connection) -> dict[str, tuple[Stamp, Any]]:
            rows = connection.execute(f"SELECT name, size, mtime, ctime, inode, value FROM {table}")
            return {row[0]: (Stamp(*row[1:5]), json.loads(row[5])) for row in rows}

        return self._try(read)

    def write(self, table: str, rows: Iterable[tuple[str, Stamp, Any]]) -> None:
        """Insert or replace rows in one transaction."""
        values = [(name, *stamp, json.dumps(value)) for name, stamp, value in rows]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(
                    f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?)", values
                )

        self._try(write)

    def delete(self, table: str, names: Iterable[str]) -> None:
        """Remove rows."""
        keys = [(name,) for name in names]

        def delete(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(f"DELETE FROM {table} WHERE name = ?", keys)

        self._try(delete)

    def close(self) -> None:
        """Flush and close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            self._remove()
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, timeout=10)
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != FORMAT:
                for table in self.TABLES:
                    connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            for table in self.TABLES:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY, "
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
            if not self._path.exists():
                raise sqlite3.DatabaseError("the index was deleted")
            return action(self._connection)
        except (sqlite3.DatabaseError, ValueError):
            with closing(self._connection):
                self._remove()
            self._connection = self._connect()
            return action(self._connection)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
