"""Pictures of power spectra: background removed, even contrast, beside the CTF model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf, defocus_at

BACKGROUND_ORDER = 6  # of the polynomial in k that follows the logarithm of the background
LOWEST_BIN = 3  # what lies below is the image's own, not the microscope's
CLIP = 3.0  # sigmas from black to white, either way
CLEARANCE = 1.1  # how much farther than the fit a picture reaches


def resized(power: Tensor, n: int, reach: float = 1.0) -> Tensor:
    """A spectrum at other steps of frequency: ``(n, n // 2 + 1)`` from ``(m, m // 2 + 1)``.

    Values of the nearest frequencies are averaged, those at the same frequency counting most.
    Only frequencies up to ``reach`` of the highest are kept.
    """
    m = power.shape[0]
    if m == n and reach == 1:
        return power
    half = upper_half(power)
    whole = torch.cat([_point_mirrored(half), half], dim=0)
    step = reach * m / n
    ratio = max(step, 1.0)
    wanted = torch.arange(-(n // 2), n - n // 2, device=power.device) * step
    there = torch.arange(-(m // 2), m - m // 2, device=power.device)
    weights = (1 - (wanted[:, None] - there[None, :]).abs() / ratio).clamp(min=0)
    weights = (weights / weights.sum(1, keepdim=True)).to(power.dtype)
    found = torch.fft.ifftshift(weights @ whole @ weights.T)
    nyquist = found[:, n // 2 : n // 2 + 1]
    return torch.cat([found[:, : n // 2], nyquist], dim=1)


def flattened(power: Tensor) -> Tensor:
    """Power over its smooth background, less one, with an even spread at all frequencies.

    Parameters
    ----------
    power
        ``(n, n // 2 + 1)`` mean power of patches in the layout of `torch.fft.rfft2`.

    Returns
    -------
    Tensor
        The same size, float32; 0 in the middle.
    """
    n = power.shape[0]
    radius = _radius(n, power.device)
    bins = radius.round().long().clamp(max=n // 2)
    inside = bins >= LOWEST_BIN
    count = _sums(torch.ones_like(power), bins, n).clamp(min=1)
    mean = _sums(power, bins, n) / count
    place = torch.linspace(0, 1, len(mean), dtype=torch.float64, device=power.device)
    used = slice(LOWEST_BIN, None)
    terms = torch.stack([place**order for order in range(BACKGROUND_ORDER + 1)], dim=1)
    logarithm = mean.clamp(min=1e-30).log().to(torch.float64)
    weights = count[used].to(torch.float64).sqrt()[:, None]
    fit = torch.linalg.lstsq(terms[used] * weights, logarithm[used, None] * weights).solution
    background = (terms @ fit)[:, 0].exp()
    ratio = power / background.to(power.dtype)[bins] - 1
    spread = (_sums(ratio.square(), bins, n) / count).sqrt()
    box = torch.ones(1, 1, 2 * (n // 32) + 1, device=power.device)
    box = box / box.numel()
    padded = torch.nn.functional.pad(spread[None, None], [n // 32] * 2, mode="replicate")
    spread = torch.nn.functional.conv1d(padded, box)[0, 0].clamp(min=1e-12)
    return torch.where(inside, ratio / spread[bins], 0.0).to(torch.float32)


def upper_half(spectrum: Tensor) -> Tensor:
    """``(n // 2, n)``: frequency 0 in the middle of the first row, y upwards, as Warp has it."""
    n = spectrum.shape[0]
    right = spectrum[: n // 2, : n // 2]
    row = (-torch.arange(n // 2, device=spectrum.device)) % n
    column = torch.arange(n // 2, 0, -1, device=spectrum.device)
    left = spectrum[row[:, None], column[None, :]]  # a real image's spectrum is symmetric
    return torch.cat([left, right], dim=1)


def picture(
    flat: Tensor,
    pixel_size: float,
    optics: Optics,
    fit_range_angstrom: tuple[float, float],
    ctf: tuple[float, float, float, float] | None,
    envelope: Tensor | None = None,
) -> Tensor:
    """The model on the left of the measured spectrum, rings meeting in the middle if they fit.

    Parameters
    ----------
    flat
        Of `flattened`.
    fit_range_angstrom
        Low and high end; the model is shown in between, and the picture goes a little farther.
    ctf
        Defocus, astigmatism (Å), its angle and the phase shift (rad); None = measured all over.
    envelope
        How strong the rings are from k = 0 to Nyquist, ``(bin,)``; None = as strong everywhere.

    Returns
    -------
    Tensor
        ``(y, x)`` uint8, square, frequency 0 in the middle, y upwards.
    """
    n = flat.shape[0]
    half = upper_half(flat)
    whole = torch.cat([_point_mirrored(half), half], dim=0)
    reach = min(n // 2, math.ceil(CLEARANCE * n * pixel_size / fit_range_angstrom[1]))
    middle = slice(n // 2 - reach, n // 2 + reach)
    shown = (whole[middle, middle] / (2 * CLIP) + 0.5).clamp(0, 1)
    if ctf is not None:
        defocus, astigmatism, angle, phase_shift = ctf
        k = torch.arange(-reach, reach, dtype=torch.float64, device=flat.device)
        k = k / (n * pixel_size)
        ky, kx = k[:, None], k[None, :reach]
        k2 = ky**2 + kx**2
        z = defocus_at(torch.atan2(ky, kx), defocus, astigmatism, angle)
        model = calculate_ctf(k2, z, optics, phase_shift) ** 2
        low, high = (1 / resolution for resolution in fit_range_angstrom)
        if envelope is not None:
            inner = math.ceil(low * 2 * pixel_size * len(envelope))
            strength = envelope / envelope[inner:].max().clamp(min=1e-12)
            place = (k2.sqrt() * 2 * pixel_size * len(envelope)).long()
            model = 0.5 + (model - 0.5) * strength[place.clamp(max=len(envelope) - 1)]
        model = torch.where((k2 >= low**2) & (k2 <= high**2), model, 0.5).clamp(0, 1)
        shown[:, :reach] = model.to(shown.dtype)
    return shown.mul(255).round().to(torch.uint8)


def _point_mirrored(half: Tensor) -> Tensor:
    """The lower half that belongs to an upper one; the frequencies without a mate are repeated."""
    turned = half.flip(0, 1).roll(1, 1)
    return torch.cat([turned[:1], turned[:-1]], dim=0)


def _radius(n: int, device: torch.device) -> Tensor:
    y = torch.fft.fftfreq(n, 1 / n, device=device)
    x = torch.fft.rfftfreq(n, 1 / n, device=device)
    return torch.hypot(y[:, None], x[None, :])


def _sums(values: Tensor, bins: Tensor, n: int) -> Tensor:
    """``(n // 2 + 1,)`` sums over rings."""
    total = torch.zeros(n // 2 + 1, dtype=values.dtype, device=values.device)
    return total.index_add_(0, bins.flatten(), values.flatten())
