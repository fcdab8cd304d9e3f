"""Motion correction and averaging against RELION's own, side by side on this machine.

    python benchmarks/motion.py [PRESET[:SEED] ...] [--repeats 3] [--folder build/bench]

Simulates the movies once, then runs each through RELION (``relion_run_motioncorr``, if it
is installed) and through a warm warptui worker in turn, and prints a Markdown table: wall
and CPU seconds, peak memory, and the error of the total shift field in pixels (RMS vector
over frames and a grid of positions, one constant a position removed; RELION's is the
better of its results with and without its local model). The table and all numbers are also
written to FOLDER/motion.md and FOLDER/motion.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

PRESETS = ("typical:11", "demanding:11", "tilt40:11", "weak:11", "eer:11", "small:11", "small:12")
GRID = np.linspace(0.06, 0.94, 9)
QUIET = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("movies", nargs="*", default=PRESETS, metavar="PRESET[:SEED]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/bench"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return serve_child(json.loads(given.child))
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in given.movies:
        preset, _, seed = name.partition(":")
        rows.append(compare(folder, preset, int(seed or 11), given.repeats))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    table = markdown(rows)
    (folder / "motion.md").write_text(table)
    (folder / "motion.json").write_text(json.dumps(rows, indent=1))
    print(table)
    return 0


def compare(folder: Path, preset: str, seed: int, repeats: int) -> dict:
    """All numbers of one movie."""
    movie = simulate(folder, preset, seed)
    truth = json.loads((folder / f"{preset}_{seed}_truth.json").read_text())
    job = {
        "movie": str(movie),
        "pixel_size": truth["pixel_size"],
        "dose_per_frame": truth["config"]["dose_per_frame"],
        "gain": str(folder / f"{preset}_{seed}_gain.mrc") if movie.suffix == ".tif" else "",
        "group": truth["config"].get("raw_frames_per_fraction", 32),
        "project": str(folder / "project"),
    }
    field, y, x = true_field(truth)
    shape = truth["shape"]
    row: dict = {
        "movie": f"{preset} {shape['nx']}x{shape['ny']}x{shape['frames']} {movie.suffix[1:]}",
        "uncorrected_px": rms(-field),
    }
    ours, peers = [], []
    with Worker(job) as worker:
        for _ in range(repeats):
            if shutil.which("relion_run_motioncorr"):
                peers.append(run_relion(folder, job))
            ours.append(worker.run())
    row |= {key: statistics.median(run[key] for run in ours) for key in ("wall", "cpu")}
    row |= {
        key: statistics.median(run[key] for run in ours) for key in ("read", "motion", "average")
    }
    row["memory_mb"] = max(run["memory_mb"] for run in ours)
    row["error_px"] = rms(
        -np.array(our_field(ours[-1]["result"], y, x, shape)) / truth["pixel_size"] - field
    )
    row["confidence"] = ours[-1]["result"]["confidence"]
    row["estimated_error_px"] = (ours[-1]["result"]["shift_error"] or float("nan")) / truth[
        "pixel_size"
    ]
    if peers:
        row |= {
            f"relion_{key}": statistics.median(run[key] for run in peers) for key in ("wall", "cpu")
        }
        row["relion_memory_mb"] = max(run["memory_mb"] for run in peers)
        total, whole = relion_fields(Path(peers[-1]["star"]), field, y, x, shape)
        row["relion_error_px"] = min(rms(-total - field), rms(-whole - field))
    return row


def simulate(folder: Path, preset: str, seed: int) -> Path:
    suffix = "eer" if preset == "eer" else "tif"
    path = folder / f"{preset}_{seed}.{suffix}"
    if not path.exists():
        subprocess.run(
            [
                sys.executable,
                "-m",
                "warptui.engine.simulation",
                preset,
                str(folder),
                "--seed",
                str(seed),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return path


class Worker:
    """A warm process that runs one movie as often as asked."""

    def __init__(self, job: dict) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | QUIET,
        )

    def __enter__(self) -> Worker:
        self.run()  # kernels are compiled, files are in the page cache
        return self

    def run(self) -> dict:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def serve_child(job: dict) -> int:
    """Process the movie once for every line on stdin."""
    import torch

    from warptui.engine.config.sections import InputSettings
    from warptui.engine.config.settings import Config
    from warptui.engine.model.item import Item
    from warptui.engine.project.paths import ProjectPaths
    from warptui.engine.stages.movie import average, motion
    from warptui.engine.worker.bench.movie import open_bench

    config = Config(
        input=InputSettings(
            pixel_size=job["pixel_size"],
            dose_per_frame=job["dose_per_frame"],
            gain=job["gain"],
            eer_frames_per_group=job["group"],
        )
    )
    project = ProjectPaths(Path(job["project"]))
    for _ in sys.stdin:
        marks, cpu = [time.monotonic()], time.process_time()
        with open_bench(
            Item.movie(Path(job["movie"])),
            project,
            config,
            "cpu",
            threads=os.cpu_count() or 1,
            on_progress=lambda fraction: None,
        ) as bench:
            bench.frames.open()
            marks.append(time.monotonic())
            result = motion.run(bench.item, bench, motion.MotionSettings())
            marks.append(time.monotonic())
            bench.results["motion"] = result
            average.run(bench.item, bench, average.AverageSettings())
            marks.append(time.monotonic())
        answer = {
            "wall": marks[-1] - marks[0],
            "cpu": time.process_time() - cpu,
            "read": marks[1] - marks[0],
            "motion": marks[2] - marks[1],
            "average": marks[3] - marks[2],
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "threads": torch.get_num_threads(),
            "result": result.model_dump(mode="json"),
        }
        print(json.dumps(answer), flush=True)
    return 0


def run_relion(folder: Path, job: dict) -> dict:
    """One run of RELION's own motion correction, 5x5 patches, two threads, dose weighting."""
    movie = Path(job["movie"])
    out = folder / "relion" / movie.stem
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    star = out / "movies.star"
    star.write_text(
        "\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        f"_rlnAmplitudeContrast #6\nog1 1 {job['pixel_size']} 300 2.7 0.07\n\n"
        "data_movies\n\nloop_\n_rlnMicrographMovieName #1\n_rlnOpticsGroup #2\n"
        f"{movie.name} 1\n"
    )
    command = [
        "relion_run_motioncorr", "--i", str(star), "--o", f"{out}/", "--use_own", "--j", "2",
        "--patch_x", "5", "--patch_y", "5", "--bin_factor", "1", "--bfactor", "150",
        "--dose_per_frame", str(job["dose_per_frame"]), "--preexposure", "0", "--dose_weighting",
    ]  # fmt: skip
    command += ["--gainref", job["gain"]] if job["gain"] else []
    command += ["--eer_grouping", str(job["group"])] if movie.suffix == ".eer" else []
    began = time.monotonic()
    with (out / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=movie.parent, stdout=log, stderr=log)
        _, _, usage = os.wait4(process.pid, 0)
    return {
        "wall": time.monotonic() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory_mb": usage.ru_maxrss / 1024,
        "star": str(next(path for path in out.rglob(f"{movie.stem}.star"))),
    }


