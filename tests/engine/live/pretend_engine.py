"""``python pretend_engine.py PROJECT``: an engine with the limits of the tests, in a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from warptui.engine.api import server
from warptui.engine.config.file import read_config, write_config
from warptui.engine.core import core
from warptui.engine.execution import local_pool
from warptui.engine.execution.suspend_clock import SuspendClock
from warptui.engine.project import lock

if __name__ == "__main__":
    local_pool.BEAT_LIMIT_S = float(os.environ.get("PRETEND_BEAT_LIMIT", "60"))
    SuspendClock.GAP_S = float(os.environ.get("PRETEND_GAP", "10"))
    lock.BEAT_S = 0.1
    core.REFERENCES_S = 0.3
    server.SEND_TIMEOUT_S = 1e6  # who would wait for a viewer that takes nothing waits for ever
    server.HARD_LIMIT_S = 60.0  # a busy machine makes no engine end in the middle of its end
    raise SystemExit(server.serve(Path(sys.argv[1]), read_config, write_config))
