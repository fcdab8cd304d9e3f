"""Uncorrected frames of a movie in memory, with gain and defects to correct them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Uncorrected frames of a movie, with gain and defects (numpy, for CPUs)."""

    stack: np.ndarray  # (frame, y, x), of any number type
    gain: np.ndarray | None  # (y, x) float32
    row_start: np.ndarray  # (y + 1,) int64: where a row's bad pixels begin among those
    bad_x: np.ndarray  # (bad,) int64
    fills: np.ndarray  # (frame, bad) float32: values of bad pixels
    means: np.ndarray  # (frame,) float32: value outside the image
