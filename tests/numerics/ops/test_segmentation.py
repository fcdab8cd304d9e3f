"""Micrographs at 8 Å/px in tiles: positions stay, scales are right, every pixel is answered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from warptui.engine.ops.picking.segmentation import (
    OVERLAP_PX,
    TILE_PX,
    coarse_shape,
    coarsen,
    normalise,
    segment,
    tile_starts,
)


@pytest.mark.parametrize(
    ("shape", "pixel_size"), [((600, 560), 1.5), ((371, 384), 2.13), ((64, 80), 11.0)]
)
def test_a_blob_stays_where_it_is(shape: tuple[int, int], pixel_size: float) -> None:
    at = np.array([0.43 * shape[0], 0.61 * shape[1]])
    y, x = np.indices(shape)
    sigma = 40 / pixel_size  # 40 Å
    blob = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * sigma**2)).astype(np.float32)
    coarse = coarsen(torch.from_numpy(blob), pixel_size).numpy()
    assert coarse.shape == coarse_shape(shape, pixel_size)
    rows, columns = np.indices(coarse.shape)
    found = np.array([(rows * coarse).sum(), (columns * coarse).sum()]) / coarse.sum()
    scale = np.array(shape) / coarse.shape
    assert found * scale == pytest.approx(at, abs=8 / pixel_size * 0.02)
    assert coarse.max() == pytest.approx(1.0, abs=0.03)  # intensities, not sums


def test_noise_and_background_come_out_as_one_and_zero_beside_contamination() -> None:
    rng = np.random.default_rng(3)
    y, x = np.indices((480, 464))
    clean = 700 + 0.2 * y + 12 * rng.standard_normal((480, 464))
    dirty = clean.copy()
    drop = (y - 100) ** 2 + (x - 120) ** 2 < 40**2
    dirty[drop] -= 500
    plain, spoilt = (
        normalise(torch.from_numpy(image.astype(np.float32))).numpy() for image in (clean, dirty)
    )
    far = np.hypot(y - 100, x - 120) > 250
    for image in (plain, spoilt):
        assert image[far].mean() == pytest.approx(0.0, abs=0.4)
        assert image[far].std() == pytest.approx(1.0, abs=0.12)
    assert np.abs(spoilt).max() <= 8
    assert spoilt[drop].mean() < -5


@given(st.integers(1, 3000))
def test_tiles_cover_everything_with_the_overlap(n: int) -> None:
    starts = tile_starts(n)
    if n <= TILE_PX:
        assert starts == [0]
        return
    assert starts[0] == 0 and starts[-1] == n - TILE_PX
    steps = np.diff(starts)
    assert (steps > 0).all() and steps.max() <= TILE_PX - OVERLAP_PX


class _Threshold(nn.Module):
    """Particle where the pixel is dark, artifact where it is darker still."""

    def forward(self, image: Tensor) -> Tensor:
        dark = 20 * (-image - 1)
        return torch.cat((torch.zeros_like(image), dark, 2 * dark - 60), dim=1)


@pytest.mark.parametrize("shape", [(100, 90), (256, 256), (463, 700), (257, 1000)])
def test_answers_stand_at_their_pixels(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = 2 * torch.randn(shape, generator=generator)
    probabilities = segment(_Threshold(), image)
    expected = _Threshold()(image[None, None])[0].softmax(dim=0)
    assert torch.allclose(probabilities, expected, atol=1e-5)


class _NearBorder(nn.Module):
    """Particle everywhere but within 32 px of the border of the window that it is shown."""

    def forward(self, image: Tensor) -> Tensor:
        particle = torch.full_like(image, -9.0)
        particle[..., 32:-32, 32:-32] = 9.0
        return torch.cat((torch.zeros_like(image), particle, -9 * torch.ones_like(image)), dim=1)


@pytest.mark.parametrize("shape", [(20, 33), (100, 250), (256, 256), (463, 700)])
def test_no_answer_comes_from_the_border_of_a_tile(shape: tuple[int, int]) -> None:
    assert float(segment(_NearBorder(), torch.zeros(shape))[1].min()) > 0.99


def test_the_image_goes_on_as_its_mirror_image_beyond_its_edges() -> None:
    class Left(nn.Module):
        """Particle where the pixel five to the left is dark."""

        def forward(self, image: Tensor) -> Tensor:
            dark = -20 * torch.roll(image, 5, dims=-1)
            return torch.cat((torch.zeros_like(image), dark, dark - 60), dim=1)

    image = torch.zeros((40, 60))
    image[:, 2] = -1.0
    found = segment(Left(), image)[1]
    columns = (found > 0.5).all(dim=0).nonzero().ravel()
    assert columns.tolist() == [2, 7]  # the mirror image of column 2 is column -3


@pytest.mark.parametrize("pixel_size", [1.1, 3.0, 9.0])
def test_what_is_dark_at_one_edge_leaves_no_trace_at_the_other(pixel_size: float) -> None:
    n = round(1600 / pixel_size)
    image = torch.zeros((n, n))
    image[-n // 10 :, : n // 8] = -100
    coarse = coarsen(image, pixel_size)
    assert coarse[-4:, :8].mean() < -90
    assert coarse[:20].abs().max() < 0.5 and coarse[:, -20:].abs().max() < 0.5
