"""The app's deconvolution is the engine's, and quick enough for a key."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.work import counted
from warptui.engine.ops.ctf.deconvolution import deconvolve
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf_image
from warptui.screens.item.deconvolution import Filter, Lens, ctf, deconvolved, lens_of

LENS = Lens(200.0, 1.4, 0.1, 1.3, 0.2, 25.0, 30.0)
PIXEL = 6.0


def test_the_ctf_is_the_engines():
    n = 64
    ky = np.fft.fftfreq(n, PIXEL)[:, None]
    kx = np.fft.rfftfreq(n, PIXEL)[None, :]
    theirs = calculate_ctf_image(
        (n, n), PIXEL, Optics(200.0, 1.4, 0.1), defocus=1.3e4, astigmatism=2e3,
        astigmatism_angle=math.radians(25), phase_shift=math.radians(30),
    )  # fmt: skip
    np.testing.assert_allclose(ctf(LENS, ky, kx), theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("how", [Filter(), Filter(0.8, 0.7, 200.0)])
def test_the_picture_is_the_engines(how: Filter):
    pixels = np.random.default_rng(0).integers(0, 256, (180, 200)).astype(np.uint8)
    ours = deconvolved(pixels, PIXEL, LENS, how)
    theirs = deconvolve(
        torch.from_numpy(pixels).float(), PIXEL, Optics(200.0, 1.4, 0.1), defocus=1.3e4,
        astigmatism=2e3, astigmatism_angle=math.radians(25), phase_shift=math.radians(30),
        strength=how.strength, falloff=how.falloff, highpass_angstrom=how.highpass_angstrom,
    ).numpy()  # fmt: skip
    inside = np.s_[40:-40, 40:-40]  # paddings differ
    assert np.corrcoef(ours[inside].ravel(), theirs[inside].ravel())[0, 1] > 0.99
    assert ours.shape == pixels.shape


def test_without_a_ctf_there_is_nothing_to_undo():
    assert lens_of({"defocus_um": None}, {}) is None
    found = lens_of({"defocus_um": 1.0, "phase_shift_deg": None}, {"voltage": 200.0})
    assert found == Lens(200.0, 2.7, 0.07, 1.0)


def test_a_picture_takes_one_transform_there_and_one_back(monkeypatch: pytest.MonkeyPatch):
    pixels = np.random.default_rng(0).integers(0, 256, (512, 496)).astype(np.uint8)
    there, back = (counted(monkeypatch, np.fft, name) for name in ("rfft2", "irfft2"))
    deconvolved(pixels, 8.0, LENS, Filter())
    ((padded, *_),), ((spectrum, *_),) = there, back
    assert padded.size < 2.5 * pixels.size and padded.dtype == np.float32
    assert spectrum.size < 0.6 * padded.size
