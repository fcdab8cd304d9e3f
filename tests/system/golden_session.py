"""A reference session of small simulated movies, and digests of everything that is made of it.

``python -m tests.system.golden_session --write`` writes `GOLDEN` again: only where a change of
results is intended, and then the reason belongs into the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system import product_digests
from warptui.engine.simulation.files import write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings

GOLDEN = Path(__file__).parent / "golden" / "digests.json"
CHECKOUT = Path(__file__).resolve().parents[2]
SHAPE_YX = (768, 768)
N_FRAMES = 8
PROJECTS = ("gain", "plate")
DOSE_PER_FRAME = {"gain": 5.0, "plate": 2.5}  # e/Å²
TRUNCATED_AT = 0.6  # of the bytes of the file
ARRIVED_AT = 1_700_000_000  # Unix time of the first movie: the order of items is that of arrival

COMMON = """
[input]
folder = "raw"
pixel_size = 1.0
dose_per_frame = {dose}
settle_seconds = 0.1
poll_seconds = 0.2
{more}
[compute]
devices = "cpu"
workers_per_device = 1
threads = {threads}
"""
GAIN_INPUT = 'gain = "gain.mrc"\n'
GAIN_STAGES = """
[average]
halves = true
deconvolve = true
[picking]
diameter_angstrom = 130.0
min_score = 0.5
[particles]
box_size_px = 96
pixel_size = 2.0
halves = true
[export]
live_seconds = 0.5
last_items = 1
"""
PLATE_INPUT = """
eer_frames_per_group = 4
pre_exposure = 2.0
binning = 1.25
defects = "defects.txt"
"""
PLATE_STAGES = """
[motion]
local_grid = [3, 3, 2]
global_nodes = 4
[average]
halves = true
deconvolve = true
deconvolution_strength = 0.7
skip_first = 1
dose_weighting = "critical"
[ctf]
fit_phase_shift = true
grid = [3, 3, 1]
[picking]
diameter_angstrom = 130.0
min_score = 0.5
min_mask_distance_angstrom = 10.0
[particles]
phase_flip = true
halves = true
edges = "drop"
[export]
live_seconds = 0.5
star_version = "3.0"
"""
DEFECTS = "100 120 3 40\n500 0 1 768\n"  # x y width height
EDITS = {  # by hand, of one movie: added and removed picks and a threshold
    "format": 1,
    "added": [{"y_angstrom": 120.0, "x_angstrom": 150.0}],
    "removed": [{"y_angstrom": 400.0, "x_angstrom": 400.0, "radius_angstrom": 150.0}],
    "min_score": 0.6,
}
EXPORTS = (
    ("export", "micrographs", "--float32"),
    ("export", "particles"),
    (
        "export", "particles", "--done", "--box", "48", "--pixel-size", "3",
        "--output", "cut_out.star",
    ),
)  # fmt: skip


# Products that are equal to the bit in every run on one machine. The last bits of the local motion
# are not, and so neither are those of all that is made of it: averages, positions, particles.
STEADY = (
    r"/raw/|noise|cut_off\.|gain\.mrc|defects\.txt|_edits\.json|/mask/|gain/powerspectrum/|"
    r"gain/thumbnails/spectrum/"
)


def write_inputs(folder: Path) -> None:
    """Two projects, ``gain`` and ``plate``, with their movies and settings.

    ``gain``: TIFF movies with a gain reference; untilted, tilted by 40 degrees, without signal,
    and truncated. ``plate``: an MRC and an EER movie without a gain reference; the MRC movie is
    taken with a phase plate.
    """
    raw = folder / "gain" / "raw"
    dose = DOSE_PER_FRAME["gain"]
    for name, changes in {
        "flat": {},
        "tilted": {"tilt_deg": 40, "tilt_axis_deg": 20, "defocus_um": 1.8},
        "noise": {"signal": 0},
        "cut_off": {"seed": 3, "n_frames": 3},
    }.items():
        _write_movie(raw, "tif", name=name, camera_seed=5, dose_per_frame=dose, **changes)
    (raw / "flat_gain.mrc").rename(folder / "gain" / "gain.mrc")
    (raw / "tilted.tif.mdoc").write_text(_mdoc("tilted.tif", 40.0, dose))
    whole = (raw / "cut_off.tif").read_bytes()
    (raw / "cut_off.tif").write_bytes(whole[: int(TRUNCATED_AT * len(whole))])
    perfect = {
        "dose_per_frame": DOSE_PER_FRAME["plate"],
        "gain_variation": 0,
        "n_dead_pixels": 0,
        "n_hot_pixels": 0,
    }
    raw = folder / "plate" / "raw"
    _write_movie(raw, "mrc", name="plate", seed=11, phase_shift_deg=80, **perfect)
    _write_movie(raw, "eer", name="events", seed=12, raw_frames_per_frame=4, **perfect)
    (folder / "plate" / "defects.txt").write_text(DEFECTS)
    for project in PROJECTS:
        raw = folder / project / "raw"
        for beside in [*raw.glob("*_truth.json"), *raw.glob("*_gain.mrc")]:
            beside.unlink()
        for number, path in enumerate(sorted(raw.iterdir())):
            os.utime(path, (ARRIVED_AT + 60 * number,) * 2)
    edits = folder / "gain" / "matching" / "flat_edits.json"
    edits.parent.mkdir()
    edits.write_text(json.dumps(EDITS))


def write_settings(folder: Path, threads: int = 1) -> None:
    """The config.toml of both projects."""
    for project, more, stages in (
        ("gain", GAIN_INPUT, GAIN_STAGES),
        ("plate", PLATE_INPUT, PLATE_STAGES),
    ):
        text = COMMON.format(dose=DOSE_PER_FRAME[project], more=more, threads=threads)
        (folder / project / "config.toml").write_text(text + stages)


def process(folder: Path) -> None:
    """Process both projects and export from them; ``run`` is called as a user calls it."""
    for project in PROJECTS:
        # 1: one movie of ``gain`` is truncated, and so fails
        warptui("run", folder / project, status=1 if project == "gain" else 0)
        for verb, what, *options in EXPORTS:
            given = [
                folder / project / text if text.endswith(".star") else text for text in options
            ]
            warptui(verb, what, folder / project, *given, status=None)


def read_session(folder: Path) -> dict[str, Any]:
    """Digests of all products by relative path, and the values of all items by project and name."""
    products = product_digests.of_folder(folder)
    items = {}
    for project in PROJECTS:
        told = json.loads(warptui("status", folder / project, "--items", "--json"))
        for row in told["items"]:
            items[f"{project}/{row['name']}"] = {
                "state": row["state"],
                "selected": row["selected"],
                "sequence": row["sequence"],
                **{f"value {key}": value for key, value in row["summary"].items()},
            }
    return {
        "machine": product_digests.machine(),
        "steady": STEADY,
        "items": items,
        "products": products,
    }


@contextmanager
def session(threads: int = 1, keep: Path | None = None) -> Iterator[Path]:
    """The folder of the processed session; removed afterwards unless it is ``keep``."""
    folder = keep or Path(tempfile.mkdtemp(prefix="wt-golden-"))
    try:
        write_inputs(folder)
        write_settings(folder, threads)
        process(folder)
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def warptui(*arguments: str | Path, status: int | None = 0) -> str:
    """What a command prints; it must end with ``status`` (None = 0 or 1)."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "warptui", *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = (0, 1) if status is None else (status,)
    if ended.returncode not in expected:
        words = " ".join(map(str, arguments))
        raise RuntimeError(f"warptui {words} ended with {ended.returncode}:\n{ended.stderr}")
    return ended.stdout


