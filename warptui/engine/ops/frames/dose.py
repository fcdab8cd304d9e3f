"""Radiation damage and dose weights."""

from __future__ import annotations

import torch
from torch import Tensor


def critical_dose(k: Tensor, voltage: float) -> Tensor:
    """Dose at which the signal has fallen to 1/e in power (Grant & Grigorieff 2015, eq. 3).

    Parameters
    ----------
    k
        Spatial frequency in 1/Å, any shape.
    voltage
        kV; at 200 kV and below 250 the curve is 0.8 times that of 300 kV.

    Returns
    -------
    Tensor
        e/Å², same shape; very large at k = 0.
    """
    curve = 0.245 * k.clamp(min=1e-4) ** -1.665 + 2.81
    return curve * (0.8 if voltage < 250 else 1.0)


def critical_dose_amplitude(k: Tensor, dose: Tensor, voltage: float) -> Tensor:
    """Amplitude that is left of the signal after ``dose``: exp(-dose / (2 Nc(k))).

    Parameters
    ----------
    k
        ``(...)`` spatial frequencies in 1/Å.
    dose
        ``(frame,)`` accumulated dose in e/Å² in the middle of each frame.

    Returns
    -------
    Tensor
        ``(frame, ...)`` float32.
    """
    curve = critical_dose(k, voltage)
    return torch.exp(-0.5 * dose.view(-1, *[1] * k.ndim) / curve)


def gaussian_amplitude(k: Tensor, dose: Tensor) -> Tensor:
    """Warp's weight: a B-factor of -4 Å² per e/Å², exp(-4 dose k² / 4).

    Shapes as in `critical_dose_amplitude`.
    """
    return torch.exp(-dose.view(-1, *[1] * k.ndim) * k**2)


def normalised_amplitudes(law: str, k: Tensor, dose: Tensor, voltage: float) -> Tensor:
    """Weights of frames whose noise stays white: divided by the root of their mean square.

    Parameters
    ----------
    law
        "gaussian", "critical" or "none".
    k, dose
        As in `critical_dose_amplitude`.

    Returns
    -------
    Tensor
        ``(frame, ...)`` float32.
    """
    if law == "none":
        return torch.ones(len(dose), *k.shape, device=k.device)
    if law == "gaussian":
        weights = gaussian_amplitude(k, dose)
    else:
        weights = critical_dose_amplitude(k, dose, voltage)
    return weights * weights.square().mean(0).clamp(min=1e-12).rsqrt()
