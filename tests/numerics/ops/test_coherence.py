"""Signal-to-noise ratios are recovered from frames, and noise alone is never significant."""

from __future__ import annotations

import math

import pytest
import torch
from simulated_frames import make_frames, rings_of

from warptui.engine.ops.frames.dose import critical_dose_amplitude
from warptui.engine.ops.motion.coherence import (
    Coherence,
    held_out_significance,
    information,
    likelihood_weights,
)
from warptui.engine.ops.motion.data_term import Comparison, make_comparison
from warptui.engine.ops.motion.rings import ring_mean
from warptui.engine.ops.motion.track import search_track

PIXEL = 2.0
N_FRAMES = 12
DOSE = torch.arange(N_FRAMES, dtype=torch.float64) * 2.0 + 1.0


def falling(k: torch.Tensor) -> torch.Tensor:
    """A signal-to-noise ratio like that of a movie: 0.3 at low, 0.01 at high frequency."""
    return 0.3 * torch.exp(-15 * k)


def damaged(k: torch.Tensor) -> torch.Tensor:
    return critical_dose_amplitude(k, DOSE, 300).float()


def compared(
    spectra: torch.Tensor, dose: torch.Tensor | None, shape: tuple[int, int], n_rings: int = 24
) -> Comparison:
    rings = rings_of(shape, PIXEL, n_rings)
    return make_comparison(spectra, rings, dose=dose, voltage=300, b_factor=0.0)


def coherence_at(comparison: Comparison, shifts: torch.Tensor) -> Coherence:
    return comparison.coherence(comparison.evaluate(shifts, torch.zeros_like(comparison.extra)))


@pytest.mark.parametrize("with_damage", [False, True])
@pytest.mark.parametrize("noise", [1.0, 30.0])
def test_signal_and_noise_of_aligned_frames_are_recovered(with_damage, noise):
    generator = torch.Generator().manual_seed(0)
    displacement = 5 * torch.randn(4, N_FRAMES, 2, generator=generator, dtype=torch.float64)
    spectra = make_frames(
        displacement,
        falling,
        (192, 192),
        PIXEL,
        seed=1,
        noise=noise,
        amplitude=damaged if with_damage else None,
    )
    comparison = compared(spectra, DOSE if with_damage else None, (192, 192))
    found = coherence_at(comparison, -displacement)
    known = slice(2, -2)  # the innermost rings hold too few coefficients to tell
    expected = falling(comparison.rings.k)
    torch.testing.assert_close(found.snr[known], expected[known], rtol=0.12, atol=0.004)
    power = noise**2 * 192 * 192
    torch.testing.assert_close(
        found.noise_power[known] / power, torch.ones_like(expected[known]), rtol=0.05, atol=0
    )


def test_misaligned_frames_have_less_in_common():
    displacement = torch.zeros(1, N_FRAMES, 2, dtype=torch.float64)
    displacement[0, :, 0] = torch.linspace(0, 30, N_FRAMES)
    spectra = make_frames(displacement, falling, (128, 128), PIXEL, seed=2)
    comparison = compared(spectra, None, (128, 128))
    high = comparison.rings.k > 0.08
    aligned = coherence_at(comparison, -displacement).snr[high]
    not_aligned = coherence_at(comparison, torch.zeros_like(displacement)).snr[high]
    assert float(not_aligned.mean()) < 0.25 * float(aligned.mean())


def test_the_signal_is_never_negative_and_the_noise_never_zero():
    spectra = make_frames(torch.zeros(1, 3, 2), torch.zeros_like, (64, 64), PIXEL, seed=3)
    noise_only = coherence_at(compared(spectra, None, (64, 64)), torch.zeros(1, 3, 2).double())
    image = torch.randn(64, 64, generator=torch.Generator().manual_seed(3))
    same = torch.fft.rfft2(image).expand(1, 3, -1, -1).clone()
    signal_only = coherence_at(compared(same, None, (64, 64)), torch.zeros(1, 3, 2).double())
    for found in (noise_only, signal_only):
        assert (found.snr >= 0).all() and (found.noise_power > 0).all()
        assert found.snr.isfinite().all()
    assert float(noise_only.snr.max()) < 0.2 < 1 < float(signal_only.snr.median())


