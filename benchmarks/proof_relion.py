"""What `relion_proof.py` asks RELION to do, and how its files are written and read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

PROGRAMS = (
    "relion_preprocess",
    "relion_reconstruct",
    "relion_refine",
    "relion_image_handler",
    "relion_star_handler",
    "relion_run_motioncorr",
)
SAME_PX = 0.1  # coordinates that differ by less are of the same pick
OPTICS = {"rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.07}


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]


def relion(folder: Path, *command: object) -> str:
    """Run one of RELION's programs in ``folder``; what it said. Ends everything when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {folder}:\n{done.stdout[-3000:]}{done.stderr}")
    return done.stdout


def correct_motion(
    movies: Sequence[Path], gain: Path, out: Path, pixel_size: float, dose: float, patches: int
) -> None:
    """RELION's own motion correction with dose weighting: OUT/NAME.mrc and OUT/NAME.star."""
    todo = [movie for movie in movies if not (out / f"{movie.stem}.star").exists()]
    if not todo:
        return
    raw = out / "run"
    raw.mkdir(parents=True, exist_ok=True)
    optics = {"rlnOpticsGroupName": ["og1"], "rlnOpticsGroup": [1]}
    optics |= {"rlnMicrographOriginalPixelSize": [pixel_size]}
    optics |= {label: [value] for label, value in OPTICS.items()}
    names = {"rlnMicrographMovieName": [movie.name for movie in todo], "rlnOpticsGroup": 1}
    write(raw / "movies.star", optics=pd.DataFrame(optics), movies=pd.DataFrame(names))
    relion(
        movies[0].parent, "relion_run_motioncorr", "--i", raw / "movies.star", "--o", f"{raw}/",
        "--use_own", "--j", 1, "--patch_x", patches, "--patch_y", patches, "--bfactor", 150,
        "--dose_per_frame", dose, "--preexposure", 0, "--dose_weighting", "--gainref", gain,
    )  # fmt: skip
    for movie in todo:
        for suffix in (".mrc", ".star"):
            found = next(path for path in raw.rglob(f"{movie.stem}{suffix}"))
            found.replace(out / found.name)


def shifts(star: Path, shape_yx: tuple[int, int], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(frame, n, 2) xy px that RELION applied at positions x, y (n,) px."""
    tables = starfile.read(star, always_dict=True)
    track = tables["global_shift"]
    columns = [track[f"rlnMicrographShift{axis}"].to_numpy(float) for axis in "XY"]
    total = np.stack(columns, axis=-1)[:, None, :] + np.zeros((1, len(x), 1))
    if "local_motion_model" not in tables:
        return total
    # third-order polynomials of time over 1, x, x², y, y², xy of the centred position
    coefficients = tables["local_motion_model"]["rlnMotionModelCoeff"].to_numpy(float)
    across, down = x / shape_yx[1] - 0.5, y / shape_yx[0] - 0.5
    terms = np.stack([np.ones_like(across), across, across**2, down, down**2, across * down])
    for frame in range(len(total)):
        powers = np.array([frame, frame**2, frame**3], float)
        for axis in range(2):
            share = coefficients[18 * axis : 18 * axis + 18].reshape(6, 3) @ powers
            total[frame, :, axis] += share @ terms
    return total


def extract(
    folder: Path,
    averages: dict[str, Path],
    picks: pd.DataFrame,
    *,
    box_px: int,
    pixel_size: float,
    diameter: float,
) -> pd.DataFrame:
    """Cut particles with ``relion_preprocess`` from float32 averages by name.

    ``picks`` has the columns micrograph (a name), x, y (px of the average). The table has their
    index and the columns rlnImageName (relative to ``folder``), at_x, at_y: whole pixels.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "mic").mkdir(parents=True)
    rows = []
    for name, path in averages.items():
        some = picks[picks.micrograph == name]
        if not len(some):
            continue
        (folder / "mic" / f"{name}.mrc").symlink_to(path.resolve())
        places = some[["x", "y"]].round().astype(float)
        places.columns = ["rlnCoordinateX", "rlnCoordinateY"]
        write(folder / "mic" / f"{name}_coords.star", **{"": places})
        rows.append((f"mic/{name}.mrc", 1, 15000.0, 15000.0, 0.0))
    labels = ["rlnMicrographName", "rlnOpticsGroup", "rlnDefocusU", "rlnDefocusV"]
    listed = pd.DataFrame(rows, columns=[*labels, "rlnDefocusAngle"])
    optics = {"rlnOpticsGroupName": ["og1"], "rlnOpticsGroup": [1]}
    optics |= {"rlnMicrographOriginalPixelSize": [pixel_size]}
    optics |= {"rlnMicrographPixelSize": [pixel_size]}
    optics |= {label: [value] for label, value in OPTICS.items()}
    write(folder / "micrographs.star", optics=pd.DataFrame(optics), micrographs=listed)
    relion(
        folder, "relion_preprocess", "--i", "micrographs.star", "--coord_dir", "./",
        "--coord_suffix", "_coords.star", "--part_dir", "cut/", "--part_star", "particles.star",
        "--extract", "--extract_size", box_px, "--norm", "--invert_contrast",
        "--bg_radius", round(diameter / 2 / pixel_size),
    )  # fmt: skip
    cut = starfile.read(folder / "particles.star", always_dict=True)["particles"]
    cut["micrograph"] = [Path(name).stem for name in cut.rlnMicrographName]
    cut = cut.drop(columns=["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"])  # made up above
    return joined(cut, picks.assign(x=picks.x.round(), y=picks.y.round()))


