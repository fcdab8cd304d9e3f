"""Estimates the CTF of a micrograph and its confidence from power spectra of patches."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.ctf.confidence import NOISE_GAIN, judge, preference
from warptui.engine.ops.ctf.defocus_field import (
    MIN_GAIN,
    STAGE_TILT_GAIN,
    STEEPEST,
    DefocusField,
    Places,
    Table,
    fit_field,
    search_plane,
    tabulate,
)
from warptui.engine.ops.ctf.polar import PolarGrid
from warptui.engine.ops.ctf.ring_curve import Curve, describe_curve, find_resolution, gather_curve
from warptui.engine.ops.ctf.ring_fit import Fit, Optical, refine, waves
from warptui.engine.ops.ctf.ring_model import Thon, fit_range, make_thon
from warptui.engine.ops.ctf.ring_search import Found, search
from warptui.engine.ops.ctf.transfer_function import Optics, find_zeros

APART = 3.0  # standard errors between distinct optima
RIVAL_GAIN = 10.0  # log-likelihood by which an optimum of the search may be worse to be refined
SUSPICIOUS = -1.5  # log evidence of a plane above which planes are searched more closely
STEEP = 0.25  # Å of defocus per Å
STAGE_TILT = math.radians(5)  # of the stage, below which the film is not assumed to be tilted
FEW_PATCHES = 9
ROUNDS = 2  # of field and optical parameters in turn
MARGIN = 10.0  # log-likelihood that they may bring
CLEAR_GAIN = 4 * NOISE_GAIN  # of rings that are certain
MIN_BINS = 32
PHASE_DRIFT = 0.35  # rad, expected of a phase plate within a movie
UNEVEN = 0.2  # smallest difference of rings between directions that is reported
FADING_SIGMAS = 4.0


class Wanted(NamedTuple):
    """The request: fit range, limits of defocus, and what to fit."""

    k_min: float  # 1/Å
    k_max: float
    defocus_min: float  # Å
    defocus_max: float
    grid_xyt: tuple[int, int, int]
    fit_phase: bool
    curve_step: float  # 1/Å
    n_curve: int  # bins of the curve, from 0
    level: bool = False  # the film is known not to be tilted
    tilt: float | None = None  # rad, of the stage, where that is known

    @property
    def steepness(self) -> float | None:
        """Slope of a tilted stage, Å/Å."""
        known = self.tilt is not None and STAGE_TILT <= abs(self.tilt) < math.atan(STEEPEST)
        return math.tan(abs(self.tilt)) if self.tilt is not None and known else None


class TiltDoubt(NamedTuple):
    """A possible tilt of a film that was regarded as flat."""

    probability: float  # 0 where a tilt was found
    away: float  # Å, by which the mean defocus would differ
    slope_xy: tuple[float, float]


class Fitted(NamedTuple):
    """The likelihood fit, before resolution and confidence are computed."""

    thon: Thon
    places: Places
    found: Found
    fit: Fit
    field: DefocusField
    doubt: Tensor  # (3, 3) Å², added to the covariance for other minima that fit nearly as well
    tilt_doubt: TiltDoubt
    whole: bool = True  # whether field and optical parameters were refined in turn

    @property
    def gain(self) -> float:
        """Log-likelihood over "no rings"; approximate if not refined."""
        return self.fit.gain if self.whole else self.fit.gain + self.field.gain_plane + MARGIN

    @property
    def needs_smaller_patches(self) -> bool:
        """Whether smaller patches would measure a tilt better: the tilt is steep and blurs the
        rings of large patches, or too few patches leave the tilt uncertain."""
        if self.field.model != "constant" and math.hypot(*self.field.slope_xy) > STEEP:
            return True
        doubtful = self.field.model == "constant" and self.field.gain_plane > SUSPICIOUS
        return doubtful and len(self.field.samples) <= FEW_PATCHES


class Estimate(NamedTuple):
    """The estimated CTF; only to be reported if ``confidence`` is high."""

    optical: Optical  # with the mean defocus
    phase_nodes: Tensor  # (node,) float64 phase shift over time, rad
    field: DefocusField
    fit: Fit
    found: Found
    curve: Curve
    resolution: float | None  # Å
    score: float  # mean correlation of curve and model in the fit range
    defocus_error: float  # Å
    astigmatism_covariance: Tensor  # (2, 2) Å², of `Optical.astigmatism_xy`
    confidence: float  # 0..1
    tilt_doubt: TiltDoubt
    ice_ring: float | None
    fading_angle: float | None  # rad, the direction along which rings fade, as drift makes them


def is_steep(tilt_deg: float | None) -> bool:
    """Whether the stage is tilted so much that rings of large patches are blurred."""
    if tilt_deg is None:
        return False
    tilt = math.radians(abs(tilt_deg))
    return tilt < math.atan(STEEPEST) and math.tan(tilt) > STEEP


def estimate_ctf(
    power: Tensor, grid: PolarGrid, places: Places, optics: Optics, wanted: Wanted
) -> Estimate:
    """Search, refine, and describe; see `fit_ctf`."""
    fitted = fit_ctf(power, grid, places, optics, wanted)
    return describe_ctf(fitted, power, grid, optics, wanted)


def fit_ctf(
    power: Tensor,
    grid: PolarGrid,
    places: Places,
    optics: Optics,
    wanted: Wanted,
    *,
    whole: bool = True,
) -> Fitted:
    """Search and refine.

    Parameters
    ----------
    power
        ``(sample, sector, bin)`` mean power of the coefficients in each bin.
    whole
        False stops before what is needless if smaller patches are to be looked at.

    Raises
    ------
    ValueError
        If there are too few bins in the fit range.
    """
    bins = fit_range(grid, wanted.k_min, wanted.k_max)
    if bins.stop - bins.start < MIN_BINS:
        raise ValueError(f"{bins.stop - bins.start} bins are too few to fit")
    thon = make_thon(power, grid, bins, optics, places.overlap)
    found = search(
        thon,
        wanted.defocus_min,
        wanted.defocus_max,
        phase_shift=None if wanted.fit_phase else 0.0,
    )
    fit, doubt = _fit_whole(thon.pooled(), found, wanted.fit_phase)
    fit, field, tilt_doubt, whole = _fit_local(thon, fit, places, wanted, whole)
    return Fitted(thon, places, found, fit, field, doubt, tilt_doubt, whole)


def describe_ctf(
    fitted: Fitted, power: Tensor, grid: PolarGrid, optics: Optics, wanted: Wanted
) -> Estimate:
    """Compute curve, resolution, errors and confidence of a fit to ``power``."""
    thon, places, found, fit, field, doubt, tilt_doubt, _ = fitted
    error = math.hypot(
        max(float(fit.covariance[0, 0]) ** 0.5, field.mean_error),
        float(doubt[0, 0]) ** 0.5,
        math.sqrt(tilt_doubt.probability) * tilt_doubt.away,
    )
    optical = fit.optical._replace(defocus=float(field.samples.mean()))
    curve_power = gather_curve(
        power, grid, field.samples, optical, optics, wanted.curve_step, wanted.n_curve
    )
    curve = describe_curve(curve_power, wanted.curve_step, optical, optics, wanted.k_min)
    zeros = find_zeros(optical.defocus, optics, 0.5 / grid.pixel_size, optical.phase_shift)
    first = max(wanted.k_min, zeros[0]) if zeros else wanted.k_min
    resolution = find_resolution(curve, first, 0.5 * (first + wanted.k_max))
    if resolution is None and fit.gain > CLEAR_GAIN:
        # the specimen's own spectrum may hide the first rings of a low defocus
        resolution = find_resolution(curve, first, wanted.k_max)
    beyond, second = fit_range(grid, first, wanted.k_max), math.inf
    if resolution is not None and beyond.stop - beyond.start >= MIN_BINS:
        outer = make_thon(power, grid, beyond, optics, places.overlap)
        second = preference(outer, found, optical) / fit.redundancy
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
        fit.covariance[1:3, 1:3] + doubt[1:, 1:],
        0.0 if resolution is None else judge(found, fit, optical, thon.geometry, error, second),
        tilt_doubt,
        measure_ice_ring(curve_power, wanted.curve_step),
        find_fading(thon, fit, offsets, optical),
    )


def _fit_whole(pooled: Thon, found: Found, fit_phase: bool) -> tuple[Fit, Tensor]:
    """The best of the refined optima, and the mean square (3, 3), Å², of how far the others'
    defocus and astigmatism are, as likely as they are: rings of weak images may be counted one
    too many or too few."""
    still = torch.zeros(1, dtype=torch.float64, device=pooled.data.device)
    fits: list[Fit] = []
    for start in found.starts:
        if fits and start.gain < found.starts[0].gain - RIVAL_GAIN * fits[0].redundancy:
            break
        optical = Optical(start.defocus, start.astigmatism_xy, found.phase_shift)
        fits.append(refine(pooled, still, optical, fit_phase=fit_phase))
    fits.sort(key=lambda fit: -fit.value)
    best = fits[0]
    information = torch.linalg.inv(best.covariance[:3, :3])
    places = [_place(best)]
    total, square = 1.0, torch.zeros(3, 3, dtype=torch.float64)
    for fit in fits[1:]:
        place = _place(fit)
        # optima that converged to one place count once
        if any(float((place - one) @ information @ (place - one)) < APART**2 for one in places):
            continue
        likely = math.exp(fit.value - best.value)
        places.append(place)
        total += likely
        square += likely * torch.outer(place - places[0], place - places[0])
    return best, square / total


def _place(fit: Fit) -> Tensor:
    return torch.tensor([fit.optical.defocus, *fit.optical.astigmatism_xy], dtype=torch.float64)


def _fit_local(
    thon: Thon, fit: Fit, places: Places, wanted: Wanted, whole: bool
) -> tuple[Fit, DefocusField, TiltDoubt, bool]:
    """Fit the local defocus.

    Returns the fit with the optical parameters that belong to the field, the defocus field, the
    doubt about a tilt, and whether field and parameters were refined together. A steep plane is
    refined only if ``whole``.
    """
    reach = max(3000.0, 0.5 * STEEPEST * math.hypot(*places.size_xy))
    table = tabulate(thon, fit.optical, fit.envelope, fit.redundancy, reach)
    start = (fit.optical.defocus, 0.0, 0.0)
    can_slope = max(wanted.grid_xyt[:2]) > 1 and not wanted.level
    steepness = wanted.steepness if can_slope else None
    if can_slope:
        start = search_plane(table, places, fit.optical.defocus, steepness)
    fit_to = partial(fit_field, steady=wanted.fit_phase, level=wanted.level)
    field = fit_to(table, places, wanted.grid_xyt, start, steepness=steepness)
    evidence = field.evidence_flat
    suspicious = steepness is not None or field.gain_plane > SUSPICIOUS
    if can_slope and field.model == "constant" and suspicious:
        field = _look_for_tilt(thon, fit, field, table, places, wanted)
    doubt = TiltDoubt(0.0, 0.0, (0.0, 0.0))
    if can_slope and field.model == "constant":
        missing = (MIN_GAIN if steepness is None else STAGE_TILT_GAIN) - field.gain_plane
        away = field.plane_mean - float(field.samples.mean())
        doubt = TiltDoubt(1 / (1 + math.exp(min(missing, 100.0))), away, field.plane_slope_xy)
        steepness = None
    elif not whole and math.hypot(*field.slope_xy) > STEEP:
        return fit, field, doubt, False
    for _ in range(ROUNDS):
        mean = float(field.samples.mean())
        offsets = field.samples - mean
        optical = fit.optical._replace(defocus=mean)
        if field.model == "constant":
            fit = refine(thon.pooled(), offsets[:1] * 0, optical, fit_phase=wanted.fit_phase)
            evidence = -math.inf
        else:
            fit = refine(thon, offsets, optical, fit_phase=wanted.fit_phase, rounds=4)
        reach = max(2000.0, 1.5 * float(offsets.abs().max()) + 500)
        table = tabulate(thon, fit.optical, fit.envelope, fit.redundancy, reach)
        start = (fit.optical.defocus, *field.slope_xy)
        field = fit_to(
            table, places, wanted.grid_xyt, start, evidence_flat=evidence, steepness=steepness
        )
    if wanted.fit_phase:  # tables know nothing of what the specimen's own spectrum does to rings
        field = field.moved(fit.optical.defocus - float(field.samples.mean()))
    if field.model != "constant":
        doubt = doubt._replace(probability=0.0)
    return fit, field, doubt, True


def _look_for_tilt(
    thon: Thon, flat: Fit, field: DefocusField, table: Table, places: Places, wanted: Wanted
) -> DefocusField:
    """The field, or a steeper one whose rings are sharper than those of a constant.

    Patches of a tilted film that are taken for flat have blurred rings, an envelope that ends
    early, and so no evidence for the tilt: planes are looked for with rings that do not fade,
    and judged with an envelope of their own.
    """
    even = torch.full_like(flat.envelope, float(flat.envelope.mean()))
    reach = table.step * (table.values.shape[1] - 5) / 2
    unfaded = tabulate(thon, flat.optical, even, flat.redundancy, reach)
    x, y = (places.x - 0.5) * places.size_xy[0], (places.y - 0.5) * places.size_xy[1]
    best = field
    for searched in (table, unfaded):
        start = search_plane(searched, places, flat.optical.defocus, wanted.steepness)
        samples = start[0] + start[1] * x + start[2] * y
        mean = float(samples.mean())
        optical = flat.optical._replace(defocus=mean)
        fit = refine(thon, samples - mean, optical, fit_phase=wanted.fit_phase, rounds=3)
        own = tabulate(thon, fit.optical, fit.envelope, fit.redundancy, reach)
        start = (start[0] + fit.optical.defocus - mean, *start[1:])
        found = fit_field(
            own,
            places,
            wanted.grid_xyt,
            start,
            steady=wanted.fit_phase,
            evidence_flat=field.evidence_flat,
            steepness=wanted.steepness,
        )
        if found.gain_plane <= best.gain_plane:
            continue
        if found.model != "constant":
            best = found
        else:  # what its plane would be is remembered
            best = best._replace(
                gain_plane=found.gain_plane,
                plane_mean=found.plane_mean,
                plane_slope_xy=found.plane_slope_xy,
            )
    return best


def _score(curve: Curve, wanted: Wanted) -> float:
    """Mean correlation of the curve and the model over the fit range."""
    used = (curve.k >= wanted.k_min) & (curve.k <= wanted.k_max)
    return float(curve.quality[used].mean())


def follow_phase(
    thon: Thon, fit: Fit, offsets: Tensor, optical: Optical, times: Tensor, n_nodes: int
) -> Tensor:
    """``(node,)`` phase shift over time at a fixed defocus; times with little information
    stay near the common value."""
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
        along, across, curvature = (
            float((thon.weight * values[own] * template[own]).sum()) / fit.redundancy
            for values, template in ((thon.data, here), (thon.data, beside), (here, here))
        )
        turn = 0.5 * math.atan2(across, along)
        information = 4 * curvature
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
    information = square.sum(0).cumsum(0)
    upper = information > 0.5 * information[-1]
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
