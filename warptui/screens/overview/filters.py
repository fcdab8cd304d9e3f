"""The filter line: ``motion<0.8 state:failed sel:out -0412``; items must match every word.

A word with ``<``, ``>``, ``<=``, ``>=`` or ``=`` compares a summary value by its label or key,
and ``=?`` asks for unknown ones; ``state:``, ``choice:``, ``sel:``, ``square:`` and ``train:``
compare those; any other word must occur in the item's name or reason. A ``-`` before a word turns
it round.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

from warptui.engine.model.item import Choice, State
from warptui.engine.model.summary import Summary
from warptui.screens.link.mirror import CHOICE_NUMBERS, STATE_NUMBERS, Mirror

_COMPARISON = re.compile(r"^([^<>=]+)(<=|>=|<|>|=)(\?|[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d+)?)$")
_UNFINISHED = re.compile(
    r"[<>=][-+.,]?$|^-?(state|choice|sel|square|train):$|^-$"
)  # the word is still being typed
Condition = Callable[[Mirror], np.ndarray]  # (item,) bool
_OPERATORS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


class FilterError(ValueError):
    """A word of the filter line that has no meaning; the message says what would have one."""


@dataclass(frozen=True)
class Filter:
    """A parsed filter line."""

    text: str
    conditions: tuple[Condition, ...]

    def mask(self, mirror: Mirror) -> np.ndarray:
        """(item,) bool: which items of ``mirror`` match."""
        kept = np.ones(len(mirror), dtype=bool)
        for condition in self.conditions:
            kept &= condition(mirror)
        return kept


class Selected(StrEnum):
    """What ``sel:`` asks for."""

    IN = "in"  # exports include the item
    OUT = "out"  # excluded by the filters or by hand
    FILTERED = "filtered"
    EXCLUDED = "excluded"
    INCLUDED = "included"


class Training(StrEnum):
    """What ``train:`` asks for."""

    EXAMPLES = "examples"
    HELD_OUT = "held-out"
    NONE = "none"


def parse(text: str, summaries: tuple[Summary, ...]) -> Filter:
    """Read a filter line.

    Raises
    ------
    FilterError
        For an unknown state, choice or value name.
    """
    conditions = []
    for word in text.split():
        if not _UNFINISHED.search(word):
            turned = word.startswith("-")
            condition = _condition(word[1:] if turned else word, summaries)
            conditions.append(_turned(condition) if turned else condition)
    return Filter(text, tuple(conditions))


def _condition(word: str, summaries: tuple[Summary, ...]) -> Condition:
    if word.startswith("state:"):
        states = [STATE_NUMBERS[state] for state in _beginning(word, State)]
        return lambda mirror: np.isin(mirror.states, states)
    if word.startswith("choice:"):
        choices = [CHOICE_NUMBERS[choice] for choice in _beginning(word, Choice)]
        return lambda mirror: np.isin(mirror.choices, choices)
    if word.startswith("sel:"):
        (wanted,) = _beginning(word, Selected)[:1]
        return _SELECTED[wanted]
    if word.startswith("square:"):
        wanted_square = word.partition(":")[2].lower()
        return lambda mirror: _on_square(mirror, wanted_square)
    if word.startswith("train:"):
        wanted_parts = [
            "" if part is Training.NONE else part for part in _beginning(word, Training)
        ]
        return lambda mirror: np.isin(mirror.trainings, wanted_parts)
    if match := _COMPARISON.match(word):
        label, sign, number = match.groups()
        key = _key(label, summaries)
        if number == "?":
            return lambda mirror: np.isnan(mirror.values(key))
        compare, limit = _OPERATORS[sign], float(number.replace(",", "."))
        return lambda mirror: compare(mirror.values(key), limit)  # an unknown value never matches
    return lambda mirror: mirror.containing(word)


def _on_square(mirror: Mirror, wanted: str) -> np.ndarray:
    """Items of a grid square, given by the end of its name, or by "?" for unknown squares."""
    matching = {name: name.lower().endswith(wanted) for name in set(mirror.squares)}
    matching[""] = wanted == "?"
    return np.array([matching[name] for name in mirror.squares], dtype=bool)


def _turned(condition: Condition) -> Condition:
    return lambda mirror: ~condition(mirror)


def _excluded(mirror: Mirror) -> np.ndarray:
    return mirror.choices == CHOICE_NUMBERS[Choice.EXCLUDE]


_SELECTED: dict[Selected, Condition] = {
    Selected.IN: lambda mirror: mirror.selected,
    Selected.OUT: lambda mirror: mirror.filtered | _excluded(mirror),
    Selected.FILTERED: lambda mirror: mirror.filtered,
    Selected.EXCLUDED: _excluded,
    Selected.INCLUDED: lambda mirror: mirror.choices == CHOICE_NUMBERS[Choice.INCLUDE],
}

AnyWord = TypeVar("AnyWord", bound=StrEnum)


def _beginning(word: str, kind: type[AnyWord]) -> list[AnyWord]:
    """The values of ``kind`` that begin with the text after the colon."""
    what, _, start = word.partition(":")
    found = [value for value in kind if value.startswith(start.lower())]
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
    for summary in summaries:  # "res" of "CTF res", "confidence" as the beginning of its key
        words = [_plain(word) for word in summary.label.split()] + [summary.key.split(".")[-1]]
        if any(word.startswith(wanted) for word in words):
            return summary.key
    known = ", ".join(_plain(summary.label) for summary in summaries) or "none yet"
    raise FilterError(f"{label}? values: {known}")


def _plain(label: str) -> str:
    """A label without signs and spaces, as a person can type it."""
    return re.sub(r"[^a-z0-9]", "", label.lower())
