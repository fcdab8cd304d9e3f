"""Cuts particles for an export, in a process of its own: one line of JSON per item in and out.

What a stage of the session would write into the project goes into the export's own folder, and what
is there already, whole and made of the same, is not made again: an interrupted export goes on where
it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.config.settings import Config
from warptui.engine.errors import WarptuiError
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.particles import STAGE, ParticleResult, ParticleSettings
from warptui.engine.stages.registry import STAGES
from warptui.engine.worker.bench.movie import open_bench
from warptui.engine.worker.bench.particle_files import particles_in
from warptui.engine.worker.bench.pick_files import PickFiles
from warptui.engine.worker.devices import cpu_count, find_cuda
from warptui.engine.worker.parent import die_with_parent

NICE = 5  # below the app and the engine


class GivenPlaces:
    """Picks at places that the export asks for, whatever the session has picked."""

    def __init__(self, stored: PickFiles, places: np.ndarray) -> None:
        self._places = places  # (n, 3) y, x in px of the average, score
        self.edits, self.candidates = stored.edits, stored.candidates
        self.save, self.save_mask = stored.save, stored.save_mask
        self.save_candidates = stored.save_candidates

    def load(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 2) y, x in px of the average and scores."""
        return np.ascontiguousarray(self._places[:, :2]), self._places[:, 2]


def cut_item(task: dict[str, Any], on_progress: Callable[[float], None]) -> ParticleResult:
    """Cut the particles of one item.

    Raises
    ------
    WarptuiError, OSError
        If they cannot be cut or written.
    """
    config = Config.from_json(task["config"])
    settings = config.stage("particles")
    assert isinstance(settings, ParticleSettings)
    item, project = Item.movie(Path(task["raw_path"])), ProjectPaths(Path(task["project"]))
    if not item.path.is_file():
        raise FileNotFoundError(2, "the movie is gone", str(item.path))
    device = _device()
    places = np.array(task["places"], np.float64).reshape(-1, 3)
    session = open_bench(
        item, project, config, device, threads=cpu_count(), on_progress=on_progress
    )
    with replace(
        session,
        picks=GivenPlaces(PickFiles(project, item.root_name), places),
        particles=particles_in(Path(task["folder"]), project.root, item.root_name),
    ) as bench:
        for stage in STAGES:
            if stage.name in task["results"]:
                bench.results[stage.name] = stage.Result.model_validate(task["results"][stage.name])
        result = STAGE.run(item, bench, settings)
        assert isinstance(result, ParticleResult)
        return result


def _account(problem: BaseException, raw_path: str) -> dict[str, Any]:
    """The problem, for the program that sent the task."""
    path = str(getattr(problem, "filename", None) or "")
    reason = getattr(problem, "strerror", None) or str(problem)
    if isinstance(problem, FileNotFoundError) and path == raw_path:
        reason = "the movie is gone"
    message = f"{path}: {reason}" if path else reason
    return {"problem": message, "path": path, "errno": getattr(problem, "errno", None)}


@cache
def _device() -> str:
    found, _ = find_cuda()
    return found[0] if found else "cpu"


def main() -> int:
    """Serve tasks until stdin closes, or the program whose process number is given ends."""
    die_with_parent(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who began this ends it
    os.nice(NICE)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer: dict[str, Any] = cut_item(task, lambda done: None).model_dump()
        except (WarptuiError, OSError, MemoryError) as problem:
            answer = _account(problem, task["raw_path"])
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
