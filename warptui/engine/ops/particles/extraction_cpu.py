"""CPU kernel of `particles.extract_particles`: sums of moved boxes over frames.

A box is worked on in bands of rows, all frames of a band before the next, so that what is added up
stays in the cache. Pixels are corrected where they are needed: no corrected frame is kept. Of each
row of samples that is loaded as much use is made as registers allow: four rows are interpolated
from nine, four frames are added up together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from warptui.engine.ops.common.prefetch import prefetch
from warptui.engine.ops.common.threads import share_out
from warptui.engine.ops.frames.warping_cpu import _weights

if TYPE_CHECKING:
    from warptui.engine.ops.frames.counts import Counts

TAPS = 6
BAND_ROWS = 16  # a multiple of four
TILE_PX = 304  # most columns that are processed together
VECTOR = 16  # widths are multiples, so that no samples are left over from vectors
GROUP = 4  # frames that are added up together
LINE_BYTES = 64  # of a cache line
NO_GAIN = np.ones((1, 1), np.float32)

# All intermediates are in one array, rows ROW apart: the compiler sees that they do not overlap,
# and computes with vectors without asking at each row.
ROW = TILE_PX + VECTOR
BAND = BAND_ROWS * ROW
DOWN = BAND + 2 * TAPS * ROW  # where what was interpolated down columns begins
MOVED = DOWN + BAND  # ... and along rows, for GROUP frames
SUMS = MOVED + GROUP * BAND  # ... and the sums, one band for each factor


def add_boxes(
    counts: Counts,
    used: np.ndarray,
    centres_yx: np.ndarray,
    factors: np.ndarray,
    size: int,
) -> np.ndarray:
    """Cut boxes from all frames and add them up with a weight per frame and factor.

    Returns ``(particle, factor, y, x)`` sums over frames.

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
    n_frames, n_factors = factors.shape
    n = centres_yx.shape[1]
    offsets = centres_yx - size // 2
    corners = np.floor(offsets)
    fractions = (offsets - corners).astype(np.float32)
    corners = corners.astype(np.int64) - 2
    out = np.empty((n, n_factors, size, size), np.float32)
    gain = NO_GAIN if counts.gain is None else counts.gain
    # whole groups of frames, and pairs of factors; what is added counts for nothing
    more = [(0, -n_frames % GROUP), (0, n_factors % 2)]
    factors = np.ascontiguousarray(np.pad(factors, more), np.float32)

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


# Unsigned indices spare the check for negative ones, which would keep the compiler from using
# vectors.
@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_box(
    out, stack, gain, has_gain, row_start, bad_x, fills, means, used, corners, fractions, factors
):
    """One particle's sums into ``out`` (factor, y, x)."""
    n_factors, size, _ = out.shape
    n_frames = len(used)
    work = np.zeros(SUMS + factors.shape[1] * BAND, np.float32)
    n_tiles = (size + TILE_PX - 1) // TILE_PX
    tile = (size + n_tiles - 1) // n_tiles
    for left in range(0, size, tile):
        columns = min(tile, size - left)
        wide = (columns + VECTOR - 1) // VECTOR * VECTOR
        read = (columns + TAPS - 1 + VECTOR - 1) // VECTOR * VECTOR
        for top in range(0, size, BAND_ROWS):
            rows = min(BAND_ROWS, size - top)
            work[SUMS:] = 0
            for i in range(n_frames):
                ahead = i + 1 if i + 1 < n_frames else 0  # in the next band
                y0 = corners[ahead, 0] + top + (BAND_ROWS if ahead == 0 else 0)
                _ask_for(stack, used[ahead], y0, rows + TAPS - 1, corners[ahead, 1] + left, columns)
                y0, x0 = corners[i, 0] + top, corners[i, 1] + left
                _read_rows(
                    work, stack, gain, has_gain, used[i], y0, rows + TAPS - 1, x0, read,
                    means[used[i]],
                )  # fmt: skip
                _fill(work, row_start, bad_x, fills, used[i], y0, rows + TAPS - 1, x0, read)
                _down_columns(work, rows, read, fractions[i, 0])
                place = i % GROUP
                _along_rows(work, place, rows, wide, fractions[i, 1])
                if place == GROUP - 1 or i == n_frames - 1:
                    _add_group(work, factors, i - place, rows, wide)
            for k in range(n_factors):
                for y in range(rows):
                    at = np.uint64(SUMS + k * BAND + y * ROW)
                    c, v, u = np.uint64(k), np.uint64(top + y), np.uint64(left)
                    for x in range(np.uint64(columns)):
                        out[c, v, u + x] = work[at + x]


@numba.njit(nogil=True, cache=True)
def _ask_for(stack, frame, y0, n, x0, columns):
    """Prefetch the pixels that are read next, while something else is computed.

    Rows of a box lie far apart, which no processor foresees: they would take as long as all the
    arithmetic.
    """
    n_y, n_x = stack.shape[1], stack.shape[2]
    first, last = max(x0, 0), min(x0 + columns + TAPS - 1, n_x) - 1
    if last < first:
        return
    step = LINE_BYTES // stack.itemsize
    for y in range(max(y0, 0), min(y0 + n, n_y)):
        start = (frame * n_y + y) * n_x
        for x in range(first, last, step):
            prefetch(stack, start + x)
        prefetch(stack, start + last)


