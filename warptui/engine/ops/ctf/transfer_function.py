"""The contrast transfer function: its phase, images, zeros, and rescaling to another defocus.

CTF = sin γ with γ(k) = π λ z k² - π/2 Cs λ³ k⁴ + φ + asin A: positive defocus z is underfocus,
CTF(0) = A, and the first peak of an underfocused image is positive. Astigmatism makes the
defocus depend on direction: z(θ) = z + Δ/2 cos 2(θ - α), θ from x towards y.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Optics(NamedTuple):
    """What does not change from image to image."""

    voltage: float  # kV
    cs: float  # mm
    amplitude_contrast: float  # 0..1

    @property
    def wavelength(self) -> float:
        """Relativistic electron wavelength, Å."""
        return wavelength_angstrom(self.voltage)

    @property
    def quartic(self) -> float:
        """Cs λ², Å³: the defocus at which spherical aberration weighs as much at 1/Å, halved."""
        return self.cs * 1e7 * self.wavelength**2

    @property
    def amplitude_phase(self) -> float:
        """Phase that amplitude contrast adds, rad."""
        return math.asin(self.amplitude_contrast)


def wavelength_angstrom(voltage: float) -> float:
    """Relativistic electron wavelength in Å at ``voltage`` kV."""
    volts = voltage * 1e3
    return 12.2643247 / math.sqrt(volts * (1 + 0.978466e-6 * volts))


def calculate_phase(
    k2: Tensor, defocus: Tensor | float, optics: Optics, phase_shift: Tensor | float = 0.0
) -> Tensor:
    """γ in rad at squared frequencies ``k2`` (1/Å²), ``defocus`` in Å, ``phase_shift`` in rad."""
    lambda_pi = math.pi * optics.wavelength
    return (
        lambda_pi * k2 * (defocus - 0.5 * optics.quartic * k2)
        + phase_shift
        + optics.amplitude_phase
    )


def calculate_ctf(
    k2: Tensor,
    defocus: Tensor | float,
    optics: Optics,
    phase_shift: Tensor | float = 0.0,
    b_factor: float = 0.0,
) -> Tensor:
    """CTF at squared frequencies, times exp(B k²/4); ``b_factor`` < 0 decays."""
    ctf = torch.sin(calculate_phase(k2, defocus, optics, phase_shift))
    return ctf * torch.exp(0.25 * b_factor * k2) if b_factor else ctf


def defocus_at(
    angle: Tensor, defocus: float, astigmatism: float, astigmatism_angle: float
) -> Tensor:
    """Defocus in the directions ``angle`` (rad); lengths in one unit, angles in rad."""
    return defocus + 0.5 * astigmatism * torch.cos(2 * (angle - astigmatism_angle))


def calculate_ctf_image(
    shape_yx: tuple[int, int],
    pixel_size: float,
    optics: Optics,
    *,
    defocus: float,
    astigmatism: float = 0.0,
    astigmatism_angle: float = 0.0,
    phase_shift: float = 0.0,
    b_factor: float = 0.0,
    pixel_delta: float = 0.0,
    pixel_angle: float = 0.0,
    device: torch.device | None = None,
) -> Tensor:
    """2D CTF in the layout of `torch.fft.rfft2`.

    Parameters
    ----------
    defocus, astigmatism
        Å; mean of u and v, and u - v.
    astigmatism_angle, pixel_angle, phase_shift
        rad.
    pixel_delta
        Å by which the pixel is longer along ``pixel_angle`` than across it.

    Returns
    -------
    Tensor
        ``(ny, nx // 2 + 1)`` float32.
    """
    ky = torch.fft.fftfreq(shape_yx[0], dtype=torch.float64, device=device)[:, None]
    kx = torch.fft.rfftfreq(shape_yx[1], dtype=torch.float64, device=device)[None, :]
    angle = torch.atan2(ky, kx)
    pixel = pixel_size + 0.5 * pixel_delta * torch.cos(2 * (angle - pixel_angle))
    k2 = (ky**2 + kx**2) / pixel**2
    z = defocus_at(angle, defocus, astigmatism, astigmatism_angle)
    return calculate_ctf(k2, z, optics, phase_shift, b_factor).to(torch.float32)


def find_zeros(
    defocus: float, optics: Optics, k_max: float, phase_shift: float = 0.0
) -> list[float]:
    """Frequencies (1/Å) up to ``k_max`` where the CTF crosses or touches zero, ascending."""
    return _crossings(defocus, optics, k_max, phase_shift, 0.0)


def find_peaks(
    defocus: float, optics: Optics, k_max: float, phase_shift: float = 0.0
) -> list[float]:
    """Frequencies (1/Å) up to ``k_max`` where |CTF| is 1, ascending."""
    return _crossings(defocus, optics, k_max, phase_shift, 0.5 * math.pi)


def _crossings(
    defocus: float, optics: Optics, k_max: float, phase_shift: float, offset: float
) -> list[float]:
    """Where γ = n π + offset: roots of a quadratic in k² for every n."""
    lambda_pi = math.pi * optics.wavelength
    start = phase_shift + optics.amplitude_phase
    turn = 0.5 * lambda_pi * optics.quartic
    u_max = k_max**2
    reach = [start, start + lambda_pi * defocus * u_max - turn * u_max**2]
    if turn > 0:
        top = defocus / optics.quartic  # k² at which γ turns
        if 0 < top < u_max:
            reach.append(start + 0.5 * lambda_pi * defocus * top)
    first = math.ceil((min(reach) - offset) / math.pi)
    last = math.floor((max(reach) - offset) / math.pi)
    found = set()
    for n in range(first, last + 1):
        c = start - offset - n * math.pi
        square = (lambda_pi * defocus) ** 2 + 4 * turn * c
        if square < 0:
            continue
        root = math.sqrt(square)
        for sign in (1.0, -1.0):
            # u = 2c / (-b ± root) has no cancellation and needs no Cs
            below = -lambda_pi * defocus + sign * root
            if below != 0 and 0 < 2 * c / below <= u_max:
                found.add(2 * c / below)
    return sorted(math.sqrt(u) for u in found)


def rescale_k2(
    k2: Tensor, defocus: Tensor | float, new_defocus: float | Tensor, optics: Optics
) -> Tensor:
    """Squared frequencies at which another defocus has the same phase (paper: *Estimation of
    local defocus*, the scaling function for square pixels).

    NaN where the other defocus never reaches the phase, beyond the turn that spherical
    aberration brings.
    """
    q = optics.quartic
    phase = k2 * (defocus - 0.5 * q * k2)
    new = torch.as_tensor(new_defocus, dtype=k2.dtype, device=k2.device)
    root = torch.sqrt(new**2 - 2 * q * phase)
    return 2 * phase / (new + torch.sign(new) * root)
