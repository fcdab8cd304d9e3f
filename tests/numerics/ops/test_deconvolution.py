"""Deconvolution: the paper's formula, and that it undoes what a microscope does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.ops.ctf import deconvolution
from warptui.engine.ops.ctf.deconvolution import assumed_ssnr, deconvolve, wiener_filter
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf_image

OPTICS = Optics(300.0, 2.7, 0.07)
PIXEL = 4.0


def blobs(n: int, seed: int = 0) -> torch.Tensor:
    """Dark discs of 100 Å on 0."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    image = np.zeros((n, n), np.float32)
    for centre_y, centre_x in random.uniform(30, n - 30, (12, 2)):
        image -= np.hypot(y - centre_y, x - centre_x) < 50 / PIXEL
    return torch.from_numpy(image)


def imaged(image: torch.Tensor, defocus: float, **given: float) -> torch.Tensor:
    shape = (image.shape[0], image.shape[1])
    ctf = calculate_ctf_image(shape, PIXEL, OPTICS, defocus=defocus, **given)
    return torch.fft.irfft2(torch.fft.rfft2(image) * ctf, s=shape)


def likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_the_ratio_is_that_of_the_paper():
    k = torch.tensor([0.0, 1 / 600, 1 / 300, 1 / 20], dtype=torch.float64)
    found = assumed_ssnr(k, strength=1.0, falloff=1.0, highpass_angstrom=300.0)
    decay = [math.exp(-100 * 2 * value) * 1000 for value in k.tolist()]
    expected = [0.0, 0.5 * decay[1], decay[2], decay[3]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.floats(-1, 1), st.floats(0, 1e6))
def test_the_filter_never_amplifies_more_than_the_ctf_took(ctf: float, ssnr: float):
    found = float(wiener_filter(torch.tensor(ctf).double(), torch.tensor(ssnr).double()))
    assert found * ctf >= 0
    assert abs(found * ctf) <= 1


def test_a_clean_signal_comes_back_where_the_ctf_is_not_zero():
    ctf = torch.tensor([1.0, -0.5, 0.1])
    assert wiener_filter(ctf, torch.tensor(1e9)) == pytest.approx(1 / ctf, rel=1e-4)


@pytest.mark.parametrize("phase_shift", [0.0, math.pi / 2])
def test_particles_are_seen_again(phase_shift: float):
    truth = blobs(256)
    random = torch.Generator().manual_seed(1)
    seen = imaged(truth, 1e4, phase_shift=phase_shift)
    seen = seen + 0.3 * torch.randn(seen.shape, generator=random)
    found = deconvolve(seen, PIXEL, OPTICS, defocus=1e4, phase_shift=phase_shift)
    assert abs(float(found.mean())) < 1e-5
    assert likeness(found, truth) > max(0.65, likeness(seen, truth) + 0.1)


def test_astigmatism_is_taken_along():
    truth = blobs(256)
    given = {"astigmatism": 20000.0, "astigmatism_angle": 0.6}
    seen = imaged(truth, 3e4, **given)
    weak = {"falloff": 0.3, "defocus": 3e4}
    right = likeness(deconvolve(seen, PIXEL, OPTICS, **weak, **given), truth)
    wrong = likeness(deconvolve(seen, PIXEL, OPTICS, **weak), truth)
    across = likeness(
        deconvolve(seen, PIXEL, OPTICS, **weak, astigmatism=-20000.0, astigmatism_angle=0.6), truth
    )
    assert right > wrong + 0.01 > across + 0.02


def test_the_size_stays_whatever_it_is():
    image = torch.randn(97, 130, generator=torch.Generator().manual_seed(0))
    found = deconvolve(image, PIXEL, OPTICS, defocus=1e4)
    assert found.shape == image.shape and bool(torch.isfinite(found).all())


def test_uneven_illumination_is_no_contrast():
    ramp = torch.linspace(0, 100, 256).expand(256, 256) + torch.linspace(0, 50, 256)[:, None]
    assert float(deconvolve(ramp, PIXEL, OPTICS, defocus=1e4).abs().max()) < 0.1


def test_leaving_out_what_is_negligible_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    seen = imaged(blobs(256), 1e4)
    found = deconvolve(seen, 2.0, OPTICS, defocus=1e4)
    monkeypatch.setattr(deconvolution, "NEGLIGIBLE", 1e-30)
    whole = deconvolve(seen, 2.0, OPTICS, defocus=1e4)
    assert float((found - whole).abs().max()) < 1e-4 * float(whole.std())
