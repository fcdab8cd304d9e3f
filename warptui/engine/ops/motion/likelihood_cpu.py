"""Fused CPU kernel of `agreement.evaluate`: each coefficient is read once from memory.

The plain torch version makes six passes over several hundred MB; this one is bound by the
arithmetic. Rows of a patch are independent but for sums, so that threads share out rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np
import torch
from torch import Tensor

from warptui.engine.ops.common.threads import share_out

if TYPE_CHECKING:
    from warptui.engine.ops.motion.rings import Rings

ROWS_PER_TASK = 4096  # rows times frames: about a millisecond of work


def evaluate(
    spectra: Tensor, phase_y: Tensor, phase_x: Tensor, rings: Rings, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Value, score and ring power as in `agreement.evaluate_in_torch`."""
    n_patches, n_frames, n_y, n_x = spectra.shape
    data = torch.view_as_real(spectra).numpy()
    py, px = torch.view_as_real(phase_y).numpy(), torch.view_as_real(phase_x).numpy()
    index, count = rings.ring_of.numpy(), rings.multiplicity.numpy()
    used = index < rings.n_rings
    # columns that each row needs: nothing beyond the last used coefficient
    extent = np.where(used.any(1), n_x - used[:, ::-1].argmax(1), 0)
    ky, kx = rings.ky.numpy(), rings.kx.numpy()
    v = weight.numpy()
    block = max(1, ROWS_PER_TASK // n_frames)
    tasks = [(p, y, min(y + block, n_y)) for p in range(n_patches) for y in range(0, n_y, block)]

    def work(task: tuple[int, int, int]) -> tuple[float, np.ndarray, np.ndarray]:
        p, y0, y1 = task
        score = np.zeros((n_frames, 2))
        power = np.zeros(rings.n_rings + 1)
        value = _rows(data[p], py[p], px[p], ky, kx, v, index, count, extent, y0, y1, score, power)
        return value, score, power

    values = np.zeros(n_patches)
    scores = np.zeros((n_patches, n_frames, 2))
    powers = np.zeros(rings.n_rings + 1)
    for (p, _, _), (value, score, power) in zip(tasks, share_out(work, tasks), strict=True):
        values[p] += value
        scores[p] += score
        powers += power
    mean = torch.from_numpy(powers[: rings.n_rings] / n_patches)
    return (
        torch.from_numpy(values),
        torch.from_numpy(4 * math.pi * scores),
        mean / rings.n_coefficients.clamp(min=0.5),
    )


@numba.njit(nogil=True, fastmath=True, cache=True)
def _rows(data, py, px, ky, kx, v, index, count, extent, y0, y1, score, power):
    """Rows y0..y1 of one patch; returns the value, adds to ``score`` and ``power``."""
    n_frames = data.shape[0]
    n_x = data.shape[2]
    re = np.zeros(n_x, dtype=np.float32)
    im = np.zeros(n_x, dtype=np.float32)
    value = 0.0
    for y in range(y0, y1):
        n = extent[y]
        if n == 0:
            continue
        for x in range(n):
            re[x] = 0.0
            im[x] = 0.0
        for t in range(n_frames):
            yr = py[t, y, 0]
            yi = py[t, y, 1]
            row = data[t, y]
            phase = px[t]
            for x in range(n):
                er = phase[x, 0] * yr - phase[x, 1] * yi
                ei = phase[x, 0] * yi + phase[x, 1] * yr
                re[x] += row[x, 0] * er - row[x, 1] * ei
                im[x] += row[x, 0] * ei + row[x, 1] * er
        for x in range(n):
            square = re[x] * re[x] + im[x] * im[x]
            value += v[y, x] * square
            power[index[y, x]] += count[y, x] * square
            re[x] *= v[y, x]
            im[x] *= v[y, x]
        for t in range(n_frames):
            yr = py[t, y, 0]
            yi = py[t, y, 1]
            row = data[t, y]
            phase = px[t]
            pull_y = np.float32(0.0)
            pull_x = np.float32(0.0)
            for x in range(n):
                er = phase[x, 0] * yr - phase[x, 1] * yi
                ei = phase[x, 0] * yi + phase[x, 1] * yr
                sr = row[x, 0] * er - row[x, 1] * ei
                si = row[x, 0] * ei + row[x, 1] * er
                pull = re[x] * si - im[x] * sr
                pull_y += pull
                pull_x += pull * kx[x]
            score[t, 0] += pull_y * ky[y]
            score[t, 1] += pull_x
    return value
