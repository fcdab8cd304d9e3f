"""The program's log on its way to the viewers' live log."""

from __future__ import annotations

import logging

from warptui.engine.broadcast import Broadcast
from warptui.engine.events import LogLine

MAX_TEXT = 2000  # of a line; what is longer stands in the log files


class LogLines(logging.Handler):
    """Publishes log records; ``extra=about(name)`` tells which item a record is about."""

    def __init__(self, broadcast: Broadcast) -> None:
        super().__init__(logging.DEBUG)
        self._broadcast = broadcast

    def emit(self, record: logging.LogRecord) -> None:
        item = getattr(record, "item", "")
        text = record.getMessage()
        if item:
            text = text.removeprefix(f"{item}: ")
        level = "error" if record.levelno > logging.ERROR else record.levelname.lower()
        self._broadcast.publish(LogLine(record.created, level, text[:MAX_TEXT], item))


def about(item: str) -> dict[str, str]:
    """Says in a call of ``log`` which item it is about."""
    return {"item": item}
