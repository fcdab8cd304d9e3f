"""Prepares micrographs for BoxNet, and computes its probabilities for every pixel.

(Paper, *Particle picking with a residual neural net*: 8 Å/px, tiles of 256² px with 64 px
overlap, each normalised.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

PIXEL_SIZE = 8.0  # Å/px
TILE_PX = 256
OVERLAP_PX = 64
_BORDER_PX = OVERLAP_PX // 2  # of a tile: answers there are not used, as in training
_BACKGROUND_SIGMA_PX = 96.0  # slower than this is illumination and thickness
_NOISE_SIGMA_PX = 8.0  # faster than this measures the scale
_CLIP = 8.0  # σ: contamination is no darker than this
_MAD_TO_SIGMA = 1.4826


def coarse_shape(shape_yx: tuple[int, int], pixel_size: float) -> tuple[int, int]:
    """Even (y, x) of an image at 8 Å/px."""
    ny, nx = (max(2, round(n * pixel_size / PIXEL_SIZE / 2) * 2) for n in shape_yx)
    return ny, nx


def coarsen(image: Tensor, pixel_size: float) -> Tensor:
    """(y, x) at ``pixel_size`` Å/px -> 8 Å/px by cropping (or padding) its Fourier transform.

    Exact in extent: the result covers the same field, with pixels that may differ from 8 Å
    by half a pixel over the whole image; the first pixel's centre stays where it is. Beyond its
    edges the image goes on as its mirror image, so that what is dark at one edge leaves no trace
    at the opposite one. One axis after the other: the second has little left to transform.
    """
    ny, nx = coarse_shape((image.shape[0], image.shape[1]), pixel_size)
    return _coarsen_rows(_coarsen_rows(image, nx).T.contiguous(), ny).T.contiguous()


def _coarsen_rows(image: Tensor, n: int) -> Tensor:
    """(y, x) -> (y, ``n``)."""
    n_before = image.shape[-1]
    spectrum = torch.fft.rfft(torch.cat((image, image.flip(-1)), dim=-1))
    kept = min(n, n_before)
    out = spectrum.new_zeros((len(image), n + 1))
    out[:, :kept] = spectrum[:, :kept]
    return torch.fft.irfft(out, n=2 * n)[:, :n] * (n / n_before)


def normalise(image: Tensor) -> Tensor:
    """(..., y, x) at 8 Å/px -> background 0, noise 1, contamination clipped.

    Medians, because contamination must not change how particles look beside it.
    """
    centred = image - image.flatten(-2).median(dim=-1).values[..., None, None]
    fast = centred - _blur(centred, _NOISE_SIGMA_PX)
    sigma = _MAD_TO_SIGMA * fast.abs().flatten(-2).median(dim=-1).values[..., None, None]
    scaled = centred / sigma.clamp_min(torch.finfo(image.dtype).tiny)
    slow = _blur(scaled.clamp(-_CLIP, _CLIP), _BACKGROUND_SIGMA_PX)
    return (scaled - slow).clamp(-_CLIP, _CLIP)


def segment(
    net: nn.Module,
    image: Tensor,
    *,
    batch_size: int = 4,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Tensor:
    """Probabilities (3, y, x) of background, particle and artifact; ``image`` is normalised.

    Every pixel takes the answer of the tile whose centre is nearest. Beyond the edges the image
    goes on as its mirror image: the network is not asked near the border of a tile.
    """
    ny, nx = image.shape
    padded = _mirrored(image, _BORDER_PX)
    rows, columns = tile_starts(ny + 2 * _BORDER_PX), tile_starts(nx + 2 * _BORDER_PX)
    corners = [(row, column) for row in rows for column in columns]
    result = image.new_empty((3, *padded.shape))
    for first in range(0, len(corners), batch_size):
        on_progress(first / len(corners))
        part = corners[first : first + batch_size]
        tiles = torch.stack([padded[r : r + TILE_PX, c : c + TILE_PX] for r, c in part])
        answers = net(tiles[:, None]).float().softmax(dim=1)
        for (row, column), answer in zip(part, answers, strict=True):
            top, bottom = _trusted(row, rows, padded.shape[0])
            left, right = _trusted(column, columns, padded.shape[1])
            result[:, top:bottom, left:right] = answer[
                :, top - row : bottom - row, left - column : right - column
            ]
    return result[:, _BORDER_PX : _BORDER_PX + ny, _BORDER_PX : _BORDER_PX + nx]


def _mirrored(image: Tensor, width: int) -> Tensor:
    """(y, x) with ``width`` px more on every side, and as many as make a whole tile."""
    for axis in (0, 1):
        n = image.shape[axis]
        after = max(width, TILE_PX - n - width)
        places = torch.arange(-width, n + after, device=image.device).remainder(2 * n)
        image = image.index_select(axis, torch.minimum(places, 2 * n - 1 - places))
    return image


def tile_starts(n: int) -> list[int]:
    """First pixels of evenly spread tiles that overlap by at least 64 px."""
    if n <= TILE_PX:
        return [0]
    count = math.ceil((n - OVERLAP_PX) / (TILE_PX - OVERLAP_PX))
    return [round(i * (n - TILE_PX) / (count - 1)) for i in range(count)]


def _trusted(start: int, starts: list[int], n: int) -> tuple[int, int]:
    """The pixels that are nearer to this tile's centre than to its neighbours'."""
    index = starts.index(start)
    low = 0 if index == 0 else (starts[index - 1] + start + TILE_PX) // 2
    last = index == len(starts) - 1
    high = n if last else (start + starts[index + 1] + TILE_PX) // 2
    return low, high


def _blur(image: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur with the edges' mean beyond them: by a Fourier transform of the mirror."""
    ny, nx = image.shape[-2:]
    mirrored = torch.cat((image, image.flip(-1)), dim=-1)
    mirrored = torch.cat((mirrored, mirrored.flip(-2)), dim=-2)
    ky = torch.fft.fftfreq(2 * ny, device=image.device, dtype=image.dtype)[:, None]
    kx = torch.fft.rfftfreq(2 * nx, device=image.device, dtype=image.dtype)[None, :]
    kernel = torch.exp(-2 * (math.pi * sigma_px) ** 2 * (ky**2 + kx**2))
    blurred = torch.fft.irfft2(torch.fft.rfft2(mirrored) * kernel, s=mirrored.shape[-2:])
    return blurred[..., :ny, :nx]
