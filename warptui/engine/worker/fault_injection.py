"""Faults on demand, for the tests that prove that none of them hurts.

``WARPTUI_CRASH_AT=point`` or ``point:kind`` makes the process die or hang where it passes
`crash_point(point)`; kinds are ``kill`` (default), ``segfault``, ``hang`` and ``stop``. With
``WARPTUI_CRASH_ONCE=file`` it happens only while that file does not exist.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path


def crash_point(point: str) -> None:
    """Die here when the environment asks for it."""
    wanted = os.environ.get("WARPTUI_CRASH_AT", "")
    if not wanted or wanted.partition(":")[0] != point:
        return
    once = os.environ.get("WARPTUI_CRASH_ONCE")
    if once:
        if Path(once).exists():
            return
        Path(once).touch()
    match wanted.partition(":")[2]:
        case "" | "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "hang":
            time.sleep(1e6)
        case other:
            raise ValueError(f"WARPTUI_CRASH_AT: expected kill, segfault, hang or stop: {other!r}")
