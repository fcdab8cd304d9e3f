"""How long cutting particles out takes, from the frames; beside RELION, which cuts its average.

    python benchmarks/particles.py [--frames 40] [--particles 300] [--box 256] [--runs 3]
        [--threads 1] [--folder build/bench-particles]

A made-up movie of 3838 x 3710 px (one electron and a half per pixel and frame, a gain reference)
goes through the stage as a worker would run it, local motion and dose weighting included: once with
the frames in memory, as they are when a movie is new, once with reading and correcting the movie
first, as when the box was changed later. In turn with `relion_preprocess --extract --norm` on a
float32 average of that size, where RELION is installed. Writes of both are included. Prints a
Markdown table and writes FOLDER/particles.json.
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

from warptui.engine.config.sections import InputSettings
from warptui.engine.config.settings import Config
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.star.picks import write_picks
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie import particles
from warptui.engine.stages.movie.average import AverageResult
from warptui.engine.stages.movie.motion import MotionResult
from warptui.engine.stages.movie.particles import ParticleSettings
from warptui.engine.stages.movie.picking import PickingResult
from warptui.engine.worker.bench.movie import MovieBench, open_bench

SHAPE = (3838, 3710)
PIXEL = 1.0
DOSE = 40.0  # e/Å² in all
DIAMETER = 180.0


def make_movie(folder: Path, n_frames: int, n_particles: int, box: int) -> None:
    """The movie, its gain reference, picks, and an average for RELION."""
    random = np.random.default_rng(7)
    counts = random.poisson(1.5, SHAPE).astype(np.int8)
    frames = np.stack([np.roll(counts, 7 * index, axis=index % 2) for index in range(n_frames)])
    write_mrc(folder / "m.mrc", frames, PIXEL, mode="int8")
    write_mrc(folder / "gain.mrc", random.uniform(0.9, 1.1, SHAPE).astype(np.float32), PIXEL)
    project = ProjectPaths(folder)
    average = project.average("m")
    average.parent.mkdir(exist_ok=True)
    write_mrc(average, random.normal(60, 8, SHAPE).astype(np.float32), PIXEL)
    inner = np.array(SHAPE) - box - 20
    places = random.uniform(0, 1, (n_particles, 2)) * inner + box / 2 + 10
    write_picks(project.picks("m", "boxnet"), places, np.ones(n_particles), "m.mrc")
    (folder / "picks" / "average").mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{x:.2f} {y:.2f}\n" for y, x in places)
    (folder / "picks" / "average" / "m_picks.star").write_text(
        f"data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n{rows}"
    )


def motion(n_frames: int) -> MotionResult:
    """Local motion of a usual kind, made up."""
    random = np.random.default_rng(8)
    nodes = random.normal(0, 3, (2, 5 * 5 * 5))
    track = np.cumsum(random.normal(0, 0.5, (n_frames, 2)), axis=0)
    return MotionResult(
        n_frames=n_frames,
        pixel_size=PIXEL,
        shape_yx=SHAPE,
        global_yx_angstrom=[(float(y), float(x)) for y, x in track],
        local_used=True,
        local_grid=(5, 5, 5),
        local_y_angstrom=nodes[0].tolist(),
        local_x_angstrom=nodes[1].tolist(),
    )


def extract(folder: Path, n_frames: int, settings: ParticleSettings, bench: MovieBench) -> None:
    """The stage on the movie in ``folder``."""
    shutil.rmtree(folder / "particles", ignore_errors=True)
    bench.results = {
        "motion": motion(n_frames),
        "average": AverageResult(
            pixel_size=PIXEL, shape_yx=SHAPE, n_frames=n_frames, average_path="average/m.mrc"
        ),
        "picking": PickingResult(suffix="boxnet", picks_path="matching/m_boxnet.star"),
    }
    particles.run(bench.item, bench, settings)


def open_movie_bench(folder: Path, n_frames: int, threads: int) -> MovieBench:
    """The movie, as a worker opens it."""
    given = InputSettings(pixel_size=PIXEL, dose_per_frame=DOSE / n_frames, gain="gain.mrc")
    picking = Config().stage("picking").model_copy(update={"diameter_angstrom": DIAMETER})
    config = Config(input=given, stages={"picking": picking})
    return open_bench(
        Item.movie(folder / "m.mrc"), ProjectPaths(folder), config, "cpu", threads=threads,
        on_progress=lambda done: None,
    )  # fmt: skip


def relion(folder: Path, box: int) -> None:
    """RELION's extraction of the same picks from an average."""
    (folder / "micrographs.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographPixelSize #3\n_rlnMicrographOriginalPixelSize #4\n_rlnVoltage #5\n"
        "_rlnSphericalAberration #6\n_rlnAmplitudeContrast #7\n"
        f"opticsGroup1 1 {PIXEL} {PIXEL} 300 2.7 0.1\n\n\n# version 30001\n\ndata_micrographs\n\n"
        "loop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n_rlnDefocusU #3\n_rlnDefocusV #4\n"
        "_rlnDefocusAngle #5\naverage/m.mrc 1 10000 10000 0\n\n"
    )
    subprocess.run(
        [
            "relion_preprocess", "--i", "micrographs.star", "--coord_dir", "picks/",
            "--coord_suffix", "_picks.star", "--part_dir", "relion/", "--part_star", "relion.star",
            "--extract", "--extract_size", str(box), "--norm",
            "--bg_radius", str(round(DIAMETER / PIXEL / 2)), "--invert_contrast",
        ],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def measure(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of this process and its children."""
    wall, cpu = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - wall, _cpu_s() - cpu


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--particles", type=int, default=300)
    parser.add_argument("--box", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/bench-particles"))
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    n_frames, n = options.frames, options.particles
    make_movie(folder, n_frames, n, options.box)
    settings = ParticleSettings(box_size_px=options.box)
    kept = open_movie_bench(folder, n_frames, options.threads)
    kept.frames.open()
    extract(folder, n_frames, settings, kept)  # libraries load themselves

    def anew() -> None:
        with open_movie_bench(folder, n_frames, options.threads) as bench:
            extract(folder, n_frames, settings, bench)

    works: dict[str, Callable[[], Any]] = {
        f"{n_frames} frames in memory": lambda: extract(folder, n_frames, settings, kept),
        f"{n_frames} frames, read and corrected first": anew,
    }
    peer = "RELION, from the average"
    if shutil.which("relion_preprocess"):
        works[peer] = lambda: relion(folder, options.box)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(options.runs):
        for name, work in works.items():
            taken[name].append(measure(work))
    rows = {
        name: [1e3 * statistics.median(column) / n for column in zip(*times, strict=True)]
        for name, times in taken.items()
    }
    told = {"date": date.today().isoformat(), "load": os.getloadavg()[0], "ms": rows}
    (folder / "particles.json").write_text(json.dumps(told, indent=1) + "\n")
    print(
        f"{n} particles of {options.box} px, {options.threads} threads, median of {options.runs}, "
        f"load {told['load']:.1f}\n"
    )
    print("| per particle | ms | CPU ms | CPU, of RELION's |\n|---|---|---|---|")
    for name, (wall, cpu) in rows.items():
        share = f"{cpu / rows[peer][1]:.1f}" if peer in rows else ""
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {share} |")


if __name__ == "__main__":
    main()
