"""Dead and hot pixels: found from the sum of the frames, filled from their good neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_PX = 16  # surroundings in which the spread of pixel values is measured
HOT_SIGMA = 8.0
DEAD_SIGMA = 6.0
ZERO_SIGMA = 5.0  # of a pixel without any count: significant where 10 counts are expected
CANDIDATE_SIGMA = 3.0  # from the block's mean: these are looked at closely
BAND_PX = 256
BATCH = 8192  # bad pixels whose neighbours are searched together
LINE_SIGMA = 10.0
N_NEIGHBOURS = 12  # whose mean replaces a bad pixel
MAX_RADIUS_PX = 16  # farther away there is no good neighbour


def find_defects(total: Tensor) -> Tensor:
    """(y, x) sum of gain-corrected frames -> (y, x) bool, True = dead, hot or not finite.

    A pixel is bad if it differs from the median of its 24 neighbours by more than Poisson
    noise explains, with the noise scaled to what is measured around it; so are whole rows
    and columns that differ from the ones beside them. A hit in a single frame shows in the
    sum too. Structures of several pixels raise their neighbours' median and stay.
    """
    values = total.to(torch.float32)
    if bool(torch.isfinite(values.sum())):
        bad = torch.zeros(values.shape, dtype=torch.bool, device=values.device)
        low, middle, high = _quantiles(values.flatten())
    else:
        bad = ~torch.isfinite(values)
        if bool(bad.all()):
            return bad
        low, middle, high = _quantiles(values[~bad])
        values = torch.where(bad, middle, values)
    reach = max(high - low, 1e-6 * max(abs(middle), 1.0))
    mean, sigma, columns, rows = _measure(values, middle, low - reach, high + reach)
    bad |= _odd_ones(columns)[None, :] | _odd_ones(rows)[:, None]
    y, x = _candidates(values, mean, sigma)
    if y.numel():
        around = _neighbour_median(values, y, x)
        # A sum of counts is never negative; with an offset only the spread is known.
        deviation = _deviation(
            values[y, x], around, sigma[y // BLOCK_PX, x // BLOCK_PX], counts=low >= 0
        )
        zero = (values[y, x] == 0) & (deviation < -ZERO_SIGMA)
        wrong = (deviation > HOT_SIGMA) | (deviation < -DEAD_SIGMA) | zero
        bad[y[wrong], x[wrong]] = True
    return bad


def _quantiles(values: Tensor) -> tuple[float, float, float]:
    """0.5, 50 and 99.5 % of at most about 100,000 of the values."""
    step = max(1, values.numel() // 100_003)
    sample = values[::step].sort().values
    at = [round(q * (sample.numel() - 1)) for q in (0.005, 0.5, 0.995)]
    low, middle, high = sample[at].tolist()
    return low, middle, high


def _measure(
    values: Tensor, middle: float, low: float, high: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean and standard deviation per block, mean per column and per row, outliers clipped.

    In bands of rows: temporary images of full size cost more than the arithmetic.
    """
    means, squares, rows = [], [], []
    columns = torch.zeros(values.shape[1], device=values.device)
    for start in range(0, values.shape[0], BAND_PX):
        band = values[start : start + BAND_PX].clamp(low, high)
        columns += band.sum(dim=0)
        rows.append(band.mean(dim=1))
        band -= middle  # squares of small numbers keep their digits
        means.append(_blocks(band))
        squares.append(_blocks(band.square_()))
    mean, square = torch.cat(means), torch.cat(squares)
    sigma = (square - mean * mean).clamp_(min=0).sqrt_()
    # A block of equal values (few counts, or part of a constant image) has no spread of its own.
    sigma = sigma.clamp_(min=0.5 * float(sigma.median()))
    return mean + middle, sigma, columns / values.shape[0], torch.cat(rows)


def _blocks(band: Tensor) -> Tensor:
    """Means of blocks; those at the far edges may be smaller."""
    pooled = F.avg_pool2d(band[None, None], BLOCK_PX, ceil_mode=True, count_include_pad=False)
    return pooled[0, 0]