@numba.njit(nogil=True, fastmath=True, cache=True)
def _read_rows(work, stack, gain, has_gain, frame, y0, n, x0, wide, mean):
    """Pixels of ``n`` rows times the gain; the frame's mean outside of the image."""
    n_y, n_x = stack.shape[1], stack.shape[2]
    inside = x0 >= 0 and x0 + wide <= n_x
    f, a = np.uint64(frame), np.uint64(max(x0, 0))
    for row in range(n):
        y, at = y0 + row, np.uint64(row * ROW)
        u = np.uint64(max(y, 0))
        if y < 0 or y >= n_y:
            for x in range(np.uint64(wide)):
                work[at + x] = mean
        elif inside and has_gain:
            for x in range(np.uint64(wide)):
                work[at + x] = np.float32(stack[f, u, a + x]) * gain[u, a + x]
        elif inside:
            for x in range(np.uint64(wide)):
                work[at + x] = np.float32(stack[f, u, a + x])
        else:
            for x in range(wide):
                value = np.float32(mean)
                if 0 <= x0 + x < n_x:
                    value = np.float32(stack[frame, y, x0 + x])
                    if has_gain:
                        value *= gain[y, x0 + x]
                work[row * ROW + x] = value


@numba.njit(nogil=True, cache=True)
def _fill(work, row_start, bad_x, fills, frame, y0, n, x0, wide):
    """Replace bad pixels by their fill values."""
    for y in range(max(y0, 0), min(y0 + n, len(row_start) - 1)):
        for k in range(row_start[y], row_start[y + 1]):
            x = bad_x[k] - x0
            if 0 <= x < wide:
                work[(y - y0) * ROW + x] = fills[frame, k]


@numba.njit(nogil=True, fastmath=True, cache=True)
def _down_columns(work, rows, wide, fraction):
    """Interpolate between rows; four at a time, of which the last may be too many."""
    w0, w1, w2, w3, w4, w5 = _weights(fraction)
    for y in range(0, rows, 4):
        first = np.uint64(y * ROW)
        for column in range(np.uint64(wide)):
            x = first + column
            a = work[x]
            b = work[x + np.uint64(ROW)]
            c = work[x + np.uint64(2 * ROW)]
            d = work[x + np.uint64(3 * ROW)]
            e = work[x + np.uint64(4 * ROW)]
            f = work[x + np.uint64(5 * ROW)]
            g = work[x + np.uint64(6 * ROW)]
            h = work[x + np.uint64(7 * ROW)]
            i = work[x + np.uint64(8 * ROW)]
            work[x + np.uint64(DOWN)] = w0 * a + w1 * b + w2 * c + w3 * d + w4 * e + w5 * f
            work[x + np.uint64(DOWN + ROW)] = w0 * b + w1 * c + w2 * d + w3 * e + w4 * f + w5 * g
            work[x + np.uint64(DOWN + 2 * ROW)] = (
                w0 * c + w1 * d + w2 * e + w3 * f + w4 * g + w5 * h
            )
            work[x + np.uint64(DOWN + 3 * ROW)] = (
                w0 * d + w1 * e + w2 * f + w3 * g + w4 * h + w5 * i
            )


@numba.njit(nogil=True, fastmath=True, cache=True)
def _along_rows(work, place, rows, wide, fraction):
    """Interpolate between columns; the result is the group's frame number ``place``."""
    w0, w1, w2, w3, w4, w5 = _weights(fraction)
    to = np.uint64(MOVED + place * BAND - DOWN)
    for y in range(rows):
        first = np.uint64(DOWN + y * ROW)
        for column in range(np.uint64(wide)):
            x = first + column
            work[to + x] = (
                w0 * work[x]
                + w1 * work[x + np.uint64(1)]
                + w2 * work[x + np.uint64(2)]
                + w3 * work[x + np.uint64(3)]
                + w4 * work[x + np.uint64(4)]
                + w5 * work[x + np.uint64(5)]
            )


@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_group(work, factors, first_frame, rows, wide):
    """Add a group of frames to the sums, each times its factors."""
    i = first_frame
    for k in range(0, factors.shape[1], 2):
        p0, p1, p2, p3 = factors[i, k], factors[i + 1, k], factors[i + 2, k], factors[i + 3, k]
        q0, q1 = factors[i, k + 1], factors[i + 1, k + 1]
        q2, q3 = factors[i + 2, k + 1], factors[i + 3, k + 1]
        p = np.uint64(SUMS + k * BAND - MOVED)
        q = np.uint64(SUMS + (k + 1) * BAND - MOVED)
        for y in range(rows):
            first = np.uint64(MOVED + y * ROW)
            for column in range(np.uint64(wide)):
                x = first + column
                a, b = work[x], work[x + np.uint64(BAND)]
                c, d = work[x + np.uint64(2 * BAND)], work[x + np.uint64(3 * BAND)]
                work[p + x] += p0 * a + p1 * b + p2 * c + p3 * d
                work[q + x] += q0 * a + q1 * b + q2 * c + q3 * d
