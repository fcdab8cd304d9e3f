"""Runs the user's alert command for a notice, beside the engine and for a limited time.

The command gets ``WARPTUI_RULE``, ``WARPTUI_LEVEL``, ``WARPTUI_TEXT``, ``WARPTUI_ITEM`` and
``WARPTUI_PROJECT`` in its environment, and the notice as JSON on its stdin.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from warptui.engine.execution.child_process import ChildProcess
from warptui.engine.model import codec
from warptui.engine.model.notices import Notice

log = logging.getLogger(__name__)

MAX_RUNNING = 4  # commands; more would mean that commands hang
LONGEST_LINE = 2000  # bytes of what a command writes to stderr
LAST_LINE_S = 0.1  # for what is still in the pipe when the command has ended


class AlertCommand:
    """The alert command of one project."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._threads: list[threading.Thread] = []

    def run(self, command: str, notice: Notice, limit_s: float) -> None:
        """Start ``command`` and return; its failures are logged."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MAX_RUNNING:
            log.warning("alerts.command not run: %d of them run already", MAX_RUNNING)
            return
        thread = threading.Thread(
            target=self._attend, args=(command, notice, limit_s), name="alert command", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def close(self, grace_s: float) -> None:
        """Wait a little for running commands, which continue without the engine."""
        deadline = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _attend(self, command: str, notice: Notice, limit_s: float) -> None:
        record = codec.encode(notice) | {"project": str(self._project)}
        given = {
            "WARPTUI_RULE": notice.rule,
            "WARPTUI_LEVEL": notice.level,
            "WARPTUI_TEXT": notice.text,
            "WARPTUI_ITEM": notice.item,
            "WARPTUI_PROJECT": str(self._project),
        }
        last = _LastLine()
        try:
            process = ChildProcess(
                ["/bin/sh", "-c", command],
                on_line=last.put,
                answers="stderr",
                environment={name: text.replace("\0", "") for name, text in given.items()},
                cwd=self._project,
                longest_line=LONGEST_LINE,
                name="alert command's output",
            )
        except OSError as problem:
            log.warning("alerts.command could not be run: %s", problem)
            return
        process.send(record)
        process.close_input()
        status = process.wait(limit_s)
        if status is None:
            process.kill()
            process.wait()
            log.warning("alerts.command was ended: it took longer than %g s", limit_s)
        elif status:
            process.read_rest(LAST_LINE_S)  # the command's children may hold the pipe open
            words = f": {last.text}" if last.text else ""
            log.warning("alerts.command ended with status %d%s", status, words)


class _LastLine:
    """The last line of a command's output that is not blank."""

    text = ""

    def put(self, line: bytes) -> None:
        """Take the next line."""
        self.text = line.decode(errors="replace").strip() or self.text
