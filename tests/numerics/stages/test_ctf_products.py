"""What the ctf stage leaves on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch

from warptui.engine.config.settings import Config
from warptui.engine.model.item import Item
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf_image
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import AVERAGE, AverageResult, AverageSettings
from warptui.engine.stages.movie.ctf import CtfResult
from warptui.engine.stages.movie.ctf_products import save_deconvolved, save_spectrum
from warptui.engine.worker.bench.movie import MovieBench, open_bench

OPTICS = Optics(300.0, 2.7, 0.07)
WINDOW, PIXEL = 64, 2.0
FOUND: dict[str, Any] = {
    "defocus_um": 1.0,
    "astigmatism_um": 0.05,
    "astigmatism_angle_deg": 20.0,
    "phase_shift_deg": 0.0,
    "pixel_size": PIXEL,
    "window_px": WINDOW,
    "fit_range_angstrom": (30.0, 5.0),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[MovieBench]:
    """A bench with an average, where deconvolution is wanted."""
    average = AverageSettings(deconvolve=True, deconvolution_strength=0.9)
    with open_bench(
        Item.movie(tmp_path / "a.tif"),
        ProjectPaths(tmp_path),
        Config(stages={"average": average}),
        "cpu",
        threads=1,
        on_progress=lambda fraction: None,
    ) as opened:
        image = torch.randn(90, 100, generator=torch.Generator().manual_seed(0))
        opened.products.save(AVERAGE, image + 20, PIXEL)
        opened.results["average"] = AverageResult(pixel_size=PIXEL, shape_yx=(90, 100))
        yield opened


def power(n: int, pixel_size: float) -> torch.Tensor:
    """Rings, as patches of ``n`` px have them."""
    ctf = calculate_ctf_image((n, n), pixel_size, OPTICS, defocus=1e4)
    noise = np.random.default_rng(0).gamma(400, 1 / 400, ctf.shape)
    return (1 + ctf**2) * torch.from_numpy(noise).float()


@pytest.mark.parametrize(("n", "binning"), [(64, 1.0), (120, 1.0), (256, 2.0), (90, 1.5)])
def test_the_spectrum_is_as_warp_has_it(bench: MovieBench, tmp_path: Path, n: int, binning: float):
    raw = PIXEL / binning
    told = save_spectrum(bench, CtfResult(**FOUND), power(n, raw), raw, OPTICS)
    assert told == "powerspectrum/a.mrc"
    with mrcfile.open(tmp_path / told) as file:
        assert file.data.dtype == np.float32
        half = np.array(file.data)
    assert half.shape == (WINDOW // 2, WINDOW)
    # rings are where the CTF of the window has them, frequency 0 in the middle of the first row
    ky = np.arange(WINDOW // 2)[:, None] / (WINDOW * PIXEL)
    kx = np.arange(-WINDOW // 2, WINDOW // 2)[None, :] / (WINDOW * PIXEL)
    k = np.hypot(ky, kx)
    shape = (2 * WINDOW, 2 * WINDOW)
    fine = calculate_ctf_image(shape, PIXEL, OPTICS, defocus=1e4).numpy()[0] ** 2
    expected = np.interp(k, np.arange(WINDOW + 1) / (2 * WINDOW * PIXEL), fine)
    inside = (k > 1 / 25) & (k < 1 / 6)
    assert np.corrcoef(half[inside], expected[inside])[0, 1] > 0.7


def test_its_picture_is_for_the_app(bench: MovieBench, tmp_path: Path):
    save_spectrum(bench, CtfResult(**FOUND), power(64, PIXEL), PIXEL, OPTICS)
    shown = np.load(tmp_path / "thumbnails" / "spectrum" / "a.npy")
    assert shown.dtype == np.uint8 and shown.shape[0] == shown.shape[1]
    nothing = CtfResult(**{**FOUND, "defocus_um": None})
    save_spectrum(bench, nothing, power(64, PIXEL), PIXEL, OPTICS)
    alone = np.load(tmp_path / "thumbnails" / "spectrum" / "a.npy")
    half = alone.shape[0] // 2
    assert np.array_equal(alone[:, half + 1 :], shown[:, half + 1 :])
    assert not np.array_equal(alone[:, :half], shown[:, :half])


def test_the_deconvolved_average_lies_beside_the_average(bench: MovieBench, tmp_path: Path):
    assert bench.deconvolution == [0.9, 1.0, 300.0]
    assert save_deconvolved(bench, CtfResult(**FOUND), OPTICS) == "deconv/a.mrc"
    with mrcfile.open(tmp_path / "deconv" / "a.mrc") as file:
        assert file.data.shape == (90, 100)
        assert file.voxel_size.x == pytest.approx(PIXEL)
        assert abs(float(file.data.astype(np.float32).mean())) < 1e-3


def test_without_a_ctf_no_deconvolved_average_stays(bench: MovieBench, tmp_path: Path):
    save_deconvolved(bench, CtfResult(**FOUND), OPTICS)
    nothing = CtfResult(**{**FOUND, "defocus_um": None})
    assert save_deconvolved(bench, nothing, OPTICS) == ""
    assert not (tmp_path / "deconv" / "a.mrc").exists()


def test_nothing_is_deconvolved_that_was_not_asked_for(bench: MovieBench, tmp_path: Path):
    bench.deconvolution = []
    assert save_deconvolved(bench, CtfResult(**FOUND), OPTICS) == ""
    assert not (tmp_path / "deconv").exists()


def test_a_deconvolved_average_goes_when_it_is_not_wanted_any_more(
    bench: MovieBench, tmp_path: Path
):
    save_deconvolved(bench, CtfResult(**FOUND), OPTICS)
    assert (tmp_path / "deconv" / "a.mrc").exists()
    bench.deconvolution = []
    assert save_deconvolved(bench, CtfResult(**FOUND), OPTICS) == ""
    assert not (tmp_path / "deconv" / "a.mrc").exists()
