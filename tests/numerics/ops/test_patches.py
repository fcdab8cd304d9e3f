"""Patches cover an image evenly, and their spectra are those of the windowed pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.ops.common.patches import cut_patches, patch_grid

SIZES = st.sampled_from([16, 32, 48, 64])


@st.composite
def shapes_and_sizes(draw) -> tuple[tuple[int, int], int]:
    size = draw(SIZES)
    extent = st.integers(4 * size, 9 * size)
    return (draw(extent), draw(extent)), size


@given(case=shapes_and_sizes())
def test_patches_reach_from_edge_to_edge_and_overlap_by_half_or_more(case):
    shape, size = case
    grid = patch_grid(shape, size)
    for axis in (0, 1):
        starts = grid.corners_yx[:, axis].unique()
        assert int(starts[0]) == 0 and int(starts[-1]) == shape[axis] - size
        assert int(starts.diff().max()) <= size // 2 + 1
    assert len(grid.corners_yx) == len(grid.corners_yx.unique(dim=0))


@given(case=shapes_and_sizes())
def test_every_pixel_counts_about_once(case):
    shape, size = case
    grid = patch_grid(shape, size)
    cover = torch.zeros(shape)
    for (y, x), wy, wx in zip(
        grid.corners_yx.tolist(), grid.windows_y, grid.windows_x, strict=True
    ):
        cover[y : y + size, x : x + size] += wy[:, None] ** 2 * wx[None, :] ** 2
    taper = max(2, size // 16)
    inner = cover[taper:-taper, taper:-taper]
    assert float(inner.mean()) == pytest.approx(1, abs=0.01)
    assert float(inner.min()) > 0.3 and float(inner.max()) < 2.0
    assert float(cover.sum()) == pytest.approx(float(grid.areas.sum()) * size**2, rel=1e-4)


@given(case=shapes_and_sizes())
def test_centres_are_where_the_weight_of_the_window_lies(case):
    shape, size = case
    grid = patch_grid(shape, size)
    for index in (0, len(grid.corners_yx) // 2, len(grid.corners_yx) - 1):
        for axis, windows in ((0, grid.windows_y), (1, grid.windows_x)):
            places = grid.corners_yx[index, axis] + torch.arange(size)
            weight = windows[index].double() ** 2
            expected = float((places * weight).sum() / weight.sum())
            assert float(grid.centres_yx[index, axis]) == pytest.approx(expected, abs=1e-3)


@given(case=shapes_and_sizes())
def test_the_grid_is_the_same_seen_from_the_other_corner(case):
    shape, size = case
    grid = patch_grid(shape, size)
    mirrored = torch.tensor(shape) - 1 - grid.centres_yx.flip(0)
    torch.testing.assert_close(grid.centres_yx, mirrored, atol=1.01, rtol=0)  # starts are whole


def test_an_image_of_one_patch_is_taken_whole():
    grid = patch_grid((64, 64), 64)
    assert grid.corners_yx.tolist() == [[0, 0]]
    assert float(grid.windows_y[0, 32]) == pytest.approx(1)
    torch.testing.assert_close(grid.centres_yx, torch.full((1, 2), 31.5).double())


def test_a_patch_larger_than_the_image_is_refused_with_both_sizes():
    with pytest.raises(ValueError, match="128 px do not fit into an image of 100 px"):
        patch_grid((400, 100), 128)


@pytest.mark.parametrize("keep", [(16, 17), (7, 5)])
def test_the_spectra_are_those_of_the_windowed_pixels(keep):
    image = torch.randn(100, 140, generator=torch.Generator().manual_seed(0))
    grid = patch_grid((100, 140), 32)
    spectra = cut_patches(image, grid, *keep)
    assert spectra.shape == (len(grid.corners_yx), 2 * keep[0], keep[1])
    frequencies = torch.fft.fftfreq(32, 1 / 32).long()
    rows = [index for index in range(32) if -keep[0] <= frequencies[index] < keep[0]]
    for index in (0, 5, len(spectra) - 1):
        y, x = grid.corners_yx[index].tolist()
        window = grid.windows_y[index][:, None] * grid.windows_x[index][None, :]
        whole = torch.fft.fft2(image[y : y + 32, x : x + 32] * window)
        torch.testing.assert_close(spectra[index], whole[rows][:, : keep[1]], atol=1e-3, rtol=1e-4)
