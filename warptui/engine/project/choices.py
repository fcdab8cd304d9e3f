"""The user's choices on their way into the metadata files.

Choosing thousands of items is one line in one file, written and synced once. The metadata files,
which other programs read, follow one by one. A line that an interruption cut short was never
confirmed to the user, and is left out when the file is read.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warptui.engine.model.item import Choice, root_name_of
from warptui.engine.model.stored import StoredItem

FORMAT = 1  # of a line

log = logging.getLogger(__name__)


class ChoiceJournal:
    """Choices that their metadata files lack still, by root name. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending = {root_name_of(item.name): item for item in _read(path)}
        self._recorded_at = float("-inf")  # monotonic
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._pending)

    def record(self, items: Sequence[StoredItem]) -> None:
        """Keep the choices of these items: one write and one sync, however many they are.

        Raises
        ------
        OSError
            If they cannot be written; nothing is changed then.
        """
        with self._changed:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                before = file.tell()
                try:
                    # the first line end closes a line that was cut short
                    file.write(b"\n" + b"\n".join(_lines(items)) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self._path, before)
                    raise
            self._pending |= {root_name_of(item.name): item for item in items}
            self._recorded_at = time.monotonic()
            self._changed.notify_all()

    def age_s(self) -> float:
        """Seconds since the last choice; infinite before the first one."""
        return time.monotonic() - self._recorded_at

    def get(self, root_name: str) -> StoredItem | None:
        """The item as it was chosen; None where its metadata file has the choice."""
        with self._changed:
            return self._pending.get(root_name)

    def items(self) -> dict[str, StoredItem]:
        """All items whose metadata files lack their choices, by root name."""
        with self._changed:
            return dict(self._pending)

    def settle(self, root_name: str, choice: Choice) -> None:
        """The metadata file of this item has this choice now."""
        with self._changed:
            item = self._pending.get(root_name)
            if item is not None and item.choice is choice:
                del self._pending[root_name]

    def forget(self, root_name: str) -> None:
        """The metadata file of this item cannot have a choice."""
        with self._changed:
            self._pending.pop(root_name, None)

    def empty(self) -> None:
        """Empty the file, if all metadata files have their choices."""
        with self._changed:
            if not self._pending and self._path.exists() and self._path.stat().st_size:
                with self._path.open("rb+") as file:
                    file.truncate(0)
                    os.fsync(file.fileno())

    def wait(self, longest_s: float) -> None:
        """Return when there is a choice to write, or after this time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._pending), longest_s)


def _lines(items: Sequence[StoredItem]) -> list[bytes]:
    """One line for each choice, with what makes a metadata file where there is none yet."""
    by_choice: dict[Choice, list[list[Any]]] = {}
    for item in items:
        by_choice.setdefault(item.choice, []).append([item.name, item.sequence, item.raw_path])
    return [
        json.dumps({"format": FORMAT, "choice": choice, "items": values}).encode()
        for choice, values in by_choice.items()
    ]


def _read(path: Path) -> list[StoredItem]:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    found: list[StoredItem] = []
    for line in filter(None, data.split(b"\n")):
        try:
            record = json.loads(line)
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']!r}, this version knows {FORMAT}")
            choice = Choice(record["choice"])
            found += [
                StoredItem(str(name), int(sequence), choice, str(raw_path))
                for name, sequence, raw_path in record["items"]
            ]
        except (ValueError, KeyError, TypeError) as problem:
            log.warning("%s: a line is left out, it was cut short or damaged: %s", path, problem)
    return found
