"""Normalises particle images: subtracts a plane, then divides by the background's noise."""

from __future__ import annotations

import torch
from torch import Tensor

from warptui.engine.ops.particles import background_cpu


def normalise_boxes(images: Tensor, radius_px: float, covered: Tensor | None = None) -> Tensor:
    """Scale boxes ``(n, y, x)`` to mean 0 and standard deviation 1 outside a central disc.

    A plane through the background is subtracted first. What is not ``covered`` ``(n, y, x)`` by
    the micrograph counts for nothing and becomes 0.

    Raises
    ------
    ValueError
        If the disc leaves no background.
    """
    if covered is not None or images.device.type != "cpu" or images.dtype != torch.float32:
        return normalise_boxes_in_torch(images, radius_px, covered)
    images = images.clone(memory_format=torch.contiguous_format)
    background_cpu.normalise_boxes(images.numpy(), radius_px)
    return images


def normalise_boxes_in_torch(
    images: Tensor, radius_px: float, covered: Tensor | None = None
) -> Tensor:
    """`normalise_boxes` in plain torch."""
    size = images.shape[-1]
    place = torch.arange(size, device=images.device, dtype=images.dtype) - size // 2
    outside = (place[:, None] ** 2 + place[None, :] ** 2) > radius_px**2
    if not bool(outside.any()):
        raise ValueError(f"a disc of {radius_px:g} px leaves no background in {size} px")
    ramp = place / max(size / 2, 1)
    shape = torch.stack(
        [torch.ones(size, size).to(ramp), ramp[:, None].expand(size, size), ramp.expand(size, size)]
    )
    flat = shape.flatten(1)
    middle = images.mean(dim=(1, 2), keepdim=True)
    images = images - middle  # squares of small numbers keep their digits
    weight = outside.to(images.dtype)[None]
    if covered is not None:
        weight = weight * covered
        # a box with hardly any visible background is normalised by all visible pixels
        poor = weight.sum(dim=(1, 2)) < 0.01 * size * size
        weight = torch.where(poor[:, None, None], covered.to(weight), weight)
    weight = weight.flatten(1)
    if covered is None:
        moments = (flat * weight) @ flat.T
        right = (flat * weight) @ images.flatten(1).T
        plane = torch.linalg.solve(moments.double(), right.double()).T
    else:
        moments = torch.einsum("ip,np,jp->nij", flat, weight, flat).double()
        right = torch.einsum("ip,np,np->ni", flat, weight, images.flatten(1)).double()
        tiny = 1e-9 * moments[:, :1, :1] * torch.eye(3, device=images.device)
        plane = torch.linalg.solve(moments + tiny, right)
    images = images - (plane.to(images) @ flat).view_as(images)
    square = (images.flatten(1).square() * weight).sum(1) / weight.sum(1).clamp(min=1)
    images = images * square.clamp(min=1e-30).rsqrt()[:, None, None]
    return images if covered is None else images * covered
