"""Particles from frames: where they are, what becomes of them, what is written."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile
from scipy.ndimage import gaussian_filter

from tests.processing import on_bench, write_stack
from warptui.engine.errors import InputError, StageError
from warptui.engine.formats import mrc
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.formats.star.picks import write_picks
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie import average, particles
from warptui.engine.stages.movie.average import AverageResult, AverageSettings
from warptui.engine.stages.movie.ctf import CtfResult
from warptui.engine.stages.movie.motion import MotionResult
from warptui.engine.stages.movie.particles import ParticleResult, ParticleSettings
from warptui.engine.stages.movie.picking import PickingResult
from warptui.engine.worker.bench.inputs import MovieFrames
from warptui.engine.worker.bench.movie import MovieBench

PIXEL = 1.5
SHAPE = (360, 400)
N_FRAMES = 8
RADIUS = 12.0  # px, of the discs
PLACES = np.array([[90.3, 100.75], [100.5, 290.2], [260.1, 120.4], [250.0, 280.6]])  # px
CTF = CtfResult(
    defocus_um=1.5,
    astigmatism_um=0.1,
    astigmatism_angle_deg=20.0,
    phase_shift_deg=0.0,
    resolution=4.0,
    grid=(2, 2, 1),
    grid_defocus_um=[1.0, 2.0, 1.0, 2.0],
)


def disc(places: np.ndarray, shape: tuple[int, int] = SHAPE, scale: float = 1.0) -> np.ndarray:
    """Dark soft discs at ``places`` px."""
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    image = np.zeros(shape)
    for row, column in places * scale:
        distance = np.hypot(y - row, x - column) / scale
        image -= 1 / (1 + np.exp((distance - RADIUS) / 1.5))
    return image


def local_motion() -> MotionResult:
    """Motion that differs from corner to corner; what it applies is known."""
    time = np.linspace(0, 1, 3)
    drift = np.stack([6 * time, -4 * time], axis=1)
    grid = np.zeros((2, 2, 2))  # time, y, x
    grid[1] = [[3.0, -3.0], [1.5, 0.0]]  # Å, of the last frame
    return MotionResult(
        n_frames=N_FRAMES,
        pixel_size=PIXEL,
        shape_yx=SHAPE,
        global_yx_angstrom=[(float(y), float(x)) for y, x in drift],
        track_yx_angstrom=[(0.0, 0.0)] * N_FRAMES,
        local_used=True,
        local_grid=(2, 2, 2),
        local_y_angstrom=grid.ravel().tolist(),
        local_x_angstrom=(0.5 * grid).ravel().tolist(),
    )


def shift_px(result: MotionResult, places: np.ndarray) -> np.ndarray:
    """(frame, place, 2) px to apply, worked out by hand."""
    time = np.linspace(0, 1, N_FRAMES)
    whole = np.stack([6 * time, -4 * time], axis=1)[:, None]
    y, x = places[:, 0] / (SHAPE[0] - 1), places[:, 1] / (SHAPE[1] - 1)
    last = 3 * (1 - y) * (1 - x) - 3 * (1 - y) * x + 1.5 * y * (1 - x)
    own = time[:, None] * last
    return (whole + np.stack([own, 0.5 * own], axis=-1)) / PIXEL


class Project:
    """A movie of discs, its average, and picks."""

    def __init__(self, root: Path, frames: np.ndarray, motion: MotionResult | None = None) -> None:
        root.mkdir(exist_ok=True)
        self.paths, self.motion = ProjectPaths(root), motion
        self.movie = write_stack(root / "m.mrc", frames, PIXEL, "float32")
        self.pick(PLACES)

    def pick(self, places: np.ndarray) -> None:
        write_picks(self.paths.picks("m", "boxnet"), places, np.ones(len(places)), "m.mrc")

    def prepare(self, bench: MovieBench, binning: float, ctf: CtfResult | None) -> None:
        shape = (round(SHAPE[0] / binning), round(SHAPE[1] / binning))
        if self.motion is not None:
            bench.results["motion"] = self.motion
        bench.results["average"] = AverageResult(
            pixel_size=PIXEL * binning,
            shape_yx=shape,
            average_path="average/m.mrc",
            n_frames=N_FRAMES,
        )
        bench.results["picking"] = PickingResult(
            n_particles=1, suffix="boxnet", picks_path="matching/m_boxnet.star"
        )
        if ctf is not None:
            bench.results["ctf"] = ctf

    def extract(
        self, ctf: CtfResult | None = CTF, binning: float = 1.0, dose: float = 0.0, **changes: Any
    ) -> ParticleResult:
        settings = ParticleSettings(**{"box_size_px": 64, **changes})
        given: dict[str, Any] = {"dose_per_frame": dose, "binning": binning}
        with on_bench(self.movie, self.paths.root, threads=1, **given) as bench:
            bench.diameter_angstrom = 45.0
            self.prepare(bench, binning, ctf)
            return particles.run(bench.item, bench, settings)

    def images(self, half: str = "") -> np.ndarray:
        return read_mrc(self.paths.particles("m", "boxnet", half))[0]

    def rows(self) -> Any:
        found: Any = starfile.read(self.paths.particles_star("m", "boxnet"))
        return found["particles"]


def noisy_discs(
    seed: int = 1, motion: MotionResult | None = None, contrast: float = 4
) -> np.ndarray:
    random = np.random.default_rng(seed)
    shifts = np.zeros((N_FRAMES, len(PLACES), 2)) if motion is None else shift_px(motion, PLACES)
    signal = np.stack([disc(PLACES - each) for each in shifts])
    return (20 + contrast * signal + random.normal(0, 2, signal.shape)).astype(np.float32)


def centre_of(image: np.ndarray) -> np.ndarray:
    weight = np.clip(image, 0, None)
    weight[weight < 0.3 * weight.max()] = 0
    grids = np.meshgrid(*map(np.arange, image.shape), indexing="ij")
    return np.array([(grid * weight).sum() / weight.sum() for grid in grids])


def test_particles_that_moved_are_in_the_middle(tmp_path: Path) -> None:
    motion = local_motion()
    project = Project(tmp_path, noisy_discs(motion=motion, contrast=400), motion)
    result = project.extract()
    assert result.n_particles == 4 and result.n_frames == N_FRAMES
    images = project.images()
    assert images.shape == (4, 64, 64) and images.dtype == np.float32
    for image in images:
        assert np.abs(centre_of(image) - 32).max() * PIXEL < 0.05  # Å


def test_what_comes_out_is_what_was_there_without_motion(tmp_path: Path) -> None:
    motion = local_motion()
    still = Project(tmp_path / "still", noisy_discs())
    moved = Project(tmp_path / "moved", noisy_discs(motion=motion), motion)
    expected = -disc(np.array([[32.0, 32.0]]), (64, 64))
    similar = []
    for project in (still, moved):
        project.extract()
        similar.append([np.corrcoef(i.ravel(), expected.ravel())[0, 1] for i in project.images()])
    assert np.min(similar) > 0.85
    # noise goes down by sums of frames: the motion costs nothing
    assert np.abs(np.diff(similar, axis=0)).max() < 0.02


def test_background_is_normalised(tmp_path: Path) -> None:
    frames = noisy_discs()
    frames += 0.01 * np.arange(SHAPE[1]) + 0.02 * np.arange(SHAPE[0])[:, None]
    project = Project(tmp_path, frames)
    project.extract()
    y, x = np.mgrid[-32:32, -32:32]
    background = np.hypot(y, x) > 0.5 * 45 / PIXEL
    for image in project.images():
        values = image[background]
        assert abs(values.mean()) < 1e-4 and values.std() == pytest.approx(1, abs=1e-4)
        slopes = [np.polyfit(axis[background], values, 1)[0] for axis in (y, x)]
        assert np.abs(slopes).max() < 1e-4
        assert image[28:36, 28:36].mean() > 2  # bright


def test_without_normalisation_they_are_cut_from_the_average(tmp_path: Path) -> None:
    project = Project(tmp_path, np.random.default_rng(5).poisson(9, (N_FRAMES, *SHAPE)))
    project.pick(np.array([[100.0, 120.0], [200.0, 250.0]]))
    for dose, binning in ((0.0, 1.0), (4.0, 1.0), (4.0, 2.0)):
        given: dict[str, Any] = {"dose_per_frame": dose, "binning": binning}
        with on_bench(project.movie, tmp_path, threads=1, **given) as bench:
            made = average.run(bench.item, bench, AverageSettings())
        whole = read_mrc(tmp_path / made.average_path)[0].astype(np.float32)
        project.pick(np.array([[100.0, 120.0], [200.0, 250.0]]) / binning)
        project.extract(None, binning, dose, normalize=False, invert_contrast=False)
        for image, (y, x) in zip(project.images(), [(100, 120), (200, 250)], strict=True):
            row, column = round(y / binning), round(x / binning)
            there = whole[row - 32 : row + 32, column - 32 : column + 32]
            difference = image - there
            assert abs(difference.mean()) < 0.001 * there.mean()
            if binning == 1:
                assert difference[3:-3, 3:-3].std() < 0.01 * there.std()
            # cropping the spectrum of a box and of all differ at its very end
            coarse = [gaussian_filter(each, 1.0)[5:-5, 5:-5] for each in (difference, there)]
            assert coarse[0].std() < 0.03 * coarse[1].std()


@pytest.mark.parametrize("pixel_size", [1.5, 2.4, 3.0])
def test_boxes_at_other_pixel_sizes(tmp_path: Path, pixel_size: float) -> None:
    project = Project(tmp_path, noisy_discs(contrast=400))
    result = project.extract(pixel_size=pixel_size, box_size_px=48)
    assert result.pixel_size == pytest.approx(pixel_size, rel=1e-3)
    expected = -disc(np.array([[24.0, 24.0]]), (48, 48), PIXEL / pixel_size * 1.0)
    y, x = np.mgrid[-24:24, -24:24] * pixel_size / PIXEL
    expected = 1 / (1 + np.exp((np.hypot(y, x) - RADIUS) / 1.5))
    for image in project.images():
        assert np.abs(centre_of(image) - 24).max() * pixel_size < 0.05
        near = np.hypot(y, x) < 20  # others are beyond
        assert np.corrcoef(image[near], expected[near])[0, 1] > 0.99


def test_each_particle_has_its_own_ctf(tmp_path: Path) -> None:
    project = Project(tmp_path, noisy_discs())
    project.extract()
    rows = project.rows()
    expected = 1e4 * (1 + PLACES[:, 1] / (SHAPE[1] - 1))
    np.testing.assert_allclose((rows.rlnDefocusU + rows.rlnDefocusV) / 2, expected, atol=0.1)
    np.testing.assert_allclose(rows[["rlnCoordinateY", "rlnCoordinateX"]], PLACES)
    assert list(rows.rlnImageName) == [f"{n:06d}@particles/m_boxnet.mrcs" for n in range(1, 5)]


def test_halves_hold_independent_noise(tmp_path: Path) -> None:
    project = Project(tmp_path, np.random.default_rng(6).normal(9, 2, (N_FRAMES, *SHAPE)))
    project.extract(halves=True, dose=3.0)
    odd, even, whole = project.images("odd"), project.images("even"), project.images()
    for one, other, both in zip(odd, even, whole, strict=True):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.06
        assert np.corrcoef((one + other).ravel(), both.ravel())[0, 1] > 0.95
    project.extract()
    assert not project.paths.particles("m", "boxnet", "odd").exists()


def test_phases_are_flipped_by_the_local_ctf(tmp_path: Path) -> None:
    project = Project(tmp_path, np.random.default_rng(7).normal(9, 2, (N_FRAMES, *SHAPE)))
    project.extract(box_size_px=128)
    plain = project.images()
    project.extract(box_size_px=128, phase_flip=True)
    flipped = project.images()
    rows = project.rows()
    frequencies = np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None]
    wavelength = 0.019687615
    k2 = (frequencies[0] ** 2 + frequencies[1] ** 2) / PIXEL**2
    angle = np.arctan2(*frequencies)
    for before, after, row in zip(plain, flipped, rows.itertuples(), strict=True):
        u, v = row.rlnDefocusU, row.rlnDefocusV
        z = (u + v) / 2 + (u - v) / 2 * np.cos(2 * (angle - np.radians(row.rlnDefocusAngle)))
        gamma = np.pi * wavelength * k2 * z - np.pi / 2 * 2.7e7 * wavelength**3 * k2**2
        sign = np.sign(np.sin(gamma + np.arcsin(0.07)))
        product = (np.fft.rfft2(before) * np.conj(np.fft.rfft2(after))).real
        sure = (np.abs(np.sin(gamma)) > 0.5) & (k2 < 1 / 25)
        assert (np.sign(product) == sign)[sure].mean() > 0.85
    assert "not phase flipped" in project.extract(None, phase_flip=True).notes[0]


EDGE = np.array([[5.0, 8.0], [180.0, 200.0], [359.0, 399.0], [-9.0, 50.0], [500.0, 50.0]])


def test_particles_at_the_edge_are_padded_or_left_out_and_told(tmp_path: Path) -> None:
    project = Project(tmp_path, noisy_discs())
    project.pick(EDGE)
    result = project.extract()
    assert (result.n_particles, result.n_dropped, result.n_padded) == (3, 2, 2)
    assert "2 of 5 picks left out" in result.notes[0] and "2 boxes reach" in result.notes[1]
    corner = project.images()[0]
    assert np.isfinite(corner).all() and (corner[:20, :20] == 0).all()
    assert corner[40:, 50:].std() == pytest.approx(1, abs=0.15)
    result = project.extract(edges="drop")
    assert (result.n_particles, result.n_dropped, result.n_padded) == (1, 4, 0)
    assert len(project.rows()) == 1 and project.images().shape == (64, 64)


def test_another_ctf_takes_no_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path, noisy_discs())
    project.extract()
    stack = project.paths.particles("m", "boxnet")
    made = stack.stat().st_mtime_ns

    def read(frames: MovieFrames) -> None:
        raise AssertionError("frames were read")

    with monkeypatch.context() as patch:
        patch.setattr(MovieFrames, "open", read)
        project.extract(CTF.model_copy(update={"astigmatism_um": 0.0}))
        assert stack.stat().st_mtime_ns == made
        rows = project.rows()
        np.testing.assert_allclose(rows.rlnDefocusU, rows.rlnDefocusV)
        with pytest.raises(AssertionError, match="frames were read"):
            project.extract(box_size_px=60)
    project.pick(PLACES[1:])
    project.extract()
    assert stack.stat().st_mtime_ns != made and len(project.images()) == 3


def test_no_picks_leave_no_files(tmp_path: Path) -> None:
    project = Project(tmp_path, noisy_discs())
    project.extract(halves=True)
    for places in (PLACES[:0], EDGE[3:]):
        project.pick(places)
        result = project.extract()
        assert result.n_particles == 0 and not list((tmp_path / "particles").iterdir())


def test_bad_settings_are_told(tmp_path: Path) -> None:
    project = Project(tmp_path, noisy_discs())
    with pytest.raises(StageError, match=r"larger than the micrograph.*box_size_px"):
        project.extract(box_size_px=400)
    with pytest.raises(StageError, match=r"particles\.pixel_size.*finer"):
        project.extract(pixel_size=1.0)
    with pytest.raises(StageError, match="no background"):
        project.extract(box_size_px=20)
    project.movie.unlink()
    with pytest.raises((InputError, OSError)):
        project.extract()
    project.paths.picks("m", "boxnet").unlink()
    with pytest.raises(InputError, match=r"process the item again"):
        project.extract()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path, noisy_discs())
    project.extract()
    before = {path: path.read_bytes() for path in (tmp_path / "particles").iterdir()}

    def full(self: mrc.StackWriter, images: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mrc.StackWriter, "add", full)
    with pytest.raises(OSError, match="No space"):
        project.extract(pixel_size=3.0)
    assert {path: path.read_bytes() for path in (tmp_path / "particles").iterdir()} == before


def test_without_picking_nothing_is_extracted(tmp_path: Path) -> None:
    project = Project(tmp_path, noisy_discs())
    with on_bench(project.movie, tmp_path) as bench:
        result = particles.run(bench.item, bench, ParticleSettings())
    assert result.n_particles is None and "switched off" in result.notes[0]


def test_the_automatic_box_follows_the_diameter() -> None:
    assert particles.automatic_box_px(180.0, 1.0) == 270
    assert particles.automatic_box_px(10.0, 4.0) == 16


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("relion_preprocess") is None, reason="needs RELION")
def test_relion_cuts_the_same_from_our_average_and_reads_our_stack(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    rate = 20 + 4 * disc(PLACES)
    project = Project(tmp_path, random.poisson(rate, (N_FRAMES, *SHAPE)))
    places = np.rint(PLACES)  # RELION cuts at whole pixels
    project.pick(places)
    project.extract(dose=4.0)
    with on_bench(project.movie, tmp_path, threads=1, dose_per_frame=4.0) as bench:
        made = average.run(bench.item, bench, AverageSettings())
    whole = read_mrc(tmp_path / made.average_path)[0].astype(np.float32)
    (tmp_path / "average").mkdir(exist_ok=True)
    write_mrc(tmp_path / "average" / "m.mrc", whole, PIXEL, "float32")
    (tmp_path / "picks" / "average").mkdir(parents=True)
    rows = "".join(f"{x:.2f} {y:.2f}\n" for y, x in places)
    (tmp_path / "picks" / "average" / "m_p.star").write_text(
        f"data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n{rows}"
    )
    (tmp_path / "mics.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographPixelSize #3\n_rlnMicrographOriginalPixelSize #4\n_rlnVoltage #5\n"
        f"_rlnSphericalAberration #6\n_rlnAmplitudeContrast #7\ng 1 {PIXEL} {PIXEL} 300 2.7 0.1\n\n"
        "\n# version 30001\n\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n"
        "_rlnOpticsGroup #2\n"
        "_rlnDefocusU #3\n_rlnDefocusV #4\n_rlnDefocusAngle #5\naverage/m.mrc 1 10000 10000 0\n\n"
    )
    relion = [
        "relion_preprocess", "--i", "mics.star", "--coord_dir", "picks/", "--coord_suffix",
        "_p.star", "--part_dir", "cut/", "--part_star", "cut.star", "--extract", "--extract_size",
        "64", "--norm", "--bg_radius", "15", "--invert_contrast",
    ]  # fmt: skip
    subprocess.run(relion, cwd=tmp_path, check=True, capture_output=True)
    theirs = read_mrc(tmp_path / "cut" / "average" / "m.mrcs")[0]
    inner = slice(3, -3)
    for one, other in zip(project.images(), theirs, strict=True):
        assert (one - other)[inner, inner].std() < 0.03  # of a background of 1
        assert abs((one - other)[inner, inner].mean()) < 0.01
    copied = ["relion_stack_create", "--i", "particles/m_boxnet.star", "--o", "read"]
    subprocess.run(copied, cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(read_mrc(tmp_path / "read.mrcs")[0], project.images())
