"""The fast cost is the paper's cost, its gradient is exact, and the CPU kernel computes it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_frames import rings_of

from warptui.engine.ops.common.fourier import frequencies_yx, shift_phases
from warptui.engine.ops.motion.likelihood import evaluate, evaluate_in_torch
from warptui.engine.ops.motion.rings import Rings, make_rings, ring_mean

PIXEL = 1.7
SHAPES = [(24, 24), (25, 31), (18, 40), (33, 20)]


def random_case(
    shape_yx: tuple[int, int], n_patches: int, n_frames: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, Rings, torch.Tensor]:
    """Images (patch, frame, y, x), shifts, rings and weights of the rings."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n_patches, n_frames, *shape_yx, generator=generator)
    shifts = 3 * torch.randn(n_patches, n_frames, 2, generator=generator, dtype=torch.float64)
    rings = rings_of(shape_yx, PIXEL, n_rings=9)
    weights = torch.rand(rings.n_rings, generator=generator, dtype=torch.float64)
    return images, shifts, rings, weights


def papers_cost(
    images: torch.Tensor, shifts: torch.Tensor, rings: Rings, weights: torch.Tensor
) -> torch.Tensor:
    """Weighted sum over frames and the whole plane of |I - mean|², (patch,), term by term."""
    shape = images.shape[-2:]
    k = [torch.fft.fftfreq(n, PIXEL).double() for n in shape]
    phase = (
        -2
        * math.pi
        * (shifts[..., 0, None, None] * k[0][:, None] + shifts[..., 1, None, None] * k[1][None, :])
    )
    moved = torch.fft.fft2(images.to(torch.complex128)) * torch.exp(1j * phase)
    distance = (moved - moved.mean(1, keepdim=True)).abs().square().sum(1)
    radius = (k[0][:, None] ** 2 + k[1][None, :] ** 2).sqrt()
    width = float(rings.k[1] - rings.k[0])
    ring = (radius / width).floor().long()
    inside = (ring < rings.n_rings) & (radius > 0.6 / (PIXEL * min(shape)))
    return (torch.where(inside, weights[ring.clamp(max=len(weights) - 1)], 0) * distance).sum(
        (1, 2)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_agreement_rises_by_what_the_papers_cost_falls(shape):
    images, shifts, rings, weights = random_case(shape, 3, 5, seed=1)
    spectra = torch.fft.rfft2(images)
    other = 0.7 * shifts.flip(1)
    gained = (
        evaluate(spectra, other, rings, weights).value
        - evaluate(spectra, shifts, rings, weights).value
    )
    fallen = papers_cost(images, shifts, rings, weights) - papers_cost(
        images, other, rings, weights
    )
    # |I - mean|² summed over T frames lacks |sum|² / T; the half plane holds every wave once
    torch.testing.assert_close(gained, fallen * 5 / 2, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_frames", [1, 2, 6])
def test_the_score_is_the_gradient_of_the_value(shape, n_frames):
    images, shifts, rings, weights = random_case(shape, 2, n_frames, seed=2)
    spectra = torch.fft.rfft2(images)
    agreement = evaluate(spectra, shifts, rings, weights)
    step = 0.02  # a fourth order difference: float32 noise, not curvature, limits it
    scale = float(agreement.score.abs().max())
    for patch, frame, axis in ((0, 0, 0), (1, n_frames - 1, 1), (1, n_frames // 2, 0)):
        values = []
        for factor in (-2, -1, 1, 2):
            moved = shifts.clone()
            moved[patch, frame, axis] += factor * step
            values.append(evaluate(spectra, moved, rings, weights).value[patch])
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        expected = float(agreement.score[patch, frame, axis])
        assert float(slope) == pytest.approx(expected, abs=2e-3 * scale + 0.2)


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(9, 40), st.integers(9, 40)),
    n_patches=st.integers(1, 4),
    n_frames=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_the_cpu_kernel_agrees_with_plain_torch_at_any_size(shape, n_patches, n_frames, seed):
    images, shifts, rings, weights = random_case(shape, n_patches, n_frames, seed)
    spectra = torch.fft.rfft2(images)
    fused = evaluate(spectra, shifts, rings, weights)
    phase_y, phase_x = shift_phases(rings.ky, rings.kx, shifts)
    weight = rings.spread(weights) * rings.multiplicity
    plain = evaluate_in_torch(spectra, phase_y, phase_x, rings, weight)
    scale = float(plain.value.max())  # the score of one frame alone is zero but for rounding
    for ours, reference in zip(fused, plain, strict=True):
        torch.testing.assert_close(ours, reference, rtol=2e-4, atol=1e-5 * scale + 1e-6)


@given(y=st.floats(-20, 20), x=st.floats(-20, 20))
def test_a_shift_of_all_frames_together_changes_nothing(y, x):
    images, shifts, rings, weights = random_case((22, 27), 2, 4, seed=3)
    spectra = torch.fft.rfft2(images)
    before = evaluate(spectra, shifts, rings, weights)
    after = evaluate(spectra, shifts + torch.tensor([y, x]), rings, weights)
    torch.testing.assert_close(after.value, before.value, rtol=1e-4, atol=1e-3)
    pushes = before.score.sum(1).abs().max() / before.score.abs().max()
    assert float(pushes) < 1e-3


def test_the_agreement_is_largest_where_the_frames_coincide():
    generator = torch.Generator().manual_seed(5)
    image = torch.randn(32, 32, generator=generator)
    truth = torch.tensor([[0.0, 0.0], [2.0, -1.0], [3.0, 4.0]], dtype=torch.float64)
    frames = [image.roll((int(y), int(x)), (0, 1)) for y, x in truth]
    spectra = torch.fft.rfft2(torch.stack(frames))[None]
    rings = rings_of((32, 32), 1.0, n_rings=8)
    weights = torch.ones(8, dtype=torch.float64)
    best = evaluate(spectra, -truth[None], rings, weights)
    assert float(best.score.abs().max()) < 1e-3 * float(best.value)
    for _ in range(20):
        other = -truth + 2 * torch.randn(3, 2, generator=generator, dtype=torch.float64)
        assert float(evaluate(spectra, other[None], rings, weights).value) < float(best.value)


@given(ny=st.integers(8, 40), nx=st.integers(8, 40))
def test_the_half_spectrum_counts_every_wave_of_the_plane_once(ny, nx):
    rings = rings_of((ny, nx), 1.0, n_rings=6, k_max_of_nyquist=0.9)
    ky, kx = torch.fft.fftfreq(ny).double(), torch.fft.fftfreq(nx).double()
    k = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt()
    inside = (k >= 0.6 / min(ny, nx)) & (k < 0.45)
    # k and -k are one wave
    assert float(rings.n_coefficients.sum()) == pytest.approx(float(inside.sum()) / 2, abs=1)


def test_ring_means_are_plain_means_over_the_plane_and_leave_out_the_rest():
    image = torch.randn(30, 36, generator=torch.Generator().manual_seed(7))
    rings = rings_of((30, 36), 1.0, n_rings=5, k_max_of_nyquist=0.8)
    ours = ring_mean(torch.fft.rfft2(image).abs().square(), rings)
    power = torch.fft.fft2(image.double()).abs().square()
    k = (torch.fft.fftfreq(30)[:, None] ** 2 + torch.fft.fftfreq(36)[None, :] ** 2).sqrt()
    ring = (k / 0.4 * 5).floor()
    inside = k >= 0.6 / 30
    expected = torch.stack([power[(ring == index) & inside].mean() for index in range(5)])
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=0)


def test_a_range_without_low_frequencies_leaves_their_rings_empty():
    ky, kx = frequencies_yx((64, 64), (1.0, 1.0))
    rings = make_rings(ky, kx, k_min=0.2, k_max=0.4, n_rings=8, nyquist_column=True)
    assert (rings.n_coefficients[:4] == 0).all() and (rings.n_coefficients[4:] > 0).all()
    assert (ring_mean(torch.ones(64, 33), rings)[:4] == 0).all()
    spread = rings.spread(torch.ones(8, dtype=torch.float64))
    k = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt()
    assert (spread[k < 0.19] == 0).all() and (spread[k > 0.41] == 0).all()
