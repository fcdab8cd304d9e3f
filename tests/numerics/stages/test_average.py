"""Averages keep every electron, weight frames as published, and undo the motion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processing import drift_yx, drifting_counts, natural, on_bench, write_stack

from warptui.engine.errors import StageError
from warptui.engine.simulation.files import write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.stages.movie import average
from warptui.engine.stages.movie.average import AverageResult, AverageSettings
from warptui.engine.stages.movie.motion import MotionResult

PIXEL = 1.5
DOSE = 2.5


@dataclass
class Averaged:
    """What the stage left behind."""

    result: AverageResult
    folder: Path
    root: str

    def image(self, kind: str = "average") -> np.ndarray:
        return np.array(mrcfile.read(self.path(kind)), dtype=np.float64)

    def path(self, kind: str = "average") -> Path:
        return self.folder / kind / f"{self.root}.mrc"


def known_motion(n_frames: int, shape_yx: tuple[int, int], **fields: Any) -> MotionResult:
    """A motion result with the given fields; else nothing moves."""
    facts: dict[str, Any] = {
        "n_frames": n_frames,
        "pixel_size": PIXEL,
        "shape_yx": shape_yx,
        "global_yx_angstrom": [(0.0, 0.0)] * n_frames,
        "track_yx_angstrom": [(0.0, 0.0)] * n_frames,
    }
    return MotionResult(**(facts | fields))


def average_of(
    path: Path,
    folder: Path,
    stage_settings: AverageSettings | None = None,
    motion: MotionResult | None = None,
    **options: Any,
) -> Averaged:
    """Average ``path`` into ``folder``; without ``motion``, nothing moves."""
    with on_bench(path, folder, **options) as bench:
        frames = bench.frames.open()
        ny, nx = frames.shape_yx
        binning = bench.input.binning
        if binning != 1:
            ny, nx = 2 * int(ny / binning / 2), 2 * int(nx / binning / 2)
        bench.results["motion"] = motion or known_motion(
            frames.n_frames, (ny, nx), pixel_size=bench.frames.pixel_size * binning
        )
        result = average.run(bench.item, bench, stage_settings or AverageSettings())
    return Averaged(result, folder, path.stem)


@pytest.mark.parametrize("binning", [1.0, 1.5])
def test_without_motion_the_frames_are_added_as_they_are(tmp_path: Path, binning: float):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(4), (96, 96), 3), PIXEL)
    still = average_of(path, tmp_path / "still", binning=binning)
    with on_bench(path, tmp_path / "off", binning=binning) as bench:
        result = average.run(bench.item, bench, AverageSettings())
    off = Averaged(result, tmp_path / "off", path.stem)
    np.testing.assert_array_equal(off.image(), still.image())
    assert off.result.notes[-1] == "frames were added as they are: [motion] is switched off"
    assert off.result.shape_yx == off.image().shape


# --- electrons ------------------------------------------------------------------------


@pytest.mark.parametrize("binning", [1.0, 1.5, 2.0, 2.7, 4.0])
@pytest.mark.parametrize("weighting", ["gaussian", "none"])
def test_no_electron_is_lost_or_made_by_binning(tmp_path: Path, binning: float, weighting: str):
    frames = drifting_counts(drift_yx(5), (246, 250), 1)
    path = write_stack(tmp_path / "m.mrc", frames, PIXEL)
    made = average_of(
        path,
        tmp_path,
        AverageSettings(dose_weighting=weighting),
        binning=binning,
        dose_per_frame=DOSE,
    )
    image = made.image()
    assert image.mean() / binning**2 == pytest.approx(frames.sum(0).mean(), rel=2e-3)
    assert made.result.mean_electrons == pytest.approx(frames.sum(0).mean(), rel=1e-3)
    assert made.result.shape_yx == image.shape
    assert made.result.pixel_size == pytest.approx(PIXEL * binning)
    area = image.shape[0] * image.shape[1] * binning**2
    assert area == pytest.approx(246 * 250, rel=0.05)


@pytest.mark.parametrize("upsampling", [1, 2])
def test_no_electron_is_lost_or_made_by_eer_upsampling(tmp_path: Path, upsampling: int):
    movie = simulate_movie(
        MovieSettings(
            seed=4,
            shape_yx=(128, 128),
            n_frames=4,
            pixel_size=2.0,
            dose_per_frame=0.5,
            signal=0,
            raw_frames_per_frame=6,
            gain_variation=0,
            n_dead_pixels=0,
            n_hot_pixels=0,
            detector="perfect",
            illumination_fall_off=0,
        )
    )
    electrons = sum(int(frame.sum()) for frame in movie.frames())
    made = average_of(
        write_movie(movie, tmp_path, "eer"),
        tmp_path,
        eer_frames_per_group=6,
        eer_upsampling=upsampling,
    )
    image = made.image()
    assert image.shape == (128 * upsampling, 128 * upsampling)
    # events that share a pixel and a raw frame count once in the format
    assert image.mean() * image.size == pytest.approx(electrons, rel=0.2)
    assert made.result.mean_electrons == pytest.approx(image.mean(), rel=1e-3)
    assert made.result.pixel_size == pytest.approx(2.0 / upsampling, rel=1e-3)


# --- dose weights ---------------------------------------------------------------------

SHAPE = (128, 128)
N_WEIGHTED = 5
EDGE = 12  # px: there an average lacks what lies beyond
INNER = (slice(EDGE, -EDGE), slice(EDGE, -EDGE))


def white_signal() -> np.ndarray:
    """A white image, zero near the edges; so weak that no pixel of it looks like a defect."""
    signal = np.zeros(SHAPE)
    signal[INNER] = 150 * np.random.default_rng(1).normal(size=SHAPE)[INNER]
    return signal


def response(tmp_path: Path, weighting: str, frame: int, **options: Any) -> np.ndarray:
    """(ring,) amplitude of a white image of frame ``frame`` alone, as it is in the average."""
    random = np.random.default_rng(0)
    # values so large that they are kept as float32
    base = 3e4 + 100 * random.normal(size=(N_WEIGHTED, *SHAPE))
    signal = white_signal()
    images = []
    for name, factor in (("with", 1), ("without", 0)):
        frames = base.copy()
        frames[frame] += factor * signal
        path = write_stack(tmp_path / f"{name}.mrc", frames.astype(np.float32), PIXEL, "float32")
        images.append(
            average_of(
                path,
                tmp_path,
                AverageSettings(dose_weighting=weighting),
                dose_per_frame=DOSE,
                **options,
            ).image()
        )
    there = np.fft.rfft2(images[0] - images[1])
    put_in = np.fft.rfft2(signal)
    return np.array(
        [
            (there[ring] * put_in[ring].conj()).sum().real / (abs(put_in[ring]) ** 2).sum()
            for ring in rings(SHAPE)
        ]
    )


def rings(shape_yx: tuple[int, int], n: int = 10) -> list[np.ndarray]:
    k = frequency(shape_yx)
    width = 0.5 / n / PIXEL
    return [(k >= i * width) & (k < (i + 1) * width) & (k > 0) for i in range(n)]


def frequency(shape_yx: tuple[int, int]) -> np.ndarray:
    ky = np.fft.fftfreq(shape_yx[0], PIXEL)
    kx = np.fft.rfftfreq(shape_yx[1], PIXEL)
    return np.hypot(ky[:, None], kx[None, :])


def published(weighting: str, dose: float, k: np.ndarray, voltage: float) -> np.ndarray:
    if weighting == "gaussian":
        return np.exp(-4 * dose * k**2 / 4)
    curve = (0.245 * k**-1.665 + 2.81) * (0.8 if voltage == 200 else 1.0)
    return np.exp(-dose / (2 * curve))


@pytest.mark.parametrize(
    ("weighting", "voltage", "before"),
    [("gaussian", 300.0, 0.0), ("gaussian", 300.0, 8.0), ("critical", 300.0, 0.0),
     ("critical", 200.0, 8.0)],
)  # fmt: skip
def test_each_frame_weighs_what_its_dose_says(
    tmp_path: Path, weighting: str, voltage: float, before: float
):
    options = {"voltage": voltage, "pre_exposure": before}
    measured = np.array(
        [response(tmp_path, weighting, frame, **options) for frame in range(N_WEIGHTED)]
    )
    doses = before + (np.arange(N_WEIGHTED) + 0.5) * DOSE
    k = frequency(SHAPE)
    expected = np.empty_like(measured)
    for frame, dose in enumerate(doses):
        with np.errstate(divide="ignore"):
            each = published(weighting, dose, k, voltage)
            all_of_them = [published(weighting, one, k, voltage) for one in doses]
            weight = each / np.sqrt(np.mean(np.square(all_of_them), axis=0))
        power = abs(np.fft.rfft2(white_signal())) ** 2
        expected[frame] = [(weight * power)[r].sum() / power[r].sum() for r in rings(SHAPE)]
    np.testing.assert_allclose(measured, expected, rtol=2e-3)
    # noise is as strong in the weighted average as in a plain sum, at every frequency
    np.testing.assert_allclose(np.square(measured).mean(axis=0), 1, atol=0.01)


def test_without_weighting_all_frames_count_the_same(tmp_path: Path):
    for frame in (0, N_WEIGHTED - 1):
        np.testing.assert_allclose(response(tmp_path, "none", frame), 1, atol=1e-4)


@pytest.mark.parametrize("weighting", ["gaussian", "critical", "none"])
def test_the_noise_of_an_average_is_white(tmp_path: Path, weighting: str):
    counts = np.random.default_rng(2).poisson(6.0, (8, 256, 256)).astype(np.uint8)
    path = write_stack(tmp_path / "m.mrc", counts, PIXEL)
    image = average_of(
        path, tmp_path, AverageSettings(dose_weighting=weighting), dose_per_frame=5.0
    ).image()
    power = abs(np.fft.rfft2(image - image.mean())) ** 2 / image.size
    spectrum = np.array([power[ring].mean() for ring in rings((256, 256))])
    np.testing.assert_allclose(spectrum, 6.0 * 8, rtol=0.15)
    np.testing.assert_allclose(spectrum[2:], 6.0 * 8, rtol=0.06)


def test_an_unknown_dose_means_no_weights_and_a_note(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(4), (96, 96), 3), PIXEL)
    unknown = average_of(path, tmp_path)
    image = unknown.image()
    assert "not dose weighted" in unknown.result.notes and unknown.result.dose is None
    plain = average_of(path, tmp_path, AverageSettings(dose_weighting="none"))
    np.testing.assert_array_equal(image, plain.image())


# --- choice of frames and products ------------------------------------------------------


@settings(max_examples=8)
@given(first=st.integers(0, 3), last=st.integers(0, 2))
def test_frames_that_are_left_out_leave_no_trace(tmp_path_factory, first: int, last: int):
    folder = tmp_path_factory.mktemp("skip")
    counts = drifting_counts(drift_yx(6), (80, 96), 4)
    kept = range(first, 6 - last)
    other = counts.copy()
    for frame in set(range(6)) - set(kept):
        other[frame] = other[frame, ::-1]
    chosen = AverageSettings(skip_first=first, skip_last=last, dose_weighting="none")
    images = []
    for name, frames in (("a", counts), ("b", other)):
        made = average_of(
            write_stack(folder / f"{name}.mrc", frames, PIXEL), folder, chosen, dose_per_frame=DOSE
        )
        assert made.result.n_frames == len(kept)
        assert made.result.dose == pytest.approx(DOSE * len(kept))
        images.append(made.image())
    np.testing.assert_array_equal(*images)
    plain_sum = counts[kept.start : kept.stop].sum(0)
    np.testing.assert_allclose(images[0][INNER], plain_sum[INNER], atol=0.05)


def test_leaving_out_all_frames_is_refused_with_what_to_lower(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(4), (80, 80), 5), PIXEL)
    with pytest.raises(StageError, match=r"m\.mrc: no frame is left of 4.*skip_first"):
        average_of(path, tmp_path, AverageSettings(skip_first=3, skip_last=1))
    assert not (tmp_path / "average").exists()


@pytest.mark.parametrize("weighting", ["gaussian", "critical", "none"])
@pytest.mark.parametrize("moving", [False, True])
def test_the_halves_add_up_to_the_average(tmp_path: Path, weighting: str, moving: bool):
    counts = drifting_counts(drift_yx(7), (128, 144), 6)
    path = write_stack(tmp_path / "m.mrc", counts, PIXEL)
    motion = doming(7, (128, 144), 2.0) if moving else None
    images = {}
    for halves in (False, True):
        made = average_of(
            path,
            tmp_path / str(halves),
            AverageSettings(halves=halves, dose_weighting=weighting),
            motion,
            dose_per_frame=DOSE,
        )
        images[halves] = made.image()
    odd, even = made.image("average/odd"), made.image("average/even")
    step = np.spacing(np.float16(images[True].max()))
    np.testing.assert_allclose(odd + even, images[True], atol=1.6 * float(step))
    # warping frames together or one by one differs by the tolerance of the groups
    np.testing.assert_allclose(images[False], images[True], atol=0.02 * images[True].mean())
    assert not (tmp_path / "False" / "average" / "odd").exists()
    if weighting == "none" and not moving:
        # counted from 0, as Warp counts: the first frame is even
        np.testing.assert_allclose(even[INNER], counts[::2].sum(0)[INNER], atol=0.05)
        np.testing.assert_allclose(odd[INNER], counts[1::2].sum(0)[INNER], atol=0.05)


def test_what_is_not_made_any_more_does_not_stay(tmp_path: Path):
    counts = drifting_counts(drift_yx(4), (128, 144), 4)
    path = write_stack(tmp_path / "m.mrc", counts, PIXEL)
    average_of(path, tmp_path, AverageSettings(halves=True))
    deconvolved = tmp_path / "deconv" / "m.mrc"
    deconvolved.parent.mkdir()
    deconvolved.write_bytes(b"of the average before")
    assert (tmp_path / "average" / "odd" / "m.mrc").exists()
    average_of(path, tmp_path, AverageSettings(halves=False))
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.mrc")]
    assert sorted(map(str, left)) == ["average/m.mrc", "m.mrc"]


def test_files_have_the_header_that_other_programs_expect(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(4), (700, 900), 7), PIXEL)
    made = average_of(path, tmp_path, binning=1.25, dose_per_frame=DOSE)
    with mrcfile.open(made.path()) as file:
        assert int(file.header.mode) == 12
        assert file.data.shape == made.result.shape_yx == (560, 720)
        assert float(file.voxel_size.x) == pytest.approx(PIXEL * 1.25, rel=1e-3)
        assert float(file.header.dmean) == pytest.approx(made.image().mean(), rel=1e-2)
    preview = np.load(tmp_path / "thumbnails" / "m.npy")
    assert preview.dtype == np.uint8 and preview.shape == (398, 512)
    assert 60 < preview.mean() < 200 and preview.std() > 5
    assert made.result.average_path == "average/m.mrc"
    leftovers = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(leftovers) == ["m.mrc", "m.mrc", "m.npy"]


def test_values_beyond_half_precision_are_written_as_float32(tmp_path: Path):
    frames = np.random.default_rng(8).normal(3e4, 100, (3, 96, 96)).astype(np.float32)
    path = write_stack(tmp_path / "m.mrc", frames, PIXEL, "float32")
    made = average_of(path, tmp_path)
    with mrcfile.open(made.path()) as file:
        assert int(file.header.mode) == 2
    np.testing.assert_allclose(made.image()[INNER], frames.astype(float).sum(0)[INNER], rtol=1e-5)


def test_the_very_edge_is_hardly_noisier_than_the_rest(tmp_path: Path):
    counts = np.random.default_rng(15).poisson(20, (4, 256, 256)).astype(np.uint8)
    image = average_of(write_stack(tmp_path / "m.mrc", counts, PIXEL), tmp_path).image()
    inside = image[INNER].std()
    for line in (image[0], image[-1], image[:, 0], image[:, -1]):
        assert 0.7 * inside < line.std() < 2 * inside
        assert line.mean() == pytest.approx(80, abs=4)


def test_the_preview_shows_the_average_the_right_way_round(tmp_path: Path):
    counts = np.random.default_rng(9).poisson(20, (3, 128, 200)).astype(np.uint8)
    counts[:, :20, :30] = counts[:, :20, :30] // 2  # darker at the first rows and columns
    average_of(write_stack(tmp_path / "m.mrc", counts, PIXEL), tmp_path)
    preview = np.load(tmp_path / "thumbnails" / "m.npy").astype(float)
    assert preview.shape == (128, 200)
    assert preview[:18, :28].mean() < preview[40:, 60:].mean() - 30


# --- motion ---------------------------------------------------------------------------

LOCAL_GRID = (4, 3, 3)


def doming(n_frames: int, shape_yx: tuple[int, int], amplitude_px: float) -> MotionResult:
    """Known global and local shifts."""
    random = np.random.default_rng(10)
    n_x, n_y, n_t = LOCAL_GRID
    local = random.normal(0, amplitude_px * PIXEL / 2, (2, n_t, n_y, n_x))
    local *= np.linspace(0, 1, n_t)[None, :, None, None]
    track = drift_yx(n_frames) * PIXEL
    track -= track.mean(axis=0)
    return known_motion(
        n_frames,
        shape_yx,
        global_yx_angstrom=track.tolist(),
        track_yx_angstrom=track.tolist(),
        local_grid=LOCAL_GRID,
        local_y_angstrom=local[0].ravel().tolist(),
        local_x_angstrom=local[1].ravel().tolist(),
        local_used=True,
    )


def field_px(motion: MotionResult, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(2, ny, nx) shift to apply at fractions y (ny,) and x (nx,), by scipy's splines."""
    n_x, n_y, n_t = motion.local_grid
    time = np.array([frame / (motion.n_frames - 1)])
    total = np.empty((2, len(y), len(x)))
    for axis, nodes in enumerate((motion.local_y_angstrom, motion.local_x_angstrom)):
        values = natural(np.array(nodes).reshape(n_t, n_y, n_x), time)[0]
        values = natural(natural(values, y).T, x).T
        total[axis] = values + motion.global_yx_angstrom[frame][axis]
    return total / PIXEL