def _candidates(values: Tensor, mean: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """y and x of the pixels that lie far enough from their block's mean to be looked at."""
    found_y, found_x = [], []
    nx = values.shape[1]
    limit = sigma * CANDIDATE_SIGMA
    for start in range(0, values.shape[0], BAND_PX):
        band = values[start : start + BAND_PX]
        first, last = start // BLOCK_PX, (start + len(band) - 1) // BLOCK_PX + 1
        usual, far = (
            part[first:last].repeat_interleave(BLOCK_PX, dim=1)[:, :nx]
            .repeat_interleave(BLOCK_PX, dim=0)[: len(band)]
            for part in (mean, limit)
        )  # fmt: skip
        y, x = torch.nonzero((band - usual).abs_() > far, as_tuple=True)
        found_y.append(y + start)
        found_x.append(x)
    return torch.cat(found_y), torch.cat(found_x)


def _odd_ones(profile: Tensor) -> Tensor:
    """(n,) means of lines -> (n,) bool, True where less than half or more than twice the usual."""
    if profile.numel() < 16:
        return torch.zeros_like(profile, dtype=torch.bool)
    padded = F.pad(profile[None, None], (4, 4), mode="replicate")[0, 0]
    usual = padded.unfold(0, 9, 1).median(dim=1).values
    difference = (profile - usual).abs()
    far = difference > LINE_SIGMA * max(1.4826 * float(difference.median()), 1e-12)
    return far & (usual > 0) & ((profile < 0.5 * usual) | (profile > 2 * usual))


def _neighbour_median(values: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Median of the 24 pixels around each (y, x); the image is repeated beyond its edges."""
    step = torch.arange(-2, 3, device=values.device)
    dy, dx = torch.meshgrid(step, step, indexing="ij")
    keep = (dy != 0) | (dx != 0)
    rows = (y[:, None] + dy[keep]).clamp_(0, values.shape[0] - 1)
    columns = (x[:, None] + dx[keep]).clamp_(0, values.shape[1] - 1)
    return values[rows, columns].median(dim=1).values


def _deviation(value: Tensor, around: Tensor, sigma: Tensor, counts: bool) -> Tensor:
    """How many standard deviations a value lies above its surroundings.

    For counts after the square root that makes Poisson noise uniform (Anscombe), in units
    of the measured variance per count, which is 1 for single electrons.
    """
    if not counts:
        return (value - around) / sigma.clamp(min=1e-12)
    expected = around.clamp(min=0)
    per_count = (sigma * sigma / expected.clamp(min=1e-6)).clamp_(min=0.2)
    # Where hardly anything is expected the variance per count is that of single electrons.
    per_count = torch.where(expected > 1, per_count, per_count.clamp(max=1.0))
    root = ((value.clamp(min=0) / per_count) + 0.375).sqrt()
    return 2 * (root - (expected / per_count + 0.375).sqrt())


class Filling(NamedTuple):
    """The pixels to replace, and neighbours to average instead; flat indices into (y, x)."""

    pixels: Tensor  # (n,) int64
    neighbours: Tensor  # (n, N_NEIGHBOURS) int64
    weights: Tensor  # (n, N_NEIGHBOURS) float32, rows sum to 1
    lost: Tensor  # (m,) int64: without a good neighbour, replaced by the frame's mean
    shape_yx: tuple[int, int]


def plan_filling(bad: Tensor) -> Filling:
    """(y, x) bool, True = bad -> the nearest good neighbours of every bad pixel.

    Done once for a movie; `fill_defects` then touches the listed pixels only.
    """
    pixels = torch.nonzero(bad.flatten())[:, 0]
    offsets = torch.tensor(_offsets_by_distance(), device=bad.device)
    parts = [_nearest_good(bad, part, offsets) for part in pixels.split(BATCH)]
    neighbours = torch.cat([part for part, _ in parts])
    n_found = torch.cat([part for _, part in parts])
    used = torch.arange(N_NEIGHBOURS, device=bad.device) < n_found[:, None]
    # Unused slots repeat the first neighbour with no weight: it is good, so it is finite.
    neighbours = torch.where(used, neighbours, neighbours[:, :1])
    weights = used / n_found.clamp(min=1)[:, None]
    kept = n_found > 0
    return Filling(
        pixels[kept],
        neighbours[kept],
        weights[kept].to(torch.float32),
        pixels[~kept],
        (bad.shape[0], bad.shape[1]),
    )


def _nearest_good(bad: Tensor, pixels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Flat indices of the good pixels nearest to each of ``pixels``, and how many there are."""
    ny, nx = bad.shape
    neighbours = pixels.new_zeros((pixels.numel(), N_NEIGHBOURS))
    n_found = torch.zeros_like(pixels)
    start, size = 0, 24  # the 5 x 5 px around it are enough for nearly every pixel
    while start < len(offsets):
        open_ = torch.nonzero(n_found < N_NEIGHBOURS)[:, 0]
        if not open_.numel():
            break
        ring = offsets[start : start + size]
        rows = (pixels[open_] // nx)[:, None] + ring[:, 0]
        columns = (pixels[open_] % nx)[:, None] + ring[:, 1]
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        good = inside & ~bad[rows.clamp(0, ny - 1), columns.clamp(0, nx - 1)]
        slot = n_found[open_][:, None] + good.cumsum(dim=1) - 1
        pixel, offset = torch.nonzero(good & (slot < N_NEIGHBOURS), as_tuple=True)
        flat = rows[pixel, offset] * nx + columns[pixel, offset]
        neighbours[open_[pixel], slot[pixel, offset]] = flat
        n_found[open_] = (slot[:, -1] + 1).clamp(max=N_NEIGHBOURS)
        start, size = start + size, 2 * size
    return neighbours, n_found


def _offsets_by_distance() -> list[tuple[int, int]]:
    reach = range(-MAX_RADIUS_PX, MAX_RADIUS_PX + 1)
    offsets = [(dy * dy + dx * dx, dy, dx) for dy in reach for dx in reach if dy or dx]
    return [(dy, dx) for square, dy, dx in sorted(offsets) if square <= MAX_RADIUS_PX**2]


def fill_defects(frames: Tensor, filling: Filling) -> Tensor:
    """(..., y, x) floating point -> the same tensor, its bad pixels replaced in place.

    Raises
    ------
    ValueError
        If the frames are integers, not contiguous, or of another size than planned.
    """
    if frames.shape[-2:] != filling.shape_yx:
        raise ValueError(f"frames of {tuple(frames.shape[-2:])}; planned {filling.shape_yx} (y, x)")
    if not frames.is_floating_point() or not frames.is_contiguous():
        raise ValueError(f"frames are {frames.dtype}; expected contiguous floating point")
    if not filling.pixels.numel() and not filling.lost.numel():
        return frames
    weights = filling.weights.to(frames.dtype)
    for flat in frames.view(-1, frames.shape[-2] * frames.shape[-1]):
        flat[filling.pixels] = (flat[filling.neighbours] * weights).sum(dim=1)
        if filling.lost.numel():
            flat[filling.lost] = 0
            n_good = max(flat.numel() - filling.lost.numel(), 1)
            flat[filling.lost] = flat.sum() / n_good
    return frames


def fill_values(
    frames: np.ndarray, gain: np.ndarray | None, filling: Filling | None, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The values of `fill_defects` for gain-corrected frames, without making these frames.

    Parameters
    ----------
    frames
        ``(frame, y x)`` as they are.
    means
        ``(frame,)`` for pixels without a good neighbour.

    Returns
    -------
    tuple
        ``(n,)`` flat indices, ascending, and ``(frame, n)`` float32 values.
    """
    if filling is None:
        return np.zeros(0, np.int64), np.zeros((len(frames), 0), np.float32)
    neighbours, weights = filling.neighbours.numpy(), filling.weights.numpy()
    if gain is not None:
        weights = weights * gain.reshape(-1)[neighbours]
    n_kept = len(neighbours)
    pixels = np.concatenate([filling.pixels.numpy(), filling.lost.numpy()])
    values = np.empty((len(frames), len(pixels)), np.float32)
    for value, frame, mean in zip(values, frames, means, strict=True):
        value[:n_kept] = (frame[neighbours] * weights).sum(axis=1)
        value[n_kept:] = mean
    order = np.argsort(pixels)
    return pixels[order], np.ascontiguousarray(values[:, order])
