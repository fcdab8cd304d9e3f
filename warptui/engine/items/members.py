"""The members of an item (tilts of a series) and whether their results can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warptui.engine.items.entry import Entry
from warptui.engine.model.item import Choice, ItemId
from warptui.engine.planning.members import Member, MemberState
from warptui.engine.planning.plan import Blocked

if TYPE_CHECKING:
    from warptui.engine.items.table import ItemTable


def members_of(entry: Entry, table: ItemTable) -> tuple[Member, ...]:
    """All members in order of acquisition, the excluded ones with the others."""
    if not entry.item.members:
        return ()
    needed = table.target.planner(entry.item.kind).of_members
    return tuple(
        _member(item, number, needed, table) for number, item in enumerate(entry.item.members, 1)
    )


def _member(item: ItemId, number: int, needed: tuple[str, ...], table: ItemTable) -> Member:
    entry = table.by_id(item)
    if entry is None:
        return Member(item, number, True, MemberState.NOT_ARRIVED, {})
    records = entry.stored.records
    keys = {stage: records[stage].key for stage in needed if stage in records}
    included = entry.stored.choice is not Choice.EXCLUDE
    return Member(item, number, included, _state_of(entry, needed, table), keys)


def _state_of(entry: Entry, needed: tuple[str, ...], table: ItemTable) -> MemberState:
    """The state of a member for its series, judged only by the stages that the series needs."""
    found = table.plan(entry)
    if not isinstance(found, Blocked) and entry.waiting is None:
        if not any(step.stage in needed for step in found.steps):
            return MemberState.READY
        if not entry.present and not entry.running:
            return MemberState.MISSING
        if table.failed(entry) and not entry.running:
            return MemberState.FAILED
    return MemberState.IN_PROGRESS
