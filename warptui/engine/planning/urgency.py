"""Pure: how urgent an item is, and the reason for its place in the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warptui.engine.model.item import Choice, State
from warptui.engine.planning.schedule import Urgency

if TYPE_CHECKING:
    from warptui.engine.items.entry import Entry

_WHY = {
    Urgency.ASKED: "asked for",
    Urgency.FRESH: "new",
    Urgency.BACKLOG: "was here before",
    Urgency.OUTDATED: "outdated",
    Urgency.EXCLUDED: "excluded, so it comes last",
}


def urgency(entry: Entry, asked: bool) -> Urgency:
    """The place of an item that needs work; ``asked``: the user wants it now."""
    if asked or entry.asked:
        return Urgency.ASKED
    if entry.stored.choice is Choice.EXCLUDE:
        return Urgency.EXCLUDED
    if entry.state is State.OUTDATED:
        return Urgency.OUTDATED
    return Urgency.BACKLOG if entry.at_start else Urgency.FRESH


def why(entry: Entry, place: Urgency, due_s: float | None) -> str:
    """The reason for an item's place in the queue; ``due_s`` until it may run again."""
    if due_s is not None:
        return f"{entry.delayed or 'tried again'}, in {max(0.0, due_s):.0f} s"
    if place is Urgency.OUTDATED and entry.reason:
        return f"{_WHY[place]}: {entry.reason}"
    return _WHY[place]