def true_field(truth: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Displacement (frame, y, x, 2) x, y in px on a 9x9 grid, and the grid's positions."""
    from scipy.interpolate import RectBivariateSpline

    local = truth["local"]
    y = GRID * (truth["shape"]["ny"] - 1)
    x = GRID * (truth["shape"]["nx"] - 1)
    steps = np.array(local["displacement"], float)
    field = np.array(truth["global_shifts"], float)[:, None, None, :] + np.zeros((1, 9, 9, 1))
    for frame in range(len(field)):
        for axis in range(2):
            spline = RectBivariateSpline(local["ys"], local["xs"], steps[frame, ..., axis])
            field[frame, ..., axis] += spline(y, x)
    return field, y, x


def our_field(result: dict, y: np.ndarray, x: np.ndarray, shape: dict) -> np.ndarray:
    """Shifts to apply (frame, y, x, 2) x, y in Å."""
    from scipy.interpolate import CubicSpline

    def along(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
        n = values.shape[axis]
        if n == 1:
            return np.repeat(values, len(at), axis=axis)
        kind = "natural" if n > 2 else "not-a-knot"
        return CubicSpline(np.linspace(0, 1, n), values, axis=axis, bc_type=kind)(at)

    time_ = np.linspace(0, 1, result["n_frames"])
    nodes = np.array(result["global_yx_angstrom"])[:, ::-1]
    field = along(nodes, time_, 0)[:, None, None, :] + np.zeros((1, 9, 9, 1))
    if result["local_used"]:
        n_x, n_y, n_t = result["local_grid"]
        grid = np.stack(
            [np.reshape(result[f"local_{axis}_angstrom"], (n_t, n_y, n_x)) for axis in "xy"], -1
        )
        grid = along(along(grid, x / (shape["nx"] - 1), 2), y / (shape["ny"] - 1), 1)
        field = field + along(grid, time_, 0)
    return field


def relion_fields(
    star: Path, field: np.ndarray, y: np.ndarray, x: np.ndarray, shape: dict
) -> tuple[np.ndarray, np.ndarray]:
    """RELION's shifts to apply (frame, y, x, 2) x, y in px, with and without its local model."""
    import starfile

    tables = starfile.read(star, always_dict=True)
    track = tables["global_shift"]
    whole = np.zeros_like(field)
    whole[..., 0] = track["rlnMicrographShiftX"].to_numpy(float)[:, None, None]
    whole[..., 1] = track["rlnMicrographShiftY"].to_numpy(float)[:, None, None]
    if "local_motion_model" not in tables:
        return whole, whole
    # third-order polynomials of time over 1, x, x², y, y², xy of the centred position
    coefficients = tables["local_motion_model"]["rlnMotionModelCoeff"].to_numpy(float)
    across = (x / shape["nx"] - 0.5)[None, :]
    down = (y / shape["ny"] - 0.5)[:, None]
    terms = [1 + 0 * across * down, across + 0 * down, across**2 + 0 * down]
    terms += [down + 0 * across, down**2 + 0 * across, across * down]
    total = whole.copy()
    for frame in range(len(field)):
        powers = np.array([frame, frame**2, frame**3], float)
        for axis in range(2):
            share = coefficients[18 * axis : 18 * axis + 18].reshape(6, 3) @ powers
            total[frame, ..., axis] += sum(c * t for c, t in zip(share, terms, strict=True))
    return total, whole


def rms(difference: np.ndarray) -> float:
    """RMS vector over frames and positions, one constant a position removed."""
    centred = difference - difference.mean(0, keepdims=True)
    return float(np.sqrt((centred**2).sum(-1).mean()))


def markdown(rows: list[dict]) -> str:
    """The table for docs/science/benchmarks.md."""
    lines = [
        f"{date.today().isoformat()}, {os.cpu_count()} cores {cpu_name()}, "
        f"Python {platform.python_version()}; medians",
        "",
        "| movie | wall s (read + motion + average) | RELION wall s | ratio | CPU s | RELION CPU s "
        "| MB | RELION MB | field error px | estimated px | RELION px | uncorrected px |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row["movie"],
            f"{row['wall']:.1f} ({row['read']:.1f} + {row['motion']:.1f} + {row['average']:.1f})",
            _cell(row, "relion_wall", 1),
            f"{row['wall'] / row['relion_wall']:.2f}" if "relion_wall" in row else "–",
            _cell(row, "cpu", 1),
            _cell(row, "relion_cpu", 1),
            _cell(row, "memory_mb", 0),
            _cell(row, "relion_memory_mb", 0),
            _cell(row, "error_px", 2),
            _cell(row, "estimated_error_px", 2),
            _cell(row, "relion_error_px", 2),
            _cell(row, "uncorrected_px", 2),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: dict, key: str, digits: int) -> str:
    return f"{row[key]:.{digits}f}" if key in row else "–"


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
