"""The CTF agrees with Warp's own image, with numbers worked out by hand, and with itself."""

from __future__ import annotations

import math
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.ops.ctf.transfer_function import (
    Optics,
    calculate_ctf,
    calculate_ctf_image,
    calculate_phase,
    find_peaks,
    find_zeros,
    rescale_k2,
    wavelength_angstrom,
)

KRIOS = Optics(300.0, 2.7, 0.07)


def at(resolution: float, defocus_um: float, phase_shift: float = 0.0) -> float:
    k2 = torch.tensor([resolution**-2], dtype=torch.float64)
    return float(calculate_ctf(k2, defocus_um * 1e4, KRIOS, phase_shift))


def test_wavelengths():
    assert wavelength_angstrom(300) == pytest.approx(0.019687615, abs=1e-8)
    assert wavelength_angstrom(200) == pytest.approx(0.025079494, abs=1e-8)


def test_values_at_known_frequencies():
    assert at(1e9, 1.0) == pytest.approx(0.07)
    assert at(20, 1.0) == pytest.approx(0.999054, abs=1e-6)
    assert at(1e9, 0.5, 0.5 * math.pi) == pytest.approx(0.997547, abs=1e-6)


@pytest.mark.parametrize(
    ("defocus_um", "phase", "expected"),
    [
        (1.0, 0.0, [14.172, 9.951, 8.099, 6.998]),
        (2.0, 0.0, [20.062, 14.101, 11.488, 9.936]),
        (0.5, 0.5 * math.pi, [14.318, 8.096, 6.217, 5.217]),
    ],
)
def test_zeros_lie_where_they_are_known_to_lie(defocus_um, phase, expected):
    zeros = find_zeros(defocus_um * 1e4, KRIOS, 0.3, phase)
    assert [1 / k for k in zeros[:4]] == pytest.approx(expected, abs=6e-4)


@given(
    defocus_um=st.floats(-3, 5),
    cs=st.floats(0, 4),
    phase=st.floats(0, math.pi),
    voltage=st.sampled_from([100.0, 200.0, 300.0]),
)
def test_zeros_and_peaks_are_all_that_a_fine_curve_shows(defocus_um, cs, phase, voltage):
    optics = Optics(voltage, cs, 0.07)
    k = torch.linspace(0, 0.35, 60001, dtype=torch.float64)
    curve = calculate_ctf(k**2, defocus_um * 1e4, optics, phase)
    zeros = find_zeros(defocus_um * 1e4, optics, 0.35, phase)
    peaks = find_peaks(defocus_um * 1e4, optics, 0.35, phase)
    for found, height in ((zeros, 0.0), (peaks, 1.0)):
        values = calculate_ctf(
            torch.tensor(found, dtype=torch.float64) ** 2, defocus_um * 1e4, optics, phase
        )
        np.testing.assert_allclose(values.abs(), height, atol=1e-5)
    crossed = int((curve[1:].sign() != curve[:-1].sign()).sum())
    # a curve that touches zero between two samples shows none of its two zeros
    assert len(zeros) >= crossed
    assert len(zeros) - crossed <= 3


@pytest.mark.shared
def test_it_is_the_image_that_warp_draws(shared_data: Path):
    with mrcfile.open(shared_data / "golden" / "ctf_reference.mrc") as file:
        golden = np.array(file.data)
    first = 0.9 * calculate_ctf_image(
        (256, 256),
        1.1,
        Optics(300, 2.7, 0.1),
        defocus=1.5e4,
        astigmatism=0.3e4,
        astigmatism_angle=math.radians(25),
        phase_shift=0.4 * math.pi,
        b_factor=-40,
    )
    second = calculate_ctf_image(
        (256, 256), 1.5, Optics(200, 2.7, 0.07), defocus=2.5e4, b_factor=-40
    )
    for ours, theirs in zip((first, second), golden, strict=True):
        # on the Nyquist row the sign of ky, and so the side of the astigmatism, is a convention
        rows = np.arange(256) != 128
        np.testing.assert_allclose(ours[rows], theirs[rows], atol=2e-5)


