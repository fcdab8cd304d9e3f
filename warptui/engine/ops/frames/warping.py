"""Moving every pixel of an image by a smooth field of shifts.

Interpolation is by quintic B-splines, whose prefilter (`prefilter_yx`) is one factor in
Fourier space, where the image comes from anyway. A smooth field lets x and y be done one
after the other: 12 instead of 36 samples a pixel.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.frames import warping_cpu

TAPS = 6


def prefilter_yx(ky: Tensor, kx: Tensor) -> tuple[Tensor, Tensor]:
    """Factors ``(ny,)``, ``(nx,)`` that complete the interpolation, in Fourier space.

    They may be applied to the spectrum before `add_warped` or after it: both commute as long
    as the field is smooth, so that one multiplication serves a sum of many images.

    Parameters
    ----------
    ky, kx
        Frequencies in cycles per pixel of the image that is warped.
    """
    return _prefilter(ky), _prefilter(kx)


def _prefilter(cycles: Tensor) -> Tensor:
    # Divide by the transform of the quintic B-spline, 66, 26, 1 (over 120) at the integers.
    angle = 2 * math.pi * cycles.to(torch.float64)
    response = (66 + 52 * torch.cos(angle) + 2 * torch.cos(2 * angle)) / 120
    return (1 / response).to(torch.float32)


def add_warped(total: Tensor, image: Tensor, nodes_yx: Tensor) -> None:
    """Add ``image``, each pixel moved by the shift at its place, to ``total``.

    What would come from outside the image counts as zero.

    Parameters
    ----------
    total
        ``(y, x)`` float32, contiguous, at least as large as the image; changed in place.
    image
        ``(y, x)`` float32; see `prefilter_yx`.
    nodes_yx
        ``(n_y, n_x, 2)`` y, x shift to apply at the nodes of a natural spline grid from
        edge to edge of the image, px.
    """
    n_y, n_x = image.shape
    weights_y = _edge_to_edge(nodes_yx.shape[0], n_y)
    weights_x = _edge_to_edge(nodes_yx.shape[1], n_x)
    rows = torch.einsum("yn,nmc->ymc", weights_y, nodes_yx.to(weights_y))
    if total.device.type == "cpu":
        warping_cpu.add_warped(total, image, rows.float(), weights_x.T.contiguous().float())
    else:
        add_warped_in_torch(total, image, rows.float(), weights_x.T.float())


@lru_cache(maxsize=8)  # every frame of a movie asks for the same two
def _edge_to_edge(n_nodes: int, n: int) -> Tensor:
    return spline_weights(n_nodes, torch.linspace(0, 1, n, dtype=torch.float64))


def add_warped_in_torch(total: Tensor, image: Tensor, rows: Tensor, weights_x: Tensor) -> None:
    """`add_warped` in plain torch.

    Parameters
    ----------
    rows
        ``(y, node, 2)`` nodes interpolated to every row.
    weights_x
        ``(node, x)`` weights of the nodes at every column.
    """
    rows, weights_x = rows.to(image), weights_x.to(image)
    shift_y = rows[..., 0] @ weights_x
    shift_x = rows[..., 1] @ weights_x
    slope = torch.gradient(shift_x, dim=0)[0] if len(shift_x) > 1 else torch.zeros_like(shift_x)
    # Row y' of the first pass ends up at y' + shift_y: it needs the x shift of that place.
    shift_x = shift_x + shift_y * slope
    n_y, n_x = image.shape
    x = torch.arange(n_x, device=image.device)
    y = torch.arange(n_y, device=image.device)
    first, weights = _taps(x - shift_x)
    moved = torch.zeros_like(image)
    for tap in range(TAPS):
        at = first + tap
        inside = (at >= 0) & (at < n_x)
        moved += weights[tap] * inside * image.gather(1, at.clamp(0, n_x - 1))
    first, weights = _taps(y[:, None] - shift_y)
    for tap in range(TAPS):
        at = first + tap
        inside = (at >= 0) & (at < n_y)
        total[:n_y, :n_x] += weights[tap] * inside * moved.gather(0, at.clamp(0, n_y - 1))


def _taps(position: Tensor) -> tuple[Tensor, list[Tensor]]:
    """First of six samples around ``position``, and the quintic B-spline's weights."""
    left = position.floor()
    t = position - left
    weights = []
    for tap in range(TAPS):
        distance = (t + (2 - tap)).abs()
        inner = (3 - distance).clamp(min=0) ** 5
        middle = (2 - distance).clamp(min=0) ** 5
        outer = (1 - distance).clamp(min=0) ** 5
        weights.append((inner - 6 * middle + 15 * outer) / 120)
    return left.to(torch.int64) - 2, weights
