"""The facts of a session for its report, read from the items' columns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from warptui.engine.model.item import Choice, State
from warptui.engine.model.item_columns import CHOICE_NUMBERS, STATE_NUMBERS, Columns
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.summary import Summary
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import Role

_PROCESSED = [STATE_NUMBERS[state] for state in (State.DONE, State.OUTDATED)]


@dataclass(frozen=True)
class Facts:
    """A session at one moment."""

    project: ProjectPaths
    items: Columns  # in order of arrival
    status: EngineStatus
    settings: dict[str, Any]  # as JSON values, by section
    defaults: dict[str, Any]  # default values of all settings
    made_at: float  # Unix time

    @property
    def name(self) -> str:
        """The name of the session."""
        return self.project.root.name or str(self.project.root)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The values that items have."""
        return self.status.summaries

    @cached_property
    def selected(self) -> np.ndarray:
        """(item,) bool: goes into exports."""
        return self.items.number("selected").astype(bool)

    @cached_property
    def processed(self) -> np.ndarray:
        """(item,) bool: the item has a result, of the present or of earlier settings."""
        return np.isin(self.items.number("state"), _PROCESSED)

    @cached_property
    def judged(self) -> np.ndarray:
        """(item,) bool: items to which the limits apply."""
        filtered = self.items.number("filtered").astype(bool)
        by_hand = self.items.number("choice") != CHOICE_NUMBERS[Choice.AUTO]
        return (self.selected | filtered) & ~by_hand

    def known(self) -> list[Summary]:
        """The values that at least one item has."""
        return [entry for entry in self.summaries if np.isfinite(self.items.value(entry.key)).any()]

    def limits(self, summary: Summary) -> tuple[float | None, float | None]:
        """The lower and the upper limit of a value."""
        filters = self.status.filters
        return filters.get(summary.filter_min), filters.get(summary.filter_max)

    def with_role(self, role: Role) -> Summary | None:
        """The first value with this meaning; None if no item has such a value."""
        return next((entry for entry in self.summaries if entry.role == role), None)

    def in_state(self, state: State) -> np.ndarray:
        """Numbers of the items in a state."""
        return np.flatnonzero(self.items.number("state") == STATE_NUMBERS[state])

    def chosen(self, choice: Choice) -> int:
        """Number of items for which the user made this choice."""
        return int(np.count_nonzero(self.items.number("choice") == CHOICE_NUMBERS[choice]))

    def hours(self) -> np.ndarray | None:
        """(item,) hours of arrival after the first item; None if arrival times are not useful."""
        arrived = self.items.number("arrived_at")
        known = arrived > 0
        if np.count_nonzero(known) < max(2, len(arrived) // 2):
            return None
        hours = np.where(known, (arrived - arrived[known].min()) / 3600, np.nan)
        return hours if np.nanmax(hours) > 0 else None

    def exclusions(self) -> list[tuple[str, int, int]]:
        """Reasons for exclusion: the reason, items it applies to, items that it alone excludes."""
        outside = []
        for summary in self.summaries:
            low, high = self.limits(summary)
            if low is None and high is None:
                continue
            values = self.items.value(summary.key)
            inside = values >= (-np.inf if low is None else low)
            inside &= values <= (np.inf if high is None else high)
            unknown = self.judged & np.isnan(values)
            words = limit_words(summary, low, high)
            outside.append((words, self.judged & ~inside & ~unknown))
            if unknown.any():
                outside.append((f"{summary.label} unknown, where it is limited", unknown))
        times = np.sum([mask for _, mask in outside], axis=0) if outside else np.zeros(0)
        found = [
            (words, int(np.count_nonzero(mask)), int(np.count_nonzero(mask & (times == 1))))
            for words, mask in outside
        ]
        by_hand = self.chosen(Choice.EXCLUDE)
        return [*found, ("excluded by hand", by_hand, by_hand)] if by_hand else found

    def failures(self) -> list[tuple[str, int, str]]:
        """Failures by common reason: the reason, number of items, and one example."""
        groups: Counter[str] = Counter()
        first: dict[str, str] = {}
        for number in self.in_state(State.FAILED).tolist():
            name, reason = self.items.names[number], self.items.reason[number]
            common = re.sub(r"\d+", "…", reason.replace(name, "").lstrip(": "))
            groups[common] += 1
            first.setdefault(common, f"{name}: {reason}" if name not in reason else reason)
        return [(first[common], n, common) for common, n in groups.most_common()]


def limit_words(summary: Summary, low: float | None, high: float | None) -> str:
    """A limit in words: the range that the limit excludes."""
    unit = f" {summary.unit}" if summary.unit else ""
    ends = [f"< {low:g}"] if low is not None else []
    ends += [f"> {high:g}"] if high is not None else []
    return f"{summary.label} {' or '.join(ends)}{unit}"


def in_words(value: float, summary: Summary) -> str:
    """A value as text, with the digits and the unit that its stage declares."""
    unit = f" {summary.unit}" if summary.unit else ""
    return f"{value:,.{summary.digits}f}{unit}"
