"""Local defocus: a constant, a plane, or a spline grid, chosen by the evidence of the patches.

Every patch (and time) first gets its log-likelihood tabulated over defocus; after that a
model of the whole micrograph costs only look-ups. Planes are searched exhaustively, since
under a steep tilt neighbouring Thon rings are each other's local optima; nodes of the grid
are found by Fisher scoring under a Gaussian process prior about the plane, whose amplitude
and length the evidence chooses.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.splines import grid_weights
from warptui.engine.ops.ctf.ring_fit import Optical
from warptui.engine.ops.ctf.ring_model import Thon, project_samples

TABLE_PHASE = 0.35  # rad of 2γ at the highest frequency between two entries
STEEPEST = math.tan(math.radians(68))
SLOPE_SIGMA = math.tan(math.radians(25))  # broad prior of each component of the slope
ROUGHNESS = (20.0, 40.0, 80.0, 160.0, 320.0, 640.0)  # Å, amplitudes of the grid that are tried
LENGTHS = (0.3, 0.7)  # of the longer edge
MIN_GAIN = 6.0  # log evidence that a richer model must bring
STAGE_TILT_GAIN = 1.0  # likewise, for a plane as steep as the stage tilt
STAGE_TILT_SIGMA = math.radians(4)  # of a film's tilt about that of the stage
ROUNDS = 6


class Places(NamedTuple):
    """Positions and times of samples."""

    x: Tensor  # (sample,) float64 fractions of the image
    y: Tensor
    t: Tensor
    size_xy: tuple[float, float]  # Å
    overlap: float = 1.0  # of `PatchGrid`


class Table(NamedTuple):
    """Log-likelihood of each sample by its defocus."""

    values: Tensor  # (sample, entry) float32, corrected for redundancy
    first: float  # Å, defocus of the first entry
    step: float  # Å
    information: float  # expected, of one sample, 1/Å²

    def at(self, defocus: Tensor) -> tuple[Tensor, Tensor]:
        """Value and derivative of each sample at its ``(sample,)`` defocus (cubic)."""
        n = self.values.shape[1]
        place = ((defocus - self.first) / self.step).clamp(1, n - 3.001)
        low = place.floor().to(torch.int64)
        f = place - low
        columns = low[:, None] + torch.arange(-1, 3, device=low.device)
        p = self.values.gather(1, columns).to(torch.float64)
        c1 = 0.5 * (p[:, 2] - p[:, 0])
        c2 = p[:, 0] - 2.5 * p[:, 1] + 2 * p[:, 2] - 0.5 * p[:, 3]
        c3 = 0.5 * (p[:, 3] - p[:, 0]) + 1.5 * (p[:, 1] - p[:, 2])
        value = p[:, 1] + f * (c1 + f * (c2 + f * c3))
        return value, (c1 + f * (2 * c2 + 3 * f * c3)) / self.step


class DefocusField(NamedTuple):
    """Result of `fit_field`."""

    model: str  # "constant", "plane" or "grid"
    nodes: Tensor  # (node,) float64 Å, of the wanted grid whatever the model
    samples: Tensor  # (sample,) defocus at the samples, Å
    slope_xy: tuple[float, float]  # Å of defocus per Å of the plane; 0 where constant
    slope_error: float  # standard error of a component
    mean_error: float  # Å, of the mean defocus, astigmatism known
    gain_plane: float  # log evidence over a constant
    plane_mean: float  # Å, mean defocus of the likeliest plane, be it chosen or not
    plane_slope_xy: tuple[float, float]
    gain_grid: float  # log evidence over the better of constant and plane
    evidence_flat: float  # log evidence of the constant

    def moved(self, away: float) -> DefocusField:
        """The field with ``away`` Å added to the defocus everywhere."""
        return self._replace(
            nodes=self.nodes + away,
            samples=self.samples + away,
            plane_mean=self.plane_mean + away,
        )


def tabulate(
    thon: Thon, optical: Optical, envelope: Tensor, redundancy: float, reach: float
) -> Table:
    """Log-likelihood tables over ``optical.defocus`` ± ``reach`` Å."""
    geometry = thon.geometry
    k_max = float(geometry.k[-1])
    step = TABLE_PHASE / (2 * math.pi * geometry.optics.wavelength * k_max**2)
    n = 2 * math.ceil(reach / step) + 5
    first = optical.defocus - step * (n // 2)
    defocus = first + step * torch.arange(n, dtype=torch.float64, device=thon.data.device)
    values = torch.empty(len(thon.data), n, device=thon.data.device)
    weighted = (thon.data * thon.weight).flatten(1)
    shape = envelope.to(thon.data)
    for begin in range(0, n, 64):
        part = slice(begin, begin + 64)
        shift = torch.full_like(defocus[part], optical.phase_shift)
        phase = 2 * geometry.phase(defocus[part], optical.astigmatism_xy, shift)
        wave = -torch.cos(phase) * shape
        wave = wave - project_samples(thon, wave)
        norm = (wave.square() * thon.weight).sum((1, 2))
        values[:, part] = (weighted @ wave.flatten(1).T - 0.5 * norm) / redundancy
    shift = torch.full_like(defocus[:1], optical.phase_shift)
    here = torch.full_like(shift, optical.defocus)
    phase = 2 * geometry.phase(here, optical.astigmatism_xy, shift)
    slope = 2 * torch.sin(phase) * shape * (math.pi * geometry.optics.wavelength) * geometry.k2
    slope = slope - project_samples(thon, slope)
    information = float((slope.square() * thon.weight).sum()) / redundancy
    return Table(values, first, step, information)


def search_plane(
    table: Table, places: Places, centre: float, steepness: float | None = None
) -> tuple[float, float, float]:
    """Defocus at the centre (Å) and slope along x and y (Å/Å) of the likeliest plane.

    ``steepness`` is that of the stage (Å/Å): only planes about as steep are looked at.
    """
    x, y = (values.to(table.values.device) for values in _centred(places))
    reach = max(float(x.abs().max()), float(y.abs().max()), 1.0)
    steps = max(1.0, 60.0 / table.step), max(1.0, 15.0 / table.step)
    found = (centre, 0.0, 0.0)
    span_slope, span_offset = STEEPEST, 0.1 * abs(centre)
    for coarse in steps:
        spacing = coarse * table.step * 2
        slope_step = spacing / reach
        n_slope = max(1, math.ceil(span_slope / slope_step))
        n_offset = max(1, math.ceil(span_offset / spacing))
        values = _smooth(table.values, coarse)
        slopes = torch.arange(-n_slope, n_slope + 1, dtype=torch.float64) * slope_step
        gx, gy = torch.meshgrid(slopes, slopes, indexing="ij")
        gx, gy = (found[1] + gx).flatten(), (found[2] + gy).flatten()
        slope = torch.hypot(gx, gy)
        inside = slope <= STEEPEST
        if steepness is not None:
            near = 2 * _told_spread(steepness) + slope_step
            inside &= (slope - steepness).abs() <= near
        gx, gy = gx[inside].to(x.device), gy[inside].to(x.device)
        best = -math.inf
        start = found
        offsets = [start[0] + i * spacing for i in range(-n_offset, n_offset + 1)]
        for first in range(0, len(gx), 1024):
            part = slice(first, first + 1024)
            away = (gx[part, None] * x + gy[part, None] * y) / table.step
            for offset in offsets:
                at = (away + (offset - table.first) / table.step).round().to(torch.int64)
                at = at.clamp(0, values.shape[1] - 1)
                total = values.gather(1, at.T).sum(0)
                place = int(total.argmax())
                if float(total[place]) > best:
                    best = float(total[place])
                    found = (offset, float(gx[part][place]), float(gy[part][place]))
        span_slope, span_offset = 2 * slope_step, 2 * spacing
    return found


def fit_field(
    table: Table,
    places: Places,
    grid_xyt: tuple[int, int, int],
    start: tuple[float, float, float],
    *,
    steady: bool = False,
    level: bool = False,
    evidence_flat: float | None = None,
    steepness: float | None = None,
) -> DefocusField:
    """Fit the nodes of the defocus grid, with as rich a model as the evidence allows.

    ``start`` is defocus at the centre and slopes, as `search_plane` finds them. ``steady``
    keeps the defocus constant over time, if a changing phase shift is fitted instead: spectra
    hardly distinguish the two. ``level`` excludes planes. ``evidence_flat`` is the evidence of
    a constant with its own rings: a plane that sharpens the rings must not be compared with
    blurred rings only. ``steepness`` is that of the stage (Å/Å), in the direction of
    ``start``: a plane about as steep needs hardly any evidence.
    """
    device = table.values.device
    weights = grid_weights(grid_xyt, places.x, places.y, places.t).to(device)
    nx, ny, nt = grid_xyt
    axes = [torch.linspace(0, 1, n, dtype=torch.float64) if n > 1 else torch.full(
        (1,), 0.5, dtype=torch.float64) for n in grid_xyt]  # fmt: skip
    t, y, x = (values.flatten() for values in torch.meshgrid(*axes[::-1], indexing="ij"))
    size_x, size_y = places.size_xy
    x_nodes, y_nodes = (x - 0.5) * size_x, (y - 0.5) * size_y
    ones = torch.ones_like(x_nodes)
    constant = 1e10 * torch.outer(ones, ones)
    plane = SLOPE_SIGMA**2 * (torch.outer(x_nodes, x_nodes) + torch.outer(y_nodes, y_nodes))
    middle = torch.zeros_like(x_nodes)
    if steepness is not None:
        # prior on a circle of directions: a tangent at the likeliest one with the circle's density
        length = math.hypot(start[1], start[2])
        ux, uy = (start[1] / length, start[2] / length) if length > 0 else (1.0, 0.0)
        along, across = ux * x_nodes + uy * y_nodes, ux * y_nodes - uy * x_nodes
        middle = steepness * along
        plane = _told_spread(steepness) ** 2 * torch.outer(along, along)
        plane += 2 * math.pi * steepness**2 * torch.outer(across, across)
    scale = max(places.size_xy)
    distance2 = (
        (x_nodes[:, None] - x_nodes) ** 2 + (y_nodes[:, None] - y_nodes) ** 2
    ) / scale**2 + (t[:, None] - t) ** 2 * (not steady)
    flat = _solve(table, weights, constant, start[0] * ones)
    can_slope = (nx > 1 or ny > 1) and not level
    sloped = flat
    if can_slope:
        begin = start[0] * ones + start[1] * x_nodes + start[2] * y_nodes
        sloped = max(
            (
                _solve(table, weights, constant + plane, each, middle)
                for each in (begin, flat.nodes)
            ),
            key=lambda solved: solved.evidence,
        )
    rich = None
    if nx * ny * nt > (3 if can_slope else 1) or nt > 1:
        for length in LENGTHS:
            shape = torch.exp(-0.5 * distance2 / length**2)
            for amplitude in ROUGHNESS:
                covariance = constant + plane * can_slope + amplitude**2 * shape
                solved = _solve(table, weights, covariance, sloped.nodes, middle * can_slope)
                if rich is None or solved.evidence > rich.evidence:
                    rich = solved
    if evidence_flat is None or flat.evidence > evidence_flat:
        evidence_flat = flat.evidence
    gain_plane = sloped.evidence - evidence_flat
    needed = MIN_GAIN if steepness is None else STAGE_TILT_GAIN
    simple, model = (sloped, "plane") if can_slope and gain_plane > needed else (flat, "constant")
    simplest = sloped.evidence if model == "plane" else evidence_flat
    gain_grid = rich.evidence - simplest if rich is not None else 0.0
    best = simple
    if rich is not None and gain_grid > MIN_GAIN:
        best, model = rich, "grid"
    slope_xy, slope_error = (0.0, 0.0), 0.0
    design = torch.stack([ones, x_nodes, y_nodes], 1)  # of the nodes' own best plane
    if model != "constant" and can_slope:
        slope_xy = _slope(design, best.nodes)
        spread = max(float((x_nodes**2).sum()), 1.0)
        slope_error = float((design[:, 1] @ best.covariance @ design[:, 1]).sqrt()) / spread
    weights = weights.cpu()
    mean = weights.mean(0)
    return DefocusField(
        model,
        best.nodes,
        weights @ best.nodes,
        slope_xy,
        slope_error,
        float((mean @ best.covariance @ mean).clamp(min=0).sqrt()),
        gain_plane,
        float(mean @ sloped.nodes),
        _slope(design, sloped.nodes),
        gain_grid,
        evidence_flat,
    )


class _Solved(NamedTuple):
    nodes: Tensor
    covariance: Tensor
    evidence: float


def _slope(design: Tensor, nodes: Tensor) -> tuple[float, float]:
    fit = torch.linalg.lstsq(design, nodes[:, None], driver="gelsd").solution[:, 0]
    return float(fit[1]), float(fit[2])


def _told_spread(steepness: float) -> float:
    """Standard deviation of a film's slope around the slope of the stage."""
    return STAGE_TILT_SIGMA * (1 + steepness**2)