# voltage, Cs, amplitude contrast, defocus and u - v in µm, angle of u and phase shift in degrees,
# Å/px; then values that torch-ctf 0.6.0 gives: `calculate_ctf_1d` of 129 samples at 0, 20, 50, 80,
# and `calculate_ctf_2d` of (64, 96) at rows 0, 12, 9, -9 and columns 10, 0, 14, 14.
TORCH_CTF = [
    ((300.0, 2.7, 0.07, 1.5, 0.04, 30.0, 0.0, 1.1),
     (0.07, -0.99957, -0.66143, -0.54966), (0.84452, 0.99146, 0.1212, -0.56856)),
    ((200.0, 2.7, 0.1, 0.8, 0.1, 75.0, 0.0, 0.83),
     (0.1, -0.60605, 0.99938, 0.5723), (0.09988, 0.75086, -0.96932, 0.50234)),
    ((300.0, 0.01, 0.07, 2.2, 0.3, -20.0, 60.0, 1.4),
     (0.8989, -0.80082, 0.62455, -0.20291), (0.37203, -0.77324, -0.14141, -0.4828)),
    ((200.0, 1.4, 0.1, 1.0, 0.02, 140.0, 90.0, 1.0),
     (0.99499, 0.18273, -0.1929, -0.09291), (-0.69567, -0.58027, 0.9927, 0.72663)),
]  # fmt: skip


@pytest.mark.parametrize(("given", "curve", "image"), TORCH_CTF)
def test_it_is_what_torch_ctf_calculates(given: tuple, curve: tuple, image: tuple):
    voltage, cs, amplitude, defocus_um, astigmatism_um, angle, phase, pixel_size = given
    optics = Optics(voltage, cs, amplitude)
    k = torch.tensor([0, 20, 50, 80], dtype=torch.float64) / 128 * 0.5 / pixel_size
    ours = calculate_ctf(k**2, defocus_um * 1e4, optics, math.radians(phase))
    # constants of the wavelength differ in the sixth digit
    np.testing.assert_allclose(ours, curve, atol=2e-3)
    whole = calculate_ctf_image(
        (64, 96),
        pixel_size,
        optics,
        defocus=defocus_um * 1e4,
        astigmatism=astigmatism_um * 1e4,
        astigmatism_angle=math.radians(angle),
        phase_shift=math.radians(phase),
    )
    np.testing.assert_allclose(whole[[0, 12, 9, -9], [10, 0, 14, 14]], image, atol=2e-3)


def test_a_longer_pixel_scales_frequencies_along_its_direction():
    plain = calculate_ctf_image((64, 64), 2.2, KRIOS, defocus=1e4)
    long = calculate_ctf_image((64, 64), 2.1, KRIOS, defocus=1e4, pixel_delta=0.2, pixel_angle=0)
    short = calculate_ctf_image((64, 64), 2.0, KRIOS, defocus=1e4)
    np.testing.assert_allclose(long[0], plain[0], atol=1e-6)
    np.testing.assert_allclose(long[:, 0], short[:, 0], atol=1e-6)


@given(old=st.floats(3e3, 5e4), new=st.floats(3e3, 5e4), k=st.floats(0.01, 0.15))
def test_rescaled_frequencies_have_the_same_phase(old, new, k):
    k2 = torch.tensor([k * k], dtype=torch.float64)
    moved = rescale_k2(k2, old, new, KRIOS)
    if bool(moved.isnan()):
        # the other defocus turns before it gets there
        highest = calculate_phase(
            torch.tensor([new / KRIOS.quartic], dtype=torch.float64), new, KRIOS
        )
        assert float(highest) < float(calculate_phase(k2, old, KRIOS))
        return
    difference = calculate_phase(moved, new, KRIOS) - calculate_phase(k2, old, KRIOS)
    assert abs(float(difference)) < 1e-8
