"""Warping moves every pixel by its own shift: Fourier shifts and scipy say the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates, spline_filter

from warptui.engine.ops.common.fourier import frequencies_yx, shift_phases
from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.frames.warping import add_warped, add_warped_in_torch, prefilter_yx


def random_image(shape_yx: tuple[int, int], seed: int = 0, of_nyquist: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft2(torch.randn(shape_yx, generator=generator))
    ky, kx = frequencies_yx(shape_yx, (1.0, 1.0))
    inside = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt() < (
        of_nyquist / 2 if of_nyquist < 1 else 1
    )
    return torch.fft.irfft2(spectrum * inside, s=shape_yx)


def prefiltered(image: torch.Tensor) -> torch.Tensor:
    shape = (image.shape[0], image.shape[1])
    pre_y, pre_x = prefilter_yx(*frequencies_yx(shape, (1.0, 1.0)))
    return torch.fft.irfft2(torch.fft.rfft2(image) * pre_y[:, None] * pre_x[None, :], s=shape)


def warped(image: torch.Tensor, nodes_yx: torch.Tensor) -> torch.Tensor:
    total = torch.zeros_like(image)
    add_warped(total, prefiltered(image), nodes_yx)
    return total


def constant(y: float, x: float) -> torch.Tensor:
    return torch.tensor([[[y, x]]], dtype=torch.float64)


def field_of(nodes_yx: torch.Tensor, shape_yx: tuple[int, int]) -> torch.Tensor:
    """(2, y, x) shift at every pixel."""
    wy, wx = (
        spline_weights(n, torch.linspace(0, 1, size, dtype=torch.float64))
        for n, size in zip(nodes_yx.shape[:2], shape_yx, strict=True)
    )
    return torch.einsum("yn,xm,nmc->cyx", wy, wx, nodes_yx.double())


@given(
    y=st.floats(-6, 6),
    x=st.floats(-6, 6),
    band=st.sampled_from([(0.6, 0.005), (0.8, 0.033)]),
)
@settings(max_examples=30)
def test_a_constant_shift_is_the_fourier_shift(y, x, band):
    of_nyquist, tolerance = band
    image = random_image((90, 110), 1, of_nyquist)
    ky, kx = frequencies_yx((90, 110), (1.0, 1.0))
    phase_y, phase_x = shift_phases(ky, kx, torch.tensor([y, x], dtype=torch.float64))
    exact = torch.fft.irfft2(
        torch.fft.rfft2(image) * phase_y[:, None] * phase_x[None, :], s=(90, 110)
    )
    inner = (slice(12, -12), slice(12, -12))
    wrong = (warped(image, constant(y, x)) - exact)[inner]
    assert float(wrong.std()) < tolerance * float(image.std())


@pytest.mark.parametrize("nodes", [(3, 3), (5, 4), (2, 5)])
@pytest.mark.parametrize("shape", [(180, 200), (201, 163)])
def test_a_smooth_field_moves_pixels_as_scipys_quintic_splines_do(nodes, shape):
    generator = torch.Generator().manual_seed(nodes[0])
    shifts = torch.randn(*nodes, 2, generator=generator, dtype=torch.float64)
    image = random_image(shape, 2, 0.8)
    field = field_of(shifts, shape).numpy()
    y, x = np.mgrid[: shape[0], : shape[1]]
    coefficients = spline_filter(image.numpy().astype(float), order=5, mode="grid-wrap")
    expected = map_coordinates(
        coefficients, [y - field[0], x - field[1]], order=5, mode="grid-wrap", prefilter=False
    )
    inner = (slice(12, -12), slice(12, -12))
    wrong = (warped(image, shifts).numpy() - expected)[inner]
    # rows and columns one after the other: exact but for the square of the field's bend
    assert wrong.std() < 0.015 * float(image.std())


@given(
    ny=st.integers(64, 230),
    nx=st.integers(64, 230),
    nodes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.sampled_from([0.0, 0.5, 2.0]),
    drift=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    seed=st.integers(0, 1000),
)
@example(ny=64, nx=85, nodes=(4, 2), size=2.0, drift=(0.0, 0.0), seed=0)  # bends as it is carried
@settings(max_examples=30)
def test_the_cpu_kernel_agrees_with_plain_torch_at_any_size(ny, nx, nodes, size, drift, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(ny, nx, generator=generator)
    shifts = size * torch.randn(*nodes, 2, generator=generator, dtype=torch.float64)
    shifts += torch.tensor(drift)
    start = torch.randn(ny, nx, generator=generator)
    fused, plain = start.clone(), start.clone()
    add_warped(fused, image, shifts)
    along_y, along_x = (
        spline_weights(n, torch.linspace(0, 1, extent, dtype=torch.float64))
        for n, extent in zip(nodes, (ny, nx), strict=True)
    )
    rows = torch.einsum("yn,nmc->ymc", along_y, shifts).float()
    add_warped_in_torch(plain, image, rows, along_x.T.float())
    # the kernel may miss the field by some thousandths of a pixel, and noise is steep
    torch.testing.assert_close(fused, plain, rtol=0, atol=0.05)
    assert float((fused - plain).square().mean().sqrt()) < 0.01


@given(y=st.integers(-9, 9), x=st.integers(-9, 9))
@settings(max_examples=20)
def test_what_comes_from_outside_is_zero_and_whole_pixels_are_exact(y, x):
    image = random_image((40, 44), 3)
    moved = warped(image, constant(float(y), float(x)))
    expected = torch.zeros_like(image)
    expected[max(0, y) : 40 + min(0, y), max(0, x) : 44 + min(0, x)] = image[
        max(0, -y) : 40 - max(0, y), max(0, -x) : 44 - max(0, x)
    ]
    inner = torch.ones_like(image, dtype=torch.bool)
    # the spline needs its neighbours: the two pixels beside an edge lack some
    for edge, axis in ((y, 0), (x, 1)):
        size = image.shape[axis]
        lines = {line for line in range(size) if min(line, size - 1 - line) < 3}
        lines |= {
            line for line in range(size) if min(abs(line - edge), abs(line - size - edge)) < 4
        }
        inner.index_fill_(axis, torch.tensor(sorted(lines)), False)
    torch.testing.assert_close(moved[inner], expected[inner], atol=1e-4, rtol=0)


def test_a_shift_beyond_the_image_leaves_nothing():
    assert (warped(random_image((40, 44)), constant(0.0, 60.0)) == 0).all()
    assert (warped(random_image((40, 44)), constant(-60.0, 0.0)) == 0).all()


@given(seed=st.integers(0, 100), nodes=st.tuples(st.integers(1, 4), st.integers(1, 4)))
@settings(max_examples=20)
def test_a_flat_image_stays_flat_under_any_field(seed, nodes):
    generator = torch.Generator().manual_seed(seed)
    shifts = torch.randn(*nodes, 2, generator=generator, dtype=torch.float64)
    flat = warped(torch.full((70, 60), 5.0), shifts)
    torch.testing.assert_close(flat[10:-10, 10:-10], torch.full((50, 40), 5.0), rtol=1e-5, atol=0)


@given(y=st.floats(-5, 5), x=st.floats(-5, 5))
@settings(max_examples=20)
def test_intensity_is_moved_not_made(y, x):
    image = torch.zeros(64, 64)
    image[24:40, 24:40] = random_image((16, 16), 4).abs()
    moved = warped(image, constant(y, x))
    assert float(moved.sum()) == pytest.approx(float(image.sum()), rel=1e-4)


def test_it_adds_to_what_is_there():
    image, other = random_image((50, 50), 5), random_image((50, 50), 6)
    total = other.clone()
    add_warped(total, prefiltered(image), constant(1.3, -0.4))
    torch.testing.assert_close(total, other + warped(image, constant(1.3, -0.4)))


def test_a_positive_shift_moves_content_to_larger_rows_and_columns():
    image = torch.zeros(64, 64)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image += torch.exp(-((y - 30) ** 2 + (x - 30) ** 2) / 8)
    # only the upper right node moves: rows grow with y, columns with x
    nodes = torch.zeros(2, 2, 2, dtype=torch.float64)
    nodes[0, 1] = torch.tensor([4.0, -2.0])
    moved = warped(image, nodes)
    at = [float((moved * axis).sum() / moved.sum()) for axis in (y, x)]
    share = (1 - 30 / 63) * (30 / 63)
    assert at[0] == pytest.approx(30 + 4 * share, abs=0.2)
    assert at[1] == pytest.approx(30 - 2 * share, abs=0.2)
    assert math.dist(at, (30, 30)) > 0.8


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_bit(threads):
    generator = torch.Generator().manual_seed(0)
    image = prefiltered(random_image((300, 200), 8))
    shifts = torch.randn(5, 5, 2, generator=generator, dtype=torch.float64)
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, threads):
            torch.set_num_threads(count)
            total = torch.zeros_like(image)
            add_warped(total, image, shifts)
            results.append(total)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)
