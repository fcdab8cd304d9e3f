"""Round numbers for axes. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-9  # fraction of a value below which two numbers count as equal
SPREADS = 6.0  # around the median; values farther out are counted at the edge of the axis


def same(low: float, high: float) -> bool:
    """Whether two numbers differ only by rounding errors."""
    return abs(high - low) <= ROUNDING * max(abs(low), abs(high))


def round_step(span: float, n: int) -> float:
    """1, 2 or 5 times a power of ten, about a span's ``n``-th part."""
    raw = span / max(n, 1)
    if not raw > 0 or not math.isfinite(raw):
        return 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if raw <= factor * power * (1 + 1e-9))


def ticks(low: float, high: float, n: int) -> list[float]:
    """Multiples of a round step between ``low`` and ``high``, about ``n`` at most."""
    step = round_step(high - low, n)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [number * step for number in range(first, last + 1)]


def decimals(step: float) -> int:
    """Number of decimals that multiples of ``step`` need."""
    return max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0


def short(value: float, digits: int, width: int) -> str:
    """A number in ``width`` characters, with fewer decimals where they do not fit."""
    for count in range(digits, -1, -1):
        text = f"{value:.{count}f}"
        if len(text) <= width:
            return "0" if float(text) == 0 else text
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")[:width]


@dataclass(frozen=True)
class Spread:
    """Median and range of values, kept because they take longer to compute than to draw."""

    least: float
    low: float  # one standard deviation below the median for a normal distribution
    median: float
    high: float
    most: float

    @classmethod
    def of(cls, known: np.ndarray) -> Spread:
        """The spread of finite values, at least one."""
        low, median, high = (float(value) for value in np.percentile(known, [15.87, 50, 84.13]))
        return cls(float(known.min()), low, median, high, float(known.max()))


def value_range(
    values: Spread, limits: tuple[float | None, ...] = (), n: int = 10
) -> tuple[float, float]:
    """The range of an axis in round numbers: without far outliers, with limits that are near."""
    spread = (values.high - values.low) / 2
    if same(values.low, values.high):
        spread = abs(values.median) * 0.05 or 1.0
    low = max(values.median - SPREADS * spread, values.least)
    high = min(values.median + SPREADS * spread, values.most)
    if same(low, high):
        low = high = values.median
    room = high - low or spread
    for limit in limits:
        if limit is not None and low - room < limit < high + room:
            low, high = min(low, limit), max(high, limit)
    low = 0.0 if 0 < low < 0.3 * high else low
    step = round_step((high - low) or spread, n)
    low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
    return (low, high) if high > low else (low - step, high + step)