@pytest.mark.parametrize("with_damage", [False, True])
def test_the_expected_information_is_the_covariance_of_the_score_at_the_truth(with_damage):
    n_patches = 400
    displacement = torch.zeros(n_patches, N_FRAMES, 2, dtype=torch.float64)
    spectra = make_frames(
        displacement,
        falling,
        (32, 32),
        PIXEL,
        seed=4,
        amplitude=damaged if with_damage else None,
    )
    comparison = compared(spectra, DOSE if with_damage else None, (32, 32), n_rings=10)
    rings = comparison.rings
    truth = Coherence(torch.full((10,), 32.0 * 32.0).double(), falling(rings.k))
    weights = likelihood_weights(truth, comparison.amplitude, comparison.extra)
    expected = information(truth, weights, rings.k, rings.n_coefficients)
    torch.testing.assert_close(expected.sum(1), torch.zeros(N_FRAMES).double(), atol=1e-9, rtol=0)
    score = comparison.evaluate(displacement, weights.likelihood).score
    both_axes = torch.cat([score[..., 0], score[..., 1]])
    covariance = both_axes.T @ both_axes / len(both_axes)
    scale = float(expected.diagonal().mean())
    assert float((covariance - expected).diagonal().mean()) == pytest.approx(0, abs=0.1 * scale)
    between = torch.triu(covariance - expected, 1).sum() * 2 / (N_FRAMES * (N_FRAMES - 1))
    assert float(between) == pytest.approx(0, abs=0.02 * scale)


def significance(comparison: Comparison, shifts: torch.Tensor) -> float:
    agreement = comparison.evaluate(shifts, torch.zeros_like(comparison.extra))
    return held_out_significance(
        comparison.total_power,
        comparison.damaged_power,
        agreement.ring_power,
        comparison.amplitude,
        comparison.rings.n_coefficients,
    )


def assert_standard_normal(values: list[float]) -> None:
    z = torch.tensor(values)
    n = len(values)
    assert abs(float(z.mean())) < 3.5 / math.sqrt(n)
    assert 1 - 3 / math.sqrt(2 * n) < float(z.std()) < 1 + 3 / math.sqrt(2 * n)
    assert float(z.max()) < 4.0


@pytest.mark.parametrize("dose", [None, DOSE])
def test_pure_noise_has_a_standard_normal_significance(dose):
    still = torch.zeros(1, N_FRAMES, 2, dtype=torch.float64)
    values = []
    for seed in range(100):
        spectra = make_frames(still, torch.zeros_like, (64, 64), PIXEL, seed=1000 + seed)
        values.append(significance(compared(spectra, dose, (64, 64), n_rings=40), still))
    assert_standard_normal(values)


def test_pure_noise_stays_standard_normal_after_a_search_over_the_other_rings():
    pixel = 5.0  # so coarse that the search sees all of the few coefficients
    rings = rings_of((64, 64), pixel, n_rings=32)
    keep = rings.spread(1.0 - torch.arange(32, dtype=torch.float64) % 2)
    still = torch.zeros(1, 5, 2, dtype=torch.float64)
    values = []
    for seed in range(60):
        spectra = make_frames(still, torch.zeros_like, (64, 64), pixel, seed=5000 + seed)
        shifts = search_track(spectra[0], (64, 64), (pixel, pixel), keep)
        comparison = make_comparison(spectra, rings, dose=None, voltage=300, b_factor=0.0)
        values.append(significance(comparison, shifts[None]))
    assert_standard_normal(values)


def test_a_common_signal_is_significant_where_frames_are_aligned():
    displacement = torch.zeros(1, N_FRAMES, 2, dtype=torch.float64)
    spectra = make_frames(displacement, falling, (96, 96), PIXEL, seed=9)
    comparison = compared(spectra, None, (96, 96), n_rings=32)
    assert significance(comparison, displacement) > 10


def test_the_powers_of_a_comparison_are_those_of_its_frames():
    spectra = make_frames(torch.zeros(2, N_FRAMES, 2), falling, (48, 56), PIXEL, seed=10)
    rings = rings_of((48, 56), PIXEL)
    power = ring_mean(spectra.abs().square().mean((0, 1)), rings)
    left = critical_dose_amplitude(rings.k, DOSE, 300)
    damaged_power = (left.square() * ring_mean(spectra.abs().square().mean(0), rings)).sum(0)
    comparison = make_comparison(spectra, rings, dose=DOSE, voltage=300, b_factor=-100.0)
    torch.testing.assert_close(comparison.total_power, power, rtol=1e-5, atol=0)
    torch.testing.assert_close(comparison.damaged_power, damaged_power, rtol=1e-5, atol=0)
    torch.testing.assert_close(comparison.extra, torch.exp(-25 * rings.k**2), rtol=1e-9, atol=0)
