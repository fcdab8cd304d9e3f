"""Sizes, frequencies, cropping and shifting of half spectra (`torch.fft.rfft2`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def good_size(n: int) -> int:
    """Smallest even number >= ``n`` whose prime factors are 2, 3, 5 and 7 only.

    An FFT of 3710 x 3838 takes twice as long as one of 3712 x 3840.
    """
    size = n + n % 2
    while not _is_smooth(size):
        size += 2
    return size


def _is_smooth(size: int) -> bool:
    for prime in (2, 3, 5, 7):
        while size % prime == 0:
            size //= prime
    return size == 1


@lru_cache(maxsize=64)  # every movie of a session asks for the same two
def padded_size(n: int, binning: float) -> tuple[int, int]:
    """Sizes to pad ``n`` pixels to and to crop their spectrum to, for a binning factor.

    Both are even with small primes as far as possible, and their ratio is ``binning`` as
    nearly as sizes up to 512 px larger allow, so that one pixel size holds everywhere: for
    the usual factors (quarters and thirds up to 8) to a hundredth of a binned pixel over the
    whole image, for the oddest ones (2.0002) to half a pixel.

    Returns
    -------
    tuple
        Padded size, and size after cropping.
    """
    if binning == 1:
        size = good_size(n)
        return size, size
    best: tuple[float, int, int] | None = None
    for size in range(n + n % 2, n + n % 2 + 512, 2):
        cropped = 2 * round(size / binning / 2)
        error = abs(cropped * binning / size - 1) * n / binning
        rough = (not _is_smooth(size)) + (not _is_smooth(cropped))
        cost = max(error, 0.01) * 1e3 + rough + (size - n) / 512
        if best is None or cost < best[0]:
            best = cost, size, cropped
    assert best is not None
    return best[1], best[2]


def frequencies_yx(
    shape_yx: tuple[int, int], pixel_yx: Sequence[float], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Spatial frequencies of a half spectrum.

    Returns
    -------
    tuple
        ``(ny,)`` and ``(nx // 2 + 1,)`` float32 frequencies in 1/Å.
    """
    return (
        torch.fft.fftfreq(shape_yx[0], pixel_yx[0], device=device),
        torch.fft.rfftfreq(shape_yx[1], pixel_yx[1], device=device),
    )


def crop_spectrum(
    spectrum: Tensor, shape_yx: tuple[int, int], new_shape_yx: tuple[int, int]
) -> Tensor:
    """Low frequencies of a half spectrum: that of the image resampled to fewer pixels.

    Parameters
    ----------
    spectrum
        ``(..., ny, nx // 2 + 1)`` complex half spectrum of an image of ``shape_yx``.
    shape_yx, new_shape_yx
        Sizes of the image and of the resampled image, even, in pixels.

    Returns
    -------
    Tensor
        ``(..., new_ny, new_nx // 2 + 1)``; values are not rescaled.
    """
    ny, nx = shape_yx
    new_ny, new_nx = new_shape_yx
    if new_ny > ny or new_nx > nx:
        raise ValueError(f"cannot crop {ny} x {nx} to {new_ny} x {new_nx}: it is larger")
    half = new_ny // 2
    width = new_nx // 2 + 1
    return torch.cat([spectrum[..., :half, :width], spectrum[..., ny - half :, :width]], dim=-2)


def shift_phases(ky: Tensor, kx: Tensor, shifts_yx: Tensor) -> tuple[Tensor, Tensor]:
    """Separable phase factors that shift images by ``shifts_yx``.

    Multiplying a spectrum by ``phase_y[..., :, None] * phase_x[..., None, :]`` moves its
    content by +shift, in the unit whose inverse the frequencies are in.

    Returns
    -------
    tuple
        ``(..., ny)`` and ``(..., nx)`` complex64.
    """
    angle_y = -2 * math.pi * shifts_yx[..., 0, None].to(torch.float64) * ky.to(torch.float64)
    angle_x = -2 * math.pi * shifts_yx[..., 1, None].to(torch.float64) * kx.to(torch.float64)
    return (
        torch.polar(torch.ones_like(angle_y), angle_y).to(torch.complex64),
        torch.polar(torch.ones_like(angle_x), angle_x).to(torch.complex64),
    )
