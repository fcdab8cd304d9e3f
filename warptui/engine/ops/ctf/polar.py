"""Power spectra of patches in polar bins: all that CTF estimation needs of the pixels.

A bin is half a frequency step wide and covers one sector of directions, so that Thon rings
stay resolved while a patch of 512 x 512 px shrinks to a few thousand numbers. Bins remember
the moments of the frequencies that fell into them: phases of the CTF are linear in those.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.patches import PatchGrid
from warptui.engine.ops.ctf import polar_cpu

N_SECTORS = 16
PATCHES_AT_ONCE = 16
AXIS_PX = 1  # rows and columns of the spectrum on either side of its axes that are left out


class PolarGrid(NamedTuple):
    """How the coefficients of a half spectrum fall into sectors of direction and radial bins."""

    bin_of: Tensor  # (ny, nx // 2 + 1) int64: sector * n_bins + bin, or n_sectors * n_bins
    n_coefficients: Tensor  # (sector, bin) float64 coefficients
    k2: Tensor  # (sector, bin) float64 mean k², 1/Å²
    k2_cos: Tensor  # mean k² cos 2θ
    k2_sin: Tensor  # mean k² sin 2θ
    k4: Tensor  # mean k⁴
    size: int  # px of the patches
    pixel_size: float  # Å

    @property
    def n_bins(self) -> int:
        """Radial bins, up to Nyquist."""
        return self.n_coefficients.shape[1]

    @property
    def step(self) -> float:
        """Width of a bin, 1/Å."""
        return 0.5 / (self.size * self.pixel_size)

    @property
    def k(self) -> Tensor:
        """``(bin,)`` frequencies in the middle of the bins, 1/Å."""
        bins = torch.arange(self.n_bins, dtype=torch.float64, device=self.n_coefficients.device)
        return (bins + 0.5) * self.step


def make_polar_grid(
    size: int, pixel_size: float, device: torch.device | None = None, n_sectors: int = N_SECTORS
) -> PolarGrid:
    """Bins of ``size`` px patches.

    The axes of the spectrum are left out: gain errors and dead rows show there.
    """
    iy = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64, device=device)[:, None]
    ix = torch.fft.rfftfreq(size, 1 / size, dtype=torch.float64, device=device)[None, :]
    radius = (iy**2 + ix**2).sqrt()
    angle = torch.atan2(iy, ix)
    sector = ((angle + 0.5 * math.pi) / math.pi * n_sectors).floor().clamp(0, n_sectors - 1)
    n_bins = size
    bins = (2 * radius).floor().clamp(max=n_bins)
    inside = (bins < n_bins) & (iy.abs() > AXIS_PX) & (ix > AXIS_PX)
    n = n_sectors * n_bins
    index = torch.where(inside, sector * n_bins + bins, n).to(torch.int64)
    scale = 1 / (size * pixel_size) ** 2
    k2 = radius**2 * scale
    moments = (torch.ones_like(k2), k2, (ix**2 - iy**2) * scale, 2 * ix * iy * scale, k2**2)
    sums = [
        torch.zeros(n + 1, dtype=torch.float64, device=device)
        .index_add_(0, index.flatten(), moment.flatten())[:n]
        .view(n_sectors, n_bins)
        for moment in moments
    ]
    count = sums[0]
    mean_k2, mean_cos, mean_sin, mean_k4 = (total / count.clamp(min=1) for total in sums[1:])
    return PolarGrid(index, count, mean_k2, mean_cos, mean_sin, mean_k4, size, pixel_size)


class PowerSum(NamedTuple):
    """Power of patches, summed over images; `add_power` adds to it in place."""

    polar: Tensor  # (patch, n_sectors * n_bins + 1) float32 sums over coefficients
    image: Tensor  # (size, size // 2 + 1) float32, sum over patches


def empty_power(patches: PatchGrid, grid: PolarGrid) -> PowerSum:
    """Nothing added yet."""
    device = grid.n_coefficients.device
    n = len(patches.corners_yx)
    return PowerSum(
        torch.zeros(n, grid.n_coefficients.numel() + 1, device=device),
        torch.zeros(grid.size, grid.size // 2 + 1, device=device),
    )


def add_power(image: Tensor, patches: PatchGrid, grid: PolarGrid, total: PowerSum) -> None:
    """Add the power of the patches of ``image`` ``(y, x)`` to ``total``.

    White noise of variance 1 adds 1 to every coefficient.
    """
    size = grid.size
    corners = patches.corners_yx.tolist()
    # the squared windows of all patches count every pixel once: undo that for single ones
    level = 1 / (patches.areas.sqrt() * size)
    spectra = None
    for first in range(0, len(corners), PATCHES_AT_ONCE):
        part = slice(first, first + PATCHES_AT_ONCE)
        cut = torch.stack([image[y : y + size, x : x + size] for y, x in corners[part]])
        cut -= cut.mean((1, 2), keepdim=True)
        cut *= (patches.windows_y[part] * level[part, None])[:, :, None]
        cut *= patches.windows_x[part][:, None, :]
        spectra = torch.fft.rfft2(cut)
        if spectra.device.type == "cpu":
            polar_cpu.add_power(spectra, grid.bin_of, total.polar[part], total.image)
        else:
            add_power_in_torch(spectra, grid.bin_of, total.polar[part], total.image)


def add_power_in_torch(spectra: Tensor, index: Tensor, polar: Tensor, image: Tensor) -> None:
    """Plain version of the CPU kernel, and the CUDA path."""
    power = spectra.real.square() + spectra.imag.square()
    image += power.sum(0)
    polar.index_add_(1, index.flatten(), power.flatten(1))


def resample_power(image: Tensor, size: int) -> Tensor:
    """``(n, n // 2 + 1)`` power on as many frequencies as patches of ``size`` px have.

    Cropping the autocorrelation loses nothing but rings that are too fine for ``size``.
    """
    n = image.shape[0]
    if size == n:
        return image
    correlation = torch.fft.fftshift(torch.fft.irfft2(image, s=(n, n)))
    if size < n:
        first = n // 2 - size // 2
        correlation = correlation[first : first + size, first : first + size]
    else:
        before = size // 2 - n // 2
        after = size - n - before
        correlation = torch.nn.functional.pad(correlation, (before, after, before, after))
    power = torch.fft.rfft2(torch.fft.ifftshift(correlation)).real
    return power.clamp(min=1e-6 * float(power.mean()))
