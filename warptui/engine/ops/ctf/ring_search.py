"""Exhaustive search for defocus, astigmatism and phase shift in the mean spectrum.

For each sector of direction the data are compared with templates of every defocus; a phase
shift turns the result in the complex plane, and astigmatism only means that sectors are read
at different defoci. So one table per envelope serves the whole search.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.ctf.ring_model import Thon

ENVELOPES = (0.0, 50.0, 150.0, 400.0, 1000.0)  # Å², power falls as exp(-B k²/2)
PHASE_STEP = 1.0  # rad of 2γ at the highest frequency between two defoci
ASTIGMATISM_SIGMA = 300.0  # Å; microscopes are stigmated
N_PHASE_SHIFTS = 36
N_RIVALS = 4  # other optima that are refined, too


class Start(NamedTuple):
    """An optimum of the search."""

    defocus: float  # Å
    astigmatism_xy: tuple[float, float]  # Å
    gain: float


class Found(NamedTuple):
    """The best defocus, astigmatism and phase shift of the search, and its lead over others."""

    defocus: float  # Å
    astigmatism_xy: tuple[float, float]  # Δ cos 2α, Δ sin 2α, Å
    phase_shift: float  # rad
    gain: float  # log-likelihood over "no rings", not corrected for redundancy
    rival_gain: float  # the same of the best hypothesis at another defocus
    correlation: float  # of data and template, weighted
    b_factor: float
    defoci: Tensor  # (n,) searched, Å
    gains: Tensor  # (n,) best gain at each defocus
    starts: list[Start]  # the best optima


def search(
    thon: Thon,
    defocus_min: float,
    defocus_max: float,
    *,
    phase_shift: float | None = 0.0,
    astigmatism_max: float = 4000.0,
) -> Found:
    """Find the rings of the mean of all samples.

    Parameters
    ----------
    defocus_min, defocus_max, astigmatism_max
        Å.
    phase_shift
        rad; None searches 0..π.
    """
    geometry = thon.geometry
    k_max = float(geometry.k[-1])
    step = PHASE_STEP / (2 * math.pi * geometry.optics.wavelength * k_max**2)
    margin = 0.5 * astigmatism_max
    n = max(8, math.ceil((defocus_max - defocus_min + 2 * margin) / step) + 1)
    low = max(defocus_min - margin, -defocus_max)
    defoci = torch.linspace(low, defocus_max + margin, n, dtype=torch.float64)
    step = float(defoci[1] - defoci[0])
    defoci = defoci.to(thon.data.device)
    allowed = (defoci >= defocus_min - 0.5 * step) & (defoci <= defocus_max + 0.5 * step)
    cross, norm = _tables(thon, defoci)
    shifts = [phase_shift] if phase_shift is not None else [
        math.pi * i / N_PHASE_SHIFTS for i in range(N_PHASE_SHIFTS)
    ]  # fmt: skip
    gains = torch.stack([_gain(cross.sum(1), norm.sum(1), shift) for shift in shifts])
    gains[:, :, ~allowed] = 0
    shift, envelope, place = _unravel(int(gains.argmax()), gains.shape)
    astigmatisms = _astigmatisms(step, min(astigmatism_max, 0.9 * float(defoci[place])))
    gains = _with_astigmatism(cross[envelope], norm[envelope], shifts[shift], astigmatisms, step)
    # heavy-tailed, so that a stigmator that is truly off is found
    gains -= torch.log1p(astigmatisms.square().sum(1) / ASTIGMATISM_SIGMA**2)[:, None].to(gains)
    gains[:, ~allowed] = 0
    best, place = _unravel(int(gains.argmax()), gains.shape)
    curve = gains.max(0).values
    found = float(defoci[place])
    gain = float(gains[best, place])
    # a rival lies further away than the ring pattern can be stretched
    far = (defoci - found).abs() > max(0.15 * found, 4 * step)
    rival = float(curve[far & allowed].max()) if bool((far & allowed).any()) else 0.0
    energy = float((thon.mean.square() * thon.weight).sum()) * len(thon.data)
    return Found(
        found,
        (float(astigmatisms[best, 0]), float(astigmatisms[best, 1])),
        shifts[shift],
        gain,
        rival,
        math.sqrt(max(0.0, 2 * gain / max(energy, 1e-30))),
        ENVELOPES[envelope],
        defoci[allowed],
        curve[allowed],
        _optima(gains, defoci, astigmatisms, step),
    )


def _tables(thon: Thon, defoci: Tensor) -> tuple[Tensor, Tensor]:
    """Products with data ``(envelope, sector, defocus)`` complex, and the norms of templates:
    ``(envelope, sector, defocus, 3)`` of cos, of sin, and of both, per sample times samples."""
    geometry = thon.geometry
    n_samples = len(thon.data)
    envelopes = torch.stack(
        [torch.exp(-0.5 * b * geometry.k**2) for b in ENVELOPES]
    ).to(torch.float32)  # fmt: skip
    blur = geometry.blur(defoci)
    mean = thon.mean
    zero = torch.zeros(len(defoci))
    cross, norm = [], []
    for sector in range(len(mean)):
        one = geometry._replace(
            **{
                name: getattr(geometry, name)[sector : sector + 1]
                for name in ("k2", "k2_cos", "k2_sin", "k4", "n_coefficients")
            }
        )
        phase = 2 * one.phase(defoci, (0.0, 0.0), zero)[:, 0]
        cosine, sine = torch.cos(phase) * blur, torch.sin(phase) * blur
        weight = thon.weight[sector]
        data = envelopes * (weight * mean[sector])
        cross.append(torch.complex(data @ cosine.T, data @ sine.T) * (-n_samples))
        squares = (envelopes.square() * weight) @ torch.cat(
            [cosine.square(), sine.square(), cosine * sine]
        ).T
        squares = squares.view(len(ENVELOPES), 3, len(defoci))
        basis = thon.sector_basis[sector] * weight
        rows = (envelopes[:, None, :] * basis[None]).flatten(0, 1)
        on_cos = (rows @ cosine.T).view(len(ENVELOPES), -1, len(defoci))
        on_sin = (rows @ sine.T).view(len(ENVELOPES), -1, len(defoci))
        lost = torch.stack(
            [on_cos.square().sum(1), on_sin.square().sum(1), (on_cos * on_sin).sum(1)], 1
        )
        norm.append((squares - lost).transpose(1, 2) * n_samples)
    return torch.stack(cross, 1), torch.stack(norm, 1)


def _gain(cross: Tensor, norm: Tensor, phase_shift: float) -> Tensor:
    """Log-likelihood with the best amplitude >= 0, from sums over sectors."""
    c, s = math.cos(2 * phase_shift), math.sin(2 * phase_shift)
    along = (cross.real * c - cross.imag * s).clamp(min=0)
    square = norm[..., 0] * c**2 + norm[..., 1] * s**2 - 2 * norm[..., 2] * c * s
    return 0.5 * along**2 / square.clamp(min=1e-9)


def _astigmatisms(step: float, largest: float) -> Tensor:
    """``(n, 2)`` Δ cos 2α, Δ sin 2α on a square lattice within a disc."""
    spacing = 4 * step  # a sector's defocus is off by half of it at most
    n = int(largest / spacing)
    axis = torch.arange(-n, n + 1, dtype=torch.float64) * spacing
    x, y = torch.meshgrid(axis, axis, indexing="ij")
    inside = x**2 + y**2 <= largest**2
    return torch.stack([x[inside], y[inside]], 1)


def _with_astigmatism(
    cross: Tensor, norm: Tensor, phase_shift: float, astigmatisms: Tensor, step: float
) -> Tensor:
    """``(astigmatism, defocus)`` gains: each sector read at its own defocus."""
    n_sectors, n = cross.shape
    c, s = math.cos(2 * phase_shift), math.sin(2 * phase_shift)
    along = cross.real * c - cross.imag * s
    square = norm[..., 0] * c**2 + norm[..., 1] * s**2 - 2 * norm[..., 2] * c * s
    angle = (torch.arange(n_sectors, dtype=torch.float64) + 0.5) / n_sectors * math.pi
    angle = angle - 0.5 * math.pi
    direction = torch.stack([torch.cos(2 * angle), torch.sin(2 * angle)])
    offset = (0.5 * astigmatisms @ direction / step).round().to(torch.int64)
    top = torch.zeros(len(astigmatisms), n, device=cross.device)
    bottom = torch.zeros_like(top)
    places = torch.arange(n)
    for sector in range(n_sectors):
        at = (places[None] + offset[:, sector, None]).clamp(0, n - 1).to(cross.device)
        top += along[sector][at]
        bottom += square[sector][at]
    return 0.5 * top.clamp(min=0) ** 2 / bottom.clamp(min=1e-9)


def _optima(gains: Tensor, defoci: Tensor, astigmatisms: Tensor, step: float) -> list[Start]:
    """The best cells that are no neighbours of a better one."""
    left = gains.cpu().clone()
    z = defoci.cpu()
    found = []
    for _ in range(1 + N_RIVALS):
        best, place = _unravel(int(left.argmax()), left.shape)
        if found and float(left[best, place]) <= 0:
            break
        x, y = astigmatisms[best].tolist()
        found.append(Start(float(z[place]), (x, y), float(left[best, place])))
        # by how much the defocus of a direction differs at most
        apart = 0.5 * torch.hypot(astigmatisms[:, 0] - x, astigmatisms[:, 1] - y)
        near = apart[:, None] + (z[None] - z[place]).abs() < 4 * step
        left[near] = 0
    return found


def _unravel(flat: int, shape: torch.Size) -> list[int]:
    places = []
    for n in reversed(shape):
        flat, place = divmod(flat, n)
        places.append(place)
    return places[::-1]
