"""The common signal of a movie's frames: signal-to-noise ratio, weights, information.

The frames of one place are modelled as F_t(k) = a_t(k) S(k) exp(i k·d_t) + noise, where S
is complex Gaussian with power rho(k) times that of the noise P(k), and a_t is what
radiation damage has left. The log-likelihood of shifts s_t is then, up to a constant,

    sum over k of  v(k) |A(k)|²,   A = sum over t of a_t F_t exp(-i k·s_t),
    v = rho / (P (1 + rho sum a_t²)),

so that minimising the paper's cost sum |I_i - mean|² is the case a = 1, v = const.
Everything that is compared is weighted by what it says, and "what it says" is measured.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Coherence(NamedTuple):
    """Ring by ring; ``(ring,)`` float64."""

    noise_power: Tensor  # of one frame
    snr: Tensor  # signal over noise power of one undamaged frame; >= 0


class Weights(NamedTuple):
    """How coefficients enter the log-likelihood."""

    likelihood: Tensor  # v, (ring,)
    amplitude: Tensor  # a, (frame, ring)


def estimate_coherence(
    total_power: Tensor, damaged_power: Tensor, sum_power: Tensor, amplitude: Tensor, n_smooth: int
) -> Coherence:
    """Noise and signal-to-noise ratio from ring averages of aligned frames.

    Parameters
    ----------
    total_power
        ``(ring,)`` mean over frames of |F_t|².
    damaged_power
        ``(ring,)`` sum over frames of a_t² |F_t|².
    sum_power
        ``(ring,)`` |sum over frames of a_t F_t exp(-i k·s_t)|².
    amplitude
        ``(frame, ring)`` a_t.
    n_smooth
        Rings over which the signal is averaged (odd).
    """
    square = (amplitude**2).sum(0)
    fourth = (amplitude**4).sum(0)
    # Cross terms between different frames only: noise has none on average.
    signal = (sum_power - damaged_power) / (square**2 - fourth).clamp(min=1e-6)
    # A running mean lowers the noise of the estimate; it stays narrower than a Thon ring.
    kernel = torch.ones(1, 1, n_smooth, dtype=signal.dtype, device=signal.device) / n_smooth
    padded = torch.nn.functional.pad(
        signal[None, None], (n_smooth // 2, n_smooth // 2), mode="replicate"
    )
    signal = torch.nn.functional.conv1d(padded, kernel)[0, 0].clamp(min=0)
    # The innermost rings hold so few coefficients that their signal may seem to exceed the
    # total power; a tenth of it is left to the noise.
    noise = (total_power - signal * square / len(amplitude)).maximum(0.1 * total_power)
    noise = noise.clamp(min=1e-30)
    return Coherence(noise, signal / noise)


def likelihood_weights(coherence: Coherence, amplitude: Tensor, extra: Tensor) -> Weights:
    """Weights of the log-likelihood; ``extra`` ``(ring,)`` is the user's B-factor and range."""
    square = (amplitude**2).sum(0)
    v = coherence.snr / (coherence.noise_power * (1 + coherence.snr * square)) * extra
    return Weights(v, amplitude)


def information(
    coherence: Coherence, weights: Weights, k: Tensor, n_coefficients: Tensor
) -> Tensor:
    """Expected Fisher information about the shifts of one axis, 1/Å².

    Parameters
    ----------
    k
        ``(ring,)`` frequency of each ring in 1/Å.
    n_coefficients
        ``(ring,)`` independent complex coefficients in each ring (half plane).

    Returns
    -------
    Tensor
        ``(frame, frame)``; rows sum to 0, because a shift of all frames changes nothing.
    """
    # Along one axis the mean of (2 pi k_x)² over a ring is (2 pi k)² / 2.
    per_ring = (
        n_coefficients
        * 2
        * (2 * math.pi * k) ** 2
        / 2
        * weights.likelihood
        * coherence.noise_power
        * coherence.snr
    )
    a = weights.amplitude**2
    coupling = torch.einsum("tr,r,ur->tu", a, per_ring, a)
    return torch.diag(coupling.sum(1)) - coupling


def held_out_significance(
    total_power: Tensor,
    damaged_power: Tensor,
    sum_power: Tensor,
    amplitude: Tensor,
    n_coefficients: Tensor,
) -> float:
    """How many standard errors the odd rings agree by, at shifts found from the even ones.

    The odd rings are weighted with the signal-to-noise ratio of their even neighbours, so
    that pure noise gives a standard normal number whatever was searched. Arguments as in
    `estimate_coherence`; ``n_coefficients`` ``(ring,)`` is for the half plane.
    """
    square = (amplitude**2).sum(0)
    pairs = (square**2 - (amplitude**4).sum(0)).clamp(min=1e-6)
    excess = sum_power - damaged_power  # cross terms of different frames; zero for noise
    deviation = total_power * pairs.sqrt() / n_coefficients.clamp(min=0.5).sqrt()
    snr = (excess / (pairs * total_power.clamp(min=1e-30))).clamp(min=0)
    even = snr.clone()
    even[1::2] = 0
    guess = torch.zeros_like(snr)
    guess[1:-1] = 0.5 * (even[:-2] + even[2:])
    odd = torch.zeros_like(snr)
    odd[1:-1:2] = 1
    usable = odd * (n_coefficients >= 8)
    # the best weight of a ring is its expected excess over the square of its error
    weight = usable * guess * pairs * total_power / deviation.square().clamp(min=1e-30)
    error = (weight * deviation).square().sum().sqrt()
    return float((weight * excess).sum() / error) if float(error) > 0 else 0.0
