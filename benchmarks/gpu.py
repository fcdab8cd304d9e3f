"""A CUDA device against the CPU: the same numbers, and the time of every stage.

    python benchmarks/gpu.py [--device cuda:0] [--movies small counts k3 eer] [--repeats 3]
                             [--workers 1 2] [--copies 8] [--retrain] [--folder build/bench-gpu]

Movies are simulated once (``small`` 1024 x 1024 x 16, ``counts`` 4096 x 4096 x 40 and ``k3``
11520 x 8184 x 40 as LZW TIFF, ``eer`` 4096 x 4096). Every stage of the chain then runs in this
process on the CPU, once, and on the device: the differences are held against the limits below, and
every stage is timed after a warm-up, the device waited for before the clock is read. ``--workers``:
seconds a movie of a running engine with so many workers on the device, for ``--copies`` copies of
a movie. ``--retrain``: a training on the picks of those copies (some
1000 of ``counts``). Prints Markdown tables and
writes FOLDER/gpu.json; ends with 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import numpy as np
import torch

from warptui.engine.config.file import new_settings, write_config
from warptui.engine.config.settings import Config
from warptui.engine.formats.mrc import read_mrc
from warptui.engine.model.item import MOVIE, Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.simulation.density import bundled_particle
from warptui.engine.simulation.files import Format, write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import PRESETS
from warptui.engine.stages.base import StageResult
from warptui.engine.stages.registry import STAGES
from warptui.engine.worker.bench.movie import open_bench

MOVIES: dict[str, tuple[str, Format, dict[str, Any]]] = {  # preset, file format, changes
    "small": ("small", "tif", {}),
    "counts": ("typical", "tif", {"shape_yx": (4096, 4096), "n_frames": 40}),
    "k3": (
        "typical",
        "tif",
        {"shape_yx": (8184, 11520), "n_frames": 40, "pixel_size": 0.42, "dose_per_frame": 1.2},
    ),
    "eer": ("eer", "eer", {}),
}
SHIFT_PX = 0.02  # of a frame's pixel: the largest difference of any shift
DEFOCUS_ANGSTROM = 5.0
AVERAGE_SIGMA = 0.01  # of the average's own standard deviation, RMS
PICKS_SHARED = 0.99
TARGET_S = 1.5  # a movie of ``counts``, in a running engine
MEMORY_GB = 10.0
DIAMETER_ANGSTROM = 130.0
WARPTUI = (sys.executable, "-m", "warptui")
LIMITS_SHOWN = (
    "shift_px",
    "defocus_angstrom",
    "astigmatism_angstrom",
    "average_sigma",
    "picks_shared",
)


@dataclass
class Run:
    """One movie through the chain on one device."""

    device: str
    seconds: dict[str, float] = field(default_factory=dict)
    results: dict[str, StageResult] = field(default_factory=dict)
    average: np.ndarray | None = None
    picks_yx_px: np.ndarray | None = None
    memory_gb: float | None = None  # on the device, at most

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def simulate(name: str, folder: Path) -> tuple[Path, Config]:
    """The movie, written once, and the settings that suit it."""
    preset, kind, changes = MOVIES[name]
    settings = PRESETS[preset].model_copy(update=changes | {"seed": 3, "name": name})
    path = folder / "movies" / f"{name}.{kind}"
    if not path.exists():
        movie = simulate_movie(settings, (bundled_particle(),))
        written = write_movie(movie, path.parent, kind)
        assert written == path, written
    gain = path.with_name(f"{name}_gain.mrc")
    values: dict[str, dict[str, Any]] = {
        "input": {
            "pixel_size": settings.pixel_size,
            "dose_per_frame": settings.dose_per_frame,
            "gain": str(gain) if gain.exists() else "",
            "eer_frames_per_group": settings.raw_frames_per_frame,
        },
        "picking": {"diameter_angstrom": DIAMETER_ANGSTROM},
    }
    return path, new_settings(folder / "config.toml", values)


def run_chain(movie: Path, config: Config, project: Path, device: str, threads: int) -> Run:
    """Every stage that is enabled, in order, on one device."""
    run = Run(device)
    paths = ProjectPaths(project)
    on_cuda = torch.device(device).type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    with open_bench(
        Item.movie(movie), paths, config, device, threads=threads, on_progress=lambda done: None
    ) as bench:
        run.seconds["reading"] = _timed(device, bench.frames.open)
        for stage in STAGES:
            settings = config.stage(stage.name)
            if stage.kind != MOVIE or not settings.enabled:
                continue
            found: list[StageResult] = []
            run.seconds[stage.name] = _timed(
                device,
                lambda stage=stage, settings=settings, found=found: found.append(
                    stage.run(bench.item, bench, settings)
                ),
            )
            bench.results[stage.name] = run.results[stage.name] = found[0]
        run.average = read_mrc(project / run.results["average"].average_path)[0]  # type: ignore[attr-defined]
        run.picks_yx_px, _ = bench.picks.load(run.results["picking"].picks_path)  # type: ignore[attr-defined]
    if on_cuda:
        run.memory_gb = torch.cuda.max_memory_allocated(device) / 1e9
    return run


def _timed(device: str, work: Any) -> float:
    began = time.perf_counter()
    work()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def compare(one: Run, other: Run) -> dict[str, float]:
    """How far two runs of one movie are apart."""
    motion, again = one.results["motion"], other.results["motion"]
    shifts = [
        np.abs(np.subtract(getattr(motion, name), getattr(again, name))).max(initial=0.0)
        for name in ("track_yx_angstrom", "local_x_angstrom", "local_y_angstrom")
        if len(getattr(motion, name)) == len(getattr(again, name))
    ]
    same_model = motion.local_grid == again.local_grid  # type: ignore[attr-defined]
    pixel_size: float = motion.pixel_size  # type: ignore[attr-defined]
    ctf, theirs = one.results["ctf"], other.results["ctf"]
    assert one.average is not None and other.average is not None
    difference = one.average.astype(np.float64) - other.average
    return {
        "shift_px": max(shifts) / pixel_size if same_model else float("inf"),
        "defocus_angstrom": _apart(ctf, theirs, "defocus_um") * 1e4,
        "astigmatism_angstrom": _apart(ctf, theirs, "astigmatism_um") * 1e4,
        "average_sigma": float(difference.std() / one.average.std()),
        "picks_shared": shared(one.picks_yx_px, other.picks_yx_px),
    }


def _apart(one: StageResult, other: StageResult, name: str) -> float:
    ours, theirs = getattr(one, name), getattr(other, name)
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else float("inf")
    return abs(ours - theirs)


def shared(one: np.ndarray | None, other: np.ndarray | None, reach_px: float = 2.0) -> float:
    """Share of all picks (n, 2) that the other run has within ``reach_px``, too."""
    assert one is not None and other is not None
    if not len(one) or not len(other):
        return 1.0 if len(one) == len(other) else 0.0
    apart = np.linalg.norm(one[:, None] - other[None], axis=2)
    near = int((apart.min(1) <= reach_px).sum()) + int((apart.min(0) <= reach_px).sum())
    return near / (len(one) + len(other))


def exceeded(differences: dict[str, float]) -> list[str]:
    """What is farther apart than it may be, in words."""
    limits = {
        "shift_px": SHIFT_PX,
        "defocus_angstrom": DEFOCUS_ANGSTROM,
        "average_sigma": AVERAGE_SIGMA,
    }
    found = [
        f"{name} {differences[name]:.3g} > {limit:g}"
        for name, limit in limits.items()
        if not differences[name] <= limit
    ]
    if differences["picks_shared"] <= PICKS_SHARED:
        found.append(f"picks_shared {differences['picks_shared']:.4f} <= {PICKS_SHARED}")
    return found


def time_engine(
    movie: Path, config: Config, folder: Path, device: str, workers: int, n: int
) -> float:
    """Seconds a movie in an engine with so many workers, once each of them has done one."""
    project = folder / f"engine_{movie.stem}_{workers}"
    movies = project.with_name(project.name + "_movies")
    for old in (project, movies):
        shutil.rmtree(old, ignore_errors=True)
    movies.mkdir(parents=True)
    for index in range(n + workers):
        os.link(movie, movies / f"{movie.stem}_{index:03d}{movie.suffix}")
    given = config.input.model_dump(exclude_defaults=True)
    subprocess.run(
        [*WARPTUI, "init", str(project), "--input", str(movies)], check=True, stdout=DEVNULL
    )
    compute = {"devices": device if device == "cpu" else [device], "workers_per_device": workers}
    write_config(
        project,
        {
            "input": given,
            "picking": {"diameter_angstrom": DIAMETER_ANGSTROM},
            "compute": compute,
        },
    )
    subprocess.run([*WARPTUI, "run", str(project)], check=True, stdout=DEVNULL)
    rows = items_of(project)
    ended = sorted(row["finished_at"] for row in rows)
    return (ended[-1] - ended[workers - 1]) / (len(ended) - workers)


def items_of(project: Path) -> list[dict[str, Any]]:
    """What is known of a project's items, by name."""
    command = [*WARPTUI, "status", str(project), "--items", "--json"]
    told = subprocess.run(command, check=True, capture_output=True).stdout
    return sorted(json.loads(told)["items"], key=lambda row: row["name"])


