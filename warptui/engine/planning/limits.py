"""Limits of [filters] on the values that stages declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warptui.engine.model.summary import Summary

if TYPE_CHECKING:
    pass


MOST_DIGITS = 9


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

        A number that could not be determined is outside: a limit asks for items that are known to
        keep it.
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
        shown = f"{value:.{digits}f}"
        while digits < MOST_DIGITS and (float(shown) - limit) * (value - limit) <= 0:
            digits += 1
            shown = f"{value:.{digits}f}"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.label} {shown} {sign} {limit:g}{unit}"


def limits(summaries: Iterable[Summary], filters: Mapping[str, float | None]) -> tuple[Limit, ...]:
    """The limits that are set, for the values that declare them (`Summary.filter_min`, `_max`)."""
    found = []
    for summary in summaries:
        low, high = filters.get(summary.filter_min), filters.get(summary.filter_max)
        if low is not None or high is not None:
            found.append(Limit(summary.key, summary.label, summary.unit, summary.digits, low, high))
    return tuple(found)
