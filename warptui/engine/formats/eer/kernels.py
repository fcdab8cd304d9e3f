"""Compiled decoding of one EER frame. Imported only to read an EER file."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def add_events(
    words: np.ndarray,
    n_bits: int,
    run_bits: int,
    sub_bits_x: int,
    sub_bits_y: int,
    padded_runs: bool,
    nx: int,
    n_pixels: int,
    upsampling: int,
    out: np.ndarray,
) -> tuple[int, int]:
    """Add the events of one frame to ``out`` and return (events, pixels passed).

    Parameters
    ----------
    words
        The frame's bytes as little-endian uint32.
    n_bits
        How many bits of them are data.
    run_bits, sub_bits_x, sub_bits_y
        Widths of a symbol's parts, lowest bits first. A run of all ones passes that many
        pixels without an event, and without sub-pixel bits unless ``padded_runs``.
    out
        (y, x) counts at ``upsampling`` times the sensor's size. Sub-pixel bits are two's
        complement from the pixel's centre, so inverting their top bit counts from its edge.
    """
    longest = (1 << run_bits) - 1
    sub_bits = sub_bits_x + sub_bits_y
    top_x, top_y = max(sub_bits_x - 1, 0), sub_bits_x + max(sub_bits_y - 1, 0)
    flat = out.reshape(-1)
    buffer = np.uint64(0)
    held = 0
    used = 0
    word = 0
    position = 0
    x = 0
    y = 0
    n_events = 0
    while position < n_pixels and used + run_bits <= n_bits:
        if held < 32:
            if word < words.size:
                buffer |= np.uint64(words[word]) << np.uint64(held)
                word += 1
            held += 32
        run = int(buffer & np.uint64(longest))
        buffer >>= np.uint64(run_bits)
        held -= run_bits
        used += run_bits
        position += run
        if run == longest and not padded_runs:
            x += run
            continue
        symbol = int(buffer & np.uint64((1 << sub_bits) - 1))
        x += run
        if run < longest:
            if position >= n_pixels:
                break
            n_events += 1
            if upsampling == 1:
                flat[position] += 1
            else:
                while x >= nx:
                    x -= nx
                    y += 1
                half_x = ((symbol >> top_x) & 1) ^ 1
                half_y = ((symbol >> top_y) & 1) ^ 1
                out[2 * y + half_y, 2 * x + half_x] += 1
            position += 1
            x += 1
        buffer >>= np.uint64(sub_bits)
        held -= sub_bits
        used += sub_bits
    return n_events, position


@numba.njit(nogil=True, cache=True)
def write_symbols(
    positions: np.ndarray, symbols: np.ndarray, n_pixels: int, run_bits: int, out: np.ndarray
) -> int:
    """Write events at ascending pixel ``positions`` as bits, and return the bytes used.

    ``symbols`` are 4 bits (y, then x from the lowest). The frame ends with a run over what
    is left. 7-bit runs of all ones stand alone; 8-bit ones carry unused sub-pixel bits.
    """
    longest = (1 << run_bits) - 1
    buffer = np.uint64(0)
    held = 0
    n_bytes = 0
    last = 0
    for index in range(positions.size + 1):
        run = (positions[index] if index < positions.size else n_pixels) - last
        while run >= longest:
            buffer |= np.uint64(longest) << np.uint64(held)
            held += run_bits if run_bits == 7 else run_bits + 4
            run -= longest
            while held >= 8:
                out[n_bytes] = buffer & np.uint64(255)
                buffer >>= np.uint64(8)
                held -= 8
                n_bytes += 1
        symbol = run
        if index < positions.size:
            symbol |= symbols[index] << run_bits
            last = positions[index] + 1
        buffer |= np.uint64(symbol) << np.uint64(held)
        held += run_bits + 4
        while held >= 8:
            out[n_bytes] = buffer & np.uint64(255)
            buffer >>= np.uint64(8)
            held -= 8
            n_bytes += 1
    if held > 0:
        out[n_bytes] = buffer & np.uint64(255)
        n_bytes += 1
    return n_bytes
