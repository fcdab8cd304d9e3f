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
from warptui.engine.ops.motion.rings import Rings, ring_mean


class Agreement(NamedTuple):
    """Result of `evaluate`."""

    value: Tensor  # (patch,) float64 log-likelihood
    score: Tensor  # (patch, frame, 2) float64 gradient by the y, x shift, 1/Å
    ring_power: Tensor  # (ring,) float64 mean power of the summed frames


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
