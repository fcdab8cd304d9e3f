"""Pure: the user's choice, the limits of [filters], an item's state -> in or out, and why.

A failure is no deselection: an item without a usable result is neither in nor out, and the user's
choice for it stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from warptui.engine.model.item import Choice, State
from warptui.engine.planning.limits import Limit

if TYPE_CHECKING:
    import numpy as np

LEAST_SIGMA = 1e-4  # µm: smaller spreads are below the errors of the fit


class Verdict(StrEnum):
    """Whether an item goes into exports."""

    IN = "in"
    OUT = "out"
    OPEN = "open"  # there is no result that could go anywhere


@dataclass(frozen=True)
class Selection:
    """A verdict and why."""

    verdict: Verdict
    reason: str
    filtered: bool = False  # out by a limit, not by the user

    @property
    def selected(self) -> bool:
        """Whether the item goes into exports."""
        return self.verdict is Verdict.IN

    @classmethod
    def filtered_by(cls, complaints: str) -> Selection:
        """Out by the limits that these complaints are of."""
        return cls(Verdict.OUT, f"filtered: {complaints}", True)


@dataclass(frozen=True)
class Spread:
    """Distribution of a session's astigmatisms: their mean, and the RMS distance from it.

    As vectors of twice the angle, for an astigmatism turned by 180° is the same one.
    """

    mean_xy: tuple[float, float] = (0.0, 0.0)  # µm
    sigma: float = 0.0  # µm
    n: int = 0

    @property
    def unit(self) -> float:
        """µm that count as one sigma."""
        return max(self.sigma, LEAST_SIGMA)

    @classmethod
    def of(cls, astigmatisms: Iterable[tuple[float, float]]) -> Spread:
        """The spread of pairs of astigmatism (µm) and angle (degrees)."""
        vectors = [vector(*found) for found in astigmatisms]
        if not vectors:
            return cls()
        n = len(vectors)
        x, y = (sum(part) / n for part in zip(*vectors, strict=True))
        squares = sum((vx - x) ** 2 + (vy - y) ** 2 for vx, vy in vectors)
        return cls((x, y), math.sqrt(squares / n), n)

    def distance(self, astigmatism_um: float | None, angle_deg: float | None) -> float | None:
        """How many sigmas an astigmatism is from the mean; None where it is unknown."""
        if astigmatism_um is None or angle_deg is None:
            return None
        x, y = vector(astigmatism_um, angle_deg)
        dx, dy = x - self.mean_xy[0], y - self.mean_xy[1]
        return math.sqrt(dx * dx + dy * dy) / self.unit

    def distances(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The same of many astigmatisms that are `vector`s, to the last bit; NaN is unknown."""
        dx, dy = x - self.mean_xy[0], y - self.mean_xy[1]
        return (dx * dx + dy * dy) ** 0.5 / self.unit


def vector(astigmatism_um: float, angle_deg: float) -> tuple[float, float]:
    """An astigmatism as a vector of twice its angle, in µm."""
    angle = 2 * math.radians(angle_deg)
    return astigmatism_um * math.cos(angle), astigmatism_um * math.sin(angle)


EXCLUDED = Selection(Verdict.OUT, "excluded by the user")
FAILED = Selection(Verdict.OPEN, "failed")
NOT_PROCESSED = Selection(Verdict.OPEN, "not processed yet")
INCLUDED = Selection(Verdict.IN, "included by the user")
KEPT = Selection(Verdict.IN, "")


def select(
    choice: Choice,
    state: State,
    *,
    has_result: bool,
    values: Sequence[float | None] = (),
    limits: Sequence[Limit] = (),
) -> Selection:
    """Decide about one item.

    Parameters
    ----------
    choice, state
        The user's choice, and the item's state.
    has_result
        Whether it was ever processed successfully.
    limits, values
        See `limits`, and the value that each of them judges; None is unknown. The user's choice
        overrides them.
    """
    if choice is Choice.EXCLUDE:
        return EXCLUDED
    if state is State.FAILED:
        return FAILED
    if not has_result:
        return NOT_PROCESSED
    if choice is Choice.INCLUDE:
        return INCLUDED
    complaints = ""
    for limit, value in zip(limits, values, strict=True):
        if complaint := limit.complaint(value):
            complaints = f"{complaints}, {complaint}" if complaints else complaint
    return Selection.filtered_by(complaints) if complaints else KEPT
