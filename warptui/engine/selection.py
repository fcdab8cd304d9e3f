"""Pure: the user's choice and an item's state -> in or out of exports, with the reason.

A failure is no deselection: an item without a usable result is neither in nor out, and the user's
choice for it stays what the user said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from warptui.engine.items import Choice, State


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

    @property
    def selected(self) -> bool:
        """Whether the item goes into exports."""
        return self.verdict is Verdict.IN


def select(choice: Choice, state: State, *, has_result: bool) -> Selection:
    """Decide about one item; ``has_result`` tells whether it was ever processed successfully."""
    if choice is Choice.EXCLUDE:
        return Selection(Verdict.OUT, "excluded by the user")
    if state is State.FAILED:
        return Selection(Verdict.OPEN, "failed")
    if not has_result:
        return Selection(Verdict.OPEN, "not processed yet")
    if choice is Choice.INCLUDE:
        return Selection(Verdict.IN, "included by the user")
    return Selection(Verdict.IN, "")