def waves(y: np.ndarray, x: np.ndarray, of_nyquist: float) -> np.ndarray:
    """A texture that can be evaluated anywhere: a sum of plane waves."""
    random = np.random.default_rng(11)
    total = np.zeros(np.broadcast(y, x).shape)
    for _ in range(40):
        k = random.uniform(0.05, of_nyquist / 2)
        angle, phase = random.uniform(0, 2 * np.pi, 2)
        total += np.cos(2 * np.pi * k * (y * np.sin(angle) + x * np.cos(angle)) + phase)
    return total / math.sqrt(20)


@pytest.mark.parametrize("shape", [(200, 240), (181, 163)])
def test_known_global_and_local_motion_is_undone_everywhere(tmp_path: Path, shape: tuple[int, int]):
    n_frames = 6
    motion = doming(n_frames, shape, 1.5)
    y, x = np.arange(shape[0], dtype=float), np.arange(shape[1], dtype=float)
    frames = np.empty((n_frames, *shape), np.float32)
    for frame in range(n_frames):
        # the point p of the average is at p - s(p): look up which p ended up at each pixel
        there_y, there_x = np.broadcast_to(y[:, None], shape), np.broadcast_to(x[None, :], shape)
        shift = field_px(motion, frame, y / (shape[0] - 1), x / (shape[1] - 1))
        for _ in range(6):
            at_y, at_x = y[:, None] + shift[0], x[None, :] + shift[1]
            there_y, there_x = at_y, at_x
            shift = np.stack([sample(c, at_y, at_x) for c in field_px(
                motion, frame, y / (shape[0] - 1), x / (shape[1] - 1)
            )])  # fmt: skip
        frames[frame] = 100 + 10 * waves(there_y, there_x, 0.7)
    path = write_stack(tmp_path / "m.mrc", frames, PIXEL, "float32")
    truth = 100 + 10 * waves(y[:, None], x[None, :], 0.7)
    inner = (slice(20, -20), slice(20, -20))

    def correlation(motion: MotionResult | None) -> float:
        image = average_of(path, tmp_path, motion=motion).image() / n_frames
        return float(np.corrcoef(image[inner].ravel(), truth[inner].ravel())[0, 1])

    assert correlation(motion) > 0.998
    assert correlation(None) < 0.7
    only_global = motion.model_copy(update={"local_used": False})
    assert correlation(only_global) < 0.98


