"""Frames of one or many patches, ready to be compared: spectra, rings, noise power."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from warptui.engine.ops.frames.dose import critical_dose_amplitude
from warptui.engine.ops.motion.coherence import (
    Coherence,
    estimate_coherence,
    information,
    likelihood_weights,
)
from warptui.engine.ops.motion.likelihood import Agreement, evaluate
from warptui.engine.ops.motion.rings import Rings, ring_mean


@dataclass(frozen=True)
class Comparison:
    """The data of a comparison, constant while shifts are fitted."""

    spectra: Tensor  # (patch, frame, ny, nx) complex64, damage amplitudes applied
    rings: Rings
    amplitude: Tensor  # (frame, ring) float64 what damage leaves of the signal
    total_power: Tensor  # (ring,) mean over frames and patches, of an unwindowed patch
    damaged_power: Tensor  # (ring,) sum over frames of amplitude² |F|², likewise
    area: float  # mean squared window: what part of a patch's pixels counts
    extra: Tensor  # (ring,) the user's B-factor
    n_smooth: int  # rings over which the coherence is averaged

    def coherence(self, agreement: Agreement) -> Coherence:
        """Signal-to-noise ratio at the shifts of ``agreement``."""
        return estimate_coherence(
            self.total_power,
            self.damaged_power,
            agreement.ring_power / self.area,
            self.amplitude,
            self.n_smooth,
        )

    def likelihood(self, coherence: Coherence) -> Tensor:
        """``(ring,)`` weights of `evaluate`."""
        return likelihood_weights(coherence, self.amplitude, self.extra).likelihood

    def information(self, coherence: Coherence) -> Tensor:
        """``(frame, frame)`` expected information of one average patch, 1/Å²."""
        weights = likelihood_weights(coherence, self.amplitude, self.extra)
        return self.area * information(coherence, weights, self.rings.k, self.rings.n_coefficients)

    def resolved_to(self, coherence: Coherence, share: float) -> float:
        """Frequency in 1/Å below which ``share`` of the information about shifts lies."""
        per_ring = (
            self.rings.n_coefficients
            * self.rings.k**2
            * self.likelihood(coherence)
            * coherence.noise_power
            * coherence.snr
        )
        information = per_ring.cumsum(0) / per_ring.sum().clamp(min=1e-30)
        ring = min(int((information < share).sum()), self.rings.n_rings - 1)
        return float(self.rings.k[ring])

    def evaluate(self, shifts_yx: Tensor, likelihood: Tensor) -> Agreement:
        """Agreement of the patches' frames after ``(patch, frame, 2)`` shifts in Å."""
        return evaluate(self.spectra, shifts_yx, self.rings, likelihood)


def damage_amplitude(rings: Rings, n_frames: int, dose: Tensor | None, voltage: float) -> Tensor:
    """``(frame, ring)`` amplitude left in the middle of each frame; 1 where no dose is known."""
    if dose is None:
        return torch.ones(n_frames, rings.n_rings, dtype=torch.float64, device=rings.k.device)
    return critical_dose_amplitude(rings.k, dose.to(rings.k), voltage)


def make_comparison(
    spectra: Tensor,
    rings: Rings,
    *,
    dose: Tensor | None,
    voltage: float,
    b_factor: float,
    area: float = 1.0,
    n_smooth: int = 5,
) -> Comparison:
    """Measure the powers, and apply the damage amplitudes to ``spectra`` in place.

    Parameters
    ----------
    spectra
        ``(patch, frame, ny, nx)`` complex64; changed in place, they are large.
    dose
        ``(frame,)`` accumulated dose in the middle of each frame, e/Å²; None if unknown.
    """
    n_patches, n_frames = spectra.shape[:2]
    amplitude = damage_amplitude(rings, n_frames, dose, voltage)
    total = torch.zeros(rings.n_rings, dtype=torch.float64, device=spectra.device)
    damaged = torch.zeros_like(total)
    for frame in range(n_frames):
        image = spectra[:, frame]
        square = (image.real.square() + image.imag.square()).sum(0)
        power = ring_mean(square / n_patches, rings) / area
        total += power / n_frames
        damaged += power * amplitude[frame] ** 2
        image *= rings.spread(amplitude[frame])
    extra = torch.exp(b_factor * rings.k**2 / 4)
    return Comparison(spectra, rings, amplitude, total, damaged, area, extra, n_smooth)
