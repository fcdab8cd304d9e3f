"""The axis along which a session unfolds: order of arrival, or time. Pure."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from warptui.screens.mirror import Mirror


class Along(StrEnum):
    """What the strips and the navigation bar run along."""

    ORDER = "order of arrival"
    TIME = "time of arrival"


def hours(mirror: Mirror) -> np.ndarray:
    """(item,) since the first item arrived; NaN where nobody saw it arrive."""
    at = np.where(mirror.arrived_at > 0, mirror.arrived_at, np.nan)
    return (at - np.nanmin(at)) / 3600 if np.isfinite(at).any() else at


def positions(mirror: Mirror, along: Along) -> tuple[np.ndarray, float]:
    """(item,) where each stands from 0 to 1, NaN = nowhere; and what 1 stands for: items or hours.

    Without two different times there is no axis of time, and the order takes its place.
    """
    n = len(mirror)
    if along is Along.TIME:
        passed = hours(mirror)
        whole = float(np.nanmax(passed)) if np.isfinite(passed).any() else 0.0
        if whole > 0:
            return passed / whole, whole
    return (np.arange(n) + 0.5) / max(n, 1), float(n)
