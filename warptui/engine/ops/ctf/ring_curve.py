"""The 1D curve of a micrograph: all patches' spectra rescaled to one defocus, and its resolution.

Rings of patches at different defoci lie at different frequencies. Moved to where a common
defocus has the same phase (paper: *Estimation of local defocus*) they add up, so that the
gain of a local model shows as rings at higher resolution.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.ctf.polar import PolarGrid
from warptui.engine.ops.ctf.ring_fit import Optical
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf, find_zeros, rescale_k2

QUALITY_LIMIT = 0.3
MIN_WINDOW = 16  # bins over which measurement and model are compared
TREND_NODES = 12


class Curve(NamedTuple):
    """Amplitudes without background over their envelope, and |CTF|; all ``(bin,)`` float64."""

    k: Tensor  # 1/Å
    measured: Tensor
    simulated: Tensor
    scale: Tensor  # the envelope, in amplitudes of white noise
    quality: Tensor  # correlation of the two in a window, -1..1


def gather_curve(
    power: Tensor,
    grid: PolarGrid,
    defocus: Tensor,
    optical: Optical,
    optics: Optics,
    step: float,
    n: int,
) -> Tensor:
    """Mean power ``(n,)`` at multiples of ``step`` (1/Å), all samples at one defocus.

    Parameters
    ----------
    power
        ``(sample, sector, bin)`` mean power of the coefficients of each bin.
    defocus
        ``(sample,)`` mean defocus of each sample, Å; brought to ``optical.defocus``.
    """
    if float(defocus.max() - defocus.min()) == 0:
        power, defocus = power.mean(0, keepdim=True), defocus[:1]
    k2 = grid.k2.clamp(min=1e-12)
    ax, ay = optical.astigmatism_xy
    away = 0.5 * (ax * grid.k2_cos + ay * grid.k2_sin) / k2
    total = torch.zeros(n + 2, dtype=torch.float64, device=power.device)
    weight = torch.zeros_like(total)
    for values, z in zip(power, defocus.tolist(), strict=True):
        moved = rescale_k2(k2, z + away, optical.defocus, optics).sqrt() / step
        seen = (grid.n_coefficients > 0) & (moved < n) & ~moved.isnan()
        at = moved[seen]
        low = at.floor().to(torch.int64)
        high_share = at - low
        count = grid.n_coefficients[seen]
        value = values.to(torch.float64)[seen] * count
        for place, share in ((low, 1 - high_share), (low + 1, high_share)):
            total.index_add_(0, place, value * share)
            weight.index_add_(0, place, count * share)
    mean = total / weight.clamp(min=1e-9)
    first = int((weight > 0).nonzero()[0])
    mean[:first] = mean[first]
    return mean[:n]


def describe_curve(
    power: Tensor, step: float, optical: Optical, optics: Optics, k_min: float
) -> Curve:
    """Background, envelope and quality of a curve of `gather_curve`.

    Background and envelope are a local regression of power on CTF² and a slope, in a window
    of about two rings.
    """
    n = len(power)
    k = torch.arange(n, dtype=torch.float64) * step
    power = power.cpu()
    used = k >= 0.5 * k_min
    first = int(used.nonzero()[0])
    # in the square root: most of the fall is at low frequencies
    position = ((k - k[first]) / (k[-1] - k[first])).clamp(min=0).sqrt()
    nodes = spline_weights(TREND_NODES, position)
    logs = power.clamp(min=1e-30).log()
    trend = (nodes @ torch.linalg.lstsq(nodes[used], logs[used]).solution).exp()
    ratio = power / trend
    simulated = calculate_ctf(k**2, optical.defocus, optics, optical.phase_shift).abs()
    half = half_windows(k, optical, optics)
    # regress in a Gaussian window at every bin; bins below the fit count for nothing
    away = (
        torch.arange(n, dtype=torch.float64)[None] - torch.arange(n, dtype=torch.float64)[:, None]
    )
    kernel = torch.exp(-0.5 * (away / half[:, None]) ** 2) * used
    terms = torch.stack([torch.ones(n, n, dtype=torch.float64), away / half[:, None], (
        simulated**2).expand(n, n)], 2)  # fmt: skip
    weighted = terms * kernel[..., None]
    normal = weighted.transpose(1, 2) @ terms + 1e-9 * torch.eye(3, dtype=torch.float64)
    right = weighted.transpose(1, 2) @ ratio[None, :, None].expand(n, n, 1)
    solved = torch.linalg.solve(normal, right)[..., 0]
    floor = solved[:, 0].clamp(min=1e-3)
    rise = solved[:, 2].clamp(min=0)
    level = trend * floor
    base = level.sqrt()
    scale = (trend * (floor + rise)).sqrt() - base
    scale = scale.clamp(min=1e-3 * float(scale[used].max().clamp(min=1e-6)))
    measured = (power.sqrt() - base) / scale
    measured[:first] = 0
    quality = window_correlation(measured * scale, simulated * scale, half)
    quality[:first] = 0
    white = float(power[-max(4, n // 10) :].mean()) ** 0.5
    return Curve(k, measured, simulated, scale / white, quality)


def half_windows(k: Tensor, optical: Optical, optics: Optics) -> Tensor:
    """Half the bins to compare around each: the width between the zeros of the closest peak
    either way (paper: twice that width in all), at least 8."""
    zeros = [0.0, *find_zeros(optical.defocus, optics, float(k[-1]) * 1.2, optical.phase_shift)]
    if len(zeros) < 2:
        zeros.append(float(k[-1]))
    edges = torch.tensor(zeros, dtype=torch.float64)
    ring = torch.bucketize(k, edges).clamp(1, len(edges) - 1)
    width = (edges[ring] - edges[ring - 1]) / float(k[1])
    return width.clamp(min=MIN_WINDOW / 2, max=len(k) / 4)


def window_correlation(a: Tensor, b: Tensor, half: Tensor) -> Tensor:
    """Pearson correlation of two ``(bin,)`` curves within ± ``half`` bins of each; -1..1."""
    n = len(a)
    at = torch.arange(n)
    inside = ((at[None] - at[:, None]).abs() <= half[:, None]).to(torch.float64)
    count = inside.sum(1)
    mean_a, mean_b = inside @ a / count, inside @ b / count
    cross = inside @ (a * b) / count - mean_a * mean_b
    square_a = (inside @ a**2 / count - mean_a**2).clamp(min=0)
    square_b = (inside @ b**2 / count - mean_b**2).clamp(min=0)
    return cross / (square_a * square_b).sqrt().clamp(min=1e-12)


def find_resolution(curve: Curve, k_first: float, k_middle: float) -> float | None:
    """Å where quality first falls below 0.3, going up from where it is best.

    Parameters
    ----------
    k_first, k_middle
        1/Å; the best is looked for between them: below the first zero there is nothing to
        compare, and where the background is steep single bins mislead.

    Returns
    -------
    float | None
        None where quality is below 0.3 from the beginning.
    """
    step = float(curve.k[1])
    first, middle = math.ceil(k_first / step), math.ceil(k_middle / step)
    last = len(curve.k) - 1
    first = min(first, last - 1)
    best = first + int(curve.quality[first : max(middle, first + 1)].argmax())
    if float(curve.quality[best]) < QUALITY_LIMIT:
        return None
    below = (curve.quality[best:] < QUALITY_LIMIT).nonzero()
    end = best + int(below[0]) if len(below) else last
    return 1 / float(curve.k[end])
