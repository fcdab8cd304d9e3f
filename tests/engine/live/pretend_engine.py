"""``python pretend_engine.py PROJECT``: an engine with the limits of the tests, in a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from warptui.config import read_config, write_config
from warptui.engine import lock, pool, server, session

if __name__ == "__main__":
    pool.BEAT_LIMIT_S = float(os.environ.get("PRETEND_BEAT_LIMIT", "60"))
    pool.Patience.GAP_S = float(os.environ.get("PRETEND_GAP", "10"))
    lock.BEAT_S = 0.1
    session.REFERENCES_S = 0.3
    server.SEND_TIMEOUT_S = 1e6  # who would wait for a viewer that takes nothing waits for ever
    server.HARD_LIMIT_S = 60.0  # a busy machine makes no engine end in the middle of its end
    raise SystemExit(server.serve(Path(sys.argv[1]), read_config, write_config))
