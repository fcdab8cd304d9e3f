"""The axis of a session: order of arrival, time, or grid squares. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from warptui.screens.link.mirror import Mirror

UNKNOWN_SQUARE = "square unknown"


class Along(StrEnum):
    """What the x axis of the strip plots and the navigation bar shows."""

    ORDER = "order of arrival"
    TIME = "time of arrival"
    SQUARE = "grid square"


@dataclass(frozen=True)
class Group:
    """Neighbouring items on the axis, from ``start`` to ``end`` as fractions of it."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Axis:
    """The position of each item on the axis."""

    along: Along
    x: np.ndarray  # (item,) from 0 to 1; NaN = nowhere
    whole: float  # length of the axis, in items or hours
    groups: tuple[Group, ...] = ()  # neighbouring groups, where the axis has groups

    def group(self, number: int | None) -> Group | None:
        """The group that an item belongs to."""
        if number is None or not self.groups or number >= len(self.x):
            return None
        here = self.x[number]
        return next(group for group in self.groups if here < group.end)


def hours(mirror: Mirror) -> np.ndarray:
    """(item,) hours since the first item arrived; NaN where the arrival is not known."""
    at = np.where(mirror.arrived_at > 0, mirror.arrived_at, np.nan)
    return (at - np.nanmin(at)) / 3600 if np.isfinite(at).any() else at


def squares(mirror: Mirror) -> tuple[np.ndarray, list[str]]:
    """(item,) number of its grid square, and the names of the squares in order of arrival.

    Items of an unknown square are the last group, which has no name.
    """
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(name, len(numbers)) for name in mirror.squares]
    codes = np.array(found, dtype=np.intp)
    names = list(numbers)
    if "" in numbers:
        unknown = numbers[""]
        codes[codes == unknown] = len(names)
        codes[codes > unknown] -= 1
        names.append(names.pop(unknown))
    return codes, names


def axis_of(mirror: Mirror, along: Along) -> Axis:
    """The axis asked for; where all times are equal, the order of arrival instead."""
    n = len(mirror)
    if along is Along.TIME:
        passed = hours(mirror)
        whole = float(np.nanmax(passed)) if np.isfinite(passed).any() else 0.0
        if whole > 0:
            return Axis(along, passed / whole, whole)
    if along is Along.SQUARE and n:
        return _by_square(mirror)
    return Axis(Along.ORDER, (np.arange(n) + 0.5) / max(n, 1), float(n))


def _by_square(mirror: Mirror) -> Axis:
    codes, names = squares(mirror)
    n = len(codes)
    x = np.empty(n)
    x[np.argsort(codes, kind="stable")] = (np.arange(n) + 0.5) / n
    ends = np.cumsum(np.bincount(codes, minlength=len(names))) / n
    starts = np.concatenate([[0.0], ends[:-1]])
    groups = tuple(
        Group(name or UNKNOWN_SQUARE, float(start), float(end))
        for name, start, end in zip(names, starts, ends, strict=True)
    )
    return Axis(Along.SQUARE, x, float(n), groups)
