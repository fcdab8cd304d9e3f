"""The limits of [filters] in this viewer: the engine's, and those it set but not yet sent.

A moved limit is shown immediately, judged from the mirror's columns; the engine gets it when the
key rests. Pure: no Textual here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warptui.engine.model.item import Choice
from warptui.engine.model.summary import Summary
from warptui.screens.link.mirror import CHOICE_NUMBERS, Mirror

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HELD_S = 0.35  # s; a repeat within this time means that the key is held down
_GROWTH = ((25, 10), (12, 5), (4, 2))  # number of presses in a row, and the factor from then on


@dataclass
class _Mine:
    """A limit that this viewer set."""

    value: float | None
    sent: int | None = None  # settings_version of the engine when it was sent; None = not yet


class Limits:
    """The limits of a session by the names of their settings."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._mine: dict[str, _Mine] = {}

    def get(self, key: str) -> float | None:
        """The limit ``key``; None where it is not set."""
        status = self._mirror.status
        mine = self._mine.get(key)
        if mine is not None:
            if status is None or mine.sent is None or status.settings_version <= mine.sent:
                return mine.value
            del self._mine[key]  # from here on the engine's value is right
        return status.filters.get(key) if status is not None else None

    def of(self, summary: Summary) -> tuple[float | None, float | None]:
        """The lower and the upper limit of a value."""
        return self.get(summary.filter_min), self.get(summary.filter_max)

    def set(self, key: str, value: float | None) -> None:
        """Show another limit; it is `unsent` until the engine has it."""
        if value is not None:
            low, high = allowed(key)
            value = min(max(value, low), high)
            value = round(value) if is_whole(key) else value
        self._mine[key] = _Mine(value)

    def unsent(self) -> dict[str, float | None]:
        """The limits to send to the engine."""
        return {key: mine.value for key, mine in self._mine.items() if mine.sent is None}

    def sent(self) -> None:
        """All of `unsent` is being sent."""
        version = self._mirror.status.settings_version if self._mirror.status else 0
        for mine in self._mine.values():
            mine.sent = version if mine.sent is None else mine.sent

    def refused(self) -> None:
        """The engine refused the limits: show its own again."""
        self._mine.clear()

    def judged(self) -> np.ndarray:
        """(item,) bool: limits decide about it: it has a result, and the user made no choice."""
        mirror = self._mirror
        by_hand = mirror.choices != CHOICE_NUMBERS[Choice.AUTO]
        return (mirror.selected | mirror.filtered) & ~by_hand

    def outside(self, summary: Summary) -> np.ndarray:
        """(item,) bool: the limits of this value exclude it; an unknown value is outside."""
        low, high = self.of(summary)
        if low is None and high is None:
            return np.zeros(len(self._mirror), dtype=bool)
        values = self._mirror.values(summary.key)
        inside = values >= (-np.inf if low is None else low)  # NaN compares as false
        if high is not None:
            inside &= values <= high
        return self.judged() & ~inside

    def kept(self) -> np.ndarray:
        """(item,) bool: exports include it, by the limits as shown."""
        mirror = self._mirror
        kept = (mirror.selected | mirror.filtered) & (
            mirror.choices != CHOICE_NUMBERS[Choice.EXCLUDE]
        )
        for summary in mirror.summaries:
            kept &= ~self.outside(summary)
        return kept

    def counts(self) -> tuple[int, int]:
        """Number of items that exports include, and that limits exclude, by the limits as shown."""
        kept = self.kept()
        return int(np.count_nonzero(kept)), int(np.count_nonzero(self.judged() & ~kept))


class Held:
    """How far one press moves a limit: the steps grow while the key is held down."""

    def __init__(self) -> None:
        self._key, self._at, self._times = "", -math.inf, 0

    def press(self, key: str, now: float) -> int:
        """The factor of this press, at time ``now`` in seconds."""
        again = key == self._key and now - self._at < HELD_S
        self._times = self._times + 1 if again else 0
        self._key, self._at = key, now
        return next((factor for times, factor in _GROWTH if self._times >= times), 1)


def moved(
    value: float | None,
    steps: int,
    step: float,
    span: tuple[float, float],
    *,
    upper: bool,
) -> float | None:
    """A limit moved by so many steps; None is no limit.

    It comes in from the end of ``span``, the range of all values, and is gone when it is moved out
    there again. Multiples of ``step``, so that limits are numbers as people write them.
    """
    end = span[1] if upper else span[0]
    outward = 1 if upper else -1
    if value is None:
        if steps * outward > 0:
            return None
        value = end
    elif steps * outward < 0:
        value = min(value, end) if upper else max(value, end)
    number = value / step
    # start from the multiple behind it, so that the first of several steps may be shorter
    behind = math.floor(number + 1e-9) if steps > 0 else math.ceil(number - 1e-9)
    found = round((behind + steps) * step, max(0, 1 - math.floor(math.log10(step))))
    gone = found >= end if upper else found <= end
    return None if gone and steps * outward > 0 else found


def allowed(key: str) -> tuple[float, float]:
    """The least and the greatest value allowed for ``key`` in [filters]."""
    low, high = -math.inf, math.inf
    for bound in _field(key).metadata:
        low = max(low, getattr(bound, "ge", low))
        high = min(high, getattr(bound, "le", high))
    return low, high


def is_whole(key: str) -> bool:
    """Whether ``key`` takes only whole numbers."""
    return "int" in str(_field(key).annotation)


def _field(key: str) -> FieldInfo:
    from warptui.engine.config.checks import (
        SECTIONS,  # imported late: pydantic takes 0.2 s, and a start of the app does not need it
    )

    return SECTIONS["filters"].model_fields[key]
