"""CPU kernel of `warping.add_warped`: in bands of rows that stay in the cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from torch import Tensor

BAND_ROWS = 96


def add_warped(total: Tensor, image: Tensor, rows: Tensor, weights_x: Tensor) -> None:
    """As `warping.add_warped_in_torch`."""
    out, source = total.numpy(), image.numpy()
    nodes, across = rows.contiguous().numpy(), weights_x.contiguous().numpy()
    n_y = out.shape[0]
    # Rows that the second pass may reach beyond a band: the field is smooth, so that every
    # 16th place finds its largest value to within a pixel.
    largest = float(np.abs(nodes[::16, :, 0] @ across[:, ::16]).max())
    reach = int(np.ceil(largest)) + 5

    def work(y0: int) -> None:
        _band(out, source, nodes, across, y0, min(y0 + BAND_ROWS, n_y), reach)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, range(0, n_y, BAND_ROWS)))


@numba.njit(inline="always", fastmath=True)
def _weights(t):
    """Quintic B-spline weights of the six samples around a fraction t."""
    u = np.float32(1.0) - t
    t2 = t * t
    u2 = u * u
    t5 = t2 * t2 * t
    u5 = u2 * u2 * u
    a = np.float32(1.0) + u
    b = np.float32(1.0) + t
    c = np.float32(2.0) + u
    d = np.float32(2.0) + t
    a5 = a * a * a * a * a
    b5 = b * b * b * b * b
    c5 = c * c * c * c * c
    d5 = d * d * d * d * d
    s = np.float32(1.0 / 120.0)
    six = np.float32(6.0)
    fifteen = np.float32(15.0)
    return (
        u5 * s,
        (a5 - six * u5) * s,
        (c5 - six * a5 + fifteen * u5) * s,
        (d5 - six * b5 + fifteen * t5) * s,
        (b5 - six * t5) * s,
        t5 * s,
    )


@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_taps(target, part, s0, s1, s2, s3, s4, s5):
    """Weighted samples added to ``target``; slices from 0 on, so that it is vectorised."""
    for i in range(len(target)):
        w0, w1, w2, w3, w4, w5 = _weights(part[i])
        target[i] += w0 * s0[i] + w1 * s1[i] + w2 * s2[i] + w3 * s3[i] + w4 * s4[i] + w5 * s5[i]


@numba.njit(nogil=True, fastmath=True, cache=True)
def _split(shift, start, part):
    """Whole and fractional part of where each sample comes from."""
    for x in range(len(shift)):
        position = -shift[x]
        left = np.floor(position)
        start[x] = np.int32(left)
        part[x] = position - left


@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_slope(shift, shift_y, before, after, scale):
    """The x shift of the place where a row ends up, to first order."""
    for x in range(len(shift)):
        shift[x] += shift_y[x] * (after[x] - before[x]) * scale


@numba.njit(nogil=True, fastmath=True, cache=True)
def _row_shift(nodes, across, y, component, shift):
    """Shift along one axis at every column of row y."""
    shift[:] = np.float32(0.0)
    for j in range(len(across)):
        c = nodes[y, j, component]
        line = across[j]
        for x in range(len(line)):
            shift[x] += c * line[x]


@numba.njit(nogil=True, fastmath=True, cache=True)
def _band(out, image, nodes, across, y0, y1, reach):
    n_y, n_x = image.shape
    first = max(0, y0 - reach)
    last = min(n_y, y1 + reach)
    moved = np.zeros((last - first, n_x), dtype=np.float32)
    shift = np.empty(n_x, dtype=np.float32)
    shift_y = np.empty(n_x, dtype=np.float32)
    before = np.empty(n_x, dtype=np.float32)
    after = np.empty(n_x, dtype=np.float32)
    start = np.empty(n_x, dtype=np.int32)
    part = np.empty(n_x, dtype=np.float32)
    for y in range(first, last):
        above = max(y - 1, 0)
        below = min(y + 1, n_y - 1)
        _row_shift(nodes, across, y, 1, shift)
        _row_shift(nodes, across, y, 0, shift_y)
        _row_shift(nodes, across, above, 1, before)
        _row_shift(nodes, across, below, 1, after)
        scale = np.float32(1.0 / max(below - above, 1))
        _add_slope(shift, shift_y, before, after, scale)
        _split(shift, start, part)
        row = image[y]
        target = moved[y - first]
        x = 0
        while x < n_x:
            offset = start[x]
            end = x + 1
            while end < n_x and start[end] == offset:
                end += 1
            low = max(x, 2 - offset)
            high = min(end, n_x - 3 - offset)
            for i in range(x, min(low, end)):
                target[i] = _at_edge(row, i + offset - 2, part[i])
            if high > low:
                k = low + offset - 2
                n = high - low
                _add_taps(
                    target[low:high],
                    part[low:high],
                    row[k : k + n],
                    row[k + 1 : k + 1 + n],
                    row[k + 2 : k + 2 + n],
                    row[k + 3 : k + 3 + n],
                    row[k + 4 : k + 4 + n],
                    row[k + 5 : k + 5 + n],
                )
            for i in range(max(high, low, x), end):
                target[i] = _at_edge(row, i + offset - 2, part[i])
            x = end
    n_rows = last - first
    for y in range(y0, y1):
        _row_shift(nodes, across, y, 0, shift)
        _split(shift, start, part)
        target = out[y]
        x = 0
        while x < n_x:
            offset = start[x]
            end = x + 1
            while end < n_x and start[end] == offset:
                end += 1
            k = y + offset - 2 - first
            if k >= 0 and k + 5 < n_rows:
                _add_taps(
                    target[x:end],
                    part[x:end],
                    moved[k, x:end],
                    moved[k + 1, x:end],
                    moved[k + 2, x:end],
                    moved[k + 3, x:end],
                    moved[k + 4, x:end],
                    moved[k + 5, x:end],
                )
            else:
                for i in range(x, end):
                    target[i] += _at_edge(moved[:, i], k, part[i])
            x = end


@numba.njit(inline="always")
def _at_edge(line, k, t):
    """Value where some of the six samples lie outside the image; these count as zero."""
    w = _weights(t)
    n = len(line)
    total = np.float32(0.0)
    if 0 <= k < n:
        total += w[0] * line[k]
    if 0 <= k + 1 < n:
        total += w[1] * line[k + 1]
    if 0 <= k + 2 < n:
        total += w[2] * line[k + 2]
    if 0 <= k + 3 < n:
        total += w[3] * line[k + 3]
    if 0 <= k + 4 < n:
        total += w[4] * line[k + 4]
    if 0 <= k + 5 < n:
        total += w[5] * line[k + 5]
    return total
