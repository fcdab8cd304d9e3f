"""Defocus, astigmatism and phase shift refined together on the exact 2D likelihood.

Fisher scoring with the exact derivatives of the phase; the envelope is fitted again in every
round. Every sample may have its own defocus, to which a common change is fitted. If the phase
shift is free, the specimen's own spectrum is a nuisance: see `ring_shape`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.ctf.ring_model import (
    Envelope,
    Thon,
    fit_envelope,
    measure_rings,
    redundancy,
)
from warptui.engine.ops.ctf.ring_shape import Ripples, expect_ripples, without_ripples

ROUNDS = 8
CONVERGED = 2.0  # Å
CLOSE = 0.3  # Å; shorter steps are not tried
LARGEST_STEP = 400.0  # Å
ASTIGMATISM_SIGMA = 500.0  # Å, of each component: a broad prior
PHASE_SIGMA = 10.0  # rad: no prior


class Optical(NamedTuple):
    """Optical parameters that all samples share."""

    defocus: float  # Å, mean
    astigmatism_xy: tuple[float, float]  # Δ cos 2α, Δ sin 2α, Å
    phase_shift: float  # rad


class Fit(NamedTuple):
    """Result of `refine`."""

    optical: Optical
    envelope: Tensor  # (bin,) float64 D(k)
    gain: float  # log-likelihood over "no rings", corrected for redundancy
    value: float  # the same less what the prior costs
    correlation: float  # of data and template, weighted
    covariance: Tensor  # (3 or 4,) squared: defocus, astigmatism x, y, phase shift
    redundancy: float
    gains: Tensor  # (bin,) the same gain by frequency


def refine(
    thon: Thon, offsets: Tensor, start: Optical, *, fit_phase: bool, rounds: int = ROUNDS
) -> Fit:
    """Find the optical parameters and the envelope.

    Parameters
    ----------
    offsets
        ``(sample,)`` defocus of each sample less the mean, Å, float64.
    """
    now = start
    n = 4 if fit_phase else 3
    wave = waves(thon, offsets, now)
    tau, normal = redundancy(thon, thon.data), torch.eye(n, dtype=torch.float64)
    rings, ripples = measure_rings(thon, wave), None
    found = fit_envelope(rings, tau)
    for _ in range(rounds):
        residual = thon.data - thon.strip(wave * found.values.to(wave))
        tau = redundancy(thon, residual)
        if fit_phase:
            ripples = expect_ripples(thon, wave, found, tau)
            rings = without_ripples(measure_rings(thon, wave), thon, wave, ripples)
        found = fit_envelope(rings, tau)
        residual = thon.data - thon.strip(wave * found.values.to(wave))
        weighted = residual * thon.weight
        shape = found.values.to(wave)
        columns = [thon.strip(slope * shape) for slope in _slopes(thon, offsets, now, n)]
        normal, right = _prior(now, n)
        for a, column in enumerate(columns):
            right[a] += float((weighted * column).sum()) / tau
            for b in range(a + 1):
                both = float((columns[b] * column * thon.weight).sum()) / tau
                normal[a, b] += both
                if a != b:
                    normal[b, a] += both
        if ripples is not None:
            along = ripples.along(torch.stack(columns))
            normal -= ripples.taken(along, along) / tau
            right -= ripples.taken(along, ripples.along(residual[None]))[:, 0] / tau
        step = torch.linalg.solve(normal, right)
        longest = float(step[:3].abs().max())
        length = min(1.0, LARGEST_STEP / max(longest, 1e-9))
        value = _value(thon, wave, found, tau, ripples) - _penalty(now)
        while longest * length > CLOSE:
            new = _moved(now, length * step)
            new_wave = waves(thon, offsets, new)
            new_rings = measure_rings(thon, new_wave)
            if ripples is not None:
                new_rings = without_ripples(new_rings, thon, new_wave, ripples)
            again = fit_envelope(new_rings, tau, found)
            if _value(thon, new_wave, again, tau, ripples) - _penalty(new) >= value:
                now, wave, rings, found = new, new_wave, new_rings, again
                break
            length *= 0.3
        if longest * length < CONVERGED:
            break
    template = thon.strip(wave * found.values.to(wave))
    cross = float((template * thon.data * thon.weight).sum())
    norm = float((template.square() * thon.weight).sum())
    energy = float((thon.data.square() * thon.weight).sum())
    return Fit(
        now,
        found.values,
        (cross - 0.5 * norm) / tau,
        _value(thon, wave, found, tau, ripples) - _penalty(now),
        cross / math.sqrt(max(norm * energy, 1e-30)),
        torch.linalg.inv(normal),
        tau,
        ((thon.data - 0.5 * template) * template * thon.weight).sum((0, 1)).cpu() / tau,
    )


def waves(thon: Thon, offsets: Tensor, optical: Optical) -> Tensor:
    """``(sample, sector, bin)`` -cos 2γ."""
    return -torch.cos(_double_phase(thon, offsets, optical))


def _slopes(thon: Thon, offsets: Tensor, optical: Optical, n: int) -> list[Tensor]:
    """Derivatives of `waves` by the first ``n`` parameters."""
    geometry = thon.geometry
    sine = 2 * torch.sin(_double_phase(thon, offsets, optical))
    lambda_pi = math.pi * geometry.optics.wavelength
    by_defocus = sine * (lambda_pi * geometry.k2)
    by_x = sine * (0.5 * lambda_pi * geometry.k2_cos)
    by_y = sine * (0.5 * lambda_pi * geometry.k2_sin)
    return [by_defocus, by_x, by_y, sine][:n]


def _double_phase(thon: Thon, offsets: Tensor, optical: Optical) -> Tensor:
    defocus = (optical.defocus + offsets).to(thon.data)
    shift = torch.full_like(defocus, optical.phase_shift)
    return 2 * thon.geometry.phase(defocus, optical.astigmatism_xy, shift)


def _moved(optical: Optical, step: Tensor) -> Optical:
    values = step.tolist()
    x, y = optical.astigmatism_xy
    shift = optical.phase_shift + (values[3] if len(values) > 3 else 0.0)
    return Optical(optical.defocus + values[0], (x + values[1], y + values[2]), shift % math.pi)


def _prior(optical: Optical, n: int) -> tuple[Tensor, Tensor]:
    normal = torch.zeros(n, n, dtype=torch.float64)
    right = torch.zeros(n, dtype=torch.float64)
    normal[0, 0] = 1e-10
    for place, value in zip((1, 2), optical.astigmatism_xy, strict=True):
        normal[place, place] = ASTIGMATISM_SIGMA**-2
        right[place] = -value * ASTIGMATISM_SIGMA**-2
    if n > 3:
        normal[3, 3] = PHASE_SIGMA**-2
    return normal, right


def _penalty(optical: Optical) -> float:
    x, y = optical.astigmatism_xy
    return 0.5 * (x**2 + y**2) / ASTIGMATISM_SIGMA**2


def _value(
    thon: Thon, wave: Tensor, envelope: Envelope, tau: float, ripples: Ripples | None
) -> float:
    template = thon.strip(wave * envelope.values.to(wave))
    rest = thon.data - 0.5 * template
    likely = float((rest * template * thon.weight).sum())
    if ripples is None:
        return likely / tau - envelope.penalty
    along = ripples.along(torch.stack([rest, template]))
    likely -= float(ripples.taken(along[:1], along[1:]))
    return likely / tau - envelope.penalty - ripples.cost
