"""The program's log on its way to the viewers' live log."""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import replace
from pathlib import Path

from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.events import LogLine

EARLIER_LINES = 200
EARLIER_BYTES = 64_000
_RECORD = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ ([A-Z]+) (.*)")
_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning"}
MAX_TEXT = 2000  # of a line; longer texts are in the log files only


class LogLines(logging.Handler):
    """Publishes log records; ``extra=about(name)`` names the item that a record is about.

    The end of ``log`` comes first: an earlier engine wrote there why it died.
    """

    def __init__(self, hub: EventHub, log: Path) -> None:
        super().__init__(logging.DEBUG)
        self._hub = hub
        for line in earlier_lines(log):
            hub.publish(line)

    def emit(self, record: logging.LogRecord) -> None:
        item = getattr(record, "item", "")
        text = record.getMessage()
        if item:
            text = text.removeprefix(f"{item}: ")
        level = "error" if record.levelno > logging.ERROR else record.levelname.lower()
        self._hub.publish(LogLine(record.created, level, text[:MAX_TEXT], item))


def earlier_lines(log: Path) -> list[LogLine]:
    """The last records of a log file; what follows a record, such as a traceback, is part of it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - EARLIER_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    found: list[LogLine] = []
    for written in text.splitlines():
        if match := _RECORD.match(written):
            moment, level, message = match.groups()
            at = time.mktime(time.strptime(moment, "%Y-%m-%d %H:%M:%S"))
            found.append(LogLine(at, _LEVELS.get(level, "error"), message[:MAX_TEXT]))
        elif found:
            longer = f"{found[-1].text}\n{written}"[:MAX_TEXT]
            found[-1] = replace(found[-1], text=longer)
    return found[-EARLIER_LINES:]


def about(item: str) -> dict[str, str]:
    """Name the item that a log record is about."""
    return {"item": item}
