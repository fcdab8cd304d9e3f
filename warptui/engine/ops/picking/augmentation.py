"""Random training windows from examples: position, rotation, mirror, shear, noise.

(Paper, *Initial training of BoxNet*.) Every number comes from the generator that is passed in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

LARGEST_NOISE = 0.6  # σ of the added Gaussian noise, in units of the normalised image
_LARGEST_SHEAR = 0.15
_LARGEST_STRETCH = 0.15
_LARGEST_GAIN = 0.25  # log of the factor: doses and scales differ
_LARGEST_OFFSET = 0.3
_UNTURNED_SHARE = 0.5  # of windows are only mirrored and turned by 90°: no resampling
_OUTSIDE = 0.0  # image and certainty beyond the edges


def draw_window(
    image: Tensor, labels: Tensor, certainty: Tensor, size: int, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A window of ``size``² px from one example (all (y, x)); pixels beyond it have weight 0."""
    u = torch.rand(10, generator=generator)
    if u[0] < _UNTURNED_SHARE:
        window = _cut(image, labels, certainty, size, u)
    else:
        window = _warp(image, labels, certainty, size, u)
    picture, label, weight = window
    picture = picture * torch.exp((2 * u[8] - 1) * _LARGEST_GAIN)
    picture = picture + (2 * u[9] - 1) * _LARGEST_OFFSET
    sigma = float(torch.rand(1, generator=generator)) * LARGEST_NOISE
    picture = picture + sigma * torch.randn(picture.shape, generator=generator)
    # noise makes the scale larger; the network always sees a scale of one
    return picture / math.sqrt(1 + sigma**2), label, weight


def _cut(
    image: Tensor, labels: Tensor, certainty: Tensor, size: int, u: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Without resampling: place, quarter turns, mirror image."""
    ny, nx = image.shape
    pad_y, pad_x = max(size - ny, 0), max(size - nx, 0)
    planes = [F.pad(plane, (0, pad_x, 0, pad_y)) for plane in (image, labels, certainty)]
    top = int(u[1] * (ny + pad_y - size + 1))
    left = int(u[2] * (nx + pad_x - size + 1))
    turns, mirrored = int(u[3] * 4), bool(u[4] < 0.5)
    cut = [plane[top : top + size, left : left + size].rot90(turns) for plane in planes]
    if mirrored:
        cut = [plane.flip(0) for plane in cut]
    return cut[0], cut[1], cut[2]


def _warp(
    image: Tensor, labels: Tensor, certainty: Tensor, size: int, u: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Turned by any angle, sheared and stretched."""
    ny, nx = image.shape
    angle = 2 * math.pi * float(u[3])
    shear = (2 * float(u[5]) - 1) * _LARGEST_SHEAR
    stretch = math.exp((2 * float(u[6]) - 1) * _LARGEST_STRETCH)
    mirror = -1.0 if u[4] < 0.5 else 1.0
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin], [sin, cos]])
    matrix = turn @ torch.tensor([[stretch * mirror, shear], [0.0, 1 / stretch]])
    reach = size / 2
    centre_y = _between(reach, ny - reach, float(u[1]), ny)
    centre_x = _between(reach, nx - reach, float(u[2]), nx)
    # window pixel -> image pixel, in the units of grid_sample (-1..1 over the image's edges)
    scale = torch.tensor([size / nx, size / ny])
    theta = torch.zeros(1, 2, 3)
    theta[0, :, :2] = matrix * scale[:, None]
    theta[0, 0, 2] = 2 * centre_x / nx - 1
    theta[0, 1, 2] = 2 * centre_y / ny - 1
    grid = F.affine_grid(theta, [1, 1, size, size], align_corners=False)
    picture = F.grid_sample(image[None, None], grid, mode="bicubic", align_corners=False)
    others = torch.stack((labels, certainty)).float()[None]
    nearest = F.grid_sample(others, grid, mode="nearest", align_corners=False)[0]
    return picture[0, 0], nearest[0].to(labels.dtype), nearest[1]


def _between(low: float, high: float, share: float, n: int) -> float:
    """A place between the limits, the middle where there is no room."""
    return low + share * (high - low) if high > low else n / 2
