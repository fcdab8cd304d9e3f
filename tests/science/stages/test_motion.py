"""Motion is recovered, is not invented, and every shape of movie comes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from processing import (
    correct,
    drift_yx,
    drifting_counts,
    errors_px,
    on_bench,
    shift_field,
    track_error_px,
    write_stack,
)
from simulated_movies import kept_movie

from warptui.engine.errors import InputError
from warptui.engine.formats.tiff.writing import write_tiff_movie
from warptui.engine.simulation.settings import PRESETS
from warptui.engine.simulation.truth import Truth, read_truth
from warptui.engine.stages.movie import average, motion
from warptui.engine.stages.movie.motion import MotionResult, MotionSettings

pytestmark = pytest.mark.xdist_group("motion")  # most of them share movies that are corrected

Processed = tuple[MotionResult, Truth, Path]
Process = Callable[[str, int], Processed]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Process:
    """Simulate a movie of a preset, once a session, and correct it with the defaults."""

    @cache
    def process(preset: str, seed: int) -> Processed:
        folder = tmp_path_factory.mktemp(f"{preset}-{seed}")
        settings = PRESETS[preset].model_copy(update={"seed": seed})
        path, truth = kept_movie(settings)
        result = correct(
            path,
            folder,
            pixel_size=settings.pixel_size,
            dose_per_frame=settings.dose_per_frame,
            gain=str(path.parent / "movie_gain.mrc"),
        )
        return result, truth, path

    return process


# --- recovery: seeds 1-3 were looked at while the method was made ---------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_global_and_local_motion_are_recovered_to_half_a_pixel(simulated: Process, seed: int):
    result, truth, _ = simulated("small", seed)
    total, mean = errors_px(result, truth)
    nothing, _ = errors_px(None, truth)
    assert total < 0.55  # another program's 0.78 to 0.9 px; a pixel is an Å
    assert mean < 0.35
    assert total < 0.25 * nothing
    assert result.confidence is not None and result.confidence > 0.99


@pytest.mark.slow
def test_the_error_that_is_told_is_the_error_that_is_made(simulated: Process):
    told, made = [], []
    for seed in (11, 12, 13):
        result, truth, _ = simulated("small", seed)
        told.append(result.shift_error or 0.0)
        made.append(errors_px(result, truth)[0] * truth.pixel_size)
    assert 0.5 < np.mean(told) / np.mean(made) < 2.0


@pytest.mark.slow
def test_the_motion_that_is_told_is_that_of_the_specimen(simulated: Process):
    result, truth, _ = simulated("small", 11)
    centre = (np.array([(n - 1) / 2]) for n in truth.shape_yx[::-1])
    path = truth.displacement(*centre)[:, 0] * truth.pixel_size
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert result.total_motion == pytest.approx(steps.sum(), rel=0.25)
    assert result.early_motion == pytest.approx(steps[: truth.n_frames // 3].mean(), rel=0.25)


@pytest.mark.slow
def test_a_local_model_is_better_than_none(simulated: Process, tmp_path: Path):
    with_local, truth, path = simulated("small", 12)
    without = correct(
        path,
        tmp_path,
        MotionSettings(local_grid=(1, 1, 1)),
        pixel_size=1.0,
        dose_per_frame=1.5,
        gain=str(path.parent / "movie_gain.mrc"),
    )
    assert not without.local_used and without.local_grid == (1, 1, 1)
    assert errors_px(with_local, truth)[0] < 0.8 * errors_px(without, truth)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11])
def test_a_specimen_at_rest_is_left_at_rest(simulated: Process, seed: int):
    result, truth, _ = simulated("still", seed)
    assert errors_px(result, truth)[0] < 0.15
    assert not result.local_used
    assert result.confidence is not None and result.confidence > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_noise_is_said_to_be_noise(simulated: Process, seed: int):
    result, _, _ = simulated("noise", seed)
    assert result.confidence is not None and result.confidence < 0.5
    assert result.early_motion is None and result.total_motion is None
    assert result.shift_error is None
    assert not np.any(result.track_yx_angstrom) and not np.any(result.global_yx_angstrom)
    assert not result.local_used
    assert any("no common signal" in note for note in result.notes)


@pytest.mark.slow
@pytest.mark.parametrize("binning", [1.5, 2.0])
def test_binning_changes_units_but_not_the_motion(
    simulated: Process, tmp_path: Path, binning: float
):
    plain, truth, path = simulated("small", 11)
    binned = correct(
        path,
        tmp_path,
        binning=binning,
        pixel_size=1.0,
        dose_per_frame=1.5,
        gain=str(path.parent / "movie_gain.mrc"),
    )
    assert binned.pixel_size == pytest.approx(binning)
    assert binned.shape_yx == tuple(2 * int(n / binning / 2) for n in truth.shape_yx)
    share = np.linspace(0.1, 0.9, 5)
    apart = shift_field(binned, share, share) - shift_field(plain, share, share)
    assert np.sqrt(np.square(apart - apart.mean(axis=0)).sum(-1).mean()) < 0.25  # Å
    assert errors_px(binned, truth)[0] < 0.6


# --- movies of others, with their truth ------------------------------------------------

OTHERS = {
    # name: file, [input], best of another program in px, and what is asked of us
    "drift": ("drift.mrc", {}, 0.786, 0.55),
    "gain": ("gain.tif", {"gain": "gain_reference.mrc"}, 1.44, 0.95),
    "tilt40": ("tilt40.tif", {}, 1.337, 0.5),
}


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_movies_of_another_hand_come_out_with_their_truth(
    shared_data: Path, tmp_path: Path, name: str
):
    folder = shared_data / "movies"
    file, settings, relion, bound = OTHERS[name]
    settings = {key: str(folder / value) for key, value in settings.items()}
    result = correct(folder / file, tmp_path, pixel_size=1.0, dose_per_frame=1.0, **settings)
    total, mean = errors_px(result, read_truth(folder / f"{name}_truth.json"))
    assert total < bound < relion
    assert mean < 0.45


@pytest.mark.shared
@pytest.mark.slow
def test_an_eer_movie_with_hardly_any_signal_is_shifted_the_right_way(
    shared_data: Path, tmp_path: Path
):
    folder = shared_data / "movies"
    truth = read_truth(folder / "short_truth.json")
    result = correct(
        folder / "short.eer",
        tmp_path,
        pixel_size=truth.pixel_size,
        dose_per_frame=0.3,
        eer_frames_per_group=8,
    )
    assert result.n_frames == 4 and result.shape_yx == (4096, 4096)
    uncorrected, mean_uncorrected = errors_px(None, truth)
    total, mean = errors_px(result, truth)
    # half a pixel a fraction is all that 0.3 e/Å² tells; a wrong sign or axis would double it
    assert mean < 0.65 * mean_uncorrected
    assert total < 0.7 * uncorrected


@pytest.mark.shared
@pytest.mark.slow
def test_a_gain_reference_the_wrong_way_round_is_noticed(shared_data: Path, tmp_path: Path):
    folder = shared_data / "movies"
    notes = {}
    for flipped in (False, True):
        with on_bench(
            folder / "gain.tif",
            tmp_path,
            pixel_size=1.0,
            gain=str(folder / "gain_reference.mrc"),
            gain_flip_y=flipped,
        ) as bench:
            bench.frames.open()
            notes[flipped] = " ".join(bench.notes)
    assert "gain" not in notes[False]
    assert "gain" in notes[True] and "flip" in notes[True]


# --- shapes, types and faults of files --------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(65, 64), (64, 97), (200, 200), (301, 243), (128, 500), (600, 600)]
)
def test_any_size_of_frames_is_corrected(tmp_path: Path, shape: tuple[int, int]):
    truth = drift_yx(8)
    path = write_stack(tmp_path / "m.mrc", drifting_counts(truth, shape, 1, contrast=0.4))
    result = correct(path, tmp_path, dose_per_frame=1.0)
    assert result.shape_yx == shape and result.n_frames == 8
    assert track_error_px(result, truth, 1.5) < 0.6 * (100 / min(shape)) ** 0.5


@pytest.mark.parametrize("n_frames", [2, 3, 5])
def test_movies_of_few_frames_are_corrected(tmp_path: Path, n_frames: int):
    truth = drift_yx(n_frames)
    path = write_stack(tmp_path / "m.mrc", drifting_counts(truth, (256, 256), 2, contrast=0.4))
    result = correct(path, tmp_path, dose_per_frame=1.0)
    assert track_error_px(result, truth, 1.5) < 0.3
    assert result.early_motion is not None


def test_a_single_frame_has_no_motion_and_is_not_an_error(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(1), (128, 128), 3))
    result = correct(path, tmp_path)
    assert result.n_frames == 1
    assert result.early_motion is None and result.confidence is None
    assert result.track_yx_angstrom == [(0.0, 0.0)]
    assert any("one frame" in note for note in result.notes)


@pytest.mark.slow
def test_hundreds_of_frames_share_fewer_nodes(tmp_path: Path):
    truth = drift_yx(220, 10.0)
    path = write_stack(tmp_path / "m.mrc", drifting_counts(truth, (128, 128), 4, contrast=0.3))
    result = correct(path, tmp_path, dose_per_frame=0.1)
    assert result.n_frames == 220 and len(result.track_yx_angstrom) == 220
    assert len(result.global_yx_angstrom) < 220
    assert track_error_px(result, truth, 1.5) < 0.3


@pytest.mark.slow
def test_two_thousand_frames_are_corrected(tmp_path: Path):
    truth = drift_yx(2000, 12.0)
    frames = drifting_counts(truth, (72, 64), 5, counts=1.0, contrast=0.5)
    path = tmp_path / "m.tif"
    write_tiff_movie(path, iter(frames), pixel_size=1.5)
    result = correct(path, tmp_path, dose_per_frame=0.02, threads=1)  # too small to share
    assert result.n_frames == 2000
    assert track_error_px(result, truth, 1.5) < 0.5


@pytest.mark.parametrize("pixel_size", [0.4, 1.5, 5.0])
def test_shifts_are_in_angstrom_at_every_pixel_size(tmp_path: Path, pixel_size: float):
    truth = drift_yx(6, 4.0 if pixel_size > 2 else 8.0)
    frames = drifting_counts(truth, (320, 320), 6, contrast=0.4)
    path = write_stack(tmp_path / "m.mrc", frames, pixel_size)
    result = correct(path, tmp_path)  # the size is told by the file alone
    assert result.pixel_size == pytest.approx(pixel_size, rel=1e-4)
    assert track_error_px(result, truth, pixel_size) < 0.3
    span = np.array(result.track_yx_angstrom)[-1] - np.array(result.track_yx_angstrom)[0]
    expected = -(truth[-1] - truth[0]) * pixel_size
    np.testing.assert_allclose(span, expected, atol=0.4 * pixel_size)


@pytest.mark.parametrize("mode", ["int8", "int16", "uint16", "float32"])
def test_the_type_of_the_numbers_changes_nothing(tmp_path: Path, mode: str):
    truth = drift_yx(6)
    frames = drifting_counts(truth, (192, 192), 7, contrast=0.4)
    path = write_stack(tmp_path / f"{mode}.mrc", frames.clip(max=127), mode=mode)
    reference = write_stack(tmp_path / "reference.mrc", frames.clip(max=127), mode="uint16")
    ours, theirs = (correct(one, tmp_path, dose_per_frame=1.0) for one in (path, reference))
    np.testing.assert_allclose(ours.track_yx_angstrom, theirs.track_yx_angstrom, atol=1e-4)
    assert track_error_px(ours, truth, 1.5) < 0.3


def with_a_huge_pixel(frames: np.ndarray) -> None:
    frames[2, 40, 50] = 1e9


def with_nan_pixels(frames: np.ndarray) -> None:
    frames[:, 60, 61] = np.nan
    frames[3, 100:102, 20:22] = np.nan


@pytest.mark.parametrize("spoil", [with_a_huge_pixel, with_nan_pixels])
def test_bad_pixels_of_float_movies_do_not_spoil_the_motion(
    tmp_path: Path, spoil: Callable[[np.ndarray], None]
):
    truth = drift_yx(6)
    frames = drifting_counts(truth, (256, 256), 8, contrast=0.4).astype(np.float32)
    path = write_stack(tmp_path / "m.mrc", frames, mode="float32")
    spoil(frames)
    body = path.read_bytes()  # the writer refuses such numbers; cameras do not
    path.write_bytes(body[: len(body) - frames.nbytes] + frames.tobytes())
    result = correct(path, tmp_path, dose_per_frame=1.0)
    assert track_error_px(result, truth, 1.5) < 0.3


@pytest.mark.parametrize("value", [0, 7])
def test_a_blank_frame_is_refused_by_its_number(tmp_path: Path, value: int):
    frames = drifting_counts(drift_yx(6), (128, 128), 9)
    frames[3] = value
    path = write_stack(tmp_path / "m.mrc", frames)
    with pytest.raises(InputError, match=r"m\.mrc: frame 4 of 6 is .* everywhere.*copy it again"):
        correct(path, tmp_path)


def test_a_movie_of_zeros_is_refused(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", np.zeros((4, 128, 128), np.uint8))
    with pytest.raises(InputError, match="frame 1 of 4"):
        correct(path, tmp_path)


def test_the_result_can_be_stored_and_read_again(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(5), (256, 256), 10))
    result = correct(path, tmp_path, dose_per_frame=1.0)
    again = MotionResult(**json.loads(json.dumps(result.model_dump(mode="json"))))
    assert again == result


def test_the_nodes_have_mean_zero_and_the_track_too(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(9), (256, 256), 11))
    result = correct(path, tmp_path, dose_per_frame=1.0)
    for values in (result.global_yx_angstrom, result.track_yx_angstrom):
        np.testing.assert_allclose(np.mean(values, axis=0), 0, atol=1e-6)


def test_the_same_movie_gives_the_same_numbers_with_any_number_of_threads(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(8), (300, 280), 12))
    results = [correct(path, tmp_path, dose_per_frame=1.0, threads=n) for n in (2, 2, 1)]
    assert results[0] == results[1]
    np.testing.assert_allclose(
        results[0].track_yx_angstrom, results[2].track_yx_angstrom, atol=1e-3
    )


def test_progress_only_rises(tmp_path: Path):
    path = write_stack(tmp_path / "m.mrc", drifting_counts(drift_yx(6), (256, 256), 13))
    told: list[float] = []
    correct(path, tmp_path, on_progress=told.append)
    assert told == sorted(told) and told[0] >= 0 and 0.5 < told[-1] <= 1


def test_opposed_local_motion_is_seen_as_local(tmp_path: Path):
    """The left half goes up while the right half goes down."""
    n_frames, shape = 8, (512, 512)
    course = 1 - np.exp(-np.arange(n_frames) / 2.5)
    up = drifting_counts(np.stack([3 * course, 0 * course], 1), shape, 14, contrast=0.4)
    down = drifting_counts(np.stack([-3 * course, 0 * course], 1), shape, 15, contrast=0.4)
    frames = np.concatenate([up[..., :256], down[..., 256:]], axis=2)
    result = correct(write_stack(tmp_path / "m.mrc", frames), tmp_path, dose_per_frame=1.0)
    assert result.local_used
    at = shift_field(result, np.array([0.15, 0.85]), np.array([0.5]))[:, 0, :, 0] / 1.5
    moved = at[-1] - at[0]
    np.testing.assert_allclose(moved, [-3 * course[-1], 3 * course[-1]], atol=0.6)


# --- on a GPU ----------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_and_cpu_agree(tmp_path: Path):
    from warptui.engine.ops.common.fourier import frequencies_yx
    from warptui.engine.ops.frames.warping import add_warped
    from warptui.engine.ops.motion.likelihood import evaluate
    from warptui.engine.ops.motion.rings import make_rings

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 5, 96, 90, generator=generator)
    shifts = 4 * torch.randn(3, 5, 2, generator=generator, dtype=torch.float64)
    weights = torch.rand(20, generator=generator, dtype=torch.float64)
    nodes = torch.randn(4, 5, 2, generator=generator, dtype=torch.float64)
    agreements, warps = [], []
    for device in (torch.device("cpu"), torch.device("cuda")):
        ky, kx = frequencies_yx((96, 90), (1.5, 1.5), device)
        rings = make_rings(ky, kx, k_min=0.01, k_max=0.3, n_rings=20, nyquist_column=True)
        spectra = torch.fft.rfft2(images.to(device))
        agreements.append(evaluate(spectra, shifts.to(device), rings, weights.to(device)))
        total = torch.zeros(96, 90, device=device)
        add_warped(total, images[0, 0].to(device), nodes.to(device))
        warps.append(total.cpu())
    for ours, theirs in zip(*agreements, strict=True):
        scale = float(ours.abs().max())
        torch.testing.assert_close(theirs.cpu(), ours, rtol=1e-4, atol=1e-5 * scale)
    torch.testing.assert_close(warps[1], warps[0], rtol=0, atol=0.05)

    truth = drift_yx(10)
    path = write_stack(tmp_path / "m.mrc", drifting_counts(truth, (512, 480), 16))
    fields, averages = [], []
    for device in ("cpu", "cuda:0"):
        with on_bench(path, tmp_path / device[:3], device=device, dose_per_frame=1.0) as bench:
            result = motion.run(bench.item, bench, MotionSettings())
            bench.results["motion"] = result
            average.run(bench.item, bench, average.AverageSettings())
            averages.append(bench.products.load(average.AVERAGE).cpu())
        share = np.linspace(0, 1, 5)
        fields.append(shift_field(result, share, share) / 1.5)
    assert np.abs(fields[0] - fields[1]).max() < 0.02
    wrong = (averages[0] - averages[1]).std() / averages[0].std()
    assert float(wrong) < 0.01
