"""The truth about motion, checked against the frames by means that do not share its code."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import map_coordinates

from warptui.engine.simulation import kernels
from warptui.engine.simulation.fourier import inverse
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import PRESETS, MovieSettings

CLEAN = {
    "ice_noise": 0.0,
    "ice_thickness_variation": 0.0,
    "damage": "none",
    "b_factor": 20.0,
    "particles_per_um2": 9000.0,
    "min_distance_diameters": 0.3,
}
PATCH = 160


def measured_shift(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(x, y) px by which ``b`` is displaced against ``a``: correlation peak, then phase slope."""
    n = len(a)
    window = np.hanning(n)[:, None] * np.hanning(n)
    cross = np.fft.fft2((b - b.mean()) * window) * np.conj(np.fft.fft2((a - a.mean()) * window))
    peak = np.array(np.unravel_index(np.fft.ifft2(cross).real.argmax(), a.shape))
    shift = ((peak + n // 2) % n - n // 2).astype(float)
    ky, kx = np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :]
    for _ in range(5):
        phase = np.angle(cross * np.exp(2j * np.pi * (ky * shift[0] + kx * shift[1])))
        weight = np.abs(cross) * (np.abs(phase) < 1.5)
        normal = np.array(
            [
                [(weight * ky * ky).sum(), (weight * ky * kx).sum()],
                [(weight * ky * kx).sum(), (weight * kx * kx).sum()],
            ]
        )
        slope = [(weight * ky * phase).sum(), (weight * kx * phase).sum()]
        shift -= np.linalg.solve(normal, slope) / (2 * np.pi)
    return shift[::-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"local_angstrom": 10.0, "pixel_size": 1.0},
        pytest.param(
            {"local_angstrom": 8.0, "pixel_size": 0.8, "drift_angstrom": 30.0},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"tilt_deg": 40.0, "tilt_axis_deg": 20.0, "local_angstrom": 10.0},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_frames_carried_back_by_the_truth_coincide_everywhere(changes):
    settings = MovieSettings(
        **{"seed": 3, "shape_yx": (560, 640), "n_frames": 12, **CLEAN, **changes}
    )
    movie = simulate_movie(settings)
    truth = movie.truth.record
    ny, nx = settings.shape_yx
    y, x = np.mgrid[0:ny, 0:nx].astype(float)
    carried = []
    # frame 0 is blurred by its own fast motion, so later ones are compared
    for index, frame in enumerate(movie.rates()):
        if index not in (7, 11):
            continue
        local = np.array(truth["local"]["displacement"])[index]
        nodes = truth["local"]["ys"], truth["local"]["xs"]
        shift_x, shift_y = (
            RectBivariateSpline(*nodes, local[..., axis])(np.arange(ny), np.arange(nx))
            + truth["global_shifts"][index][axis]
            for axis in (0, 1)
        )
        carried.append(map_coordinates(frame.astype(float), [y + shift_y, x + shift_x], order=5))
    for top in (40, 200, 360):
        for left in (40, 240, 440):
            place = (slice(top, top + PATCH), slice(left, left + PATCH))
            error = measured_shift(carried[0][place], carried[1][place])
            assert np.abs(error).max() < 0.05, (top, left, error)


def test_particles_move_by_global_plus_local_shift_in_pixels():
    settings = MovieSettings(
        **{
            "seed": 5, "shape_yx": (512, 512), "n_frames": 8, "pixel_size": 1.6, **CLEAN,
            "drift_angstrom": 20.0, "local_angstrom": 0.0,
            # a jerk within a frame blurs it unevenly, and that shifts its fine detail
            "jitter_angstrom": 0.0, "walk_share": 0.0,
        }
    )  # fmt: skip
    movie = simulate_movie(settings)
    frames = list(movie.rates())
    shifts = movie.truth.displacement(np.array([256.0]), np.array([256.0]))[:, 0]
    moved = shifts[7] - shifts[3]
    whole = np.round(moved).astype(int)  # cropped alike, or the window pulls towards zero
    first = frames[3][128:384, 128:384]
    last = frames[7][128 + whole[1] : 384 + whole[1], 128 + whole[0] : 384 + whole[0]]
    np.testing.assert_allclose(measured_shift(first, last) + whole, moved, atol=0.05)
    largest = np.linalg.norm(shifts, axis=1).max() * settings.pixel_size
    assert largest == pytest.approx(20.0, abs=1.0)  # drift, give or take the jitter


@pytest.mark.slow
def test_truth_nodes_describe_the_field_between_them():
    movie = simulate_movie(PRESETS["tilt40"].model_copy(update={"seed": 9, "n_frames": 5}))
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 3837, 50), rng.uniform(0, 3709, 50)
    exact = movie.motion.local(x, y, 4).T
    np.testing.assert_allclose(movie.truth.local(x, y)[4], exact, atol=2e-3)


