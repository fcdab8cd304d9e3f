"""Thon rings over their background: data, weights, templates and their envelope.

The power of a patch is modelled as background times (1 - D(k) cos 2γ): CTF² = (1 - cos 2γ)/2,
and the constant half belongs to the background. Data are divided by a smooth background and
have their mean and what a few spline nodes can follow removed, once for all patches in each
sector of direction and once for each patch in all sectors; templates lose the same parts, so
that a background never counts for or against a defocus. Weights are inverse variances that
are measured from the data: they hold counting noise and speckle alike. The sum of
weight · data · template is the paper's normalised cost with the envelope, and the logarithm
of a likelihood.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.ctf.polar import PolarGrid
from warptui.engine.ops.ctf.transfer_function import Optics

BACKGROUND_NODES = 6
ENVELOPE_NODES = 7
FALLING = (0.0, 50.0, 150.0, 400.0, 1000.0, 2500.0)  # Å², power falls as exp(-B k²/2)
DEVIATION = 0.25  # of an envelope from a sum of these, of its value
LEAST_DEVIATION = 1e-4
MIN_COEFFICIENTS = 1.0
MIN_SAMPLES = 4  # fewest samples to measure how neighbouring bins are correlated
NEIGHBOURS = 8  # bins over which residuals are correlated, for the information that is left


class Geometry(NamedTuple):
    """Bins within the fit range, with the moments that give the phase of the CTF."""

    k: Tensor  # (bin,) 1/Å
    k2: Tensor  # (sector, bin) float32 moments, as in `PolarGrid`
    k2_cos: Tensor
    k2_sin: Tensor
    k4: Tensor
    n_coefficients: Tensor  # (sector, bin) float32
    step: float  # 1/Å
    length: float  # Å, edge of a patch
    optics: Optics

    def phase(
        self, defocus: Tensor, astigmatism_xy: Tensor | tuple[float, float], phase_shift: Tensor
    ) -> Tensor:
        """γ ``(n, sector, bin)`` for n defoci and phase shifts, Å and rad.

        ``astigmatism_xy`` is Δ cos 2α, Δ sin 2α in Å.
        """
        lambda_pi = math.pi * self.optics.wavelength
        ax, ay = (float(value) for value in astigmatism_xy)
        fixed = 0.5 * (ax * self.k2_cos + ay * self.k2_sin) - 0.5 * self.optics.quartic * self.k4
        fixed = lambda_pi * fixed + self.optics.amplitude_phase
        slope = (lambda_pi * defocus.to(self.k2))[:, None, None]
        return slope * self.k2 + fixed + phase_shift.to(self.k2)[:, None, None]

    def blur(self, defocus: Tensor) -> Tensor:
        """Attenuation of rings by the finite size of patches and bins, ``(n, bin)``.

        Rings of a defocus are oscillations whose rate is a distance in the image; a window
        shows a distance as far as it overlaps itself when shifted by that.
        """
        wavelength = self.optics.wavelength
        rate = 2 * wavelength * self.k * (defocus[:, None] - self.optics.quartic * self.k**2)
        lag = (rate.abs() / self.length).clamp(max=1)
        hann = (1 - lag) * (2 + torch.cos(2 * math.pi * lag)) / 3
        hann = hann + torch.sin(2 * math.pi * lag) / (2 * math.pi)
        return (hann * torch.sinc(rate * self.step)).to(torch.float32)


class Thon(NamedTuple):
    """Data of patches ("samples") ready to be compared with templates."""

    geometry: Geometry
    data: Tensor  # (sample, sector, bin) float32
    weight: Tensor  # (sector, bin) float32 inverse variance of one sample
    basis: Tensor  # (node, bin) background of samples, orthonormal under the summed weights
    sector_basis: Tensor  # (sector, node, bin) the same under each sector's weights
    level: Tensor  # (sample,) mean power of each sample
    smooth: Tensor  # (bin,) float64 background that data were divided by
    overlap: float = 1.0  # of `PatchGrid`
    correlated: float | None = None  # `correlation` of what differs between samples

    @property
    def mean(self) -> Tensor:
        """``(sector, bin)`` mean of the samples."""
        return self.data.mean(0)

    def pooled(self) -> Thon:
        """All samples as one."""
        n = len(self.data)
        return self._replace(
            data=self.mean[None],
            weight=self.weight * n,
            basis=self.basis / math.sqrt(n),
            sector_basis=self.sector_basis / math.sqrt(n),
            level=self.level.mean()[None],
        )

    def strip(self, values: Tensor) -> Tensor:
        """``(sample, sector, bin)`` templates without what a background could explain."""
        values = values - project_sectors(self, values.mean(0)[None])
        return values - project_samples(self, values)

    def strip_each(self, values: Tensor) -> Tensor:
        """As `strip`, for ``(n, sample, sector, bin)`` templates."""
        values = values - project_sectors(self, values.mean(1))[:, None]
        return values - project_samples(self, values.flatten(0, 1)).view(*values.shape[:2], 1, -1)


def fit_range(grid: PolarGrid, k_min: float, k_max: float) -> slice:
    """Bins between two frequencies."""
    first = max(2, math.ceil(k_min / grid.step))
    return slice(first, min(grid.n_bins, math.floor(k_max / grid.step)))


def make_thon(
    power: Tensor, grid: PolarGrid, bins: slice, optics: Optics, overlap: float = 1.0
) -> Thon:
    """Divide by the background and weigh.

    Parameters
    ----------
    power
        ``(sample, sector, bin)`` mean power of the coefficients in each bin.
    bins
        The fit range.
    overlap
        Of `PatchGrid`.
    """
    count = grid.n_coefficients[:, bins]
    k = grid.k[bins]
    geometry = Geometry(
        k,
        grid.k2[:, bins].to(torch.float32),
        grid.k2_cos[:, bins].to(torch.float32),
        grid.k2_sin[:, bins].to(torch.float32),
        grid.k4[:, bins].to(torch.float32),
        count.to(torch.float32),
        grid.step,
        grid.size * grid.pixel_size,
        optics,
    )
    inside = power[..., bins]
    share = (count / count.sum(0).clamp(min=1)).to(power.dtype)
    radial = (inside.mean(0) * share).sum(0).to(torch.float64)
    nodes = spline_weights(BACKGROUND_NODES, (k - k[0]) / (k[-1] - k[0]))
    # equal weight for equal relative errors: counts grow with k, and low k must be followed too
    smooth = torch.exp(nodes @ torch.linalg.lstsq(nodes, radial.clamp(min=1e-30).log()).solution)
    ratio = inside / smooth.to(power.dtype)
    seen = (count >= MIN_COEFFICIENTS).to(power.dtype)
    level = (ratio * seen).sum((1, 2)) / seen.sum()
    data = ratio / level[:, None, None] - 1
    data = data * seen
    variance = _bin_variance(data, count)
    weight = torch.where(count >= MIN_COEFFICIENTS, count / variance, 0.0)
    basis = orthonormal(nodes, weight.sum(0)).to(torch.float32)
    sector_basis = torch.stack([orthonormal(nodes, w) for w in weight]).to(torch.float32)
    weight = weight.to(torch.float32)
    thon = Thon(geometry, data, weight, basis, sector_basis, level, smooth, overlap)
    thon = thon._replace(data=thon.strip(data))
    if len(data) < MIN_SAMPLES:
        return thon
    return thon._replace(correlated=correlation(thon, thon.data - thon.mean))


def orthonormal(nodes: Tensor, weight: Tensor) -> Tensor:
    """``(bin, node)`` functions as ``(node, bin)`` that are orthonormal under ``weight``."""
    root = weight.sqrt()[:, None]
    q, r = torch.linalg.qr(nodes * root)
    keep = r.diagonal().abs() > 1e-6 * r.diagonal().abs().max()
    safe = torch.where(root > 0, q / root.clamp(min=1e-30), 0.0)
    return (safe * keep).T.contiguous()


def project_samples(thon: Thon, values: Tensor) -> Tensor:
    """The part of ``(n, sector, bin)`` that a background common to all sectors explains."""
    summed = (values * thon.weight).sum(1)
    return ((summed @ thon.basis.T) @ thon.basis)[:, None, :]


def project_sectors(thon: Thon, values: Tensor) -> Tensor:
    """The part of ``(n, sector, bin)`` that a background of each sector explains."""
    weighted = values * thon.weight
    along = torch.einsum("njb,jmb->njm", weighted, thon.sector_basis)
    return torch.einsum("njm,jmb->njb", along, thon.sector_basis)


def _bin_variance(data: Tensor, count: Tensor) -> Tensor:
    """``(bin,)`` variance times count of data about the mean of their bin, smoothed.

    What differs between samples and sectors counts, and so does what differs between
    neighbouring bins where there are few samples.
    """
    values = data.to(torch.float64)
    n_samples = len(values)
    centred = values - values.mean((0, 1), keepdim=True)
    freedom = max(1e-9, 1 - 1 / (n_samples * data.shape[1]))
    raw = (centred**2 * count).mean((0, 1)) / freedom
    width = 9
    padded = torch.nn.functional.pad(raw[None, None], (width // 2, width // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, width, 1)[0, 0].clamp(min=1e-12)


def redundancy(thon: Thon, residual: Tensor) -> float:
    """Number of bins per independent bin: windows, half steps and patches that share
    pixels correlate them.

    Differences between samples measure this best: backgrounds and envelope have already removed
    a part of a single residual.
    """
    correlated = thon.correlated
    if correlated is None:
        correlated = correlation(thon, residual)
    return correlated * thon.overlap


def correlation(thon: Thon, residual: Tensor) -> float:
    """Sum of the correlations of bins with their neighbours, at least 1."""
    values = residual * thon.weight.sqrt()
    power = float(values.square().sum())
    total = 1.0
    for lag in range(1, NEIGHBOURS + 1):
        both = float((values[..., lag:] * values[..., :-lag]).sum())
        total += 2 * both / power
    return max(1.0, total)


class Rings(NamedTuple):
    """Normal equations of the nodes of an envelope."""

    normal: Tensor  # (node, node) float64
    right: Tensor  # (node,)
    nodes: Tensor  # (bin, node) float64 weights
    k: Tensor  # (node,) 1/Å


class Envelope(NamedTuple):
    """Result of `fit_envelope`."""

    values: Tensor  # (bin,) float64 D(k)
    mean: Tensor  # (node,) what was expected of its nodes
    sigma: Tensor  # (node,) and by how much they may differ from that
    penalty: float  # what their difference from it costs, of the log-likelihood


def measure_rings(thon: Thon, wave: Tensor) -> Rings:
    """Equations of the D(k) that brings templates closest to the data.

    Parameters
    ----------
    wave
        ``(sample, sector, bin)`` -cos 2γ.
    """
    k = thon.geometry.k
    nodes = hat_weights(ENVELOPE_NODES, (k - k[0]) / (k[-1] - k[0])).to(torch.float32)
    if len(wave) == 1:  # in one step; more samples would take as many times the memory
        columns = wave * nodes.T[:, None, :]
        columns = columns - project_sectors(thon, columns)
        columns = (columns - project_samples(thon, columns)).flatten(1)
        weighted = columns * thon.weight.flatten()
        normal = (weighted @ columns.T).to(torch.float64).cpu()
        right = (weighted @ thon.data.flatten()).to(torch.float64).cpu()
    else:
        stripped = [thon.strip(wave * nodes[:, m]) for m in range(nodes.shape[1])]
        normal = torch.empty(len(stripped), len(stripped), dtype=torch.float64)
        right = torch.empty(len(stripped), dtype=torch.float64)
        for a, column in enumerate(stripped):
            weighted = column * thon.weight
            right[a] = float((weighted * thon.data).sum())
            for b in range(a + 1):
                normal[a, b] = normal[b, a] = float((weighted * stripped[b]).sum())
    at = torch.linspace(float(k[0]), float(k[-1]), ENVELOPE_NODES, dtype=torch.float64)
    return Rings(normal, right, nodes.to(torch.float64), at)


def fit_envelope(rings: Rings, redundancy: float, expected: Envelope | None = None) -> Envelope:
    """Smooth D(k) >= 0 that brings templates closest to the data.

    Where rings hardly surpass noise, a free D would follow noise, and with it whatever defocus and
    astigmatism make the most of it. So D is expected to be about what falling exponentials, about
    which the frequencies with clear rings decide, are there.

    Parameters
    ----------
    expected
        The envelope whose expectation is used; None computes the expectation.
    """
    normal, right = rings.normal / redundancy, rings.right / redundancy
    if expected is None:
        fall = torch.tensor(FALLING, dtype=torch.float64)
        falling = torch.exp(-0.5 * fall * (rings.k[:, None] ** 2 - rings.k[0] ** 2))
        mean = falling @ solve_positive(falling.T @ normal @ falling, falling.T @ right)
        sigma = (DEVIATION * mean).clamp(min=LEAST_DEVIATION)
    else:
        mean, sigma = expected.mean, expected.sigma
    found = solve_positive(normal + torch.diag(sigma**-2), right + mean / sigma**2)
    penalty = 0.5 * float(((found - mean) / sigma).square().sum())
    return Envelope(rings.nodes @ found.to(rings.nodes.device), mean, sigma, penalty)


def hat_weights(n_nodes: int, positions: Tensor) -> Tensor:
    """``(n, node)`` weights of linear interpolation between nodes on [0, 1]."""
    at = positions[:, None] * (n_nodes - 1) - torch.arange(n_nodes, dtype=positions.dtype).to(
        positions
    )
    return (1 - at.abs()).clamp(min=0)


def solve_positive(normal: Tensor, right: Tensor) -> Tensor:
    """Least squares with no negative unknown: negative ones are set to 0, one at a time."""
    n = len(right)
    normal = normal + 1e-6 * normal.diagonal().mean() * torch.eye(n, dtype=normal.dtype)
    free = list(range(n))
    solution = torch.zeros(n, dtype=right.dtype)
    while free:
        part = torch.linalg.solve(normal[free][:, free], right[free])
        worst = int(part.argmin())
        if part[worst] >= 0:
            solution[free] = part
            break
        free.pop(worst)
    return solution
