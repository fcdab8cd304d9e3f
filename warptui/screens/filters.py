"""The filter line: ``motion<0.8 state:failed choice:exclude 0412``, all of it must hold.

A word with ``<``, ``>``, ``<=``, ``>=`` or ``=`` compares a summary value by its label or key;
``state:`` and ``choice:`` compare those; any other word must occur in the item's name or reason.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from warptui.engine.items import Choice, State, Summary
from warptui.screens.mirror import CHOICE_NUMBERS, STATE_NUMBERS, Mirror

_COMPARISON = re.compile(r"^([^<>=]+)(<=|>=|<|>|=)([-+]?[0-9.]+(?:e[-+]?\d+)?)$")
_OPERATORS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


class FilterError(ValueError):
    """A word of the filter line means nothing; says what would."""


@dataclass(frozen=True)
class Filter:
    """A parsed filter line."""

    text: str
    states: frozenset[int]
    choices: frozenset[int]
    limits: tuple[tuple[str, str, float], ...]  # key, operator, value
    words: tuple[str, ...]

    def mask(self, mirror: Mirror) -> np.ndarray:
        """(item,) bool: which items of ``mirror`` match. An unknown value matches no limit."""
        kept = np.ones(len(mirror), dtype=bool)
        if self.states:
            kept &= np.isin(mirror.states, list(self.states))
        if self.choices:
            kept &= np.isin(mirror.choices, list(self.choices))
        for key, sign, value in self.limits:
            kept &= _OPERATORS[sign](mirror.values(key), value)
        for word in self.words:
            kept &= np.fromiter((word in text for text in mirror.texts), bool, len(mirror))
        return kept


def parse(text: str, summaries: tuple[Summary, ...]) -> Filter:
    """Read a filter line.

    Raises
    ------
    FilterError
        For an unknown state, choice or value name.
    """
    states, choices, limits, words = set(), set(), [], []
    for word in text.split():
        if word.startswith("state:"):
            states |= _numbers(word[6:], State, STATE_NUMBERS, "state")
        elif word.startswith("choice:"):
            choices |= _numbers(word[7:], Choice, CHOICE_NUMBERS, "choice")
        elif match := _COMPARISON.match(word):
            label, sign, number = match.groups()
            limits.append((_key(label, summaries), sign, float(number)))
        elif not word.endswith(("<", ">", "=")):  # a comparison that is still being typed
            words.append(word.lower())
    return Filter(text, frozenset(states), frozenset(choices), tuple(limits), tuple(words))


def _numbers(start: str, kind: type[StrEnum], numbers: dict, what: str) -> set[int]:
    found = {numbers[value] for value in kind if start and value.startswith(start.lower())}
    if not found:
        raise FilterError(f"{what}:{start}? one of {', '.join(kind)}")
    return found


def _key(label: str, summaries: tuple[Summary, ...]) -> str:
    wanted = label.lower()
    for summary in summaries:
        if wanted in (_plain(summary.label), summary.key.lower(), summary.key.split(".")[-1]):
            return summary.key
    for summary in summaries:
        if _plain(summary.label).startswith(wanted):
            return summary.key
    known = ", ".join(_plain(summary.label) for summary in summaries) or "none yet"
    raise FilterError(f"{label}? values: {known}")


def _plain(label: str) -> str:
    """A label as one can type it: without signs and spaces."""
    return re.sub(r"[^a-z0-9]", "", label.lower())
