"""Rings of equal spatial frequency, over which weights and noise are constant."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rings(NamedTuple):
    """How the coefficients of a (cropped) half spectrum fall into rings of equal frequency."""

    ky: Tensor  # (ny,) 1/Å
    kx: Tensor  # (nx,) 1/Å
    ring_of: Tensor  # (ny, nx) int64 ring of each coefficient; n_rings where it is left out
    multiplicity: Tensor  # (ny, nx) float32: 1, or 1/2 where k and -k are both there, or 0 left out
    k: Tensor  # (ring,) float64 frequency in the middle of each ring, 1/Å
    n_coefficients: Tensor  # (ring,) float64 independent complex coefficients

    @property
    def n_rings(self) -> int:
        """Number of rings."""
        return len(self.k)

    def spread(self, values: Tensor) -> Tensor:
        """``(..., ring)`` values to ``(..., ny, nx)`` float32, 0 where left out."""
        padded = torch.nn.functional.pad(values, (0, 1))
        return padded[..., self.ring_of].to(torch.float32)


def make_rings(
    ky: Tensor, kx: Tensor, *, k_min: float, k_max: float, n_rings: int, nyquist_column: bool
) -> Rings:
    """Rings from 0 to ``k_max``; coefficients outside ``k_min``..``k_max`` are left out.

    ``nyquist_column`` says that the last column is the Nyquist frequency of the x axis,
    which holds both k and -k, as the first column does.
    """
    k = (ky[:, None].to(torch.float64) ** 2 + kx[None, :].to(torch.float64) ** 2).sqrt()
    inside = (k >= k_min) & (k < k_max) & (k > 0)
    index = (k / k_max * n_rings).floor().to(torch.int64).clamp(max=n_rings)
    index = torch.where(inside, index, n_rings)
    count = inside.to(torch.float32)
    count[:, 0] *= 0.5
    if nyquist_column:
        count[:, -1] *= 0.5
    middle = (torch.arange(n_rings, dtype=torch.float64, device=k.device) + 0.5) * k_max / n_rings
    n = torch.zeros(n_rings + 1, dtype=torch.float64, device=k.device)
    n.index_add_(0, index.flatten(), count.flatten().to(torch.float64))
    return Rings(ky, kx, index, count, middle, n[:n_rings])


def ring_mean(values: Tensor, rings: Rings) -> Tensor:
    """Mean of ``(..., ny, nx)`` over rings, ``(..., ring)`` float64; empty rings give 0."""
    weighted = (values * rings.multiplicity).flatten(-2).to(torch.float64)
    sums = weighted.new_zeros(*weighted.shape[:-1], rings.n_rings + 1)
    sums.index_add_(-1, rings.ring_of.flatten(), weighted)
    return sums[..., : rings.n_rings] / rings.n_coefficients.clamp(min=0.5)
