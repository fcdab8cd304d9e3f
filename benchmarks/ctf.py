"""CTF estimation against the truth of simulated movies, and its speed on this machine.

    python benchmarks/ctf.py [--movies 100] [--size 1024] [--full] [--folder build/bench-ctf]

Simulates small movies at 0.5-3 µm, 200 and 300 kV, 0.6-1.4 Å/px, 30-40 e/Å², thin and thick
ice, dense and sparse particles of two sizes, with drift; movies of counts alone; movies with a
phase shift; tilted ones. Each runs through the stage as a worker would run it. ``--full`` adds
movies of 3838 x 3710 px and the times that they take. Prints Markdown tables and writes
FOLDER/ctf.md and FOLDER/ctf.json. Another program is compared by `benchmarks/ctf_peer.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline

from warptui.engine.config.sections import InputSettings, OpticsSettings
from warptui.engine.config.settings import Config
from warptui.engine.model.item import Item
from warptui.engine.ops.common.splines import grid_weights
from warptui.engine.ops.ctf.transfer_function import Optics
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.simulation.density import bundled_particle
from warptui.engine.simulation.files import write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.truth import Truth, read_truth
from warptui.engine.stages.movie import ctf, motion
from warptui.engine.stages.movie.ctf import CtfResult, CtfSettings
from warptui.engine.stages.movie.ctf_spectra import measure_image
from warptui.engine.stages.movie.motion import MotionSettings
from warptui.engine.worker.bench.movie import MovieBench, open_bench

SEED = 4711
FIRST = 1000  # movies below were looked at while the method was made
FIRST_FULL = 1301
CATASTROPHE = 2000.0  # Å
FULL: dict[str, dict[str, float]] = {
    "flat, 1.4 µm": {"defocus_um": 1.4, "astigmatism_um": 0.04},
    "tilted by 40°, 1.8 µm": {
        "defocus_um": 1.8,
        "tilt_deg": 40,
        "tilt_axis_deg": 25,
        "astigmatism_um": 0.03,
    },
    "small protein, thin ice, 0.9 µm": {
        "defocus_um": 0.9,
        "pixel_size": 0.83,
        "dose_per_frame": 3.75,
        "ice_thickness_angstrom": 300,
        "particles_per_um2": 5000,
        "astigmatism_um": 0.05,
        "b_factor": 90,
    },
    "curved by 200 Å RMS, 2.1 µm": {"defocus_um": 2.1, "surface_roughness_angstrom": 200},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--movies", type=int, default=100)
    parser.add_argument("--size", type=int, default=1024, help="px")
    parser.add_argument("--first", type=int, default=FIRST, help="seed of the first movie")
    parser.add_argument("--others", type=int, default=8, help="movies of each other kind")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-ctf"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for kind, n in (
        ("random", given.movies),
        ("counts only", 3 * given.others),
        ("phase shift", given.others),
        ("tilt 40", 3 * given.others // 4),
        ("tilt 60", 3 * given.others // 4),
    ):
        for index in range(n):
            settings = random_settings(kind, index, given.size, given.first)
            rows.append({"kind": kind, **measure(settings, given.folder, kind == "phase shift")})
            show(rows[-1])
            keep_rows(given.folder, rows)  # hours of work outlive what stops them
    full: list[dict[str, Any]] = []
    for index, name in enumerate(FULL if given.full else ()):
        settings = full_settings(index, FIRST_FULL)
        full.append({"kind": name, **measure(settings, given.folder, False, timed=True)})
        show(full[-1])
        keep_rows(given.folder, rows + full)
    text = markdown(rows, full, given.size)
    print(text)
    (given.folder / "ctf.md").write_text(text)
    return 0


def keep_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "ctf.json").write_text(json.dumps(rows, indent=1))


def full_settings(index: int, first_seed: int = 301) -> MovieSettings:
    """Full-size movie ``index`` of `FULL`."""
    seed, changes = first_seed + index, list(FULL.values())[index]
    drawn = {"seed": seed, "n_frames": 8, "dose_per_frame": 4.5, "drift_angstrom": 8, **changes}
    return MovieSettings.model_validate({**drawn, "name": f"full-{seed}"})


def simulated(settings: MovieSettings, folder: Path) -> Path:
    """Write a movie, unless it is there; the path of its truth."""
    truth_path = folder / f"{settings.name}_truth.json"
    movie = folder / f"{settings.name}.mrc"
    if not truth_path.is_file() or not movie.is_file():  # the movie is written last
        particle = bundled_particle("hsp" if settings.seed % 3 == 0 else "apoferritin")
        write_movie(simulate_movie(settings, particle), folder, "mrc")
    return truth_path


def random_settings(kind: str, index: int, size: int, first_seed: int = FIRST) -> MovieSettings:
    """Movie ``index`` of a kind: what a session may bring, drawn from a seed."""
    rng = np.random.default_rng([SEED, first_seed + index])
    drawn: dict[str, Any] = {
        "seed": first_seed + index,
        "shape_yx": (size, size),
        "n_frames": 10,
        "dose_per_frame": float(rng.uniform(3, 4)),
        "pixel_size": float(rng.uniform(0.6, 1.4)),
        "voltage": float(rng.choice([200.0, 300.0])),
        "defocus_um": float(rng.uniform(0.5, 3)),
        "astigmatism_um": float(abs(rng.normal(0, 0.06))),
        "astigmatism_angle_deg": float(rng.uniform(0, 180)),
        "ice_thickness_angstrom": float(rng.uniform(200, 600)),
        "particles_per_um2": float(rng.uniform(500, 6000)),
        "drift_angstrom": float(rng.uniform(0, 15)),
        "local_angstrom": float(rng.uniform(0, 5)),
        "b_factor": float(rng.uniform(50, 120)),
    }
    match kind:
        case "counts only":
            drawn["signal"] = 0.0
        case "phase shift":
            drawn |= {"phase_shift_deg": float(rng.uniform(20, 160)), "pixel_size": 1.0}
        case "tilt 40" | "tilt 60":
            drawn |= {
                "tilt_deg": float(kind.split()[1]),
                "tilt_axis_deg": float(rng.uniform(-90, 90)),
                "pixel_size": 1.06,
                "defocus_um": float(rng.uniform(1.2, 2.5)),
                "shape_yx": (2 * size, 2 * size),
            }
    # by its seed: movies of several runs may lie in one folder
    drawn["name"] = f"{kind.replace(' ', '-')}-{drawn['seed']}"
    return MovieSettings.model_validate(drawn)


def measure(
    settings: MovieSettings, folder: Path, fit_phase: bool, *, timed: bool = False
) -> dict[str, Any]:
    """Simulate a movie, unless it is there, and compare what is found with the truth."""
    name = settings.name
    truth_path = simulated(settings, folder)
    config = Config(
        input=InputSettings(
            pixel_size=settings.pixel_size,
            dose_per_frame=settings.dose_per_frame,
            gain=f"{name}_gain.mrc",
        ),
        optics=OpticsSettings(voltage=settings.voltage),
    )
    wanted = CtfSettings(fit_phase_shift=fit_phase)
    times: dict[str, float] = {}
    with open_bench(
        Item.movie(folder / f"{name}.mrc"),
        ProjectPaths(folder),
        config,
        "cpu",
        threads=2,
        on_progress=lambda fraction: None,
    ) as bench:
        bench.frames.open()
        bench.results["motion"] = motion.run(bench.item, bench, MotionSettings())
        result = ctf.run(bench.item, bench, wanted)
        for _ in range(3 if timed else 0):
            began, cpu = time.perf_counter(), time.process_time()
            ctf.run(bench.item, bench, wanted)
            keep(times, "wall", time.perf_counter() - began)
            keep(times, "cpu", time.process_time() - cpu)
        if timed:
            times |= time_average(bench, settings)
    return compare(settings, read_truth(truth_path), result) | times


def keep(times: dict[str, float], key: str, value: float) -> None:
    """The shortest: whatever else the machine does only adds."""
    times[key] = min(value, times.get(key, math.inf))


def time_average(bench: MovieBench, settings: MovieSettings) -> dict[str, float]:
    """CPU seconds for one image in memory on one thread: global alone, and with the 5x5 grid."""
    frames = bench.frames.open()
    image = frames[0]
    for index in range(1, frames.n_frames):
        image += frames[index]
    optics = Optics(settings.voltage, settings.cs, settings.amplitude_contrast)
    times: dict[str, float] = {}
    torch.set_num_threads(1)
    for key, grid in (("image_global_cpu", (1, 1, 1)), ("image_local_cpu", (5, 5, 1))):
        wanted = CtfSettings(grid=grid)
        for _ in range(3):
            cpu = time.process_time()
            spectra = measure_image(image, settings.pixel_size, wanted)
            ctf.estimate("image", spectra, wanted, optics)
            keep(times, key, time.process_time() - cpu)
    torch.set_num_threads(2)
    return times


def compare(settings: MovieSettings, truth: Truth, result: CtfResult) -> dict[str, Any]:
    """Errors in Å and degrees; None where there is no CTF."""
    row: dict[str, Any] = {
        "name": settings.name,
        "defocus": settings.defocus_um,
        "pixel_size": settings.pixel_size,
        "voltage": settings.voltage,
        "confidence": result.confidence,
        "model": result.model,
        "resolution": result.resolution,
        "error": None,
    }
    if (
        result.defocus_um is None
        or result.astigmatism_um is None
        or result.astigmatism_angle_deg is None
        or result.defocus_error_um is None
    ):
        return row
    record = truth.record["ctf"]
    seen = as_imaged(truth)
    row["error"] = result.defocus_um * 1e4 - record["defocus_mean"]
    row["told"] = result.defocus_error_um * 1e4
    row["astigmatism"] = record["astig"]
    row["astigmatism_error"] = result.astigmatism_um * 1e4 - record["astig"]
    if result.astigmatism_error_um is not None:
        row["astigmatism_told"] = result.astigmatism_error_um * 1e4
    row["angle_error"] = turned(result.astigmatism_angle_deg - record["angle"])
    row["error_imaged"] = result.defocus_um * 1e4 - seen["defocus"]
    row["astigmatism_error_imaged"] = result.astigmatism_um * 1e4 - seen["astigmatism"]
    row["angle_error_imaged"] = turned(result.astigmatism_angle_deg - seen["angle"])
    row["astigmatism_imaged"] = seen["astigmatism"]
    if result.phase_shift_deg is not None:
        row["phase_error"] = turned(result.phase_shift_deg - settings.phase_shift_deg)
    if result.phase_shift_error_deg is not None:
        row["phase_told"] = result.phase_shift_error_deg
    ny, nx = settings.shape_yx
    surface = record["surface"]
    y, x = np.meshgrid(surface["ys"], surface["xs"], indexing="ij")
    particles = truth.record["particles"]
    film = np.array(surface["defocus"]).ravel()
    row["film_spread"] = float(film.std())
    row["film_rms"] = rms(local(result, x.ravel() / (nx - 1), y.ravel() / (ny - 1)) - film)
    if particles:
        px = np.array([one["x"] for one in particles]) / (nx - 1)
        py = np.array([one["y"] for one in particles]) / (ny - 1)
        own = np.array([one["defocus"] for one in particles])
        row["particle_rms"] = rms(local(result, px, py) - own)
    if result.tilt_deg is not None and result.tilt_axis_deg is not None and settings.tilt_deg:
        row["tilt_error"] = result.tilt_deg - abs(settings.tilt_deg)
        away = result.tilt_axis_deg - settings.tilt_axis_deg
        row["axis_error"] = (away + 180) % 360 - 180
        row["tilt_error_imaged"] = result.tilt_deg - seen["tilt"]
        row["axis_error_imaged"] = (result.tilt_axis_deg - seen["axis"] + 180) % 360 - 180
    return row


def as_imaged(truth: Truth) -> dict[str, float]:
    """What a microscope without noise would show: local motion stretches the specimen, and a film
    is no plane.

    Where the frames are stretched by a strain E, a phase π λ z k² is found at k (1 - E), so that
    defocus seems larger by z (Exx + Eyy), and astigmatism by 2 z (Exx - Eyy), 2 z (Exy + Eyx).
    """
    ny, nx = truth.shape_yx
    x, y = (g.ravel() for g in np.meshgrid(np.linspace(0.06, 0.94, 15) * (nx - 1),
                                           np.linspace(0.06, 0.94, 15) * (ny - 1)))  # fmt: skip
    h = 4.0  # px
    by_x, by_y = (
        (truth.local(x + dx, y + dy) - truth.local(x - dx, y - dy)).mean(0) / (2 * h)
        for dx, dy in ((h, 0.0), (0.0, h))
    )
    record = truth.record["ctf"]
    surface = record["surface"]
    spline = RectBivariateSpline(surface["ys"], surface["xs"], np.array(surface["defocus"]))
    z = spline(y, x, grid=False)
    z_imaged = z * (1 + by_x[:, 0] + by_y[:, 1])
    angle = math.radians(2 * record["angle"])
    along_x = record["astig"] * math.cos(angle) + float((2 * z * (by_x[:, 0] - by_y[:, 1])).mean())
    along_y = record["astig"] * math.sin(angle) + float((2 * z * (by_y[:, 0] + by_x[:, 1])).mean())
    to_angstrom = truth.pixel_size
    terms = np.stack([np.ones_like(x), x * to_angstrom, y * to_angstrom], 1)
    slope = np.linalg.lstsq(terms, z_imaged, rcond=None)[0][1:]
    return {
        "defocus": record["defocus_mean"] + float((z_imaged - z).mean()),
        "astigmatism": math.hypot(along_x, along_y),
        "angle": math.degrees(math.atan2(along_y, along_x)) / 2,
        "tilt": math.degrees(math.atan(float(np.hypot(*slope)))),
        "axis": math.degrees(math.atan2(slope[1], slope[0])),
    }


def local(result: CtfResult, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Local defocus in Å at fractions of the image."""
    at = [torch.from_numpy(np.asarray(values, float)) for values in (x, y)]
    weights = grid_weights(result.grid, at[0], at[1], torch.full((len(x),), 0.5))
    return (weights @ torch.tensor(result.grid_defocus_um, dtype=torch.float64)).numpy() * 1e4


