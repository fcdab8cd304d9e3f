"""The mean |CTF| of the good items, against the engine's own formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.screens.fake_ctf import OPTICS
from tests.screens.test_mirror import filled
from tests.work import instructions
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf
from warptui.screens.overview.mean_ctf import FREQUENCIES, _groups, mean_abs_ctf, mean_ctf

K3 = {"voltage": 200.0, "cs": 1.4, "amplitude_contrast": 0.1}


def by_the_engine(defocus, phase_shift, optics) -> np.ndarray:
    k2 = torch.as_tensor(FREQUENCIES**2)
    lens = Optics(*(optics[key] for key in ("voltage", "cs", "amplitude_contrast")))
    total = torch.zeros_like(k2)
    for z, phase in zip(defocus.tolist(), phase_shift.tolist(), strict=True):
        total += calculate_ctf(k2, z, lens, phase).abs()
    return (total / len(defocus)).numpy()


@pytest.mark.parametrize("optics", [OPTICS, K3])
@pytest.mark.parametrize("n", [1, 3, 200])
def test_of_some_items_it_is_what_the_engine_calculates(n: int, optics: dict) -> None:
    random = np.random.default_rng(n)
    defocus, phase = random.uniform(2000, 40_000, n), random.uniform(0, 3, n)
    found = mean_abs_ctf(defocus, phase, optics)
    np.testing.assert_allclose(found, by_the_engine(defocus, phase, optics), atol=1e-3)


@pytest.mark.parametrize("turned", [0.0, 1.0])
def test_of_many_items_it_is_close_to_that(turned: float) -> None:
    random = np.random.default_rng(0)
    defocus, phase = random.uniform(3000, 30_000, 5000), turned * random.uniform(0, 3, 5000)
    found = mean_abs_ctf(defocus, phase, OPTICS)
    np.testing.assert_allclose(found, by_the_engine(defocus, phase, OPTICS), atol=0.02)


def test_overfocus_and_one_defocus_for_all() -> None:
    defocus, phase = np.full(100, -8000.0), np.zeros(100)
    found = mean_abs_ctf(defocus, phase, OPTICS)
    np.testing.assert_allclose(found, by_the_engine(defocus[:1], phase[:1], OPTICS), atol=1e-3)


def test_only_items_that_are_kept_and_have_a_ctf_count() -> None:
    mirror = filled(300)
    defocus = mirror.values("ctf.defocus_um")
    kept = np.zeros(300, dtype=bool)
    kept[np.flatnonzero(np.isfinite(defocus))[:5]] = True
    kept[np.flatnonzero(np.isnan(defocus))] = True
    known = kept & np.isfinite(defocus)
    found = mean_ctf(mirror, kept, OPTICS)
    assert found is not None
    expected = by_the_engine(1e4 * defocus[known], np.zeros(5), OPTICS)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_it_is_unknown_without_good_items_or_a_microscope() -> None:
    mirror = filled(300)
    assert mean_ctf(mirror, np.zeros(300, dtype=bool), OPTICS) is None
    assert mean_ctf(mirror, np.isnan(mirror.values("ctf.defocus_um")), OPTICS) is None
    assert mean_ctf(mirror, np.ones(300, dtype=bool), {}) is None


@pytest.mark.parametrize("turned", [0.0, 1.0])
def test_many_items_cost_no_more_than_some(turned: float) -> None:
    def work(n: int) -> tuple[int, int]:
        random = np.random.default_rng(0)
        defocus, phase = random.uniform(3000, 30_000, n), turned * random.uniform(0, 3, n)
        _, weights = _groups(defocus, phase)
        return len(weights), instructions(lambda: mean_abs_ctf(defocus, phase, OPTICS))

    (_, few), (n_groups, many) = work(1000), work(20_000)
    assert n_groups <= 1024
    assert many < 2 * few  # none goes through the items one by one