def _write_movie(folder: Path, kind: Any, **changes: Any) -> None:
    settings = MovieSettings(
        **{
            "shape_yx": SHAPE_YX,
            "n_frames": N_FRAMES,
            "particles_per_um2": 4000,
            "drift_angstrom": 15,
            "local_angstrom": 5,
            **changes,
        }
    )
    write_movie(simulate_movie(settings), folder, kind)


def _mdoc(name: str, tilt_deg: float, dose_per_frame: float) -> str:
    lines = [
        "T = SerialEM: simulated by warptui",
        "Voltage = 300",
        "",
        "[FrameSet = 0]",
        f"TiltAngle = {tilt_deg:g}",
        f"ExposureDose = {N_FRAMES * dose_per_frame:g}",
        "PixelSpacing = 1",
        "Binning = 1",
        f"SubFramePath = X:\\frames\\{name}",
        f"NumSubFrames = {N_FRAMES}",
        f"FrameDosesAndNumber = {dose_per_frame:g} {N_FRAMES}",
        "DateTime = 22-Nov-26  12:00:00",
        "",
    ]
    return "\r\n".join(lines)


def main() -> int:
    """Process the session; compare with the golden file, or write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.golden_session")
    parser.add_argument("--write", action="store_true", help="write the golden file again")
    parser.add_argument("--keep", type=Path, help="folder for the session, which is kept")
    parser.add_argument("--threads", type=int, default=1, help="of the worker (default 1)")
    given = parser.parse_args()
    with session(given.threads, given.keep) as folder:
        found = read_session(folder)
    if given.write:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {GOLDEN}: {len(found['products'])} products")
        return 0
    differences = product_digests.compare(found, json.loads(GOLDEN.read_text()))
    print("\n".join(differences) or "as in the golden file")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