def turned(degrees: float) -> float:
    return (degrees + 90) % 180 - 90


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def show(row: dict[str, Any]) -> None:
    error = "no CTF" if row["error"] is None else f"{row['error']:+.0f} ± {row['told']:.0f} Å"
    sys.stderr.write(f"{row['kind']} {row['name']} {row['defocus']:.2f} µm: {error}\n")


def markdown(rows: list[dict[str, Any]], full: list[dict[str, Any]], size: int) -> str:
    """The tables for docs/science/benchmarks.md."""
    lines = [
        f"{date.today().isoformat()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"movies of {size} x {size} px (tilted ones {2 * size}), 30-40 e/Å²; errors in Å and °",
        "",
        "| movies | n | no CTF | mean abs defocus error | median | 95 % | largest "
        "| astigmatism: mean, median | its angle above 200 Å: median, 95 % | as imaged: defocus "
        "| over told error, RMS | astigmatism | angle | misses > 2000 Å |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    plain = [row for row in rows if row["kind"] == "random"]
    groups = [
        ("0.5-1 µm", [row for row in plain if row["defocus"] < 1]),
        ("1-2 µm", [row for row in plain if 1 <= row["defocus"] < 2]),
        ("2-3 µm", [row for row in plain if row["defocus"] >= 2]),
        ("all", plain),
        *(
            (kind, [row for row in rows if row["kind"] == kind])
            for kind in ("counts only", "phase shift", "tilt 40", "tilt 60")
        ),
    ]
    for label, group in groups:
        if group:
            lines.append(summary_line(label, group))
    lines += ["", "| movies | tilt: mean abs, largest | axis | as imaged: tilt | axis | film RMS |"]
    lines.append("|---|---|---|---|---|---|")
    for kind in ("tilt 40", "tilt 60"):
        group = [row for row in rows if row["kind"] == kind and "tilt_error" in row]
        if group:
            keys = ("tilt_error", "axis_error", "tilt_error_imaged", "axis_error_imaged")
            cells = []
            for key in keys:
                away = np.abs([row[key] for row in group])
                cells.append(f"{away.mean():.1f}, {away.max():.1f}")
            film = np.mean([row["film_rms"] for row in group])
            lines.append(f"| {kind}° | {' | '.join(cells)} | {film:.0f} |")
    lines += ["", *well_known(plain)]
    shifted = [row for row in rows if row["kind"] == "phase shift" and row["error"] is not None]
    if shifted:
        phases = np.abs([row["phase_error"] for row in shifted])
        ratio = rms(phases / np.array([row["phase_told"] for row in shifted]))
        lines += [
            "",
            f"Phase shift: mean error {phases.mean():.1f}°, largest {phases.max():.1f}°, "
            f"{int((phases > 5).sum())} above 5°; over told error, RMS {ratio:.2f}",
        ]
    if full:
        lines += ["", *full_lines(full)]
    return "\n".join(lines) + "\n"


def well_known(rows: list[dict[str, Any]], limit: float = 50.0) -> list[str]:
    """How well astigmatism is known, and told, where its told error is small, and where not."""
    found = [row for row in rows if row.get("astigmatism_told") is not None]
    small = [row for row in found if row["astigmatism_told"] < limit]
    lines = []
    for label, group in ((f"told below {limit:.0f} Å", small), ("all", found)):
        if group:
            away = np.abs([row["astigmatism_error_imaged"] for row in group])
            ratio = rms(away / np.array([row["astigmatism_told"] for row in group]))
            lines.append(
                f"Astigmatism as imaged, {label}: {len(group)} movies, mean error "
                f"{away.mean():.0f} Å, over told error, RMS {ratio:.2f}  "
            )
    return lines


def summary_line(label: str, group: list[dict[str, Any]]) -> str:
    found = [row for row in group if row["error"] is not None]
    none = len(group) - len(found)
    if not found:
        return f"| {label} | {len(group)} | {none} |" + " – |" * 11

    def sizes(key: str) -> np.ndarray:
        return np.abs([row[key] for row in found])

    def angles(key: str) -> str:
        clear = [abs(row[f"angle_{key}"]) for row in found if row["astigmatism"] > 200] or [0.0]
        return f"{np.median(clear):.1f}, {np.percentile(clear, 95):.1f}"

    errors, imaged = sizes("error"), sizes("error_imaged")
    ratio = rms(imaged / sizes("told"))
    astigmatism, astigmatism_imaged = sizes("astigmatism_error"), sizes("astigmatism_error_imaged")
    return (
        f"| {label} | {len(group)} | {none} | {errors.mean():.0f} | {np.median(errors):.0f} "
        f"| {np.percentile(errors, 95):.0f} | {errors.max():.0f} "
        f"| {astigmatism.mean():.0f}, {np.median(astigmatism):.0f} | {angles('error')} "
        f"| {imaged.mean():.0f} | {ratio:.2f} "
        f"| {astigmatism_imaged.mean():.0f}, {np.median(astigmatism_imaged):.0f} "
        f"| {angles('error_imaged')} | {int((errors > CATASTROPHE).sum())} |"
    )


def full_lines(full: list[dict[str, Any]]) -> list[str]:
    lines = [
        "3838 x 3710 px, 36 e/Å² in 8 frames; shortest of three runs, frames in memory:",
        "",
        "| movie | model | defocus error (told) | astigmatism, angle | film RMS (of a constant) "
        "| at particles | tilt, axis | resolution Å | from frames: wall s, CPU s "
        "| one image, one thread: global, 5x5, CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in full:
        if row["error"] is None:
            lines.append(f"| {row['kind']} | no CTF |" + " – |" * 8)
            continue
        tilt = "–"
        if "tilt_error" in row:
            tilt = f"{row['tilt_error']:+.1f}, {row['axis_error']:+.1f}"
        lines.append(
            f"| {row['kind']} | {row['model']} | {row['error']:+.0f} ({row['told']:.0f}) "
            f"| {row['astigmatism_error']:+.0f}, {row['angle_error']:+.1f} | {row['film_rms']:.0f} "
            f"({row['film_spread']:.0f}) | {row['particle_rms']:.0f} | {tilt} "
            f"| {row['resolution']:.1f} | {row['wall']:.1f}, {row['cpu']:.1f} "
            f"| {row['image_global_cpu']:.2f}, {row['image_local_cpu']:.2f} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
