"""What RELION is told: the list of micrographs, the motion, and that RELION itself agrees."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile
from scipy.ndimage import gaussian_filter, map_coordinates

from warptui.engine.exporters import micrographs
from warptui.engine.exporters import motion as relion_motion
from warptui.engine.exporters.micrographs import Options, defocus_uv_angstrom, export_micrographs
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.model.stored import StageRecord, StoredItem
from warptui.engine.project.paths import ProjectPaths

OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}
CTF: dict[str, Any] = {
    "defocus_um": 1.5,
    "astigmatism_um": 0.04,
    "astigmatism_angle_deg": 30.0,
    "phase_shift_deg": 12.0,
    "resolution": 4.25,
    "score": 0.75,
}
N_FRAMES = 6
TRACK = [(-1.0 * frame, 2.0 * frame) for frame in range(N_FRAMES)]  # to apply, y and x, Å
MOTION: dict[str, Any] = {
    "n_frames": N_FRAMES,
    "pixel_size": 2.0,
    "shape_yx": [48, 64],
    "dose_per_frame": 1.5,
    "track_yx_angstrom": TRACK,
    "global_yx_angstrom": TRACK,
    "local_used": False,
    "local_grid": [1, 1, 1],
}

needs_relion = pytest.mark.skipif(
    shutil.which("relion_star_handler") is None, reason="RELION is not installed"
)


@pytest.fixture
def project(tmp_path: Path) -> ProjectPaths:
    folder = tmp_path / "project"
    (folder / "average").mkdir(parents=True)
    (folder / "raw").mkdir()
    return ProjectPaths(folder)


def item(project: ProjectPaths, name: str = "a.mrc", *, ctf: Any = CTF, **given: Any) -> StoredItem:
    """An item with its movie and its average on disk."""
    raw = project.root / "raw" / name
    random = np.random.default_rng(len(name))
    write_mrc(raw, random.normal(size=(2, 96, 128)).astype(np.float32), 1.0)
    average = project.average(raw.stem)
    write_mrc(average, random.normal(size=(48, 64)).astype(np.float32), 2.0, mode="float16")
    sections = {"input": {"binning": 2.0, "pre_exposure": 3.0, **given}, "optics": OPTICS}
    results = {"motion": MOTION, "average": {"pixel_size": 2.0}, "ctf": ctf}
    records = {
        stage: StageRecord(stage, 1, {}, sections, result, 1.0, 1.0, "cpu", "0")
        for stage, result in results.items()
        if result is not None
    }
    return StoredItem(name, 1, raw_path=str(raw), records=records)


def written(project: ProjectPaths, items: list[StoredItem], **options: bool) -> Any:
    output = project.root / "micrographs.star"
    export_micrographs(items, project, output, OPTICS, Options(**options))
    return starfile.read(output, always_dict=True)


def test_the_list_is_as_relion_has_it(project: ProjectPaths):
    blocks = written(project, [item(project, "a.mrc"), item(project, "b.mrc")])
    optics = blocks["optics"].to_dict("records")
    assert optics == [
        {
            "rlnOpticsGroupName": "opticsGroup1",
            "rlnOpticsGroup": 1,
            "rlnMicrographOriginalPixelSize": 1.0,
            "rlnVoltage": 300.0,
            "rlnSphericalAberration": 2.7,
            "rlnAmplitudeContrast": 0.07,
            "rlnMicrographPixelSize": 2.0,
        }
    ]
    first, second = blocks["micrographs"].to_dict("records")
    assert first == {
        "rlnMicrographName": "average/a.mrc",
        "rlnMicrographMetadata": "motion/a.star",
        "rlnOpticsGroup": 1,
        "rlnDefocusU": 15200.0,
        "rlnDefocusV": 14800.0,
        "rlnDefocusAngle": 30.0,
        "rlnCtfAstigmatism": 400.0,
        "rlnPhaseShift": 12.0,
        "rlnCtfFigureOfMerit": 0.75,
        "rlnCtfMaxResolution": 4.25,
    }
    assert second["rlnMicrographName"] == "average/b.mrc"


def test_u_is_the_larger_defocus():
    assert defocus_uv_angstrom(1.0, 0.1) == pytest.approx((10500, 9500))
    turned = micrographs._ctf_values({**CTF, "astigmatism_um": -0.04})
    assert turned[:3] == [15200.0, 14800.0, 120.0]


def test_items_without_a_ctf_are_left_out_and_counted(project: ProjectPaths):
    items = [item(project, "a.mrc"), item(project, "b.mrc", ctf={"defocus_um": None})]
    items.append(item(project, "c.mrc", ctf=None))
    output = project.root / "list.star"
    report = export_micrographs(items, project, output, OPTICS, Options())
    assert (report.exported, report.without_ctf) == (["a.mrc"], ["b.mrc", "c.mrc"])
    everything = written(project, items, without_ctf=True)["micrographs"]
    assert list(everything.columns) == [
        "rlnMicrographName",
        "rlnMicrographMetadata",
        "rlnOpticsGroup",
    ]
    assert len(everything) == 3


def test_what_cannot_be_told_is_left_out_and_named(project: ProjectPaths):
    gone, blank = item(project, "a.mrc"), item(project, "b c.mrc")
    project.average("a").unlink()
    output = project.root / "list.star"
    report = export_micrographs([gone, blank], project, output, OPTICS, Options())
    assert "average/a.mrc is not there" in report.left_out["a.mrc"]
    assert "blanks" in report.left_out["b c.mrc"]
    assert not output.exists()  # an empty list helps nobody


def test_other_optics_are_another_group(project: ProjectPaths):
    other = item(project, "b.mrc")
    sections = {**other.records["ctf"].sections, "optics": {**OPTICS, "cs": 0.01}}
    changed = replace(other.records["ctf"], sections=sections)
    other = replace(other, records={**other.records, "ctf": changed})
    blocks = written(project, [item(project, "a.mrc"), other])
    assert blocks["optics"]["rlnSphericalAberration"].tolist() == [2.7, 0.01]
    assert blocks["micrographs"]["rlnOpticsGroup"].tolist() == [1, 2]


def test_paths_are_absolute_on_request(project: ProjectPaths):
    row = written(project, [item(project)], absolute=True)["micrographs"].iloc[0]
    assert row["rlnMicrographName"] == str(project.average("a"))
    assert row["rlnMicrographMetadata"] == str(project.motion("a"))
    general = starfile.read(project.motion("a"), always_dict=True)["general"]
    assert general["rlnMicrographMovieName"] == str(project.root / "raw" / "a.mrc")


def test_old_versions_get_averages_in_single_precision(project: ProjectPaths):
    row = written(project, [item(project)], float32=True)["micrographs"].iloc[0]
    assert row["rlnMicrographName"] == "average/float32/a.mrc"
    copy, pixel_size = read_mrc(project.average_float32("a"))
    original, _ = read_mrc(project.average("a"))
    assert copy.dtype == np.float32 and pixel_size == pytest.approx(2.0)
    np.testing.assert_array_equal(copy, original.astype(np.float32))
    before = project.average_float32("a").stat().st_mtime_ns
    written(project, [item(project)], float32=True)  # the average is newer now
    assert project.average_float32("a").stat().st_mtime_ns > before


def test_motion_is_in_pixels_of_the_raw_movie(project: ProjectPaths):
    written(project, [item(project)])
    blocks = starfile.read(project.motion("a"), always_dict=True)
    general = blocks["general"]
    assert (general["rlnImageSizeX"], general["rlnImageSizeY"]) == (128, 96)
    assert general["rlnImageSizeZ"] == N_FRAMES
    assert general["rlnMicrographMovieName"] == "raw/a.mrc"
    assert (general["rlnMicrographBinning"], general["rlnMicrographPreExposure"]) == (2.0, 3.0)
    assert general["rlnMotionModelVersion"] == 0
    shifts = blocks["global_shift"]
    assert shifts["rlnMicrographFrameNumber"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(shifts["rlnMicrographShiftX"], [x for _, x in TRACK], atol=1e-6)
    np.testing.assert_allclose(shifts["rlnMicrographShiftY"], [y for y, _ in TRACK], atol=1e-6)


def test_the_raw_size_is_what_was_recorded_or_the_movies_own_and_never_guessed(
    project: ProjectPaths,
):
    archived, recorded, unbinned = (
        item(project, name, binning=binning)
        for name, binning in (("a.mrc", 2.0), ("b.mrc", 1.5), ("c.mrc", 1.0))
    )
    changes = {"b.mrc": {"raw_shape_yx": [73, 97]}}
    items = []
    for made in (archived, recorded, unbinned):
        motion = made.records["motion"]
        result = {**motion.result, **changes.get(made.name, {})}
        records = {**made.records, "motion": replace(motion, result=result)}
        items.append(replace(made, records=records))
        Path(made.raw_path).unlink()
    output = project.root / "list.star"
    report = export_micrographs(items, project, output, OPTICS, Options())
    assert (report.n_motion, report.size_unknown) == (2, ["a.mrc"])
    rows = starfile.read(output, always_dict=True)["micrographs"]
    told = rows["rlnMicrographMetadata"].fillna("None").tolist()
    assert told == ["None", "motion/b.star", "motion/c.star"]
    sizes = [
        [starfile.read(project.motion(name), always_dict=True)["general"][key] for name in "bc"]
        for key in ("rlnImageSizeY", "rlnImageSizeX")
    ]
    assert sizes == [[73, 48], [97, 64]]


def local_result(shape_xyt: tuple[int, int, int], field: Any) -> dict[str, Any]:
    """A result whose local grid holds ``field(x, y, z)``: x and y from -1/2 to 1/2, z in frames."""
    n_x, n_y, n_t = shape_xyt
    z, y, x = np.meshgrid(
        np.linspace(0, N_FRAMES - 1, n_t),
        np.linspace(-0.5, 0.5, n_y),
        np.linspace(-0.5, 0.5, n_x),
        indexing="ij",
    )
    along_y, along_x = field(x, y, z)
    return {
        **MOTION,
        "local_used": True,
        "local_grid": list(shape_xyt),
        "local_y_angstrom": along_y.ravel().tolist(),
        "local_x_angstrom": along_x.ravel().tolist(),
    }


def polynomial(coefficients: np.ndarray, z: float, x: float, y: float) -> tuple[float, float]:
    """RELION's model, written out."""
    space = np.array([1, x, x**2, y, y**2, x * y])
    terms = np.outer(space, [z, z**2, z**3]).ravel()
    return float(terms @ coefficients[:18]), float(terms @ coefficients[18:])


