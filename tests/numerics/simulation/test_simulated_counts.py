"""Electrons: how many, how they scatter about their mean, and what the camera does to them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from warptui.engine.simulation import kernels
from warptui.engine.simulation.camera import make_camera
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import PRESETS, MovieSettings

SMALL = PRESETS["small"].model_copy(update={"shape_yx": (384, 448), "n_frames": 6})


def flat_frames(settings: MovieSettings) -> tuple[np.ndarray, np.ndarray]:
    """All frames times gain, and the mask of good pixels."""
    movie = simulate_movie(settings)
    reference = movie.camera.reference
    gain = np.ones(settings.shape_yx) if reference is None else reference
    return np.stack(list(movie.frames())) * gain, ~movie.camera.defects


@pytest.mark.parametrize("pixel_size", [0.7, 1.3])
def test_mean_times_gain_is_the_dose_on_a_pixel(pixel_size):
    settings = SMALL.model_copy(update={"pixel_size": pixel_size})
    frames, good = flat_frames(settings)
    expected = settings.dose_per_frame * pixel_size**2
    assert frames[:, good].mean() == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("rate", [0.05, 1.2, 9.0, 90.0])
def test_counts_are_poisson(rate):
    out = np.empty((1500, 1500), np.uint16)
    kernels.count(np.full(out.shape, rate, np.float32), np.uint64(7), out)
    counts = out.astype(np.float64)
    assert counts.mean() == pytest.approx(rate, rel=5 / np.sqrt(rate * out.size))
    assert counts.var() == pytest.approx(counts.mean(), rel=0.01)
    third = ((counts - counts.mean()) ** 3).mean()
    assert third == pytest.approx(rate, rel=0.15, abs=0.01)


def test_counts_of_neighbours_and_of_frames_are_independent():
    rates = np.full((800, 800), 1.5, np.float32)
    first, second = np.empty((2, 800, 800), np.uint8)
    kernels.count(rates, np.uint64(1), first)
    kernels.count(rates, np.uint64(2), second)
    a, b = first - first.mean(), second - second.mean()
    for product in (a * b, a[1:] * a[:-1], a[:, 1:] * a[:, :-1]):
        assert abs(product.mean()) < 5 * 1.5 / 800


def test_noise_movie_holds_counting_noise_alone():
    frames, good = flat_frames(
        PRESETS["noise"].model_copy(
            update={"shape_yx": (400, 400), "gain_variation": 0, "illumination_fall_off": 0}
        )
    )
    counts = frames[:, good]
    assert counts.var() == pytest.approx(counts.mean(), rel=0.01)
    summed = counts.sum(axis=0)
    assert summed.var() == pytest.approx(summed.mean(), rel=0.02)


def test_gain_makes_the_frames_flat():
    settings = PRESETS["noise"].model_copy(
        update={"shape_yx": (512, 512), "n_frames": 60, "gain_variation": 0.1,
                "illumination_fall_off": 0.0}
    )  # fmt: skip
    movie = simulate_movie(settings)
    raw = np.stack(list(movie.frames())).mean(axis=0)
    assert movie.camera.reference is not None
    flat, good = raw * movie.camera.reference, ~movie.camera.defects
    counting = np.sqrt(settings.dose_per_frame / settings.n_frames)
    assert raw[good].std() > 1.2 * counting
    assert flat[good].std() == pytest.approx(counting, rel=0.03)
    columns = np.where(good, flat, settings.dose_per_frame).mean(axis=0)
    assert columns.std() == pytest.approx(counting / np.sqrt(512), rel=0.2)


def test_defects_are_where_the_truth_says():
    settings = SMALL.model_copy(update={"n_dead_rows": 1, "n_dead_columns": 2, "n_frames": 12})
    movie = simulate_movie(settings)
    record, mean = movie.truth.record, np.stack(list(movie.frames())).mean(axis=0)
    assert all(mean[y, x] == 0 for y, x in record["dead_pixels"])
    dead = np.zeros(settings.shape_yx, bool)
    dead[record["dead_rows"]] = True
    dead[:, record["dead_columns"]] = True
    assert (mean[dead] == 0).sum() >= dead.sum() - len(record["hot_pixels"])
    assert all(mean[y, x] > 2.5 for y, x in record["hot_pixels"])


def test_illumination_falls_off_by_the_share_asked_for():
    settings = SMALL.model_copy(update={"illumination_fall_off": 0.2, "gain_variation": 0.0,
                                        "n_dead_pixels": 0})  # fmt: skip
    camera = make_camera(settings, np.random.default_rng(0))
    assert camera.efficiency.mean() == pytest.approx(1, abs=1e-5)
    assert 0.1 < np.ptp(camera.efficiency) < 0.4


def test_coincidence_loses_electrons():
    plain, _ = flat_frames(SMALL.model_copy(update={"dose_per_frame": 4.0}))
    lossy, _ = flat_frames(
        SMALL.model_copy(update={"dose_per_frame": 4.0, "coincidence_subframes": 40})
    )
    assert lossy.mean() / plain.mean() == pytest.approx(40 / 4 * (1 - np.exp(-4 / 40)), rel=0.01)


def test_same_seed_same_movie_another_seed_another():
    settings = SMALL.model_copy(update={"shape_yx": (192, 192), "n_frames": 2, "seed": 4})
    once, again = (list(simulate_movie(settings).frames()) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = list(simulate_movie(settings.model_copy(update={"seed": 5})).frames())
    assert (once[0] != other[0]).mean() > 0.2


def test_counts_do_not_depend_on_the_number_of_threads():
    import numba

    rates = np.random.default_rng(0).uniform(0, 4, (300, 300)).astype(np.float32)
    one, all_threads = np.empty((2, 300, 300), np.uint8)
    before = numba.get_num_threads()
    kernels.count(rates, np.uint64(3), all_threads)
    try:
        numba.set_num_threads(1)
        kernels.count(rates, np.uint64(3), one)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one, all_threads)


def test_dealing_keeps_every_electron():
    counts = np.random.default_rng(0).poisson(2.0, (64, 80)).astype(np.uint8)
    events, starts = kernels.deal(counts, 7, np.uint64(5))
    assert starts[-1] == counts.sum() == len(events)
    np.testing.assert_array_equal(np.bincount(events, minlength=counts.size), counts.ravel())
    assert np.abs(np.diff(starts) - counts.sum() / 7).max() < 6 * np.sqrt(counts.sum() / 7)
    assert all((np.diff(events[a:b]) >= 0).all() for a, b in pairwise(starts))
