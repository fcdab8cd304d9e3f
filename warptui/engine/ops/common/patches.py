"""Patches of a movie: where they lie, and their spectra."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from einops import repeat
from torch import Tensor


class PatchGrid(NamedTuple):
    """Where patches lie in an image."""

    corners_yx: Tensor  # (patch, 2) int64, first pixel
    centres_yx: Tensor  # (patch, 2) float64, centre of the window's weight, px
    windows_y: Tensor  # (patch, size) float32
    windows_x: Tensor  # (patch, size)
    size: int
    overlap: float  # factor by which overlap reduces the patches' information

    @property
    def areas(self) -> Tensor:
        """``(patch,)`` mean squared window: the share of a patch's pixels that counts."""
        return (self.windows_y**2).mean(1) * (self.windows_x**2).mean(1)


def patch_grid(shape_yx: tuple[int, int], size: int, device=None) -> PatchGrid:
    """Patches with 50 % overlap under a raised cosine, spread evenly from edge to edge.

    A raised cosine fades towards neighbours; towards the edge of the image, where no
    neighbour takes over, the window stays flat but for a short taper.
    """
    starts_y, windows_y, centres_y, overlap_y = _axis(shape_yx[0], size)
    starts_x, windows_x, centres_x, overlap_x = _axis(shape_yx[1], size)
    n_y, n_x = len(starts_y), len(starts_x)
    iy = repeat(torch.arange(n_y), "y -> (y x)", x=n_x)
    ix = repeat(torch.arange(n_x), "x -> (y x)", y=n_y)
    return PatchGrid(
        torch.stack([starts_y[iy], starts_x[ix]], 1),
        torch.stack([centres_y[iy], centres_x[ix]], 1),
        windows_y[iy].to(device),
        windows_x[ix].to(device),
        size,
        overlap_y * overlap_x,
    )


def _axis(n: int, size: int) -> tuple[Tensor, Tensor, Tensor, float]:
    if size > n:
        raise ValueError(f"patches of {size} px do not fit into an image of {n} px")
    count = max(1, math.ceil((n - size) / (size / 2)) + 1)
    starts = torch.linspace(0, n - size, count).round().to(torch.int64)
    phase = (torch.arange(size) + 0.5) / size
    cosine = 0.5 - 0.5 * torch.cos(2 * math.pi * phase)
    taper = max(2, size // 16)
    edge = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(taper) + 0.5) / taper)
    windows = repeat(cosine, "pixel -> patch pixel", patch=count).clone()
    half = size // 2
    windows[0, :half] = 1.0
    windows[0, :taper] = edge
    windows[-1, half:] = 1.0
    windows[-1, size - taper :] = edge.flip(0)
    # Together the squared windows count every pixel once, so that the patches' likelihoods
    # add up to that of the image.
    cover = torch.zeros(n)
    for start, window in zip(starts.tolist(), windows, strict=True):
        cover[start : start + size] += window**2
    windows = windows / cover[taper : n - taper].mean().sqrt()
    weight = windows**2
    centres = starts + (weight * torch.arange(size)).sum(1) / weight.sum(1)
    # Power of patches p and q at frequencies k and k + d varies together as
    # |∫ wp wq exp(2πi d x)|²; over all d that is ∫ wp² wq² (Parseval). Within a patch residuals
    # show it, between patches they do not.
    cover = torch.zeros(n)
    for start, own in zip(starts.tolist(), weight, strict=True):
        cover[start : start + size] += own
    overlap = float(cover.square().sum() / weight.square().sum())
    return starts, windows, centres.to(torch.float64), overlap


def cut_patches(image: Tensor, grid: PatchGrid, keep_y: int, keep_x: int) -> Tensor:
    """Windowed patches of one image as half spectra, low frequencies only.

    Parameters
    ----------
    image
        ``(y, x)`` float32.
    keep_y, keep_x
        Rows kept on either side of zero frequency, and columns kept.

    Returns
    -------
    Tensor
        ``(patch, 2 * keep_y, keep_x)`` complex64.
    """
    size = grid.size
    views = torch.stack([image[y : y + size, x : x + size] for y, x in grid.corners_yx.tolist()])
    views = views * grid.windows_y[:, :, None] * grid.windows_x[:, None, :]
    spectra = torch.fft.rfft2(views)
    return torch.cat([spectra[:, :keep_y, :keep_x], spectra[:, size - keep_y :, :keep_x]], 1)
