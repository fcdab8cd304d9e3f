"""Unseen notices on disk, so that the next engine shows them, too."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from warptui.engine.formats.writing import write_text
from warptui.engine.model import codec
from warptui.engine.model.notices import Notice

log = logging.getLogger(__name__)


class Unseen:
    """The file of one project's unseen notices."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: tuple[Notice, ...] | None = None  # content of the file; None = unknown
        self._complained = False

    def read(self) -> tuple[Notice, ...]:
        """The unseen notices of the previous engine."""
        try:
            records = json.loads(self._path.read_text(encoding="utf-8"))
            found = codec.decode(tuple[Notice, ...], records)
        except FileNotFoundError:
            found = ()
        except (OSError, ValueError) as problem:
            log.warning("%s: notices of an earlier engine cannot be read: %s", self._path, problem)
            return ()
        self._kept = found
        return found

    def keep(self, notices: tuple[Notice, ...]) -> None:
        """Write changed notices. After a failure, the notices are still in memory."""
        if notices == self._kept or (self._kept is None and not notices):
            return
        try:
            write_text(self._path, json.dumps(codec.encode(notices, tuple[Notice, ...])))
        except OSError as problem:
            if not self._complained:
                log.warning("notices cannot be kept: %s", problem)
            self._complained = True
            return
        self._kept, self._complained = notices, False
