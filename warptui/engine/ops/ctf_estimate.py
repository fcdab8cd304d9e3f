"""From power spectra of patches to the CTF of a micrograph, and how sure it is."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.ctf import Optics, find_zeros
from warptui.engine.ops.defocus_field import (
    STEEPEST,
    DefocusField,
    Places,
    fit_field,
    search_plane,
    tabulate,
)
from warptui.engine.ops.polar import PolarGrid
from warptui.engine.ops.splines import spline_weights
from warptui.engine.ops.thon import Thon, fit_range, make_thon
from warptui.engine.ops.thon_curve import Curve, describe_curve, find_resolution, gather_curve
from warptui.engine.ops.thon_fit import Fit, Optical, refine, waves
from warptui.engine.ops.thon_search import Found, search

ROUNDS = 2  # of field and optical parameters in turn
NOISE_GAIN = 32.0  # log-likelihood that spectra without rings hardly reach
NOISE_SEARCH_GAIN = 20.0  # the same with envelopes that fall steadily
HUMP_GAIN = 12.0  # that must come from beyond the second zero
OUTSIDE = 0.7  # confidence is lowered by, if the best defocus lies outside of the search range
HUMP_ALONE = 0.4  # confidence of what is significant and yet may be no rings
NOISE_SPREAD = 0.6  # of signal-to-noise ratios
AMBIGUOUS = 4.0  # log-likelihood by which a hypothesis at another defocus must be worse
VAGUE = 1000.0  # Å; a standard error of defocus that is no measurement
MIN_BINS = 32
PHASE_DRIFT = 0.35  # rad, expected of a phase plate within a movie
UNEVEN = 0.2  # by how much rings must differ between directions to be told
FADING_SIGMAS = 4.0


class Wanted(NamedTuple):
    """What is asked for."""

    k_min: float  # 1/Å
    k_max: float
    defocus_min: float  # Å
    defocus_max: float
    grid_xyt: tuple[int, int, int]
    fit_phase: bool
    curve_step: float  # 1/Å
    n_curve: int  # bins of the curve, from 0


class Estimate(NamedTuple):
    """What was found; numbers are to be told only where ``confidence`` is high."""

    optical: Optical  # with the mean defocus
    phase_nodes: Tensor  # (node,) float64 phase shift over time, rad
    field: DefocusField
    fit: Fit
    found: Found
    curve: Curve
    resolution: float | None  # Å
    score: float  # mean correlation of curve and model in the fit range
    defocus_error: float  # Å
    confidence: float  # 0..1
    ice_ring: float | None
    fading_angle: float | None  # rad, the direction along which rings fade, as drift makes them


def estimate_ctf(
    power: Tensor, grid: PolarGrid, places: Places, optics: Optics, wanted: Wanted
) -> Estimate:
    """Search, refine, and describe.

    Parameters
    ----------
    power
        ``(sample, sector, bin)`` mean power of the coefficients in each bin.

    Raises
    ------
    ValueError
        If there are too few bins in the fit range.
    """
    bins = fit_range(grid, wanted.k_min, wanted.k_max)
    if bins.stop - bins.start < MIN_BINS:
        raise ValueError(f"{bins.stop - bins.start} bins are too few to fit")
    thon = make_thon(power, grid, bins, optics)
    found = search(
        thon,
        wanted.defocus_min,
        wanted.defocus_max,
        phase_shift=None if wanted.fit_phase else 0.0,
    )
    start = Optical(found.defocus, found.astigmatism_xy, found.phase_shift)
    still = torch.zeros(1, dtype=torch.float64, device=power.device)
    fit = refine(thon.pooled(), still, start, fit_phase=wanted.fit_phase)
    fit, field = _fit_local(thon, fit, places, wanted)
    error = math.hypot(float(fit.covariance[0, 0]) ** 0.5, field.mean_error)
    optical = fit.optical._replace(defocus=float(field.samples.mean()))
    curve_power = gather_curve(
        power, grid, field.samples, optical, optics, wanted.curve_step, wanted.n_curve
    )
    curve = describe_curve(curve_power, wanted.curve_step, optical, optics, wanted.k_min)
    zeros = find_zeros(optical.defocus, optics, 0.5 / grid.pixel_size, optical.phase_shift)
    first = max(wanted.k_min, zeros[0]) if zeros else wanted.k_min
    resolution = find_resolution(curve, first, 0.5 * (first + wanted.k_max))
    offsets = field.samples - optical.defocus
    n_phases = wanted.grid_xyt[2] if wanted.fit_phase else 1
    return Estimate(
        optical,
        follow_phase(thon, fit, offsets, optical, places.t, n_phases),
        field,
        fit,
        found,
        curve,
        resolution,
        _score(curve, wanted),
        error,
        0.0
        if resolution is None
        else judge(found, fit, optical, thon.geometry.k.cpu(), optics, error),
        measure_ice_ring(curve_power, wanted.curve_step),
        find_fading(thon, fit, offsets, optical),
    )


def _fit_local(thon: Thon, whole: Fit, places: Places, wanted: Wanted) -> tuple[Fit, DefocusField]:
    """Field of defocus, and the optical parameters that go with it."""
    fit = whole
    reach = max(3000.0, 0.5 * STEEPEST * math.hypot(*places.size_xy))
    table = tabulate(thon, fit.optical, fit.envelope, fit.redundancy, reach)
    start = (fit.optical.defocus, 0.0, 0.0)
    if wanted.grid_xyt[0] > 1 or wanted.grid_xyt[1] > 1:
        start = search_plane(table, places, fit.optical.defocus)
    steady = wanted.fit_phase
    field = fit_field(table, places, wanted.grid_xyt, start, steady=steady)
    for _ in range(ROUNDS):
        mean = float(field.samples.mean())
        offsets = field.samples - mean
        optical = fit.optical._replace(defocus=mean)
        if field.model == "constant":
            fit = refine(thon.pooled(), offsets[:1] * 0, optical, fit_phase=wanted.fit_phase)
        else:
            fit = refine(thon, offsets, optical, fit_phase=wanted.fit_phase, rounds=4)
        reach = max(2000.0, 1.5 * float(offsets.abs().max()) + 500)
        table = tabulate(thon, fit.optical, fit.envelope, fit.redundancy, reach)
        start = (fit.optical.defocus, *field.slope_xy)
        field = fit_field(table, places, wanted.grid_xyt, start, steady=steady)
    return fit, field


def _score(curve: Curve, wanted: Wanted) -> float:
    """Mean correlation of curve and model over the fit range."""
    used = (curve.k >= wanted.k_min) & (curve.k <= wanted.k_max)
    return float(curve.quality[used].mean())


def judge(
    found: Found, fit: Fit, optical: Optical, k: Tensor, optics: Optics, error: float
) -> float:
    """Whether there are rings, and whether they can be of this defocus only, 0..1.

    One hump of a specimen's own spectrum may look like a first ring: some of the gain must
    come from beyond the second zero.
    """
    zeros = find_zeros(optical.defocus, optics, float(k[-1]), optical.phase_shift)
    beyond = fit.gains[k > zeros[1]] if len(zeros) > 1 else fit.gains[:0]
    ringed = _surpassed(float(beyond.sum()), HUMP_GAIN)
    significant = _surpassed(fit.gain, NOISE_GAIN)
    significant *= _surpassed(found.gain / fit.redundancy, NOISE_SEARCH_GAIN)
    rings = significant * (HUMP_ALONE + (1 - HUMP_ALONE) * ringed)
    ahead = (found.gain - found.rival_gain) / fit.redundancy
    alone = 1 - 0.5 * math.exp(-max(ahead, 0.0) / AMBIGUOUS)
    # the broadest hump is fitted best by the lowest defocus of all
    inside = found.defoci[0] <= optical.defocus <= found.defoci[-1]
    return rings * alone * (1.0 if inside else OUTSIDE) * math.exp(-((error / VAGUE) ** 2))


def _surpassed(gain: float, limit: float) -> float:
    """0..1; gains are half of the square of a signal-to-noise ratio."""
    away = math.sqrt(2 * max(gain, 0)) - math.sqrt(2 * limit)
    return 0.5 * math.erfc(-away / (NOISE_SPREAD * math.sqrt(2)))


def follow_phase(
    thon: Thon, fit: Fit, offsets: Tensor, optical: Optical, times: Tensor, n_nodes: int
) -> Tensor:
    """``(node,)`` phase shift over time, defocus as it is; what a time says little of stays
    near the common value."""
    common = torch.full((n_nodes,), optical.phase_shift, dtype=torch.float64)
    moments = times.unique()
    if n_nodes == 1 or len(moments) < 2:
        return common
    quarter = optical._replace(phase_shift=optical.phase_shift + 0.25 * math.pi)
    shape = fit.envelope.to(thon.data)
    here, beside = (thon.strip(waves(thon, offsets, each) * shape) for each in (optical, quarter))
    found = []
    for moment in moments:
        own = (times == moment).to(thon.data.device)
        along, across, told = (
            float((thon.weight * values[own] * template[own]).sum()) / fit.redundancy
            for values, template in ((thon.data, here), (thon.data, beside), (here, here))
        )
        turn = 0.5 * math.atan2(across, along)
        information = 4 * told
        found.append(turn * information / (information + PHASE_DRIFT**-2))
    weights = spline_weights(n_nodes, moments)
    turns = torch.tensor(found, dtype=torch.float64)
    return common + torch.linalg.lstsq(weights, turns[:, None], driver="gelsd").solution[:, 0]


def find_fading(thon: Thon, fit: Fit, offsets: Tensor, optical: Optical) -> float | None:
    """Direction (rad, 0..π) along which rings are weaker than across; None if they are even.

    Only the upper half of the rings' information is compared: drift blurs fine detail first.
    """
    template = thon.strip(waves(thon, offsets, optical) * fit.envelope.to(thon.data))
    square = (template.square() * thon.weight).sum(0)
    told = square.sum(0).cumsum(0)
    upper = told > 0.5 * told[-1]
    norm = square[:, upper].sum(1).to(torch.float64).cpu() / fit.redundancy
    cross = (template * thon.data * thon.weight).sum(0)[:, upper].sum(1)
    cross = cross.to(torch.float64).cpu() / fit.redundancy
    n = len(norm)
    angle = ((torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5) * math.pi
    terms = torch.stack([torch.ones(n), torch.cos(2 * angle), torch.sin(2 * angle)], 1).to(angle)
    covariance = torch.linalg.inv(terms.T @ (terms * norm[:, None]))
    even, along_x, along_y = (covariance @ (terms.T @ cross)).tolist()
    spread = float(covariance[1, 1] + covariance[2, 2]) / 2
    depth = math.hypot(along_x, along_y)
    if even <= 0 or depth < UNEVEN * even or depth**2 < FADING_SIGMAS**2 * spread:
        return None
    return (0.5 * math.atan2(-along_y, -along_x)) % math.pi


def measure_ice_ring(power: Tensor, step: float) -> float | None:
    """Power at 3.9 to 3.5 Å over the line through both sides of it; None beyond Nyquist.

    Crystalline ice has its strongest reflections there (3.90, 3.67, 3.44 Å).
    """

    def between(low: float, high: float) -> Tensor:
        return power[math.floor(1 / low / step) : math.ceil(1 / high / step)]

    if len(power) * step < 1 / 3.15:
        return None
    sides = [between(4.7, 4.2), between(3.35, 3.17)]
    at = [(1 / 4.7 + 1 / 4.2) / 2, (1 / 3.35 + 1 / 3.17) / 2]
    share = (1 / 3.67 - at[0]) / (at[1] - at[0])
    around = float(sides[0].mean()) * (1 - share) + float(sides[1].mean()) * share
    return float(between(3.95, 3.4).max()) / max(around, 1e-30)
