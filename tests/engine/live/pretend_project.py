"""A project folder with its engine in a process of its own, and a client on it."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warptui.client import Client
from warptui.engine.errors import EngineError
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow

HERE = Path(__file__).parent
PATIENCE_S = 180.0  # ends a test that hangs; a busy machine takes longer for all things
CONFIG = """
[input]
folder = "raw"
pixel_size = 1.0
settle_seconds = {settle}
poll_seconds = 0.2
[compute]
devices = "cpu"
workers_per_device = {workers}
threads = 1
"""


def movie_bytes(seed: int = 0, n_frames: int = 3, side: int = 16) -> bytes:
    """A small, valid MRC movie of mode 1."""
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, side, side, n_frames, 1, 0, 0, 0, side, side, n_frames)
    struct.pack_into("<3f", header, 40, side, side, n_frames)
    struct.pack_into("<3f", header, 52, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP \x44\x44\x00\x00"
    count = n_frames * side * side
    return bytes(header) + struct.pack(
        f"<{count}h", *((i * 7 + seed) % 100 + 1 for i in range(count))
    )


class Engine:
    """A project and the process that works on it."""

    def __init__(self, root: Path, runtime: Path) -> None:
        self.project = root / "project"
        self.raw = self.project / "raw"
        self.raw.mkdir(parents=True)
        self.environment = os.environ | {
            "WARPTUI_STAGES": "pretend_stages",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])]),
            "PRETEND_FOLDER": str(root),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_STATE_HOME": str(root / "state"),
        }
        self.configure()
        self.process: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None

    def configure(self, settle: float = 0.2, workers: int = 1, more: str = "") -> None:
        text = CONFIG.format(settle=settle, workers=workers) + more
        (self.project / "config.toml").write_text(text)

    def add(self, name: str, seed: int | None = None) -> Path:
        """Let a movie appear, at once and whole."""
        path = self.raw / name
        beside = self.raw / f".{name}.tmp"
        beside.write_bytes(movie_bytes(sum(name.encode()) if seed is None else seed))
        beside.replace(path)
        return path

    def start(self, **environment: str) -> Engine:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "pretend_engine.py"), str(self.project)],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
        )
        return self

    @property
    def client(self) -> Client:
        if self._client is None:
            until(lambda: self._connect() is not None)
        assert self._client is not None
        return self._client

    def _connect(self) -> Client | None:
        try:
            self._client = Client.connect(self.project)
        except EngineError:
            assert self.process is not None and self.process.poll() is None, "the engine died"
        return self._client

    def rows(self) -> dict[str, ItemRow]:
        return {row.name: row for row in self.client.items()}

    def wait_for(self, name: str, state: State, timeout_s: float = PATIENCE_S) -> ItemRow:
        def reached() -> bool:
            row = self.rows().get(name)
            return row is not None and row.state is state

        try:
            until(reached, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{name} is {self.rows().get(name)}") from None
        return self.rows()[name]

    def wait_all(self, state: State, count: int, timeout_s: float = PATIENCE_S) -> None:
        try:
            until(lambda: self.client.status().counts[state] == count, timeout_s)
        except TimeoutError:
            others = [f"{row.name}: {row.state} {row.reason}" for row in self.rows().values()
                      if row.state is not state]  # fmt: skip
            raise TimeoutError(f"{self.client.status()}; {others[:20]}") from None

    def leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def end(self, number: int = signal.SIGTERM, timeout_s: float = PATIENCE_S) -> int:
        self.leave()
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def products(self) -> dict[str, bytes]:
        """All files that processing made, without the metadata's clock times."""
        found = {}
        for path in sorted((self.project / "average").rglob("*")):
            if path.is_file():
                found[str(path.relative_to(self.project))] = path.read_bytes()
        return found


def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.03)
