"""Pure: the user's choice, the limits of [filters], an item's state -> in or out, and why.

A failure is no deselection: an item without a usable result is neither in nor out, and the user's
choice for it stays what the user said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from warptui.engine.items import Choice, State, Summary

MOST_DIGITS = 9


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


@dataclass(frozen=True)
class Limit:
    """What [filters] allows of one summary value; at least one end is set."""

    key: str  # of the summary value
    label: str
    unit: str
    digits: int
    low: float | None = None
    high: float | None = None

    def complaint(self, value: float | None) -> str:
        """Why ``value`` is outside; empty when it is not.

        A number that could not be determined is outside: whoever sets a limit wants items that
        are known to keep it.
        """
        if value is None:
            return f"{self.label} unknown"
        if self.low is not None and value < self.low:
            return self._beyond(value, "<", self.low)
        if self.high is not None and value > self.high:
            return self._beyond(value, ">", self.high)
        return ""

    def _beyond(self, value: float, sign: str, limit: float) -> str:
        """The value with as many digits as it takes to be seen beyond the limit."""
        digits = self.digits
        while (
            digits < MOST_DIGITS and (float(f"{value:.{digits}f}") - limit) * (value - limit) <= 0
        ):
            digits += 1
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.label} {value:.{digits}f} {sign} {limit:g}{unit}"


def limits(summaries: Iterable[Summary], filters: Mapping[str, float | None]) -> tuple[Limit, ...]:
    """The limits that are set, for the values that declare them (`Summary.filter_min`, `_max`)."""
    found = []
    for summary in summaries:
        low, high = filters.get(summary.filter_min), filters.get(summary.filter_max)
        if low is not None or high is not None:
            found.append(Limit(summary.key, summary.label, summary.unit, summary.digits, low, high))
    return tuple(found)


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
        The user's word, and where the item stands.
    has_result
        Whether it was ever processed successfully.
    limits, values
        See `limits`, and the value that each of them judges; None is unknown. The user's word
        counts more than they do.
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
    return Selection(Verdict.OUT, f"filtered: {complaints}", True) if complaints else KEPT
