"""CPU kernel of `polar.add_power`: power and bins in one pass over the spectra."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from warptui.engine.ops.common.threads import share_out

ROWS_PER_TASK = 64


def add_power(spectra: Tensor, index: Tensor, polar: Tensor, image: Tensor) -> None:
    """As `polar.add_power_in_torch`."""
    data = torch.view_as_real(spectra).numpy()
    bins, out, mean = index.numpy(), polar.numpy(), image.numpy()
    patches = range(len(data))
    list(share_out(lambda p: _add_bins(data[p], bins, out[p]), patches))
    rows = range(0, data.shape[1], ROWS_PER_TASK)
    list(share_out(lambda y: _add_rows(data, y, y + ROWS_PER_TASK, mean), rows))


@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_bins(data: np.ndarray, bins: np.ndarray, out: np.ndarray) -> None:
    for y in range(data.shape[0]):
        for x in range(data.shape[1]):
            re, im = data[y, x, 0], data[y, x, 1]
            out[bins[y, x]] += re * re + im * im


@numba.njit(nogil=True, fastmath=True, cache=True)
def _add_rows(data: np.ndarray, first: int, last: int, mean: np.ndarray) -> None:
    for p in range(data.shape[0]):
        for y in range(first, min(last, data.shape[1])):
            for x in range(data.shape[2]):
                re, im = data[p, y, x, 0], data[p, y, x, 1]
                mean[y, x] += re * re + im * im