def sample(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``values`` between pixels, continued flat outside."""
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, [y, x], order=3, mode="nearest")


def test_a_drift_is_undone_to_the_last_electron_of_the_centre(tmp_path: Path):
    shifts = np.array([(0, 0), (3, -2), (5, 1), (-4, 4)])
    image = np.random.default_rng(12).poisson(30, (120, 130))
    counts = np.stack([np.roll(image, tuple(-s), (0, 1)) for s in shifts]).astype(np.uint8)
    track = (shifts * PIXEL).astype(float).tolist()
    motion = known_motion(4, (120, 130), global_yx_angstrom=track, track_yx_angstrom=track)
    path = write_stack(tmp_path / "m.mrc", counts, PIXEL)
    made = average_of(path, tmp_path, motion=motion).image()
    inner = (slice(18, -18), slice(18, -18))
    np.testing.assert_allclose(made[inner], 4.0 * image[inner], atol=0.3)


@pytest.mark.parametrize("binning", [1.0, 1.5])
def test_bytes_are_the_same_on_repeat_and_with_other_threads(tmp_path: Path, binning: float):
    shape = (300, 280)
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(6), shape, 13), PIXEL)
    binned = shape if binning == 1 else (200, 186)
    motion = doming(6, binned, 1.0).model_copy(update={"pixel_size": PIXEL * binning})
    made = [
        average_of(
            path,
            tmp_path / str(index),
            motion=motion,
            threads=threads,
            binning=binning,
            dose_per_frame=DOSE,
        )
        for index, threads in enumerate((2, 2, 1))
    ]
    first, second, single = (one.path().read_bytes() for one in made)
    assert first == second
    assert first[1024:] == single[1024:]
    np.testing.assert_array_equal(
        *(np.load(one.folder / "thumbnails" / "m.npy") for one in made[1:])
    )


def test_progress_only_rises_to_one(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(6), (128, 128), 14), PIXEL)
    told: list[float] = []
    with on_bench(path, tmp_path, on_progress=told.append) as bench:
        bench.frames.open()
        told.clear()
        bench.results["motion"] = doming(6, (128, 128), 2.0)
        average.run(bench.item, bench, AverageSettings())
    assert told == sorted(told) and told[-1] == 1.0
