"""Pure: what planning knows of the members of an item, and why an item waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from warptui.engine.model.item import SERIES, ItemId

FEW = 3  # members that a reason names one by one
_WORDS = {SERIES: "tilt"}


class MemberState(StrEnum):
    """Whether the results of a member can be used."""

    READY = "ready"
    IN_PROGRESS = "in progress"
    FAILED = "failed"
    MISSING = "missing"  # it never had results, and its file is gone
    NOT_ARRIVED = "not arrived"


class Member(NamedTuple):
    """A member as planning sees it."""

    id: ItemId
    number: int  # from 1, in order of acquisition, excluded members counted
    included: bool  # not excluded by the user
    state: MemberState
    keys: Mapping[str, str]  # of the records of the stages that are needed, by stage


def word(kind: str) -> str:
    """What a member of an item of this kind is called."""
    return _WORDS.get(kind, "member")


def used(members: Sequence[Member], needed: Sequence[str]) -> dict[str, dict[str, str]]:
    """`StageRecord.members` of a run with these members."""
    return {
        member.id.root: {
            stage: member.keys[stage]
            for stage in needed
            if member.included and stage in member.keys
        }
        for member in members
    }


def obstacle(kind: str, members: Sequence[Member]) -> tuple[tuple[ItemId, ...], str]:
    """The members that an item waits for, and why; "" where it need not wait."""
    called = word(kind)
    if not members:
        return (), f"it has no {called}s yet"
    included = [member for member in members if member.included]
    if not included:
        return (), f"all {len(members)} {called}s are excluded"
    waiting = [member for member in included if member.state is not MemberState.READY]
    if not waiting:
        return (), ""
    parts = []
    for state in MemberState:
        those = [member for member in waiting if member.state is state]
        if those:
            names = ", ".join(f"{called} {member.number:02}" for member in those)
            parts.append(f"{len(those)} {state}{f' ({names})' if len(those) <= FEW else ''}")
    reason = f"waits for {len(waiting)} of {len(included)} {called}s: {', '.join(parts)}"
    return tuple(member.id for member in waiting), reason


def differences(
    kind: str,
    members: Sequence[Member],
    needed: Sequence[str],
    before: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """What of the members differs from those that a result was made from, member by member."""
    found = []
    for member in members:
        was = before.get(member.id.root)
        called = f"{word(kind)} {member.number:02}"
        if not member.included:
            if was:
                found.append(f"{called}: excluded")
        elif was is None:
            found.append(f"{called}: new")
        elif not was:
            found.append(f"{called}: included")
        else:
            changed = [stage for stage in needed if was.get(stage) != member.keys.get(stage)]
            if changed:
                found.append(f"{called}: new {' and '.join(changed)}")
    roots = {member.id.root for member in members}
    found += [f"{root}: no {word(kind)} of it any more" for root in before.keys() - roots]
    if len(found) > FEW:
        found = [*found[:FEW], f"and {len(found) - FEW} more"]
    return found
