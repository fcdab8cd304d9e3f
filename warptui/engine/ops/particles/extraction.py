"""Extracts particles from movie frames, each shifted rigidly (paper: *Export of corrected data*).

A box is shifted rigidly, by the motion at its centre in each frame; frames are weighted by their
dose. On a GPU each box of each frame is transformed and shifted by its phases. On a CPU that would
take ten times as long as needed: boxes are interpolated by quintic B-splines as averages are, and
the weights, smooth in dose and frequency, are taken as a sum of few products of a factor per frame
and one per frequency, so that a particle takes few transforms however many its frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from warptui.engine.ops.common.fourier import crop_spectrum, frequencies_yx, shift_phases
from warptui.engine.ops.frames.counts import Counts
from warptui.engine.ops.frames.warping import prefilter_yx
from warptui.engine.ops.particles import extraction_cpu

MARGIN_PX = 4  # of raw pixels around a box: what filters wrap around
FLIPPED_SHARE = 2.0  # boxes are cut this much larger for phase flipping: it moves signal about
WORST_STRAY_PX = 0.02  # at a box's edge, by which its pixel size may miss the wanted one
TOLERANCE = 0.01  # RMS over frames, of weights whose mean square is 1
CORNER_SHARE = 0.2  # of the error's weight, beyond Nyquist
FINE = 2048  # frequencies at which weights are tabulated
BATCH_BYTES = 16 << 20  # of boxes that are worked on together: what a cache holds
SLOW_BATCH_BYTES = 1 << 30  # the same where each frame of a batch is read again


class Geometry(NamedTuple):
    """Sizes of a box while it is cut, resampled in Fourier space, and cropped."""

    cut_px: int  # raw pixels each way
    small_px: int  # the same at the wanted pixel size
    box_px: int
    pixel_size: float  # Å/px of the box, really
    raw_pixel: float  # Å/px


class Weighting(NamedTuple):
    """Dose weights as ``frames @ waves``: (frame, rank) and (rank, cut_px, cut_px // 2 + 1)."""

    frames: Tensor
    waves: Tensor


class Job(NamedTuple):
    """The frames to use, and each particle's position in each of them."""

    used: Sequence[int]  # indices of frames
    centres_yx_px: Tensor  # (used, particle, 2) float64, raw px, in that very frame
    parts: Tensor  # (part, used) bool: frames that make up each part; halves are two


def plan_box(box_px: int, pixel_size: float, raw_pixel: float, share: float = 1.0) -> Geometry:
    """The sizes that make boxes of ``pixel_size``; ``share`` times as large before the crop.

    Raises
    ------
    ValueError
        If the wanted pixel is finer than the raw one.
    """
    ratio = pixel_size / raw_pixel
    if ratio < 0.999:
        raise ValueError(f"{pixel_size:g} Å/px are finer than the frames' {raw_pixel:g}")
    if ratio < 1.001:
        size = math.ceil(box_px * share / 2) * 2 + 2 * MARGIN_PX
        while not _is_quick(size):
            size += 2
        return Geometry(size, size, box_px, raw_pixel, raw_pixel)
    least = math.ceil(box_px * ratio * share / 2) * 2 + 2 * MARGIN_PX
    best: tuple[float, int, int] | None = None
    for size in range(least, 2 * least, 2):
        small = 2 * round(size / ratio / 2)
        stray = abs(small * ratio / size - 1) * box_px / 2
        rough = 0.2 * (not _is_quick(size)) + 0.1 * (not _is_quick(small))
        cost = (size / least) ** 2 + rough + 100 * max(stray - WORST_STRAY_PX, 0.0)
        if small >= box_px and (best is None or cost < best[0]):
            best = cost, size, small
    assert best is not None
    _, size, small = best
    return Geometry(size, small, box_px, raw_pixel * size / small, raw_pixel)


def _is_quick(size: int) -> bool:
    """Whether images of this size transform fast: 264 px take half as long as 270."""
    if size % 8:
        return False
    for prime in (2, 3, 5, 7, 11):
        while size % prime == 0:
            size //= prime
    return size == 1


def weigh(
    amplitudes: Callable[[Tensor], Tensor],
    geometry: Geometry,
    device: torch.device,
    tolerance: float = TOLERANCE,
) -> Weighting:
    """The weights ``amplitudes(k) -> (frame, k)`` as products, at a box's frequencies.

    As many as bring the RMS error up to Nyquist below ``tolerance``.
    """
    ky, kx = frequencies_yx((geometry.cut_px, geometry.cut_px), [geometry.raw_pixel] * 2, device)
    corner = 0.5 * math.sqrt(2) / geometry.pixel_size
    table = amplitudes(torch.linspace(0, corner, FINE)).to(torch.float64)
    inside = round(FINE / math.sqrt(2))  # up to Nyquist; the corners beyond matter less
    share = torch.where(torch.arange(FINE) < inside, 1.0, CORNER_SHARE).to(torch.float64)
    u = torch.linalg.svd(table * share, full_matrices=False).U
    lines = u.T @ table
    rank = 1
    while rank < len(lines):
        rest = table[:, :inside] - u[:, :rank] @ lines[:rank, :inside]
        if float(rest.square().mean(0).max().sqrt()) <= tolerance:
            break
        rank += 1
    k = torch.hypot(ky[:, None], kx[None, :])
    place = (k / corner * (FINE - 1)).clamp(max=FINE - 1.001)
    low = place.to(torch.int64)
    rest = place - low
    lines = lines[:rank].to(k)
    waves = lines[:, low] * (1 - rest) + lines[:, low + 1] * rest
    return Weighting(u[:, :rank].to(k), waves)


def extract_particles(
    job: Job,
    geometry: Geometry,
    amplitudes: Callable[[Tensor], Tensor],
    read: Callable[[int, Tensor | None], Tensor],
    device: torch.device,
    *,
    counts: Counts | None = None,
    flip: Callable[[Tensor, Tensor, slice], Tensor] | None = None,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Iterator[Tensor]:
    """Boxes ``(part, particle, y, x)`` float32, some particles at a time, in order.

    The particle's centre is pixel ``box // 2``. Values are sums over frames, scaled as those of
    averages: the parts add up to the whole.

    Parameters
    ----------
    amplitudes
        ``k (1/Å) -> (used, k)`` weights of the frames.
    read
        ``(index, buffer) -> (y, x)`` corrected frame, used where there are no ``counts``.
    flip
        ``ky, kx, particles -> (particle, ky, kx)`` factors, the CTF's signs, at the small size.
    """
    n = job.centres_yx_px.shape[1]
    n_pixels = geometry.cut_px**2 * len(job.parts)
    if counts is not None:
        weighting = weigh(amplitudes, geometry, device)
        rank = weighting.frames.shape[1]
        # boxes and their transforms, and twice the sum; as many for each thread
        threads = torch.get_num_threads()
        batch = max(1, BATCH_BYTES // (8 * n_pixels * (rank + 1)) // threads) * threads
        cut = partial(_interpolated, job, geometry, _prefiltered(weighting, geometry), counts)
    else:
        weighting = weigh(amplitudes, geometry, device, 0.0)
        batch = max(1, SLOW_BATCH_BYTES // (12 * n_pixels))
        cut = partial(_transformed, job, geometry, weighting, read, device)
    small = geometry.small_px
    ky, kx = frequencies_yx((small, small), [geometry.pixel_size] * 2, device)
    for first in range(0, n, batch):
        some = slice(first, min(first + batch, n))
        spectra = cut(some)
        if flip is not None:
            spectra *= flip(ky, kx, some)
        images = torch.fft.irfft2(spectra, s=(small, small))
        start = small // 2 - geometry.box_px // 2
        on_progress(some.stop / n)
        yield images[..., start : start + geometry.box_px, start : start + geometry.box_px]


def _prefiltered(weighting: Weighting, geometry: Geometry) -> Weighting:
    """Complete the weights by the prefilter and phase flipping, at the small size; complex."""
    size, small = geometry.cut_px, geometry.small_px
    waves = weighting.waves
    if small != size:
        waves = crop_spectrum(waves, (size, size), (small, small))
    ky, kx = frequencies_yx((small, small), [size / small] * 2)
    pre_y, pre_x = prefilter_yx(ky, kx)
    return weighting._replace(waves=(waves * (pre_y[:, None] * pre_x)).to(torch.complex64))


def _interpolated(
    job: Job, geometry: Geometry, weighting: Weighting, counts: Counts, some: slice
) -> Tensor:
    """Spectra ``(part, particle, ky, kx)`` of boxes that were moved by interpolation."""
    factors = job.parts.T[:, :, None] * weighting.frames[:, None]
    boxes = extraction_cpu.add_boxes(
        counts,
        np.asarray(job.used, np.int64),
        job.centres_yx_px[:, some].numpy(),
        factors.flatten(1).numpy(),
        geometry.cut_px,
    )
    spectra = rearrange(
        torch.fft.rfft2(torch.from_numpy(boxes)),
        "particle (part rank) ky kx -> particle part rank ky kx",
        part=len(job.parts),
    )
    size, small = geometry.cut_px, geometry.small_px
    if small != size:
        spectra = crop_spectrum(spectra, (size, size), (small, small))
    total = spectra[:, :, 0] * weighting.waves[0]
    for index in range(1, len(weighting.waves)):
        total.addcmul_(spectra[:, :, index], weighting.waves[index])
    return rearrange(total, "particle part ky kx -> part particle ky kx")


def _transformed(
    job: Job,
    geometry: Geometry,
    weighting: Weighting,
    read: Callable[[int, Tensor | None], Tensor],
    device: torch.device,
    some: slice,
) -> Tensor:
    """The same by shifting the phases of every box of every frame."""
    size, small = geometry.cut_px, geometry.small_px
    small_shape = (small, small)
    ky, kx = frequencies_yx((size, size), [1.0, 1.0], device)
    along = torch.arange(size, device=device)
    total: Tensor | None = None
    buffer: Tensor | None = None
    for number, index in enumerate(job.used):
        frame = buffer = read(index, buffer)
        n_y, n_x = frame.shape
        mean = frame.mean()
        corners = job.centres_yx_px[number, some] - size // 2
        whole = corners.round()
        rows = whole[:, 0, None].to(device).long() + along
        columns = whole[:, 1, None].to(device).long() + along
        boxes = frame[rows.clamp(0, n_y - 1)[:, :, None], columns.clamp(0, n_x - 1)[:, None, :]]
        inside = ((rows >= 0) & (rows < n_y))[:, :, None] & ((columns >= 0) & (columns < n_x))[
            :, None
        ]
        boxes = torch.where(inside, boxes, mean)
        phase_y, phase_x = shift_phases(ky, kx, (whole - corners).to(device))
        spectra = torch.fft.rfft2(boxes)
        if small != size:
            half = small // 2
            spectra = crop_spectrum(spectra, (size, size), small_shape)
            phase_y = torch.cat([phase_y[:, :half], phase_y[:, size - half :]], 1)
            phase_x = phase_x[:, : half + 1]
        weight = torch.tensordot(weighting.frames[number], weighting.waves, 1)
        if small != size:
            weight = crop_spectrum(weight, (size, size), small_shape)
        spectra *= phase_y[:, :, None] * (phase_x[:, None, :] * weight)
        if total is None:
            total = spectra.new_zeros(len(job.parts), *spectra.shape)
        for part, frames in enumerate(job.parts):
            if frames[number]:
                total[part] += spectra
    assert total is not None
    return total