def time_training(project: Path, epochs: int) -> dict[str, float]:
    """Seconds of a training on the picks of a project's movies, the last one held out."""
    listed = sorted((project / "average").glob("*.mrc"))
    began = time.perf_counter()
    subprocess.run(
        [*WARPTUI, "train", str(project), "--name", f"timed_{int(time.time())}",
         "--items", *(path.stem + "*" for path in listed[:-1]),
         "--held-out", listed[-1].stem + "*", "--epochs", str(epochs)],
        check=True, stdout=DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    rows = items_of(project)
    examples = sum(row["summary"]["picking.n_particles"] for row in rows[:-1])
    return {"seconds": seconds, "examples": examples, "epochs": epochs}


def floor_s(movie: Path, frames: tuple[int, int, int], bytes_s: float, flops_s: float) -> float:
    """Least seconds for reading a file once and for every frame's transform there and back."""
    n, ny, nx = frames
    moved = movie.stat().st_size + 3 * 4 * n * ny * nx  # written, read twice, as float32
    transforms = 2 * n * 2.5 * ny * nx * np.log2(ny * nx)
    return moved / bytes_s + transforms / flops_s


def measured_speeds(device: str) -> tuple[float, float]:
    """Bytes a second through the device's memory, and operations a second of an FFT on it."""
    image = torch.rand(4096, 4096, device=device)
    speeds = []
    for work, amount in (
        (lambda: image.clone(), 2 * 4 * image.numel()),
        (lambda: torch.fft.rfft2(image), 2.5 * image.numel() * np.log2(image.numel())),
    ):
        work()
        took = min(_timed(device, work) for _ in range(5))
        speeds.append(amount / took)
    return speeds[0], speeds[1]


def main() -> int:
    """Compare, time, print, write; 1 if a limit was exceeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--movies", nargs="+", choices=MOVIES, default=list(MOVIES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--retrain", action="store_true")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("build/bench-gpu"))
    options = parser.parse_args()
    if options.retrain and not options.workers:
        parser.error("--retrain learns from what an engine of --workers picked")
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    is_cuda = torch.device(options.device).type == "cuda"
    if is_cuda and not torch.cuda.is_available():
        print("no CUDA device: `warptui doctor` says why", file=sys.stderr)
        return 2
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "device": torch.cuda.get_device_name(options.device)
        if is_cuda
        else platform.machine() + " CPU",
        "torch": torch.__version__,
        "movies": {},
    }
    bytes_s, flops_s = measured_speeds(options.device)
    problems = []
    for name in options.movies:
        movie, config = simulate(name, folder)
        threads = os.cpu_count() or 1
        reference = run_chain(movie, config, folder / f"{name}_cpu", "cpu", threads)
        project = folder / f"{name}_device"
        runs = [
            run_chain(movie, config, project, options.device, threads)
            for _ in range(1 + options.repeats)
        ][1:]
        differences = compare(reference, runs[-1])
        problems += [f"{name}: {problem}" for problem in exceeded(differences)]
        seconds = {
            stage: statistics.median(run.seconds[stage] for run in runs)
            for stage in runs[0].seconds
        }
        motion = runs[-1].results["motion"]
        shape = (motion.n_frames, *motion.raw_shape_yx)  # type: ignore[attr-defined]
        record["movies"][name] = {
            "frames_yx": shape,
            "seconds": seconds,
            "total_s": sum(seconds.values()),
            "cpu_seconds": reference.seconds,
            "floor_s": floor_s(movie, shape, bytes_s, flops_s),
            "memory_gb": runs[-1].memory_gb,
            "differences": differences,
            "engine_s": {
                n: time_engine(movie, config, folder, options.device, n, options.copies)
                for n in options.workers
            },
        }
        print(json.dumps({name: record["movies"][name]}), file=sys.stderr, flush=True)
    if options.retrain:
        name = options.movies[min(1, len(options.movies) - 1)]
        record["retraining"] = time_training(
            folder / f"engine_{name}_{options.workers[0]}", options.epochs
        )
    record["exceeded"] = problems
    (folder / "gpu.json").write_text(json.dumps(record, indent=1))
    print(markdown(record))
    return 1 if problems else 0


def markdown(record: dict[str, Any]) -> str:
    """The tables."""
    stages = list(next(iter(record["movies"].values()))["seconds"])
    lines = [
        f"{record['device']}, torch {record['torch']}, {record['date']}: seconds a movie",
        "",
        f"| movie | {' | '.join(stages)} | all | floor | in an engine | GPU memory (GB) |",
        "|" + "---|" * (len(stages) + 5),
    ]
    for name, found in record["movies"].items():
        times = " | ".join(f"{found['seconds'][stage]:.2f}" for stage in stages)
        engine = ", ".join(f"{s:.2f} ({n} at once)" for n, s in found["engine_s"].items()) or "-"
        memory = "-" if found["memory_gb"] is None else f"{found['memory_gb']:.1f}"
        lines.append(
            f"| {name} {found['frames_yx']} | {times} | {found['total_s']:.2f} "
            f"| {found['floor_s']:.2f} | {engine} | {memory} |"
        )
    lines += ["", "| movie | " + " | ".join(LIMITS_SHOWN) + " |", "|" + "---|" * 6]
    for name, found in record["movies"].items():
        shown = " | ".join(f"{found['differences'][key]:.3g}" for key in LIMITS_SHOWN)
        lines.append(f"| {name} | {shown} |")
    if "retraining" in record:
        took = record["retraining"]
        lines += [
            "",
            "Retraining: {examples:.0f} examples, {epochs} epochs, {seconds:.0f} s".format(**took),
        ]
    lines += ["", *(f"EXCEEDED: {problem}" for problem in record["exceeded"])]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
