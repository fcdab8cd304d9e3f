"""Pure: what a change of the settings would cost, before it is made.

Items with equal records, state and reason go through the same steps. So `plan`
is asked once for each kind of item, not once for each of 20,000.
"""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from warptui.engine.model.item import State
from warptui.engine.planning.target import Target

if TYPE_CHECKING:
    from warptui.engine.items.entry import Entry

SAMPLES = 200  # items whose stored durations are looked at where no stage ran yet
_SETTLED = (State.DONE, State.OUTDATED, State.QUEUED)  # with results; others are no such loss


@dataclass(frozen=True)
class Forecast:
    """What would happen."""

    outdated: dict[str, int]  # per stage: items on which it would have to run, and need not now
    n_items: int = 0  # that would become outdated by it
    n_restored: int = 0  # outdated now, in accord with the settings then
    seconds: float | None = None  # of all workers together; None = unknown


def forecast(
    entries: Iterable[Entry],
    now: Target,
    then: Target,
    seconds_per_stage: Mapping[str, float],
    n_workers: int,
) -> Forecast:
    """What changing from ``now`` to ``then`` does to the items that have results."""
    nothing = {stage.name: 0 for stage in then.stages if stage.name in then.enabled}
    if now.digest == then.digest:
        return Forecast(nothing, seconds=0.0)
    kinds: dict[bytes, Entry] = {}
    sizes: Counter[bytes] = Counter()
    for entry in entries:
        if entry.item.members:
            continue  # it follows its members, which are counted
        if entry.present and entry.stored.records and entry.state in _SETTLED:
            kind = _kind(entry)
            kinds.setdefault(kind, entry)
            sizes[kind] += 1
    outdated: Counter[str] = Counter(nothing)
    n_items = n_restored = 0
    for kind, entry in kinds.items():
        before, after = _stages(entry, now), _stages(entry, then)
        outdated.update(dict.fromkeys(after - before, sizes[kind]))
        n_items += sizes[kind] if after - before else 0
        n_restored += sizes[kind] if before and not after else 0
    seconds = _seconds(outdated, kinds.values(), seconds_per_stage)
    if seconds is not None:
        seconds = round(seconds / max(n_workers, 1), 1)
    return Forecast(dict(outdated), n_items, n_restored, seconds)


def _kind(entry: Entry) -> bytes:
    """Equal for items that `plan` treats alike. The reason says what `plan` found last."""
    records = [
        (name, record.version, record.settings, record.sections)
        for name, record in entry.stored.records.items()
    ]
    # version 2 of the format: equal values give equal bytes, however often they are shared
    return marshal.dumps((entry.state.value, entry.reason, entry.asked, records), 2)


def _stages(entry: Entry, wanted: Target) -> set[str]:
    kind = entry.item.kind
    if entry.asked:
        return set(wanted.enabled_of(kind))
    found = wanted.planner(kind).plan(entry.stored, entry.fingerprints)
    return {step.stage for step in found.steps}


def _seconds(
    outdated: Mapping[str, int], kinds: Iterable[Entry], measured: Mapping[str, float]
) -> float | None:
    """Of one worker; None when the duration of a stage is unknown."""
    total = 0.0
    for stage, count in outdated.items():
        if not count:
            continue
        known = measured.get(stage)
        if known is None:
            stored = [
                entry.stored.records[stage].seconds
                for _, entry in zip(range(SAMPLES), kinds, strict=False)
                if stage in entry.stored.records
            ]
            known = median(stored) if stored else None
        if known is None:
            return None
        total += count * known
    return total
