"""The faults once more, with the real stages: killed anywhere, the bytes are the same."""

from __future__ import annotations

import signal
import struct
from pathlib import Path

import numpy as np
import pytest
from pretend_project import Engine, until

from warptui.engine.model.item import State

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real-stages")]
NAMES = ("a.mrc", "b.mrc")
TIMEOUT_S = 240.0


def write_movie(path: Path, seed: int) -> None:
    """Noise around a few blobs that drift, as unsigned 16-bit MRC."""
    random = np.random.default_rng(seed)
    n_frames, side = 8, 256
    y, x = np.mgrid[:side, :side]
    frames = np.empty((n_frames, side, side), np.uint16)
    spots = random.uniform(20, side - 20, (60, 2))
    for index in range(n_frames):
        mean = np.full((side, side), 4.0)
        for row, column in spots + 0.8 * index:
            mean -= 2.0 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)
        frames[index] = random.poisson(np.clip(mean, 0.5, None))
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, side, side, n_frames, 6, 0, 0, 0, side, side, n_frames)
    struct.pack_into("<3f", header, 40, side * 1.5, side * 1.5, n_frames * 1.5)
    struct.pack_into("<3f", header, 52, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP \x44\x44\x00\x00"
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(bytes(header) + frames.tobytes())
    beside.replace(path)


_undisturbed: dict[str, bytes] = {}


@pytest.fixture
def real(engine: Engine) -> Engine:
    """An engine with the real stages and two movies, and what it makes of them undisturbed."""
    del engine.environment["WARPTUI_STAGES"]
    engine.configure(more="[picking]\ndiameter_angstrom = 60\n")  # boxes fit into small movies
    for seed, name in enumerate(NAMES):
        write_movie(engine.raw / name, seed)
    if not _undisturbed:
        engine.start()
        engine.wait_all(State.DONE, len(NAMES), TIMEOUT_S)
        engine.end()
        _undisturbed.update(engine.products())
        for path in [*engine.project.glob("*.xml"), *engine.project.glob("average/*")]:
            path.unlink()
    return engine


@pytest.mark.parametrize("point", ["motion.after", "average.after"])
def test_a_killed_worker_changes_no_byte(real: Engine, point: str, tmp_path: Path) -> None:
    real.start(WARPTUI_CRASH_AT=point, WARPTUI_CRASH_ONCE=str(tmp_path / "once"))
    real.wait_all(State.DONE, len(NAMES), TIMEOUT_S)
    assert (tmp_path / "once").exists()
    assert real.products() == _undisturbed
    assert real.end() == 0


@pytest.mark.parametrize("point", ["motion.saved", "average.unsaved"])
def test_a_killed_engine_changes_no_byte(real: Engine, point: str) -> None:
    real.start(WARPTUI_CRASH_AT=point)
    assert real.process is not None
    assert real.process.wait(TIMEOUT_S) == -signal.SIGKILL
    real.start()
    real.wait_all(State.DONE, len(NAMES), TIMEOUT_S)
    assert real.products() == _undisturbed
    assert real.end() == 0
    assert not list(real.project.rglob("*.warptui-tmp"))


def test_results_say_what_was_measured(real: Engine) -> None:
    real.start()
    real.wait_all(State.DONE, len(NAMES), TIMEOUT_S)
    detail = real.client.item("a.mrc")
    assert detail.row.summary["motion.early_motion"] is not None
    assert Path(detail.path("average")).stat().st_size > 256 * 256 * 2
    until(lambda: real.client.status().state == "idle")
    stages = {"motion", "average", "ctf", "picking", "particles"}
    assert set(real.client.status().seconds_per_stage) == stages
    assert real.end() == 0
