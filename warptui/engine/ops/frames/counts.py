"""Frames of a movie as they are in memory, and what corrects them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """A movie's frames as they are in memory, and what corrects them (numpy, for CPUs)."""

    stack: np.ndarray  # (frame, y, x), of any number type
    gain: np.ndarray | None  # (y, x) float32
    row_start: np.ndarray  # (y + 1,) int64: where a row's bad pixels begin among those
    bad_x: np.ndarray  # (bad,) int64
    fills: np.ndarray  # (frame, bad) float32: what stands for them
    means: np.ndarray  # (frame,) float32: what stands for what lies outside the image
