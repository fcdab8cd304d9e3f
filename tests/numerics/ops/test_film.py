"""How clean a film is: weak phase objects leave nothing coarse, dirt does."""

from __future__ import annotations

import pytest
import torch
from thon_rings import PIXEL, noise, ringed

from warptui.engine.ops.common.patches import patch_grid
from warptui.engine.ops.ctf.ice_quality import Film, describe_film
from warptui.engine.ops.ctf.polar import add_power, empty_power, make_polar_grid

SHAPE = (1024, 1024)


def film(image: torch.Tensor, size: int = 768, n_images: int = 1) -> Film | None:
    patches, grid = patch_grid(SHAPE, size), make_polar_grid(size, PIXEL)
    total = empty_power(patches, grid)
    add_power(image, patches, grid, total)
    count = grid.n_coefficients.clamp(min=1).to(torch.float32)
    power = total.polar[:, :-1].view(-1, *count.shape) / count
    return describe_film(power, grid, n_images)


def clean(seed: int, signal: float = 2.0, defocus: float = 1.8e4) -> torch.Tensor:
    """Particles without fine detail, so that the noise shows at high frequencies."""
    return ringed(SHAPE, seed, signal=signal, defocus=defocus, b_factor=-400.0)


def blobs(n: int, width_angstrom: float, seed: int) -> torch.Tensor:
    """Round dark things, the contrast of each as strong as noise."""
    at = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed)) * 1024
    y, x = torch.meshgrid(torch.arange(1024.0), torch.arange(1024.0), indexing="ij")
    image = torch.zeros(SHAPE)
    for centre_y, centre_x in at.tolist():
        distance = torch.hypot(y - centre_y, x - centre_x) * PIXEL / width_angstrom
        image -= torch.exp(-0.5 * distance**2)
    return image


def crystals(seed: int) -> torch.Tensor:
    """Grains that scatter strongly: smooth noise of many sizes from 100 Å upwards."""
    k = torch.hypot(
        torch.fft.fftfreq(1024, PIXEL)[:, None], torch.fft.rfftfreq(1024, PIXEL)[None, :]
    )
    shape = 1 / (1 + (k * 200) ** 4)
    grains = torch.fft.irfft2(torch.fft.rfft2(noise(SHAPE, seed)) * shape, s=SHAPE)
    return grains / grains.std()


@pytest.mark.parametrize("defocus", [1.2e4, 2.5e4])
def test_a_clean_film_has_nothing_coarse(defocus: float):
    found = film(clean(1, signal=4.0, defocus=defocus))
    assert found is not None
    assert found.coarse < 1.5
    assert found.quality > 0.4


def test_noise_shows_nothing():
    found = film(noise(SHAPE, 2))
    assert found is not None
    assert found.signal < 0.1 and found.quality < 0.1


@pytest.mark.parametrize("dirt", [blobs(12, 120.0, 3), crystals(4)], ids=["blobs", "crystals"])
def test_dirt_and_crystals_lower_the_quality(dirt: torch.Tensor):
    before, after = film(clean(5)), film(clean(5) + dirt)
    assert before is not None and after is not None
    assert after.coarse > 3 > before.coarse
    assert after.quality < 0.5 * before.quality


def test_what_many_images_show_counts():
    once, often = film(clean(6)), film(clean(6), n_images=10)
    assert once is not None and often is not None
    assert often.signal == pytest.approx(10 * once.signal)
    assert often.quality > once.quality


def test_small_patches_show_nothing_coarse():
    assert film(noise(SHAPE, 7), size=256) is None
