"""Shifts, crops and sizes in Fourier space obey the laws of the images that they stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.ops.common.fourier import (
    crop_spectrum,
    frequencies_yx,
    good_size,
    padded_size,
    shift_phases,
)

SHIFTS = st.floats(-40, 40, allow_nan=False)


def random_image(shape_yx: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape_yx, generator=torch.Generator().manual_seed(seed))


def shifted(
    image: torch.Tensor, shift_yx: Sequence[float], pixel: float = 1.0, whole_pixels: bool = False
) -> torch.Tensor:
    """``image`` moved by a shift in the unit of ``pixel``, through its half spectrum."""
    spectrum = torch.fft.rfft2(image)
    shape = (image.shape[0], image.shape[1])
    ky, kx = frequencies_yx(shape, (pixel, pixel))
    phase_y, phase_x = shift_phases(ky, kx, torch.tensor(shift_yx, dtype=torch.float64))
    if not whole_pixels:  # the Nyquist frequency of even sizes cannot carry a part of a pixel
        spectrum = without_nyquist(spectrum, shape)
    return torch.fft.irfft2(spectrum * phase_y[:, None] * phase_x[None, :], s=shape)


def without_nyquist(spectrum: torch.Tensor, shape_yx: tuple[int, int]) -> torch.Tensor:
    spectrum = spectrum.clone()
    if shape_yx[0] % 2 == 0:
        spectrum[shape_yx[0] // 2] = 0
    if shape_yx[1] % 2 == 0:
        spectrum[:, -1] = 0
    return spectrum


def band_limited(shape_yx: tuple[int, int], fraction: float, seed: int = 0) -> torch.Tensor:
    """Random image without anything beyond ``fraction`` of the Nyquist frequency."""
    ky, kx = frequencies_yx(shape_yx, (1.0, 1.0))
    inside = (ky.abs()[:, None] < fraction / 2) & (kx[None, :] < fraction / 2)
    return torch.fft.irfft2(torch.fft.rfft2(random_image(shape_yx, seed)) * inside, s=shape_yx)


@given(y=SHIFTS, x=SHIFTS, ny=st.integers(5, 40), nx=st.integers(5, 40))
def test_shifting_there_and_back_leaves_an_image_as_it_was(y, x, ny, nx):
    image = shifted(random_image((ny, nx)), (0.0, 0.0))  # its Nyquist frequency is gone
    back = shifted(shifted(image, (y, x)), (-y, -x))
    torch.testing.assert_close(back, image, atol=1e-4, rtol=0)


@given(y=st.integers(-30, 30), x=st.integers(-30, 30), ny=st.integers(4, 33), nx=st.integers(4, 33))
def test_a_shift_by_whole_pixels_rolls_the_image(y, x, ny, nx):
    image = random_image((ny, nx))
    moved = shifted(image, (float(y), float(x)), whole_pixels=True)
    torch.testing.assert_close(moved, image.roll((y, x), (0, 1)), atol=1e-4, rtol=0)


@given(pixel=st.floats(0.3, 8.0))
def test_shifts_are_in_the_unit_of_the_pixel_size(pixel):
    image = random_image((24, 30))
    moved = shifted(image, (3 * pixel, -2 * pixel), pixel, whole_pixels=True)
    torch.testing.assert_close(moved, image.roll((3, -2), (0, 1)), atol=5e-5, rtol=0)


@given(first=st.tuples(SHIFTS, SHIFTS), second=st.tuples(SHIFTS, SHIFTS))
def test_two_shifts_add_up_to_one(first, second):
    image = shifted(random_image((21, 26)), (0.0, 0.0))
    both = shifted(image, [a + b for a, b in zip(first, second, strict=True)])
    torch.testing.assert_close(shifted(shifted(image, first), second), both, atol=3e-5, rtol=0)


def test_phases_of_many_shifts_keep_the_leading_axes():
    ky, kx = frequencies_yx((12, 20), (1.0, 1.0))
    shifts = torch.randn(3, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    phase_y, phase_x = shift_phases(ky, kx, shifts)
    assert phase_y.shape == (3, 5, 12) and phase_x.shape == (3, 5, 11)
    one_y, one_x = shift_phases(ky, kx, shifts[1, 4])
    torch.testing.assert_close(phase_y[1, 4], one_y)
    torch.testing.assert_close(phase_x[1, 4], one_x)


@pytest.mark.shared
def test_the_shift_has_the_sign_and_axes_of_warps_own(shared_data: Path):
    golden = shared_data / "golden"  # Warp moved a point by x 2.5, y 3.3 pixels
    before = torch.from_numpy(np.array(mrcfile.read(golden / "shift_reference.mrc"), np.float32))
    after = torch.from_numpy(
        np.array(mrcfile.read(golden / "shift_shifted_2.5_3.3.mrc"), np.float32)
    )
    ours = torch.fft.rfft2(shifted(before, (3.3, 2.5)))
    theirs = without_nyquist(torch.fft.rfft2(after), (8, 8))
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


@given(
    n=st.sampled_from([40, 64, 90]),
    cropped=st.sampled_from([24, 30, 38, 40]),
    seed=st.integers(0, 100),
)
def test_a_cropped_spectrum_is_the_band_limited_image_sampled_more_coarsely(n, cropped, seed):
    shape, new_shape = (n, 2 * n), (cropped, 2 * cropped - 6)
    image = band_limited(shape, 0.9 * min(cropped / n, new_shape[1] / shape[1]), seed)
    coarse = torch.fft.irfft2(crop_spectrum(torch.fft.rfft2(image), shape, new_shape), s=new_shape)
    coarse *= new_shape[0] * new_shape[1] / (shape[0] * shape[1])
    # the sum of its waves, written out at the coarse samples
    spectrum = torch.fft.fft2(image).to(torch.complex128)
    waves = [
        torch.exp(2j * math.pi * torch.outer(torch.arange(m) / m, torch.fft.fftfreq(k, 1 / k)))
        for m, k in zip(new_shape, shape, strict=True)
    ]
    there = torch.einsum("ya,ab,xb->yx", *(waves[0].to(spectrum), spectrum, waves[1].to(spectrum)))
    expected = (there.real / (shape[0] * shape[1])).float()
    torch.testing.assert_close(coarse, expected, atol=3e-5, rtol=0)


def test_cropping_by_a_whole_factor_picks_every_second_pixel_of_a_band_limited_image():
    image = band_limited((64, 48), 0.45)
    spectrum = crop_spectrum(torch.fft.rfft2(image), (64, 48), (32, 24))
    coarse = torch.fft.irfft2(spectrum, s=(32, 24)) / 4
    torch.testing.assert_close(coarse, image[::2, ::2], atol=1e-5, rtol=0)


def test_cropping_keeps_the_sum_and_all_leading_axes():
    stack = torch.stack([random_image((32, 40), seed) for seed in range(6)]).view(2, 3, 32, 40)
    cropped = crop_spectrum(torch.fft.rfft2(stack), (32, 40), (20, 26))
    assert cropped.shape == (2, 3, 20, 14)
    torch.testing.assert_close(cropped[..., 0, 0].real, stack.sum((2, 3)), rtol=1e-4, atol=1e-3)


def test_cropping_to_a_larger_size_is_refused_with_both_sizes():
    with pytest.raises(ValueError, match="32 x 40 to 34 x 40"):
        crop_spectrum(torch.fft.rfft2(random_image((32, 40))), (32, 40), (34, 40))


@given(n=st.integers(1, 15000))
def test_a_good_size_is_even_smooth_and_the_next_one(n):
    def smooth(size: int) -> bool:
        for prime in (2, 3, 5, 7):
            while size % prime == 0:
                size //= prime
        return size == 1

    size = good_size(n)
    assert size >= n and size % 2 == 0 and smooth(size)
    assert not any(smooth(between) for between in range(n + n % 2, size, 2))


USUAL_FACTORS = [1, 1.25, 4 / 3, 1.5, 5 / 3, 2, 2.5, 3, 4, 5, 6, 8]


@given(n=st.integers(64, 12000), binning=st.one_of(st.sampled_from(USUAL_FACTORS), st.floats(1, 8)))
def test_padding_and_cropping_have_the_ratio_of_the_binning(n, binning):
    padded, cropped = padded_size(n, binning)
    assert n <= padded <= n + 512
    assert padded % 2 == 0 and cropped % 2 == 0 and cropped <= padded
    binned_px_over_the_image = abs(cropped * binning / padded - 1) * n / binning
    assert binned_px_over_the_image <= (0.011 if binning in USUAL_FACTORS else 0.5)


@pytest.mark.parametrize("n", [600, 1024, 3710, 3838, 4092, 5760, 8184, 11520])
@pytest.mark.parametrize("binning", [1, 1.5, 2, 3, 4])
def test_camera_sizes_are_padded_by_little_to_sizes_with_fast_transforms(n, binning):
    padded, cropped = padded_size(n, binning)
    assert cropped * binning == pytest.approx(padded, abs=0.02 * binning)
    assert padded <= 1.1 * n
    assert good_size(padded) == padded and good_size(cropped) == cropped
