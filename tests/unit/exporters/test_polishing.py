"""RELION's Bayesian polishing reads what is exported: list, motion, movies, gain reference."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import starfile
from scipy.ndimage import gaussian_filter, map_coordinates

from warptui.engine.exporters.micrographs import Options, export_micrographs
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.formats.star.tables import Table, write_star
from warptui.engine.formats.tiff.writing import write_tiff_movie
from warptui.engine.model.item import root_name_of
from warptui.engine.model.stored import StageRecord, StoredItem
from warptui.engine.ops.ctf import transfer_function
from warptui.engine.project.paths import ProjectPaths

pytestmark = pytest.mark.skipif(
    shutil.which("relion_motion_refine") is None, reason="RELION is not installed"
)
OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}
PIXEL = 2.0  # Å/px of the average
BOX, SIDE, N_FRAMES, DEFOCUS = 32, 256, 8, 15000.0
MEAN, CONTRAST = 8.0, 1.5  # counts
DRIFT_YX = np.outer(np.linspace(0, 1, N_FRAMES), (-12.0, 20.0))  # to apply, Å
PLACES = [(y, x) for y in range(32, SIDE - 31, 48) for x in range(32, SIDE - 31, 48)]
NAMES = ("a", "b", "c")


class Case(NamedTuple):
    suffix: str
    binning: int
    local_angstrom: float  # by which the right edge moves more than the left one in the end
    gain: bool


def contrast_of(image: np.ndarray) -> np.ndarray:
    """The image as the microscope shows it, underfocused: what scatters is dark."""
    optics = transfer_function.Optics(**OPTICS)
    shape = (image.shape[0], image.shape[1])
    seen = transfer_function.calculate_ctf_image(shape, PIXEL, optics, defocus=DEFOCUS).numpy()
    return -np.fft.irfft2(np.fft.rfft2(image) * seen, s=shape)


@pytest.fixture
def particle() -> np.ndarray:
    """A map ``(z, y, x)`` of blobs that has no symmetry."""
    random = np.random.default_rng(0)
    density = np.zeros((BOX, BOX, BOX), np.float32)
    density[tuple(random.integers(9, 23, (3, 40)))] = 1
    density = gaussian_filter(density, 1.2)
    return density / density.std()


def make_movie(path: Path, case: Case, scene: np.ndarray, gain: np.ndarray | None) -> None:
    """Counts of a scene that drifts, at the raw pixel size; frames are what the camera stores."""
    side = SIDE * case.binning
    random = np.random.default_rng(len(path.name) + ord(path.name[0]))
    y, x = np.mgrid[:side, :side] / case.binning - (case.binning - 1) / (2 * case.binning)
    frames = []
    for frame in range(N_FRAMES):
        dy, dx = DRIFT_YX[frame] / PIXEL
        more = case.local_angstrom * frame / (N_FRAMES - 1) * (x / SIDE - 0.5) / PIXEL
        # what is seen at a place has to move by the shift to get where it belongs
        mean = MEAN + CONTRAST * map_coordinates(
            scene, [y + dy, x + dx + more], order=3, mode="wrap"
        )
        counts = random.poisson(np.clip(mean, 0.1, None) / (1 if gain is None else gain))
        frames.append(np.clip(counts, 0, 255).astype(np.uint8))
    if case.suffix == "tif":
        write_tiff_movie(path, frames, pixel_size=PIXEL / case.binning)
    else:
        write_mrc(path, np.stack(frames).astype(np.float32), PIXEL / case.binning)


def make_item(project: ProjectPaths, path: Path, case: Case, gain: str) -> StoredItem:
    """The item with the motion that its movie really has."""
    edge = np.outer(np.linspace(0, 1, 3), np.linspace(-0.5, 0.5, 3)) * case.local_angstrom
    motion: dict[str, Any] = {
        "n_frames": N_FRAMES,
        "pixel_size": PIXEL,
        "shape_yx": [SIDE, SIDE],
        "raw_shape_yx": [SIDE * case.binning] * 2,
        "dose_per_frame": 1.5,
        "track_yx_angstrom": DRIFT_YX.tolist(),
        "global_yx_angstrom": DRIFT_YX.tolist(),
        "local_used": bool(case.local_angstrom),
        "local_grid": [3, 3, 3],
        "local_x_angstrom": np.repeat(edge[:, None], 3, axis=1).ravel().tolist(),
        "local_y_angstrom": [0.0] * 27,
    }
    found = {"defocus_um": DEFOCUS * 1e-4, "resolution": 4.5, "score": 0.8}
    sections = {"input": {"binning": float(case.binning), "gain": gain}, "optics": OPTICS}
    records = {
        stage: StageRecord(stage, 1, {}, sections, result, 1.0, 1.0, "cpu", "0")
        for stage, result in (
            ("motion", motion), ("average", {"pixel_size": PIXEL}), ("ctf", found),
        )
    }  # fmt: skip
    write_mrc(project.average(path.stem), np.zeros((SIDE, SIDE), np.float32), PIXEL)
    return StoredItem(path.name, 1, raw_path=str(path), records=records)


def write_particles(root: Path, density: np.ndarray) -> None:
    """What RELION would have after a refinement: particles, half maps, FSC."""
    optics = (
        "rlnOpticsGroupName", "rlnOpticsGroup", "rlnVoltage", "rlnSphericalAberration",
        "rlnAmplitudeContrast", "rlnImagePixelSize", "rlnImageDimensionality", "rlnImageSize",
    )  # fmt: skip
    labels = (
        "rlnCoordinateX", "rlnCoordinateY", "rlnImageName", "rlnMicrographName", "rlnOpticsGroup",
        "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnAngleRot", "rlnAngleTilt",
        "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnRandomSubset",
    )  # fmt: skip
    rows: list[list[Any]] = []
    for name in NAMES:
        for y, x in PLACES:
            image = f"{len(rows) + 1:06d}@stack.mrcs"
            where = [float(x), float(y), image, f"average/{name}.mrc", 1]
            rows.append([*where, DEFOCUS, DEFOCUS, *[0.0] * 6, 1 + len(rows) % 2])
    group = ["opticsGroup1", 1, 300.0, 2.7, 0.07, PIXEL, 2, BOX]
    tables = [Table("optics", optics, [group]), Table("particles", labels, rows)]
    write_star(root / "particles.star", tables)
    write_mrc(root / "stack.mrcs", np.zeros((len(rows), BOX, BOX), np.float32), PIXEL)
    random = np.random.default_rng(1)
    for half in (1, 2):
        noisy = density + 0.05 * random.normal(size=density.shape)
        write_mrc(root / f"half{half}.mrc", noisy.astype(np.float32), PIXEL)
    write_mrc(root / "mask.mrc", np.ones_like(density), PIXEL)
    shells = [
        [i, i / (BOX * PIXEL), BOX * PIXEL / i if i else 999.0, 1 / (1 + (i / 12) ** 8)]
        for i in range(BOX // 2 + 1)
    ]
    fsc = (
        "rlnSpectralIndex", "rlnResolution", "rlnAngstromResolution",
        "rlnFourierShellCorrelationCorrected",
    )  # fmt: skip
    write_star(root / "post.star", [Table("fsc", fsc, shells)])


@pytest.mark.parametrize(
    "case",
    [Case("mrc", 1, 0.0, False), Case("tif", 2, 6.0, True)],
    ids=["mrc", "binned tif, local motion, gain"],
)
def test_polishing_takes_the_movies_where_the_motion_says(
    tmp_path: Path, particle: np.ndarray, case: Case
):
    project = ProjectPaths(tmp_path)
    for folder in ("raw", "average"):
        (tmp_path / folder).mkdir()
    projection = particle.sum(0)
    projection = (projection - projection.mean()) / projection.std()
    scene = np.zeros((SIDE, SIDE))
    for y, x in PLACES:
        scene[y - BOX // 2 : y + BOX // 2, x - BOX // 2 : x + BOX // 2] += projection
    scene = contrast_of(scene)
    scene /= scene.std()
    gain, told = None, ""
    if case.gain:
        shape = (SIDE * case.binning,) * 2
        gain = np.random.default_rng(2).uniform(0.2, 1.8, shape).astype(np.float32)
        gain /= gain.mean()
        told = str(tmp_path / "gain.mrc")
        write_mrc(Path(told), gain, 0.0)
    items = []
    for name in NAMES:
        path = tmp_path / "raw" / f"{name}.{case.suffix}"
        make_movie(path, case, scene, gain)
        items.append(make_item(project, path, case, told))
    export_micrographs(items, project, tmp_path / "micrographs.star", OPTICS, Options())
    write_particles(tmp_path, particle)

    done = subprocess.run(
        [
            "relion_motion_refine", "--i", "particles.star", "--f", "post.star",
            "--corr_mic", "micrographs.star", "--m1", "half1.mrc", "--m2", "half2.mrc",
            "--mask", "mask.mrc", "--o", "polished/", "--combine_frames", "--j", "2",
            "--fdose", "1.5", "--s_vel", "0.5", "--s_div", "5000", "--s_acc", "2",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"movie pixel size from motion/a.star: {PIXEL / case.binning:g} A" in done.stdout
    assert f"coord. pixel size from motion/a.star: {PIXEL:g} A" in done.stdout
    polished: Any = starfile.read(tmp_path / "polished" / "shiny.star", always_dict=True)
    assert len(polished["particles"]) == len(NAMES) * len(PLACES)

    expected = -contrast_of(projection)
    for name in (root_name_of(item.name) for item in items):
        folder = tmp_path / "polished" / "average"
        shiny, _ = read_mrc(folder / f"{name}_shiny.mrcs")
        likeness = [np.corrcoef(image.ravel(), expected.ravel())[0, 1] for image in shiny]
        assert np.median(likeness) > 0.75  # a wrong sign of the shifts leaves 0.4
        tracks: Any = starfile.read(folder / f"{name}_tracks.star", always_dict=True)
        errors = []
        for number, (_, x) in enumerate(PLACES):
            found = np.array(tracks[str(number)], dtype=float)[:, ::-1]  # where it goes, y and x
            more = case.local_angstrom * np.linspace(0, 1, N_FRAMES) * (x / SIDE - 0.5)
            true = -DRIFT_YX - np.stack([np.zeros(N_FRAMES), more], axis=1)
            errors.append((found - found.mean(axis=0)) - (true - true.mean(axis=0)))
        assert np.sqrt(np.square(errors).sum(axis=-1).mean()) < 0.8  # Å
