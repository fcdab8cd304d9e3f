"""Stages without torch: fast, deterministic, and as badly behaved as a file's name asks for.

``WARPTUI_STAGES=pretend_stages`` puts them in the real ones' place. They share the real ones'
settings and results, so that config.toml and the metadata are the real thing.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from warptui.engine.errors import CorruptError, TransientError
from warptui.engine.formats.writing import temporary
from warptui.engine.model.item import Item
from warptui.engine.stages.base import Resources
from warptui.engine.stages.movie import average as real_average
from warptui.engine.stages.movie import motion as real_motion
from warptui.engine.worker.fault_injection import crash_point

SECONDS = float(os.environ.get("PRETEND_SECONDS", "0"))


class Bench:
    """Where a pretended stage works."""

    def __init__(
        self, item: Item, project: Any, config: Any, device: str, *, threads: int, on_progress: Any
    ) -> None:
        self.item, self.project, self.progress = item, project, on_progress
        self.results: dict[str, Any] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def save(self, path: Path, content: bytes) -> None:
        """Write a product as the real bench does: beside it, then renamed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary(path)
        try:
            with beside.open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                crash_point("average.writing")
                file.write(content[len(content) // 2 :])
                file.flush()
                os.fsync(file.fileno())
            crash_point("average.written")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        crash_point("average.renamed")


class TrialBench(Bench):
    """Keeps nothing but a picture."""

    def __init__(self, *args: Any, folder: Path, **options: Any) -> None:
        super().__init__(*args, **options)
        folder.mkdir(parents=True)
        (folder / "spectrum.npy").write_bytes(b"a picture")
        self.pictures = {"spectrum": str(folder / "spectrum.npy")}

    def save(self, path: Path, content: bytes) -> None:
        """Nothing is written."""


open_bench, open_trial_bench = Bench, TrialBench


def _misbehave(name: str) -> None:
    if "corrupt" in name:
        raise CorruptError(f"{name}: frame 3 of 7 does not decode; copy the file again")
    if "bug" in name:
        raise ZeroDivisionError("a mistake in the program")
    if "segfault" in name:
        print("about to fall over", flush=True)
        ctypes.string_at(0)
    if "killed" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(1e6)
    if "frozen" in name:
        os.kill(os.getpid(), signal.SIGSTOP)
    if "hiccup" in name:
        counter = Path(os.environ["PRETEND_FOLDER"]) / f"{name}.tries"
        tries = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(tries + 1))
        if tries < 2:
            raise TransientError(f"{name}: stale file handle")
    if "lost" in name:
        once = Path(os.environ["PRETEND_FOLDER"]) / "lost"
        if not once.exists():
            once.touch()
            raise RuntimeError("CUDA error: an illegal memory access was encountered")


def run_motion(item: Item, bench: Bench, settings: Any) -> Any:
    """Pretend to align."""
    _misbehave(item.name)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.01)
        bench.progress(1.0 - (end - time.monotonic()) / SECONDS)
    digest = hashlib.sha256(item.path.read_bytes()).digest()
    return real_motion.MotionResult(
        early_motion=digest[0] / 100, n_frames=3, pixel_size=1.0, shape_yx=(16, 16)
    )


def run_average(item: Item, bench: Bench, settings: Any) -> Any:
    """Pretend to average: a product that depends on the file and on the settings."""
    motion = bench.results["motion"]
    text = f"{motion.early_motion} {settings.skip_first}"
    content = hashlib.sha256(item.path.read_bytes() + text.encode()).digest() * 4000
    bench.save(bench.project.average(item.root_name), content)
    return real_average.AverageResult(mean_electrons=1.0, pixel_size=1.0, shape_yx=(16, 16))


DEADLINE_S = float(os.environ.get("PRETEND_DEADLINE", "30"))
STAGES = (
    real_motion.STAGE._replace(run=run_motion, resources=Resources(deadline_s=DEADLINE_S)),
    real_average.STAGE._replace(run=run_average, resources=Resources(deadline_s=DEADLINE_S)),
)
