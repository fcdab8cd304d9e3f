"""Ice quality: how clean a film is, from its contrast at low frequencies.

Vitreous ice and the particles in it are weak phase objects: near focus, as all images are, their
contrast transfer leaves little of structures coarser than particles. Contamination, crystals,
thick ice, edges of the carbon scatter so strongly that they are seen there all the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.ctf.polar import PolarGrid

COARSE = (400.0, 150.0)  # Å
PARTICLES = (80.0, 40.0)  # Å, about the first peak of the CTF
FROM_EDGE = 2.5  # frequency steps of a patch, below which its window shows
WHITE = (0.8, 0.95)  # of Nyquist, where there is hardly anything but noise
DIRTY = 3.0  # a film whose coarse contrast is so much stronger is half as good


class Film(NamedTuple):
    """How clean a film is, and how strong its signal is."""

    coarse: float  # power of what is coarse over that about the first peak; clean films have ~1
    signal: float  # power about the first peak over noise, of all images together
    quality: float  # 0..1: falls with the former, grows with the latter


def describe_film(power: Tensor, grid: PolarGrid, n_images: int) -> Film | None:
    """Ice quality from spectra; None if patches are too small for low frequencies.

    Parameters
    ----------
    power
        ``(sample, sector, bin)`` mean power of the coefficients in each bin.
    n_images
        Number of images whose power was averaged, which reduces the noise.
    """
    k, count = grid.k, grid.n_coefficients.sum(0)
    radial = (power.mean(0).to(torch.float64) * grid.n_coefficients).sum(0) / count.clamp(min=1)

    def between(low: float, high: float) -> float | None:
        inside = (k >= low) & (k < high) & (count > 0)
        return float(radial[inside].mean()) if bool(inside.any()) else None

    nyquist = 0.5 / grid.pixel_size
    white = between(WHITE[0] * nyquist, WHITE[1] * nyquist)
    lowest = max(1 / COARSE[0], FROM_EDGE / (grid.size * grid.pixel_size))
    coarse = between(lowest, 1 / COARSE[1])
    particles = between(1 / PARTICLES[0], 1 / PARTICLES[1])
    if coarse is None or not particles or not white or 1 / PARTICLES[1] > WHITE[0] * nyquist:
        return None
    signal = max(0.0, particles / white - 1) * n_images
    ratio = coarse / particles
    return Film(ratio, signal, signal / (1 + signal) / (1 + (ratio / DIRTY) ** 2))
