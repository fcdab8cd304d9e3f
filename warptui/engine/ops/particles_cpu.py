"""CPU kernel of `particles.extract_particles`: sums of moved boxes over frames.

A box is worked on in bands of rows, all frames of a band before the next, so that what is added up
stays in the cache. Pixels are corrected where they are needed: no corrected frame is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from warptui.engine.ops.threads import share_out
from warptui.engine.ops.warping_cpu import _weights

if TYPE_CHECKING:
    from warptui.engine.ops.particles import Counts

BAND_ROWS = 48
LINE_BYTES = 64  # of a cache line
NO_GAIN = np.ones((1, 1), np.float32)


def add_boxes(
    counts: Counts,
    used: np.ndarray,
    centres_yx: np.ndarray,
    factors: np.ndarray,
    size: int,
) -> np.ndarray:
    """``(particle, factor, y, x)`` sums over frames of boxes, each times its frame's factors.

    Parameters
    ----------
    used
        (frame,) indices into ``counts.stack``.
    centres_yx
        (frame, particle, 2) px; becomes pixel ``size // 2``.
    factors
        (frame, factor) float32.

    The samples still lack the prefilter of quintic B-splines.
    """
    n = centres_yx.shape[1]
    offsets = centres_yx - size // 2
    corners = np.floor(offsets)
    fractions = (offsets - corners).astype(np.float32)
    corners = corners.astype(np.int64) - 2
    out = np.empty((n, factors.shape[1], size, size), np.float32)
    gain = NO_GAIN if counts.gain is None else counts.gain
    factors = np.ascontiguousarray(factors, np.float32)

    def work(index: int) -> None:
        _add_box(
            out[index],
            counts.stack,
            gain,
            counts.gain is not None,
            counts.row_start,
            counts.bad_x,
            counts.fills,
            counts.means,
            used,
            np.ascontiguousarray(corners[:, index]),
            np.ascontiguousarray(fractions[:, index]),
            factors,
        )

    list(share_out(work, range(n)))
    return out


@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_box(
    out, stack, gain, has_gain, row_start, bad_x, fills, means, used, corners, fractions, factors
):
    """One particle's sums into ``out`` (factor, y, x)."""
    n_factors, size, _ = out.shape
    wide = size + 5
    line = np.empty(wide, np.float32)
    row = np.empty(size, np.float32)
    moved = np.empty((BAND_ROWS + 5, size), np.float32)
    out[:] = 0
    touched = np.int64(0)
    for top in range(0, size, BAND_ROWS):
        rows = min(BAND_ROWS, size - top)
        for i in range(len(used)):
            touched += _touch(stack, used[i], corners[i, 0] + top, rows + 5, corners[i, 1], wide)
            w = _weights(fractions[i, 1])
            for y in range(rows + 5):
                _read_line(
                    line,
                    stack,
                    gain,
                    has_gain,
                    row_start,
                    bad_x,
                    fills,
                    used[i],
                    corners[i, 0] + top + y,
                    corners[i, 1],
                    means[used[i]],
                )
                u = np.uint64(y)
                for x in range(np.uint64(size)):
                    moved[u, x] = (
                        w[0] * line[x]
                        + w[1] * line[x + np.uint64(1)]
                        + w[2] * line[x + np.uint64(2)]
                        + w[3] * line[x + np.uint64(3)]
                        + w[4] * line[x + np.uint64(4)]
                        + w[5] * line[x + np.uint64(5)]
                    )
            w = _weights(fractions[i, 0])
            for y in range(rows):
                u = np.uint64(y)
                v = np.uint64(top + y)
                for x in range(np.uint64(size)):
                    row[x] = (
                        w[0] * moved[u, x]
                        + w[1] * moved[u + np.uint64(1), x]
                        + w[2] * moved[u + np.uint64(2), x]
                        + w[3] * moved[u + np.uint64(3), x]
                        + w[4] * moved[u + np.uint64(4), x]
                        + w[5] * moved[u + np.uint64(5), x]
                    )
                for f in range(n_factors):
                    factor = factors[i, f]
                    if factor != 0:
                        k = np.uint64(f)
                        for x in range(np.uint64(size)):
                            out[k, v, x] += factor * row[x]
    return touched


@numba.njit(nogil=True, cache=True)
def _touch(stack, frame, y0, n, x0, wide):
    """Have the memory send what is about to be read, all of it at once, a cache line a load.

    Rows of a box lie far apart, which no processor foresees: one after the other they would take
    as long as all the arithmetic.
    """
    n_y, n_x = stack.shape[1], stack.shape[2]
    first, last = max(x0, 0), min(x0 + wide, n_x) - 1
    total = np.int64(0)
    if last < first:
        return total
    step = LINE_BYTES // stack.itemsize
    for y in range(max(y0, 0), min(y0 + n, n_y)):
        for x in range(first, last, step):
            total += stack[frame, y, x] != 0
        total += stack[frame, y, last] != 0
    return total


@numba.njit(nogil=True, fastmath=True, cache=True)
def _read_line(line, stack, gain, has_gain, row_start, bad_x, fills, frame, y, x0, mean):
    """Corrected pixels of row ``y`` from ``x0`` on; the mean stands for what is outside."""
    n_y, n_x = stack.shape[1], stack.shape[2]
    wide = len(line)
    if y < 0 or y >= n_y:
        line[:] = mean
        return
    f, u = np.uint64(frame), np.uint64(y)
    if x0 >= 0 and x0 + wide <= n_x:
        a = np.uint64(x0)
        if has_gain:
            for x in range(np.uint64(wide)):
                line[x] = np.float32(stack[f, u, a + x]) * gain[u, a + x]
        else:
            for x in range(np.uint64(wide)):
                line[x] = np.float32(stack[f, u, a + x])
    else:
        for x in range(wide):
            at = x0 + x
            if 0 <= at < n_x:
                line[x] = np.float32(stack[frame, y, at])
                if has_gain:
                    line[x] *= gain[y, at]
            else:
                line[x] = mean
    for k in range(row_start[y], row_start[y + 1]):
        at = bad_x[k] - x0
        if 0 <= at < wide:
            line[at] = fills[frame, k]
