"""Notices that nobody has seen yet, on disk: they outlive the engine that told them."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

from warptui.engine.formats.writing import write_text
from warptui.engine.model.notices import Notice

log = logging.getLogger(__name__)


class Unseen:
    """The file of one project."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: tuple[Notice, ...] | None = None  # what the file says; None = not known
        self._complained = False

    def read(self) -> tuple[Notice, ...]:
        """What the engine before this one left behind."""
        try:
            records = json.loads(self._path.read_text(encoding="utf-8"))
            keys = Notice.__dataclass_fields__
            found = tuple(Notice(**{key: record[key] for key in keys}) for record in records)
        except FileNotFoundError:
            found = ()
        except (OSError, ValueError, KeyError, TypeError) as problem:
            log.warning("%s: notices of an earlier engine cannot be read: %s", self._path, problem)
            return ()
        self._kept = found
        return found

    def keep(self, notices: tuple[Notice, ...]) -> None:
        """Write them where they changed. Where that fails they are still known in memory."""
        if notices == self._kept or (self._kept is None and not notices):
            return
        try:
            write_text(self._path, json.dumps([asdict(notice) for notice in notices]))
        except OSError as problem:
            if not self._complained:
                log.warning("notices cannot be kept: %s", problem)
            self._complained = True
            return
        self._kept, self._complained = notices, False
