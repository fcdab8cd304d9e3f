"""Runs the user's command for a notice: beside the engine, for a limited time.

The command gets ``WARPTUI_RULE``, ``WARPTUI_LEVEL``, ``WARPTUI_TEXT``, ``WARPTUI_ITEM`` and
``WARPTUI_PROJECT`` in its environment, and the notice as JSON on its stdin.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from warptui.engine.model import codec
from warptui.engine.model.notices import Notice

log = logging.getLogger(__name__)

AT_ONCE = 4  # commands; more would mean that they hang
KEPT_BYTES = 2000  # of what a command writes to stderr


class Hook:
    """The command of one project."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._threads: list[threading.Thread] = []

    def run(self, command: str, notice: Notice, limit_s: float) -> None:
        """Start ``command`` and return; what goes wrong with it is logged."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= AT_ONCE:
            log.warning("alerts.command not run: %d of them run already", AT_ONCE)
            return
        thread = threading.Thread(
            target=self._attend, args=(command, notice, limit_s), name="hook", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def close(self, grace_s: float) -> None:
        """Wait a little for those that run; they go on without the engine."""
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
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=os.environ | {name: text.replace("\0", "") for name, text in given.items()},
                cwd=self._project,
                start_new_session=True,
            )
        except OSError as problem:
            log.warning("alerts.command could not be run: %s", problem)
            return
        assert process.stdin is not None and process.stderr is not None
        with process.stderr:
            with suppress(BrokenPipeError):  # it need not read
                process.stdin.write(json.dumps(record).encode() + b"\n")
                process.stdin.close()
            said = _listen(process, process.stderr.fileno(), time.monotonic() + limit_s)
        code = process.poll()
        if code is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            log.warning("alerts.command was ended: it took longer than %g s", limit_s)
        elif code:
            log.warning("alerts.command ended with status %d%s", code, f": {said}" if said else "")


def _listen(process: subprocess.Popen[bytes], stderr: int, deadline: float) -> str:
    """The last line on stderr, once the process has ended or its time is up."""
    kept, open_end = b"", True
    while time.monotonic() < deadline:
        if open_end and select.select([stderr], [], [], 0.1)[0]:
            piece = os.read(stderr, 65536)
            open_end = bool(piece)
            kept = (kept + piece)[-KEPT_BYTES:]
        elif process.poll() is not None:  # a grandchild may hold stderr open
            break
        elif not open_end:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    return kept.decode(errors="replace").strip().rpartition("\n")[2]
