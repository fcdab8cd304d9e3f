"""Runs all stages once on a tiny movie, so that the first real one does not wait.

Libraries load themselves on first use and kernels are read from their cache or compiled: seconds
that a worker may as well spend before the first movie is complete.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from warptui.engine.config.sections import InputSettings
from warptui.engine.config.settings import Config
from warptui.engine.formats.tiff.writing import write_tiff_movie
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.registry import STAGES

SIZE_PX = 160
N_FRAMES = 4


def warm_up(device: str, threads: int) -> float:
    """Process a made-up movie in a temporary folder; returns the seconds that it took.

    Raises
    ------
    Exception
        Whatever a stage raises: a device that cannot do this will fail on real movies too.
    """
    from warptui.engine.worker.bench.movie import open_bench  # loads torch

    began = time.monotonic()
    frames = (_frame(index) for index in range(N_FRAMES))
    with tempfile.TemporaryDirectory(prefix="warptui-") as folder:
        path = Path(folder) / "warm_up.tif"
        write_tiff_movie(path, frames, pixel_size=1.0)
        config = Config(input=InputSettings(dose_per_frame=1.0))
        project = ProjectPaths(Path(folder))
        with open_bench(
            Item.movie(path),
            project,
            config,
            device,
            threads=threads,
            on_progress=lambda fraction: None,
        ) as bench:
            for stage in STAGES:
                bench.results[stage.name] = stage.run(bench.item, bench, stage.Settings())
    return time.monotonic() - began


def _frame(index: int) -> np.ndarray:
    """Halves that move apart, so that local motion is fitted too."""
    generator = np.random.default_rng(0)
    scene = 60 + 40 * generator.standard_normal((SIZE_PX, SIZE_PX)).clip(-1, 1)
    half = SIZE_PX // 2
    scene[:, :half] = np.roll(scene[:, :half], index, axis=0)
    scene[:, half:] = np.roll(scene[:, half:], -index, axis=0)
    return np.random.default_rng(index).poisson(scene).astype(np.uint8)
