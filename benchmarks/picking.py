"""How long picking takes: an average of 3838 x 3710 px, mask and STAR file included.

    python benchmarks/picking.py [--runs 3] [--threads 2] [--folder build/bench-picking]

A made-up average (particles of 130 Å in noise, a patch of contamination) goes through the stage as
a worker would run it: with the bundled model, with a network of full width (its weights are
untrained: time does not depend on them), and with another score, which takes no network; in turn
with RELION's LoG picker, where `relion_autopick` is installed. How well BoxNet picks
is measured by `benchmarks/boxnet.py`. Prints a Markdown table and writes FOLDER/picking.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.config.settings import Config
from warptui.engine.formats.boxnet_model import write_boxnet
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model.item import Item
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie import picking
from warptui.engine.stages.movie.average import AverageResult
from warptui.engine.stages.movie.picking import PickingResult, PickingSettings
from warptui.engine.worker.bench.movie import open_bench

SHAPE = (3838, 3710)
PIXEL = 1.0
DIAMETER = 130.0
N_PARTICLES = 330
FULL_WIDTH = 32


def made_up_average(seed: int = 5) -> np.ndarray:
    """Dark discs with soft edges in noise, and a black patch."""
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 8, SHAPE).astype(np.float32)
    reach = 100
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = 1 / (1 + np.exp((np.hypot(y, x) - DIAMETER / 2) / 4))
    for row, column in rng.uniform(reach + 1, np.array(SHAPE) - reach - 1, (N_PARTICLES, 2)):
        top, left = round(row) - reach, round(column) - reach
        image[top : top + 2 * reach + 1, left : left + 2 * reach + 1] -= 3 * disc
    image[2600:3300, 400:1200] -= 30
    return image


def pick(folder: Path, threads: int, settings: PickingSettings) -> PickingResult:
    """The stage on the average in ``folder``."""
    item = Item.movie(folder / "made_up.tif")
    with open_bench(
        item, ProjectPaths(folder), Config(), "cpu", threads=threads, on_progress=lambda done: None
    ) as bench:
        bench.results["average"] = AverageResult(
            pixel_size=PIXEL, shape_yx=SHAPE, n_frames=1, average_path="average/made_up.mrc"
        )
        return picking.run(item, bench, settings)


def measure(runs: int, before: Callable[[], Any], work: Callable[[], Any]) -> dict[str, float]:
    """Median wall and CPU seconds of this process and its children."""
    walls, cpus = [], []
    for _ in range(runs):
        before()
        wall, cpu = time.perf_counter(), _cpu_s()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu_s() - cpu)
    return {"wall_s": statistics.median(walls), "cpu_s": statistics.median(cpus)}


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def relion_log(folder: Path) -> None:
    """RELION's reference-free picker on the same average."""
    (folder / "micrographs.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        f"_rlnAmplitudeContrast #6\nopticsGroup1 1 {PIXEL} 300 2.7 0.1\n\n\n"
        "# version 30001\n\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n"
        "_rlnOpticsGroup #2\nfloat32.mrc 1\n\n"
    )
    subprocess.run(
        [
            "relion_autopick", "--i", "micrographs.star", "--odir", "log/", "--pickname", "log",
            "--LoG", "--LoG_diam_min", str(0.8 * DIAMETER), "--LoG_diam_max", str(1.2 * DIAMETER),
            "--shrink", "0", "--lowpass", "20", "--LoG_adjust_threshold", "0",
        ],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("build/bench-picking"))
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    project = ProjectPaths(folder)
    project.average("x").parent.mkdir(parents=True, exist_ok=True)
    image = made_up_average()
    write_mrc(project.average("made_up"), image, PIXEL)
    write_mrc(folder / "float32.mrc", image, PIXEL, mode="float32")
    weights = {name: values.numpy() for name, values in BoxNet(FULL_WIDTH).state_dict().items()}
    write_boxnet(project.model("wide"), weights, FULL_WIDTH, {"state": "untrained"})

    bundled = PickingSettings(diameter_angstrom=DIAMETER)
    wide = bundled.model_copy(update={"model": "wide"})
    looser = bundled.model_copy(update={"min_score": 0.5})

    def forget() -> None:
        project.candidates_key("made_up").unlink(missing_ok=True)

    def nothing() -> None:
        """What was found stays."""

    run = lambda settings: lambda: pick(folder, options.threads, settings)  # noqa: E731
    pick(folder, options.threads, bundled)  # libraries load themselves
    rows = {"bundled model": measure(options.runs, forget, run(bundled))}
    rows["another score, nothing to find anew"] = measure(options.runs, nothing, run(looser))
    if shutil.which("relion_autopick"):
        shutil.rmtree(folder / "log", ignore_errors=True)
        rows["RELION's LoG picker, one thread"] = measure(
            options.runs,
            lambda: shutil.rmtree(folder / "log", ignore_errors=True),
            lambda: relion_log(folder),
        )
    pick(folder, options.threads, wide)
    rows[f"BoxNet of width {FULL_WIDTH}"] = measure(options.runs, forget, run(wide))
    told = {"date": date.today().isoformat(), "load": os.getloadavg()[0], "rows": rows}
    (folder / "picking.json").write_text(json.dumps(told, indent=1) + "\n")
    peer = rows.get("RELION's LoG picker, one thread")
    print(f"{options.threads} threads, median of {options.runs}, load {told['load']:.1f}\n")
    print(
        "| picking 3838 x 3710 px | seconds | CPU seconds | CPU, of RELION's |\n|---|---|---|---|"
    )
    for name, taken in rows.items():
        share = f"{taken['cpu_s'] / peer['cpu_s']:.2f}" if peer else ""
        print(f"| {name} | {taken['wall_s']:.2f} | {taken['cpu_s']:.2f} | {share} |")


if __name__ == "__main__":
    main()
