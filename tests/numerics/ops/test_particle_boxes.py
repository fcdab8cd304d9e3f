"""Boxes cut from frames: where they land, how they are weighted, on both ways of doing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from warptui.engine.ops.common import prefetch
from warptui.engine.ops.frames.counts import Counts
from warptui.engine.ops.frames.dose import normalised_amplitudes
from warptui.engine.ops.particles import extraction_cpu
from warptui.engine.ops.particles.extraction import (
    Geometry,
    Job,
    extract_particles,
    plan_box,
    weigh,
)

CPU = torch.device("cpu")
SHAPE = (230, 260)


def blobs(centres_yx: np.ndarray, sigma: float = 2.5) -> np.ndarray:
    """An image of round Gaussian spots, exact at any place."""
    y, x = np.arange(SHAPE[0])[:, None], np.arange(SHAPE[1])[None, :]
    image = np.full(SHAPE, 5.0)
    for row, column in centres_yx:
        image += 3 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2))
    return image.astype(np.float32)


def counts_of(frames: np.ndarray, **changes: Any) -> Counts:
    return Counts(
        frames,
        None,
        np.zeros(frames.shape[1] + 1, np.int64),
        np.zeros(0, np.int64),
        np.zeros((len(frames), 0), np.float32),
        frames.mean(axis=(1, 2)).astype(np.float32),
    )._replace(**changes)


def cut(
    frames: np.ndarray,
    centres: np.ndarray,
    geometry: Geometry,
    *,
    parts: Tensor | None = None,
    dose: float = 0.0,
    fast: bool = True,
    counts: Counts | None = None,
) -> np.ndarray:
    """(part, particle, y, x); ``centres`` (frame, particle, 2) px in that frame."""
    doses = dose * (torch.arange(len(frames)) + 0.5)
    law = "gaussian" if dose else "none"
    job = Job(
        range(len(frames)),
        torch.from_numpy(centres),
        torch.ones(1, len(frames), dtype=torch.bool) if parts is None else parts,
    )
    images = extract_particles(
        job,
        geometry,
        lambda k: normalised_amplitudes(law, k, doses, 300.0),
        lambda index, _: torch.from_numpy(frames[index]).float(),
        CPU,
        counts=(counts or counts_of(frames)) if fast else None,
    )
    return torch.cat(list(images), dim=1).numpy()


def centre_of(image: np.ndarray) -> np.ndarray:
    """Centre of mass (y, x) px of what stands out."""
    weight = np.clip(image - np.median(image), 0, None)
    weight[weight < 0.1 * weight.max()] = 0
    grids = np.meshgrid(*map(np.arange, image.shape), indexing="ij")
    return np.array([(grid * weight).sum() / weight.sum() for grid in grids])


PLACES = np.array([[60.3, 80.7], [75.0, 180.25], [165.45, 65.5]])
MOVES = np.array([[0, 0], [1.4, -2.3], [2.6, -3.1], [3.25, -3.5]])


def moving() -> tuple[np.ndarray, np.ndarray]:
    """Frames whose spots wander, and where they are in each."""
    own = np.stack([1 + 0.1 * np.arange(3), 1 - 0.2 * np.arange(3)], axis=1)
    centres = PLACES + MOVES[:, None] * own
    return np.stack([blobs(each) for each in centres]), centres


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("pixel", [1.0, 1.37, 2.0])
def test_each_particle_comes_to_the_middle_of_its_box(fast: bool, pixel: float) -> None:
    frames, centres = moving()
    geometry = plan_box(40, pixel, 1.0)
    images = cut(frames, centres, geometry, fast=fast)
    assert images.shape == (1, 3, 40, 40)
    for image in images[0]:
        # in Å: a two-hundredth of a raw pixel
        assert np.abs(centre_of(image) - 20).max() * pixel < 0.005


@pytest.mark.parametrize(("fast", "most"), [(True, 0.006), (False, 0.015)])
def test_boxes_are_those_of_whole_frames_that_were_shifted(fast: bool, most: float) -> None:
    """Noise up to two thirds of Nyquist, of frames that are periodic: their shift is exact.

    Shifting a box by its phases wraps it around, which the interpolation does not.
    """
    random = np.random.default_rng(1)
    noise = np.fft.rfft2(random.normal(size=(9, *SHAPE)))
    ky, kx = np.fft.fftfreq(SHAPE[0])[:, None], np.fft.rfftfreq(SHAPE[1])[None]
    noise *= np.hypot(ky, kx) < 0.33
    place = np.array([100, 120])
    moves = random.uniform(-6, 6, (9, 1, 2))
    phases = np.exp(-2j * np.pi * (ky * moves[:, :, :1] + kx * moves[:, :, 1:]))
    frames = np.fft.irfft2(noise * phases, s=SHAPE).astype(np.float32)
    expected = np.fft.irfft2(noise.sum(axis=0), s=SHAPE)[76:124, 96:144]
    image = cut(frames, place + moves, plan_box(48, 1.0, 1.0), fast=fast)[0, 0]
    wrong = (image - expected) / expected.std()
    assert wrong.std() < 0.03  # with the margin that filters wrap around
    assert wrong[6:-6, 6:-6].std() < most


@pytest.mark.slow
@pytest.mark.parametrize("pixel", [1.0, 1.6])
def test_few_products_weigh_as_all_weights_do(pixel: float) -> None:
    frames = np.random.default_rng(1).poisson(4, (24, *SHAPE)).astype(np.uint8)
    centres = np.broadcast_to(np.rint(PLACES), (24, 3, 2)).copy()
    geometry = plan_box(48, pixel, 1.0)
    fast, exact = (cut(frames, centres, geometry, dose=3.0, fast=way) for way in (True, False))
    assert (fast - exact).std() / exact.std() < 0.02


def test_weights_are_a_sum_of_few_products() -> None:
    doses = torch.arange(40) + 0.5
    geometry = plan_box(64, 1.0, 1.0)
    for law, most in (("gaussian", 4), ("critical", 4), ("none", 1)):
        weights = weigh(
            lambda k, law=law: normalised_amplitudes(law, k, doses, 300.0), geometry, CPU
        )
        assert weights.frames.shape[1] <= most
        k = torch.hypot(
            torch.fft.fftfreq(geometry.cut_px)[:, None], torch.fft.rfftfreq(geometry.cut_px)[None]
        )
        exact = normalised_amplitudes(law, k, doses, 300.0)
        error = torch.tensordot(weights.frames, weights.waves, 1) - exact
        assert float(error[:, k < 0.5].square().mean(0).max().sqrt()) < 0.011


def test_halves_add_up_and_are_independent() -> None:
    frames = np.random.default_rng(2).poisson(5, (12, *SHAPE)).astype(np.uint8)
    centres = np.broadcast_to(PLACES, (12, 3, 2)).copy()
    geometry = plan_box(64, 1.0, 1.0)
    even = torch.arange(12) % 2 == 0
    halves = cut(frames, centres, geometry, dose=2.0, parts=torch.stack([~even, even]))
    whole = cut(frames, centres, geometry, dose=2.0)
    np.testing.assert_allclose(halves.sum(axis=0), whole[0], rtol=1e-4, atol=0.02)
    for odd, other in zip(*halves, strict=True):
        assert abs(np.corrcoef(odd.ravel(), other.ravel())[0, 1]) < 0.05


def test_boxes_of_several_tiles_and_any_number_of_frames() -> None:
    """Wider than what is worked on at once; frames that make no whole group."""
    frames = np.random.default_rng(5).poisson(4, (5, 380, 390)).astype(np.uint8)
    centres = np.broadcast_to(np.array([[190.0, 196.0], [40.0, 350.0]]), (5, 2, 2)).copy()
    geometry = plan_box(320, 1.0, 1.0)
    assert geometry.cut_px > extraction_cpu.TILE_PX
    fast, exact = (cut(frames, centres, geometry, fast=way) for way in (True, False))
    np.testing.assert_allclose(fast[0, 0], exact[0, 0], rtol=1e-4, atol=0.02)
    # beyond the edge a constant stands for the image: splines round its corner off
    np.testing.assert_allclose(
        fast[0, 1, 130:, :150], exact[0, 1, 130:, :150], rtol=1e-4, atol=0.02
    )


def test_gain_and_bad_pixels_are_corrected_where_they_are_needed() -> None:
    random = np.random.default_rng(3)
    frames = random.poisson(6, (5, *SHAPE)).astype(np.uint8)
    gain = random.uniform(0.8, 1.2, SHAPE).astype(np.float32)
    bad = random.uniform(size=SHAPE) < 0.01
    fills = random.uniform(4, 8, (5, int(bad.sum()))).astype(np.float32)
    corrected = frames * gain
    corrected[:, bad] = fills
    rows = np.concatenate([[0], np.cumsum(bad.sum(axis=1))]).astype(np.int64)
    counts = counts_of(
        frames,
        gain=gain,
        row_start=rows,
        bad_x=np.nonzero(bad)[1].astype(np.int64),
        fills=fills,
        means=corrected.mean(axis=(1, 2)),
    )
    centres = np.broadcast_to(np.array([[90.4, 100.2], [5.0, 250.0]]), (5, 2, 2)).copy()
    geometry = plan_box(48, 1.0, 1.0)
    found = cut(frames, centres, geometry, counts=counts)
    expected = cut(corrected, centres, geometry)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("fast", [True, False])
def test_what_lies_outside_the_image_is_even(fast: bool) -> None:
    frames = np.random.default_rng(4).poisson(9, (3, *SHAPE)).astype(np.uint8)
    centres = np.broadcast_to(np.array([[2.0, 3.0], [228.0, 258.0]]), (3, 2, 2)).copy()
    images = cut(frames, centres, plan_box(64, 1.0, 1.0), fast=fast)[0]
    assert np.isfinite(images).all()
    outside = images[0, :24, :24]
    assert outside.std() < 0.02 * images[0, 40:, 40:].std()
    assert outside.mean() == pytest.approx(frames.mean() * 3, rel=0.01)


@pytest.mark.parametrize(
    ("box", "pixel", "raw"), [(256, 1.0, 1.0), (128, 3.7, 0.83), (100, 2.0002, 1.0), (63, 1.5, 1.1)]
)
def test_the_pixel_size_is_kept(box: int, pixel: float, raw: float) -> None:
    found = plan_box(box, pixel, raw)
    assert abs(found.pixel_size / pixel - 1) * box / 2 <= 0.03
    assert found.cut_px % 2 == found.small_px % 2 == 0 and found.small_px >= box
    assert found.cut_px * raw >= box * pixel
    assert found.cut_px < 1.4 * box * pixel / raw + 16


def test_a_pixel_finer_than_the_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="finer"):
        plan_box(64, 0.9, 1.0)


def test_a_hint_that_does_not_compile_is_left_out():
    def made_for_another_numba():
        raise AttributeError("no such part of numba")

    hint = prefetch.choose_prefetch(made_for_another_numba)
    hint(np.zeros(3, np.uint8), 7)  # does nothing, anywhere
    assert hint is not prefetch.prefetch