def _solve(
    table: Table, weights: Tensor, prior: Tensor, start: Tensor, middle: Tensor | None = None
) -> _Solved:
    """Most probable nodes under a Gaussian prior about ``start``'s mean and ``middle`` (which has
    no mean of its own), and the evidence."""
    # in the prior's own coordinates: constants and planes have no other
    values, vectors = torch.linalg.eigh(prior)
    keep = values > 1e-9 * values.max()
    root = vectors[:, keep] * values[keep].sqrt()
    centre = start.mean() + (torch.zeros_like(start) if middle is None else middle)
    at_centre = weights @ centre.to(weights.device)
    design = weights @ root.to(weights.device)
    latent = torch.linalg.lstsq(root, (start - centre)[:, None], driver="gelsd").solution[:, 0]
    latent = latent.to(weights.device)
    identity = torch.eye(root.shape[1], dtype=torch.float64, device=weights.device)
    information = design.T @ design * table.information + identity

    def objective(at: Tensor) -> tuple[float, Tensor]:
        value, slope = table.at(at_centre + design @ at)
        return float(value.sum() - 0.5 * at.square().sum()), slope

    best, slope = objective(latent)
    for _ in range(ROUNDS):
        step = torch.linalg.solve(information, design.T @ slope - latent)
        length = 1.0
        while length > 0.05:
            value, new_slope = objective(latent + length * step)
            if value >= best:
                break
            length *= 0.4
        else:
            break
        gained = value - best
        latent, best, slope = latent + length * step, value, new_slope
        if gained < 1e-3:
            break
    evidence = best - 0.5 * float(torch.logdet(information))
    nodes = centre + root @ latent.cpu()
    covariance = root @ torch.linalg.inv(information).cpu() @ root.T
    return _Solved(nodes, covariance, evidence)


def _centred(places: Places) -> tuple[Tensor, Tensor]:
    return (places.x - 0.5) * places.size_xy[0], (places.y - 0.5) * places.size_xy[1]


def _smooth(values: Tensor, width: float) -> Tensor:
    n = 2 * int(width) + 1
    if n < 3:
        return values
    padded = torch.nn.functional.pad(values[:, None], (n // 2, n // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, n, 1)[:, 0]
