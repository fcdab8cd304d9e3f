"""Dose weights: the published curve at numbers worked out by hand, Warp's B-factor of -4."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.ops.frames.dose import (
    critical_dose,
    critical_dose_amplitude,
    gaussian_amplitude,
)

# Grant & Grigorieff 2015: Nc(k) = 0.245 k^-1.665 + 2.81 e/Å² at 300 kV, e.g. at 3 Å
# 3^1.665 = exp(1.665 · 1.098612) = 6.22884, · 0.245 = 1.52606, + 2.81 = 4.33606
PUBLISHED = {3.0: 4.33606, 4.0: 5.27375, 10.0: 14.13834, 20.0: 38.7337, 50.0: 167.988}


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize(("resolution", "dose"), PUBLISHED.items())
def test_the_critical_dose_is_the_published_one(resolution, dose):
    assert float(critical_dose(one(1 / resolution), 300)) == pytest.approx(dose, rel=1e-4)


@pytest.mark.parametrize(("voltage", "factor"), [(300, 1.0), (200, 0.8), (120, 0.8)])
def test_at_200_kv_the_specimen_bears_four_fifths_of_the_dose(voltage, factor):
    expected = factor * PUBLISHED[4.0]
    assert float(critical_dose(one(0.25), voltage)) == pytest.approx(expected, rel=1e-4)


def test_at_the_critical_dose_an_e_th_of_the_power_is_left():
    k = torch.tensor([0.05, 0.1, 0.25, 1 / 3], dtype=torch.float64)
    for index, dose in enumerate(critical_dose(k, 300)):
        left = critical_dose_amplitude(k, dose[None], 300)[0, index]
        assert float(left**2) == pytest.approx(0.36788, rel=1e-4)


@given(dose=st.floats(0, 200), k=st.floats(0, 0.5))
def test_warps_weight_is_a_b_factor_of_minus_four_per_unit_dose(dose, k):
    b_factor = -4 * dose
    ours = float(gaussian_amplitude(one(k), one(dose))[0, 0])
    assert ours == pytest.approx(math.exp(b_factor * k**2 / 4), rel=1e-9, abs=1e-12)


@given(dose=st.floats(0.01, 100), more=st.floats(0.01, 100), k=st.floats(0.01, 0.5))
@pytest.mark.parametrize(
    "amplitude", [gaussian_amplitude, lambda k, dose: critical_dose_amplitude(k, dose, 300)]
)
def test_doses_multiply_and_weights_fall_with_dose_and_frequency(amplitude, dose, more, k):
    first, second, both = (float(amplitude(one(k), one(d))) for d in (dose, more, dose + more))
    assert both == pytest.approx(first * second, rel=1e-6, abs=1e-30)
    assert both <= first <= 1
    assert float(amplitude(one(2 * k), one(dose))) <= first


def test_nothing_is_lost_at_zero_dose_nor_the_mean_at_any():
    k = torch.tensor([[0.0, 0.2], [0.1, 0.4]])
    for amplitude in (
        gaussian_amplitude(k, torch.tensor([0.0, 50.0])),
        critical_dose_amplitude(k, torch.tensor([0.0, 50.0]), 300),
    ):
        assert amplitude.shape == (2, 2, 2)
        torch.testing.assert_close(amplitude[0], torch.ones(2, 2))
        assert float(amplitude[1, 0, 0]) == pytest.approx(1, abs=1e-3)