def test_local_motion_becomes_relions_polynomial():
    result = local_result((4, 4, 3), lambda x, y, z: (0.3 * z * x, 0.1 * z * (x - 2 * y)))
    whole, local = relion_motion.shifts_px(result, 0.5)
    assert local is not None
    whole, found, residual = relion_motion.fit_polynomial(whole, local)
    assert residual < 1e-6
    at_x, at_y = polynomial(found, 4.0, 0.25, -0.5)
    assert at_y == pytest.approx(0.3 * 4 * 0.25 / 0.5)
    assert at_x == pytest.approx(0.1 * 4 * (0.25 + 1.0) / 0.5)
    np.testing.assert_allclose(whole, np.array(TRACK) / 0.5, atol=1e-9)


def test_a_distortion_that_is_the_same_in_all_frames_stays_out():
    result = local_result((3, 3, 2), lambda x, y, z: (0.5 + x + 0 * z, 0.2 + y + 0 * z))
    whole, local = relion_motion.shifts_px(result, 1.0)
    assert local is not None
    whole, found, residual = relion_motion.fit_polynomial(whole, local)
    assert residual < 1e-9 and np.abs(found).max() < 1e-9
    np.testing.assert_allclose(whole - np.array(TRACK), np.tile([0.5, 0.2], (N_FRAMES, 1)))


