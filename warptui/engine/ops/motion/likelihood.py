"""How well the shifted frames of patches agree: the motion cost and its exact gradient.

The paper's cost, sum over frames of |I_t - mean|², falls exactly as |sum of I_t|² rises,
because shifting a frame does not change its power. One evaluation therefore needs only the
sum of a patch's frames.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.fourier import shift_phases
from warptui.engine.ops.motion import likelihood_cpu


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


class Agreement(NamedTuple):
    """Result of `evaluate`."""

    value: Tensor  # (patch,) float64 log-likelihood
    score: Tensor  # (patch, frame, 2) float64 gradient by the y, x shift, 1/Å
    ring_power: Tensor  # (ring,) float64 mean power of the summed frames


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


def evaluate(spectra: Tensor, shifts_yx: Tensor, rings: Rings, likelihood: Tensor) -> Agreement:
    """Weighted power of the sum of shifted frames, and its gradient.

    Parameters
    ----------
    spectra
        ``(patch, frame, ny, nx)`` complex64, damage amplitudes already applied.
    shifts_yx
        ``(patch, frame, 2)`` shifts to apply, Å.
    rings
        Of the spectra.
    likelihood
        ``(ring,)`` weight v of each ring (`coherence.likelihood_weights`).
    """
    phase_y, phase_x = shift_phases(rings.ky, rings.kx, shifts_yx)
    weight = rings.spread(likelihood) * rings.multiplicity
    if spectra.device.type == "cpu":
        return Agreement(*likelihood_cpu.evaluate(spectra, phase_y, phase_x, rings, weight))
    return evaluate_in_torch(spectra, phase_y, phase_x, rings, weight)


def evaluate_in_torch(
    spectra: Tensor, phase_y: Tensor, phase_x: Tensor, rings: Rings, weight: Tensor
) -> Agreement:
    """`evaluate` in plain torch: the reference of the fused kernels, and the CUDA path."""
    n_patches = len(spectra)
    value = torch.empty(n_patches, dtype=torch.float64, device=spectra.device)
    score = torch.empty(*spectra.shape[:2], 2, dtype=torch.float64, device=spectra.device)
    power = torch.zeros(spectra.shape[2:], device=spectra.device)
    # patches at a time: bounded by 64 M coefficients of scratch
    step = max(1, 2**26 // spectra[0].numel())
    for first in range(0, n_patches, step):
        part = slice(first, first + step)
        shifted = spectra[part] * phase_y[part, :, :, None] * phase_x[part, :, None, :]
        total = shifted.sum(1)
        square = total.real**2 + total.imag**2
        power += square.sum(0)
        value[part] = (weight * square).sum((1, 2))
        pull = ((weight * total).conj()[:, None] * shifted).imag
        score[part, :, 0] = 4 * math.pi * (pull.sum(3) @ rings.ky).to(torch.float64)
        score[part, :, 1] = 4 * math.pi * (pull.sum(2) @ rings.kx).to(torch.float64)
    return Agreement(value, score, ring_mean(power / n_patches, rings))
