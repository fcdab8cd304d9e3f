"""A project whose engine runs in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretend_project import Engine


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for sockets, which have short names only."""
    folder = Path(tempfile.mkdtemp(prefix="wt", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def engine(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A project whose engine is not started yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Engine(tmp_path, runtime)
    yield made
    made.leave()
    if made.process is not None:
        made.process.kill()
        made.process.wait()
