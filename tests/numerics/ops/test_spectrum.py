"""Pictures of spectra: what is where, and that a model that fits meets the rings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from warptui.engine.ops.ctf.spectrum import flattened, picture, resized, upper_half
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf_image

OPTICS = Optics(300.0, 2.7, 0.07)
N, PIXEL = 128, 1.5
CTF = {"defocus": 9e3, "astigmatism": 2500.0, "astigmatism_angle": 0.5, "phase_shift": 0.0}


def power(seed: int = 0) -> torch.Tensor:
    """Rings on a steep background, with the noise of a hundred patches."""
    ctf = calculate_ctf_image((N, N), PIXEL, OPTICS, **CTF)
    k = torch.hypot(torch.fft.fftfreq(N, PIXEL)[:, None], torch.fft.rfftfreq(N, PIXEL))
    noise = torch.from_numpy(np.random.default_rng(seed).gamma(100, 0.01, ctf.shape)).float()
    return 1e4 * torch.exp(-12 * k) * (1 + 0.8 * ctf**2 * torch.exp(-30 * k**2)) * noise


def test_the_background_is_gone_and_the_spread_is_even():
    flat = flattened(power())
    k = torch.hypot(torch.fft.fftfreq(N)[:, None], torch.fft.rfftfreq(N))
    for low, high in ((0.05, 0.2), (0.2, 0.35), (0.35, 0.5)):
        ring = flat[(k > low) & (k < high)]
        assert abs(float(ring.mean())) < 0.3
        assert float(ring.std()) == pytest.approx(1.0, abs=0.25)


def test_the_upper_half_is_that_of_the_whole():
    image = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
    whole = torch.fft.fftshift(torch.fft.fft2(image).abs() ** 2)
    half = upper_half(torch.fft.rfft2(image).abs() ** 2)
    assert half.shape == (8, 16)
    torch.testing.assert_close(half, whole[8:], rtol=1e-4, atol=1e-3)


def rings_meet(ctf: dict[str, float]) -> float:
    """Correlation of the model on the left with what was measured at the same frequencies."""
    shown = picture(flattened(power()), PIXEL, OPTICS, (25.0, 4.0), tuple(ctf.values()))  # type: ignore[arg-type]
    shown = shown.float()
    reach = shown.shape[0] // 2
    turned = shown.flip(0, 1).roll((1, 1), (0, 1))
    k = torch.arange(-reach, reach) / (N * PIXEL)
    k = torch.hypot(k[:, None], k[None, :reach])
    inside = (k > 1 / 20) & (k < 1 / 4.5)
    pair = torch.stack([shown[:, :reach][inside], turned[:, :reach][inside]])
    return float(torch.corrcoef(pair)[0, 1])


def test_a_model_that_fits_meets_the_rings_and_another_does_not():
    right = rings_meet(CTF)
    assert right > 0.6
    assert rings_meet(CTF | {"defocus": 1.1e4}) < right - 0.3
    assert rings_meet(CTF | {"astigmatism_angle": 0.5 + math.pi / 2}) < right - 0.3


def test_the_picture_reaches_a_little_beyond_the_fit():
    flat = flattened(power())
    shown = picture(flat, PIXEL, OPTICS, (25.0, 6.0), None)
    assert shown.dtype == torch.uint8
    assert shown.shape == (2 * math.ceil(1.1 * N * PIXEL / 6),) * 2
    assert picture(flat, PIXEL, OPTICS, (25.0, 3.0), None).shape == (N, N)


def test_the_model_fades_with_its_envelope():
    flat = flattened(power())
    ctf = (9e3, 2500.0, 0.5, 0.0)
    shown = picture(flat, PIXEL, OPTICS, (25.0, 4.0), ctf, torch.linspace(1, 0, 64)).float()
    plain = picture(flat, PIXEL, OPTICS, (25.0, 4.0), ctf).float()
    reach = shown.shape[0] // 2
    far, near = np.s_[reach, :8], np.s_[reach, reach - 16 : reach - 8]
    assert float(shown[far].std()) < 0.5 * float(plain[far].std())
    assert float(shown[near].std()) > 0.7 * float(plain[near].std())


def test_without_a_model_both_sides_are_measured():
    shown = picture(flattened(power()), PIXEL, OPTICS, (25.0, 4.0), None).float()
    turned = shown.flip(0, 1).roll((1, 1), (0, 1))
    torch.testing.assert_close(shown[1:, 1:], turned[1:, 1:])


@pytest.mark.parametrize("m", [64, 90, 128])
def test_a_resized_spectrum_keeps_its_frequencies(m: int):
    def symmetric(n: int) -> torch.Tensor:
        ky, kx = torch.fft.fftfreq(n)[:, None], torch.fft.rfftfreq(n)[None, :]
        return torch.cos(12 * torch.sqrt(ky**2 + kx**2 + 0.4 * ky * kx))

    found, expected = resized(symmetric(m), 64), symmetric(64)
    assert found.shape == expected.shape
    inside = np.s_[:24, 1:24]
    assert float((found[inside] - expected[inside]).abs().max()) < 0.08