@pytest.mark.parametrize("turn", [{}, {"gain_flip_x": True}])
def test_a_turned_gain_is_written_as_the_movie_needs_it(project: ProjectPaths, turn: dict):
    gain = np.linspace(0.5, 1.5, 96 * 128, dtype=np.float32).reshape(96, 128)
    path = project.root / "gain.mrc"
    write_mrc(path, gain, 1.0)
    written(project, [item(project, gain=str(path), **turn)])
    general = starfile.read(project.motion("a"), always_dict=True)["general"]
    told = project.root / general["rlnMicrographGainName"]
    found, _ = read_mrc(told)
    expected = gain[:, ::-1] if turn else gain
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)
    assert (told == path) is not bool(turn)


def run(program: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@needs_relion
def test_relion_reads_the_list_and_extracts_particles_with_its_ctf(project: ProjectPaths):
    written(project, [item(project, "a.mrc"), item(project, "b.mrc")], float32=True)
    chosen = ("--select", "rlnCtfMaxResolution", "--minval", "1", "--maxval", "5")
    said = run(
        "relion_star_handler", project.root, "--i", "micrographs.star", "--o", "good.star", *chosen
    )
    assert "2 item(s)" in said
    good = starfile.read(project.root / "good.star", always_dict=True)
    assert good["micrographs"]["rlnDefocusU"].tolist() == [15200.0, 15200.0]
    picks = project.root / "picks" / "average" / "float32" / "a_picks.star"
    picks.parent.mkdir(parents=True)
    picks.write_text("\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n30 24\n")
    run(
        "relion_preprocess", project.root, "--i", "micrographs.star", "--coord_dir", "picks/",
        "--coord_suffix", "_picks.star", "--part_star", "out/particles.star",
        "--part_dir", "out/", "--extract", "--extract_size", "16",
    )  # fmt: skip
    particles = starfile.read(project.root / "out" / "particles.star", always_dict=True)
    (row,) = particles["particles"].to_dict("records")
    assert (row["rlnDefocusV"], row["rlnPhaseShift"]) == (14800.0, 12.0)
    assert particles["optics"]["rlnImagePixelSize"].tolist() == [2.0]


@pytest.mark.slow
@needs_relion
@pytest.mark.parametrize("binning", [1, 2])
def test_relions_own_motion_correction_agrees_about_signs_and_units(tmp_path: Path, binning: int):
    ny, nx, n_frames = 1000, 1200, 8
    random = np.random.default_rng(1)
    scene = gaussian_filter(random.normal(size=(ny + 60, nx + 60)), 1.5)
    scene /= scene.std()
    y, x = np.mgrid[:ny, :nx].astype(np.float32)

    def apply(frame: Any, x: Any, y: Any) -> tuple[Any, Any]:
        """The shift that brings a frame into place, x and y, in px; places from -1/2 to 1/2."""
        local_x = -0.8 * frame * x + 0.06 * frame**2 * y
        return -1.5 * frame + local_x, 0.8 * frame - 0.5 * frame * y

    movie = np.empty((n_frames, ny, nx), np.float32)
    for frame in range(n_frames):
        dx, dy = apply(frame, x / nx - 0.5, y / ny - 0.5)
        movie[frame] = map_coordinates(scene, [y + 30 + dy, x + 30 + dx], order=1)
    movie += random.normal(size=movie.shape).astype(np.float32)
    for folder in ("movies", "import"):
        (tmp_path / folder).mkdir()
    write_mrc(tmp_path / "movies" / "a.mrc", movie, 1.0)
    run(
        "relion_import", tmp_path, "--do_movies", "--optics_group_name", "o", "--angpix", "1",
        "--kV", "300", "--Cs", "2.7", "--Q0", "0.07", "--i", "movies/*.mrc",
        "--odir", "import/", "--ofile", "movies.star",
    )  # fmt: skip
    run(
        "relion_run_motioncorr", tmp_path, "--i", "import/movies.star", "--o", "corrected/",
        "--use_own", "--j", "2", "--patch_x", "4", "--patch_y", "4", "--bin_factor", str(binning),
        "--dose_per_frame", "1", "--bfactor", "20",
    )  # fmt: skip
    theirs = starfile.read(tmp_path / "corrected" / "movies" / "a.star", always_dict=True)

    whole = [apply(frame, 0.0, 0.0)[::-1] for frame in range(n_frames)]
    z, places_y, places_x = np.meshgrid(
        np.arange(n_frames), np.linspace(-0.5, 0.5, 5), np.linspace(-0.5, 0.5, 5), indexing="ij"
    )
    along_x, along_y = apply(z, places_x, places_y)
    middle = np.array(whole)
    result = {
        "n_frames": n_frames,
        "global_yx_angstrom": whole,
        "local_used": True,
        "local_grid": [5, 5, n_frames],
        "local_y_angstrom": (along_y - middle[:, None, None, 0]).ravel().tolist(),
        "local_x_angstrom": (along_x - middle[:, None, None, 1]).ravel().tolist(),
    }
    ours, local = relion_motion.shifts_px(result, 1.0)
    assert local is not None
    ours, coefficients, residual = relion_motion.fit_polynomial(ours, local)
    assert residual < 0.01
    shifts = theirs["global_shift"]
    for axis, name in enumerate(("rlnMicrographShiftY", "rlnMicrographShiftX")):
        np.testing.assert_allclose(ours[:, axis] - ours[0, axis], shifts[name], atol=0.3)
    if binning != 1:
        return  # RELION 3.1.3 writes its local model in binned pixels then, unlike the shifts
    model = theirs["local_motion_model"]["rlnMotionModelCoeff"].to_numpy()
    for place in ((-0.3, -0.3), (0.3, -0.3), (-0.3, 0.3), (0.3, 0.3)):
        found = polynomial(coefficients, n_frames - 1, *place)
        np.testing.assert_allclose(found, polynomial(model, n_frames - 1, *place), atol=0.4)