@pytest.mark.slow
def test_local_motion_has_the_amplitude_asked_for_and_decays():
    settings = PRESETS["typical"].model_copy(update={"seed": 2, "local_angstrom": 6.0})
    local = np.array(simulate_movie(settings).truth.record["local"]["displacement"])
    size = np.linalg.norm(local, axis=-1)
    assert size[0].max() == 0
    assert size[-1].max() * settings.pixel_size == pytest.approx(6.0, rel=0.05)
    rms = np.sqrt((size**2).mean(axis=(1, 2)))
    assert rms[5] - rms[0] > 2 * (rms[-1] - rms[-6])


def test_still_movie_does_not_move():
    record = simulate_movie(PRESETS["still"]).truth.record
    assert np.abs(record["global_shifts"]).max() == 0
    assert np.abs(record["local"]["displacement"]).max() == 0


def test_resampling_errs_by_less_than_a_percent_up_to_four_fifths_of_nyquist():
    n, shift_y, shift_x = 180, 3.37, -5.5
    shape, larger = (n, n), kernels.oversampled_shape((n, n))
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft2(rng.normal(size=shape))
    ky, kx = np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :]
    spectrum = (spectrum * (np.hypot(ky, kx) < 0.4)).astype(np.complex64)
    expected = np.fft.irfft2(spectrum * np.exp(-2j * np.pi * (ky * shift_y + kx * shift_x)), shape)
    coefficients = inverse(kernels.pad_spectrum(spectrum, shape, larger), larger)
    nodes = np.arange(n // 4 + 1) * 4.0
    source_y, source_x = np.meshgrid(nodes - shift_y, nodes - shift_x, indexing="ij")
    out = np.empty(shape, np.float32)
    scale = [np.float32(large / n) for large in larger]
    kernels.resample(coefficients, source_y, source_x, 4, *scale, out)
    assert np.sqrt(((out - expected) ** 2).mean()) < 0.01 * expected.std()


@pytest.mark.shared
def test_shared_movie_moves_as_its_truth_says_in_our_convention(shared_data):
    from warptui.engine.formats.movie import open_movie
    from warptui.engine.simulation.truth import read_truth

    with open_movie(shared_data / "movies" / "drift.mrc") as opened:
        frames = opened.read_all().astype(np.float32)
    truth = read_truth(shared_data / "movies" / "drift_truth.json")
    n = 512
    middle = np.array([511.5])
    shifts = truth.displacement(middle, middle)[:, 0]
    ky, kx = np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :]

    def power(xy: np.ndarray) -> float:
        """Of the sum of the frames' middles, carried back, where there is signal."""
        total = 0
        for frame, (x, y) in zip(frames, xy, strict=True):
            spectrum = np.fft.rfft2(frame[256:768, 256:768] - frame.mean())
            total = total + spectrum * np.exp(2j * np.pi * (ky * y + kx * x))
        band = (np.hypot(ky, kx) > 0.01) & (np.hypot(ky, kx) < 0.06)
        return float((np.abs(total[band]) ** 2).mean())

    as_written = power(shifts)
    assert as_written > 1.1 * power(-shifts)
    assert as_written > 1.1 * power(shifts[:, ::-1])
    assert as_written > 1.1 * power(0 * shifts)
