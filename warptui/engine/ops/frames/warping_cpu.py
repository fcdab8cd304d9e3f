"""CPU kernel of `warping.add_warped`: in bands of rows that stay in the cache.

A smooth field is straight over a few dozen pixels: it is computed at the ends of blocks
and interpolated inside them, where nearly always all samples have the same whole offset.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from warptui.engine.ops.common.threads import share_out

BAND_ROWS = 96
BLOCK_PX = 64
MAX_BEND_PX = 0.004  # by which a block's chord may miss the field, else blocks are halved


def add_warped(total: Tensor, image: Tensor, rows: Tensor, weights_x: Tensor) -> None:
    """As `warping.add_warped_in_torch`."""
    out, source = total.numpy(), image.numpy()
    n_y, n_x = source.shape
    block = BLOCK_PX
    while True:
        ends = [*range(0, n_x - 1, block), n_x - 1] if n_x > 1 else [0, 0]
        shift_y, shift_x = torch.einsum("ync,nx->cyx", rows, weights_x[:, ends]).to(torch.float32)
        if n_y > 1:
            # row y ends up at y + shift_y: it needs the x shift of that place
            shift_x = shift_x + shift_y * torch.gradient(shift_x, dim=0)[0]
        shifts = torch.stack([shift_y, shift_x])
        bend = shifts[..., :-1].diff(n=2, dim=2).abs()
        # an image of three blocks is too narrow to show how the field bends
        if block == 1 or (bend.numel() and float(bend.max()) / 8 <= MAX_BEND_PX):
            break
        block //= 2
    down, right = shifts[0].numpy(), shifts[1].numpy()
    blocks = np.array(ends, dtype=np.int64)
    # rows around a band that the second pass may need
    above = int(np.ceil(down.max())) + 3
    below = int(np.ceil(-down.min())) + 4

    def work(y0: int) -> None:
        _band(out, source, down, right, blocks, y0, min(y0 + BAND_ROWS, n_y), above, below)

    list(share_out(work, range(0, n_y, BAND_ROWS)))


# No slices inside the loops: making one costs as much as 50 samples. Unsigned indices spare
# the check for negative ones, which would keep the compiler from using vectors.
@numba.njit(nogil=True, fastmath=True, cache=True)
def _band(out, image, down, right, blocks, y0, y1, above, below):
    """Add rows y0..y1 of the warped image to ``out``."""
    n_y, n_x = image.shape
    first = min(max(0, y0 - above), n_y)
    last = max(min(n_y, y1 + below), first)
    moved = np.zeros((last - first, n_x), dtype=np.float32)
    n_blocks = len(blocks) - 1
    for y in range(first, last):
        for b in range(n_blocks):
            x0 = blocks[b]
            x1 = blocks[b + 1] if b < n_blocks - 1 else n_x
            start = -right[y, b]
            step = (right[y, b] - right[y, b + 1]) / np.float32(max(blocks[b + 1] - x0, 1))
            _along_row(moved, y - first, image, y, x0, x1, start, step)
    for y in range(y0, y1):
        for b in range(n_blocks):
            x0 = blocks[b]
            x1 = blocks[b + 1] if b < n_blocks - 1 else n_x
            start = -down[y, b]
            step = (down[y, b] - down[y, b + 1]) / np.float32(max(blocks[b + 1] - x0, 1))
            _across_rows(out, y, moved, y - first, x0, x1, start, step)


@numba.njit(inline="always")
def _run_length(t, step):
    """How many samples from a fraction ``t`` on have the same whole offset."""
    if step > 0:
        return max(1, int(np.ceil((np.float32(1.0) - t) / step)))
    if step < 0:
        return max(1, int(np.floor(-t / step)) + 1)
    return 1 << 30


@numba.njit(nogil=True, fastmath=True, cache=True)
def _along_row(moved, row, image, y, x0, x1, start, step):
    """Samples of row ``y`` of the image at x + start + step (x - x0), into ``moved[row]``."""
    n_x = image.shape[1]
    v, u = np.uint64(row), np.uint64(y)
    x = x0
    while x < x1:
        position = start + step * np.float32(x - x0)
        left = int(np.floor(position))
        t = position - np.float32(left)
        n = min(_run_length(t, step), x1 - x)
        k = x + left - 2
        if k >= 0 and k + n + 5 <= n_x:
            a, s = np.uint64(x), np.uint64(k)
            for i in range(np.uint64(n)):
                w0, w1, w2, w3, w4, w5 = _weights(t + step * np.float32(np.int32(i)))
                moved[v, a + i] += (
                    w0 * image[u, s + i]
                    + w1 * image[u, s + i + np.uint64(1)]
                    + w2 * image[u, s + i + np.uint64(2)]
                    + w3 * image[u, s + i + np.uint64(3)]
                    + w4 * image[u, s + i + np.uint64(4)]
                    + w5 * image[u, s + i + np.uint64(5)]
                )
        else:
            for i in range(n):
                moved[row, x + i] += _sample(image[y], k + i, t + step * np.float32(i))
        x += n


@numba.njit(nogil=True, fastmath=True, cache=True)
def _across_rows(out, row, moved, y, x0, x1, start, step):
    """Samples of the columns of ``moved`` at y + start + step (x - x0), into ``out[row]``."""
    v = np.uint64(row)
    x = x0
    while x < x1:
        position = start + step * np.float32(x - x0)
        left = int(np.floor(position))
        t = position - np.float32(left)
        n = min(_run_length(t, step), x1 - x)
        k = y + left - 2
        if k >= 0 and k + 5 < len(moved):
            a, s = np.uint64(x), np.uint64(k)
            for i in range(np.uint64(n)):
                w0, w1, w2, w3, w4, w5 = _weights(t + step * np.float32(np.int32(i)))
                out[v, a + i] += (
                    w0 * moved[s, a + i]
                    + w1 * moved[s + np.uint64(1), a + i]
                    + w2 * moved[s + np.uint64(2), a + i]
                    + w3 * moved[s + np.uint64(3), a + i]
                    + w4 * moved[s + np.uint64(4), a + i]
                    + w5 * moved[s + np.uint64(5), a + i]
                )
        else:
            for i in range(n):
                out[row, x + i] += _sample(moved[:, x + i], k, t + step * np.float32(i))
        x += n


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
def _sample(line, k, t):
    """Value where some of the six samples may lie outside the image; these count as zero."""
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
