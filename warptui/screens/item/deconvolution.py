"""A preview without the microscope's effects: the engine's deconvolution, in NumPy.

The same formulas as the engine's deconvolution of averages, which tests compare with; the app
cannot import those, for they need torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Lens:
    """The optics whose effect is removed."""

    voltage: float  # kV
    cs: float  # mm
    amplitude_contrast: float
    defocus_um: float
    astigmatism_um: float = 0.0
    astigmatism_angle_deg: float = 0.0
    phase_shift_deg: float = 0.0


@dataclass(frozen=True)
class Filter:
    """Strength of the filter: see [average] of the settings."""

    strength: float = 1.0
    falloff: float = 1.0
    highpass_angstrom: float = 300.0


def lens_of(result: dict[str, Any], optics: dict[str, Any]) -> Lens | None:
    """The optics from the stored result of the ctf stage; None where no CTF was found."""
    if result.get("defocus_um") is None:
        return None
    return Lens(
        float(optics.get("voltage", 300.0)),
        float(optics.get("cs", 2.7)),
        float(optics.get("amplitude_contrast", 0.07)),
        float(result["defocus_um"]),
        float(result.get("astigmatism_um") or 0.0),
        float(result.get("astigmatism_angle_deg") or 0.0),
        float(result.get("phase_shift_deg") or 0.0),
    )


def wavelength_angstrom(voltage: float) -> float:
    """Relativistic electron wavelength in Å at ``voltage`` kV."""
    volts = 1e3 * voltage
    return 12.2643247 / math.sqrt(volts * (1 + 0.978466e-6 * volts))


def ctf(lens: Lens, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    """The contrast transfer at frequencies in 1/Å; positive at first for underfocus."""
    wavelength = wavelength_angstrom(lens.voltage)
    k2 = ky**2 + kx**2
    angle = 2 * math.radians(lens.astigmatism_angle_deg)
    # cos 2(θ - α) k² without an arctangent
    astigmatic = (kx**2 - ky**2) * math.cos(angle) + 2 * kx * ky * math.sin(angle)
    path = 1e4 * (lens.defocus_um * k2 + 0.5 * lens.astigmatism_um * astigmatic)
    phase = math.pi * wavelength * (path - 0.5e7 * lens.cs * wavelength**2 * k2**2)
    start = math.radians(lens.phase_shift_deg) + math.asin(lens.amplitude_contrast)
    return np.sin(phase + start)


def deconvolved(pixels: np.ndarray, pixel_angstrom: float, lens: Lens, how: Filter) -> np.ndarray:
    """The filtered picture, (y, x) float32 of the same size; its mean is 0."""
    ny, nx = pixels.shape
    image = pixels.astype(np.float32)
    image -= image.mean()
    for axis, n in enumerate((ny, nx)):  # subtract uneven illumination, which is no contrast
        line = np.linspace(-1, 1, n, dtype=np.float32)
        slope = float(image.mean(axis=1 - axis) @ line / max(float(line @ line), 1e-12))
        image -= slope * (line[:, None] if axis == 0 else line)
    reach = math.ceil(how.highpass_angstrom / pixel_angstrom / 2)
    pad = [(0, min(2 * reach, n // 2)) for n in (ny, nx)]
    # mirror the edges and fade them into each other, so that opposite edges meet without a step
    padded = np.pad(image, pad, mode="symmetric")
    for axis, (n, (_, wide)) in enumerate(zip((ny, nx), pad, strict=True)):
        if not wide:
            continue
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(wide) + 0.5) / wide)
        fade = fade.astype(np.float32)[:, None] if axis == 0 else fade.astype(np.float32)
        start = np.flip(padded[:wide] if axis == 0 else padded[:, :wide], axis)
        end = padded[n:] if axis == 0 else padded[:, n:]
        end += (start - end) * fade
    shape = padded.shape
    ky = np.fft.fftfreq(shape[0], pixel_angstrom).astype(np.float32)[:, None]
    kx = np.fft.rfftfreq(shape[1], pixel_angstrom).astype(np.float32)[None, :]
    spectrum = np.fft.rfft2(padded)
    spectrum *= _wiener(ctf(lens, ky, kx), np.hypot(ky, kx), how)
    found = np.fft.irfft2(spectrum, s=shape)[:ny, :nx]
    return (found - found.mean()).astype(np.float32)


def _wiener(transfer: np.ndarray, k: np.ndarray, how: Filter) -> np.ndarray:
    highpass = 0.5 - 0.5 * np.cos(np.pi * np.minimum(k * how.highpass_angstrom, 1))
    ssnr = np.exp(-200 * how.falloff * k) * 10 ** (3 * how.strength) * highpass
    return transfer / (transfer**2 + 1 / np.maximum(ssnr, 1e-15))
