"""Compiled kernels: resampling along a smooth field, filtering of spectra, Poisson counting."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from warptui.engine.simulation.fourier import even_fast

OVERSAMPLING = 4 / 3  # quintic splines err by 0.6 % at 0.8 Nyquist then, by 9 % without


def oversampled_shape(shape_yx: tuple[int, int]) -> tuple[int, int]:
    """Even size with fast transforms, at least 4/3 of ``shape_yx``."""
    ny, nx = (even_fast(int(np.ceil(n * OVERSAMPLING))) for n in shape_yx)
    return ny, nx


def spline_response(n: int, cycles: np.ndarray) -> np.ndarray:
    """Transfer of sampling a quintic B-spline on ``n`` points: divide by it to interpolate."""
    omega = 2 * np.pi * cycles / n
    return ((66 + 52 * np.cos(omega) + 2 * np.cos(2 * omega)) / 120).astype(np.float32)


def pad_spectrum(
    spectrum: np.ndarray, shape_yx: tuple[int, int], out_shape_yx: tuple[int, int]
) -> np.ndarray:
    """Half spectrum (ny, nx/2+1) -> that of quintic spline coefficients on the larger grid."""
    ny, nx = shape_yx
    out_ny, out_nx = out_shape_yx
    out = np.zeros((out_ny, out_nx // 2 + 1), np.complex64)
    half_y, half_x = (ny + 1) // 2, (nx + 1) // 2  # leaves out Nyquist of even sizes
    by = 1 / spline_response(out_ny, np.fft.fftfreq(ny, 1 / ny))
    bx = 1 / spline_response(out_nx, np.arange(half_x))
    scale = np.float32(out_ny * out_nx / (ny * nx))
    weights = bx[None, :] * scale
    out[:half_y, :half_x] = spectrum[:half_y, :half_x] * (by[:half_y, None] * weights)
    low = ny - half_y + 1
    out[out_ny - half_y + 1 :, :half_x] = spectrum[low:, :half_x] * (by[low:, None] * weights)
    return out


@njit(cache=True, fastmath=True, parallel=True)
def shape_spectrum(
    out, first, gain_first, second, gain_second, step_y, step_x, bins, blur_y, blur_x
):
    """out = (first · gain_first(k) + second · gain_second(k)) · blur, all half spectra.

    ``gain_*`` are tables over k / ``1/bins``; ``step_y/x`` are 1/Å per row and column;
    ``blur_y`` (step, ny) and ``blur_x`` (step, nx) are phase factors to be averaged.
    """
    ny, nx = first.shape
    n_steps = blur_y.shape[0]
    for row in prange(ny):
        ky = (row if row <= ny // 2 else row - ny) * step_y
        for column in range(nx):
            kx = column * step_x
            at = np.sqrt(ky * ky + kx * kx) * bins
            low = int(at)
            t = at - low
            value = first[row, column] * (gain_first[low] * (1 - t) + gain_first[low + 1] * t)
            value += second[row, column] * (gain_second[low] * (1 - t) + gain_second[low + 1] * t)
            if n_steps > 1:
                blur = blur_y[0, row] * blur_x[0, column]
                for step in range(1, n_steps):
                    blur += blur_y[step, row] * blur_x[step, column]
                value *= blur / n_steps
            out[row, column] = value


@njit(cache=True, fastmath=True, parallel=True)
def age_spectrum(state, innovation, keep, step_y, step_x, bins):
    """state = ρ(k) state + sqrt(1 - ρ²) innovation, in place; ``keep`` is ρ's table."""
    ny, nx = state.shape
    for row in prange(ny):
        ky = (row if row <= ny // 2 else row - ny) * step_y
        for column in range(nx):
            kx = column * step_x
            at = np.sqrt(ky * ky + kx * kx) * bins
            low = int(at)
            t = at - low
            rho = keep[low] * (1 - t) + keep[low + 1] * t
            fresh = np.float32(np.sqrt(max(1 - rho * rho, 0.0)))
            state[row, column] = state[row, column] * rho + innovation[row, column] * fresh


@njit(cache=True, fastmath=True, parallel=True)
def transfer(spectrum, terms, out):
    """out = -CTF · spectrum; terms as `ctf.phase_terms` gives them."""
    ny, nx = spectrum.shape
    step_y, step_x, k2_term = terms[0], terms[1], terms[2]
    cos_term, sin_term, k4_term, constant = terms[3], terms[4], terms[5], terms[6]
    for row in prange(ny):
        ky = np.float32(row if row <= ny // 2 else row - ny) * step_y
        for column in range(nx):
            kx = np.float32(column) * step_x
            k2 = ky * ky + kx * kx
            chi = k2 * (k2_term + k4_term * k2) + constant
            chi += cos_term * (kx * kx - ky * ky) + sin_term * (kx * ky + kx * ky)
            out[row, column] = -np.sin(chi) * spectrum[row, column]


@njit(cache=True, fastmath=True, parallel=True)
def blend(image, levels, step, level, out):
    """out += image · max(0, 1 - |levels - level|), ``levels`` at every ``step``-th pixel."""
    ny, nx = out.shape
    for row in prange(ny):
        node_y = row // step
        ty = np.float32((row - node_y * step) / step)
        for column in range(nx):
            node_x = column // step
            tx = np.float32((column - node_x * step) / step)
            upper = levels[node_y, node_x] * (1 - tx) + levels[node_y, node_x + 1] * tx
            lower = levels[node_y + 1, node_x] * (1 - tx) + levels[node_y + 1, node_x + 1] * tx
            away = abs(upper * (1 - ty) + lower * ty - level)
            if away < 1:
                out[row, column] += image[row, column] * (1 - away)


@njit(cache=True, fastmath=True, inline="always")
def _quintic(t, w):  # t in [0, 1): offset from the third of six nodes
    for j in range(6):
        x = abs(t + 2 - j)
        if x < 1:
            w[j] = (66 - 60 * x**2 + 30 * x**4 - 10 * x**5) / 120
        elif x < 2:
            w[j] = (51 + 75 * x - 210 * x**2 + 150 * x**3 - 45 * x**4 + 5 * x**5) / 120
        else:
            u = 3 - x
            w[j] = u * u * u * u * u / 120 if u > 0 else 0.0


@njit(cache=True, fastmath=True, parallel=True)
def resample(coefficients, source_y, source_x, step, scale_y, scale_x, out):
    """out[y, x] = spline at the source position of that pixel, on a periodic grid.

    ``source_y/x`` hold source positions (px of the unscaled canvas) at every ``step``-th pixel
    and are interpolated linearly between; ``scale_y/x`` = coefficients per canvas pixel.
    """
    ny, nx = out.shape
    my, mx = coefficients.shape
    for row in prange(ny):
        wy = np.empty(6, np.float32)
        wx = np.empty(6, np.float32)
        node_y = row // step
        ty = np.float32((row - node_y * step) / step)
        for column in range(nx):
            node_x = column // step
            tx = np.float32((column - node_x * step) / step)
            a, b = (1 - ty) * (1 - tx), (1 - ty) * tx
            c, d = ty * (1 - tx), ty * tx
            y = (
                a * source_y[node_y, node_x] + b * source_y[node_y, node_x + 1]
                + c * source_y[node_y + 1, node_x] + d * source_y[node_y + 1, node_x + 1]
            ) * scale_y  # fmt: skip
            x = (
                a * source_x[node_y, node_x] + b * source_x[node_y, node_x + 1]
                + c * source_x[node_y + 1, node_x] + d * source_x[node_y + 1, node_x + 1]
            ) * scale_x  # fmt: skip
            iy = int(np.floor(y))
            ix = int(np.floor(x))
            _quintic(np.float32(y - iy), wy)
            _quintic(np.float32(x - ix), wx)
            total = np.float32(0)
            if ix >= 2 and ix + 3 < mx and iy >= 2 and iy + 3 < my:
                for j in range(6):
                    line = np.float32(0)
                    for k in range(6):
                        line += wx[k] * coefficients[iy - 2 + j, ix - 2 + k]
                    total += wy[j] * line
            else:
                for j in range(6):
                    line = np.float32(0)
                    for k in range(6):
                        line += wx[k] * coefficients[(iy - 2 + j) % my, (ix - 2 + k) % mx]
                    total += wy[j] * line
            out[row, column] = total


@njit(cache=True, inline="always")
def _mixed(z):
    """SplitMix64's output function: a hash whose values pass as independent uniforms."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, parallel=True)
def count(rates, key, out):
    """Poisson counts of ``rates`` (electrons per pixel), the same for any number of threads.

    The cumulative distribution is inverted with one uniform per pixel, hashed from ``key`` and
    the pixel's number; for rates up to a few hundred.
    """
    ny, nx = rates.shape
    golden = np.uint64(0x9E3779B97F4A7C15)
    for row in prange(ny):
        for column in range(nx):
            number = np.uint64(row) * np.uint64(nx) + np.uint64(column) + np.uint64(1)
            bits = _mixed(np.uint64(key) + number * golden)
            uniform = (np.float64(bits >> np.uint64(11)) + 0.5) * 2.0**-53
            rate = np.float64(rates[row, column])
            n = 0
            if rate > 0:
                term = np.exp(-rate)
                total = term
                limit = int(rate + 20 * np.sqrt(rate) + 40)
                while uniform > total and n < limit:
                    n += 1
                    term *= rate / n
                    total += term
            out[row, column] = n


@njit(cache=True)
def deal(counts, n_hands, key):
    """Deal the electrons of a frame to ``n_hands`` raw frames at random.

    Returns the flat pixel numbers of all events, raw frame by raw frame and ascending within
    each, and where each raw frame starts (n_hands + 1,). Poisson counts dealt so are independent
    Poisson counts.
    """
    ny, nx = counts.shape
    golden = np.uint64(0x9E3779B97F4A7C15)
    starts = np.zeros(n_hands + 1, np.int64)
    fill = starts
    events = np.empty(0, np.int32)
    for turn in range(2):
        number = np.uint64(0)
        if turn == 1:
            for hand in range(n_hands):
                starts[hand + 1] += starts[hand]
            events = np.empty(starts[n_hands], np.int32)
            fill = starts[:-1].copy()
        for pixel in range(ny * nx):
            for _ in range(counts[pixel // nx, pixel % nx]):
                number += np.uint64(1)
                bits = _mixed(np.uint64(key) + number * golden)
                hand = int((bits >> np.uint64(32)) * np.uint64(n_hands) >> np.uint64(32))
                if turn == 0:
                    starts[hand + 1] += 1
                else:
                    events[fill[hand]] = pixel
                    fill[hand] += 1
    return events, starts