def joined(cut: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """Rows of a particle list with the index of the picks at their places."""
    told = ("rlnImageName", "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
    parts = []
    for name, rows in cut.groupby("micrograph"):
        some = picks[picks.micrograph == name]
        at = rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
        distance = np.hypot(*(at[:, None] - some[["x", "y"]].to_numpy()[None]).transpose(2, 0, 1))
        # a pick that is no particle has no row among `picks`
        kept = distance.min(axis=1) < SAME_PX if len(some) else np.zeros(len(rows), bool)
        table = rows.loc[kept, [label for label in told if label in rows]].copy()
        table["at_x"], table["at_y"] = at[kept].T
        table.index = some.index[distance[kept].argmin(axis=1)]
        parts.append(table)
    found = pd.concat(parts)
    return found[~found.index.duplicated()]


def write_particles(path: Path, rows: pd.DataFrame, box_px: int, pixel_size: float) -> None:
    """A particle list as RELION refines from it: the ``rln`` columns of ``rows``."""
    optics = {"rlnOpticsGroupName": ["og1"], "rlnOpticsGroup": [1]}
    optics |= {"rlnImagePixelSize": [pixel_size], "rlnImageSize": [box_px]}
    optics |= {"rlnImageDimensionality": [2], "rlnMicrographOriginalPixelSize": [pixel_size]}
    optics |= {label: [value] for label, value in OPTICS.items()}
    told = rows[[name for name in rows.columns if name.startswith("rln")]].copy()
    told["rlnOpticsGroup"] = 1
    write(path, optics=pd.DataFrame(optics), particles=told)


def reconstruct(folder: Path, star: str, symmetry: str) -> Path:
    """The map of a particle list with known orientations: ``star`` with the suffix .mrc."""
    out = Path(star).with_suffix(".mrc")
    relion(
        folder, "relion_reconstruct", "--i", star, "--o", out, "--ctf", "--sym", symmetry,
        "--pad", 1,
    )  # fmt: skip
    return folder / out


def shell_correlation(folder: Path, one: Path, other: Path, pixel_size: float) -> np.ndarray:
    """RELION's own shell correlation of two maps."""
    said = relion(
        folder, "relion_image_handler", "--i", one, "--fsc", other, "--angpix", pixel_size
    )
    rows = [line.split() for line in said.splitlines() if len(line.split()) == 4]
    return np.array([float(row[3]) for row in rows if row[0].isdigit()])


def classify(folder: Path, star: str, diameter: float, n_classes: int, n_iterations: int) -> Path:
    """2D classes with RELION's usual options and coarse angles; the path of the averages."""
    shutil.rmtree(folder / "class2d", ignore_errors=True)
    (folder / "class2d").mkdir()
    relion(
        folder, "relion_refine", "--i", star, "--o", "class2d/run", "--K", n_classes,
        "--iter", n_iterations, "--ctf", "--particle_diameter", round(diameter * 1.1),
        "--flatten_solvent", "--zero_mask", "--tau2_fudge", 2, "--oversampling", 1,
        "--psi_step", 15, "--offset_range", 5, "--offset_step", 2, "--norm", "--scale",
        "--strict_highres_exp", 12, "--dont_check_norm", "--pad", 2, "--j", 1,
        "--random_seed", 1,
    )  # fmt: skip
    return folder / "class2d" / f"run_it{n_iterations:03d}_classes.mrcs"


def class_shares(classes: Path) -> np.ndarray:
    """Share of the particles in each class, from the model beside the averages."""
    model = classes.with_name(classes.name.replace("_classes.mrcs", "_model.star"))
    return starfile.read(model, always_dict=True)["model_classes"].rlnClassDistribution.to_numpy()


def particles_of(star: Path) -> pd.DataFrame:
    """The particles of a list."""
    return starfile.read(star, always_dict=True)["particles"]


def write(path: Path, **blocks: pd.DataFrame) -> None:
    """A STAR file as RELION 3.1 reads it."""
    parts = []
    for name, table in blocks.items():
        heads = "\n".join(f"_{label} #{number}" for number, label in enumerate(table.columns, 1))
        rows = "\n".join(
            " ".join(_shown(value) for value in row) for row in table.itertuples(index=False)
        )
        parts.append(f"# version 30001\n\ndata_{name}\n\nloop_\n{heads}\n{rows}\n\n")
    path.write_text("\n".join(parts))


def _shown(value: object) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)
