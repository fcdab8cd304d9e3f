"""Wiener-like deconvolution that makes particles visible (paper: *Deconvolution*).

The spectral signal-to-noise ratio is assumed, not measured: an exponential decay and a raised
cosine at the lowest frequencies,

    SSNR(k) = exp(-2 k 100 Å F) 10^(3 S) H(k)        (f of the paper is 2 k, in 1/Å)
    I'(k)   = I(k) CTF(k) / (CTF(k)² + 1 / SSNR(k))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from warptui.engine.ops.common.fourier import frequencies_yx, good_size
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf, defocus_at

FLOOR = 1e-15  # of the signal-to-noise ratio
NEGLIGIBLE = 1e-5  # a ratio whose frequencies are left out


def assumed_ssnr(k: Tensor, strength: float, falloff: float, highpass_angstrom: float) -> Tensor:
    """Signal-to-noise ratio at frequencies ``k`` (1/Å); 0 at k = 0, whole from 1/highpass on."""
    highpass = 0.5 - 0.5 * torch.cos(math.pi * (k * highpass_angstrom).clamp(max=1))
    return torch.exp(-200 * falloff * k) * 10 ** (3 * strength) * highpass


def wiener_filter(ctf: Tensor, ssnr: Tensor) -> Tensor:
    """The deconvolution filter: below 1/|CTF| everywhere, and 0 without signal."""
    return ctf / (ctf**2 + 1 / ssnr.clamp(min=FLOOR))


def deconvolve(
    image: Tensor,
    pixel_size: float,
    optics: Optics,
    *,
    defocus: float,
    astigmatism: float = 0.0,
    astigmatism_angle: float = 0.0,
    phase_shift: float = 0.0,
    strength: float = 1.0,
    falloff: float = 1.0,
    highpass_angstrom: float = 300.0,
) -> Tensor:
    """Deconvolve a micrograph, so that particles become visible; the mean becomes 0.

    Parameters
    ----------
    image
        ``(y, x)`` micrograph with one defocus.
    defocus, astigmatism
        Å; mean of u and v, and u - v.
    astigmatism_angle, phase_shift
        rad.

    Returns
    -------
    Tensor
        ``(y, x)``, dark where the micrograph is dark at underfocus.
    """
    ny, nx = image.shape
    reach = math.ceil(highpass_angstrom / pixel_size / 2)
    sizes = [good_size(n + 2 * min(reach, n // 2)) for n in (ny, nx)]
    shape = (sizes[0], sizes[1])
    spectrum = torch.fft.rfft2(_mirrored(_levelled(image), shape))
    ky, kx = frequencies_yx(shape, [pixel_size] * 2, image.device)
    rows, columns = (
        (k.abs() <= _highest(strength, falloff, pixel_size)).nonzero()[:, 0] for k in (ky, kx)
    )
    ky, kx = ky[rows, None], kx[None, columns]
    k2 = ky**2 + kx**2
    z = defocus_at(torch.atan2(ky, kx), defocus, astigmatism, astigmatism_angle)
    ctf = calculate_ctf(k2, z, optics, phase_shift)
    ssnr = assumed_ssnr(k2.sqrt(), strength, falloff, highpass_angstrom)
    low = spectrum[rows][:, : len(columns)] * wiener_filter(ctf, ssnr)
    spectrum.zero_()
    spectrum[rows, : len(columns)] = low
    found = torch.fft.irfft2(spectrum, s=shape)[:ny, :nx]
    return found - found.mean()


def _highest(strength: float, falloff: float, pixel_size: float) -> float:
    """The frequency beyond which the filter is negligible, 1/Å."""
    nyquist = 0.5 / pixel_size
    if falloff == 0:
        return nyquist
    return min(nyquist, (3 * strength * math.log(10) - math.log(NEGLIGIBLE)) / (200 * falloff))


def _levelled(image: Tensor) -> Tensor:
    """Subtract a plane from the image: uneven illumination is not contrast."""
    found = image - image.mean()
    for axis in (0, 1):
        line = torch.linspace(-1, 1, image.shape[axis], device=image.device)
        slope = (found.mean(dim=1 - axis) * line).sum() / line.square().sum().clamp(min=1e-12)
        found = found - slope * (line[:, None] if axis == 0 else line)
    return found


def _mirrored(image: Tensor, shape_yx: tuple[int, int]) -> Tensor:
    """Extend the image by mirror images of its end and start, which fade into each other.

    A jump from one edge to the opposite edge would cause ringing in the whole image.
    """
    for axis, size in enumerate(shape_yx):
        n = image.shape[axis]
        beyond = torch.arange(size - n, device=image.device)
        end = image.index_select(axis, (n - 1 - beyond).clamp(min=0))
        start = image.index_select(axis, beyond.flip(0).clamp(max=n - 1))
        fade = 0.5 - 0.5 * torch.cos(math.pi * (beyond + 0.5) / max(size - n, 1))
        fade = fade[:, None] if axis == 0 else fade
        image = torch.cat([image, end + (start - end) * fade], dim=axis)
    return image
