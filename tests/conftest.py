"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# First calls compile kernels, and machines are shared: time says nothing about a law.
settings.register_profile("warptui", deadline=None)
settings.load_profile("warptui")

pytest_plugins = ["cpu_report"]

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Before torch is imported, by us or by a child: idle threads that spin slow the others down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a test process on every core

# An app under test makes 100,000 objects that stay: looking for garbage at each 700 is a tenth
# of the time of the screens' tests.
gc.set_threshold(50_000, 20, 20)

# Started by nohup or in the background we inherit that signals are ignored, and so would the
# engines that are tested; a handler, even one that does nothing, is not inherited.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)


TESTS = Path(__file__).resolve().parent
TIERS = ("unit", "numerics", "screens", "engine", "science", "system")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder of a test is its tier. Tests of the whole program are slow."""
    for item in items:
        if TESTS not in item.path.parents:
            continue  # a test of a test's own
        tier = item.path.relative_to(TESTS).parts[0]
        if tier not in TIERS:
            raise pytest.UsageError(f"{item.path} is in no tier: move it into {', '.join(TIERS)}")
        item.add_marker(tier)
        if tier == "system":
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def own_folders() -> Iterator[None]:
    """Sockets, indices, preferences of this run alone: never the user's or another run's."""
    # Not below pytest's own folder: the path of a socket has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="wt-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(name, str(folder / name))
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the reference data; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the reference data folder is not beside this checkout")
    return SHARED_DATA
