"""The optics groups of a live list by beam shift, kept on disk for the next engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from warptui.engine.exporters.optics_groups.beam_shifts import BeamShifts, account
from warptui.engine.exporters.optics_groups.grouping import NO_SHIFT, BeamGroups
from warptui.engine.exporters.row_cache import Spool
from warptui.engine.exporters.rows import Source
from warptui.engine.formats.writing import write_text

log = logging.getLogger(__name__)

TRIES = 30  # attempts to read an item's beam shift: its file may arrive after the movie
AT_ONCE = 200  # items that are tried again together


class LiveGroups:
    """The optics groups of one live list; used from the thread of that list only."""

    def __init__(self, path: Path, shifts: BeamShifts, distance: float) -> None:
        self.shifts, self.distance = shifts, distance
        self._path = path
        self._tries: dict[str, int] = {}
        self._groups, self.numbers = self._restored(distance)
        self._kept = len(self.numbers)  # numbers in the file; -1 = the file is outdated

    @property
    def labels(self) -> dict[str, int]:
        """Of the items."""
        return self._groups.labels

    @property
    def incomplete(self) -> bool:
        """Whether the beam shift of an item may still arrive."""
        return any(n < TRIES for n in self._tries.values())

    def take(self, sources: Iterable[Source], spool: Spool, readers: Executor, again: bool) -> bool:
        """Read missing beam shifts, also of new items; returns whether groups changed."""
        new = [source for source in sources if source.name not in self._groups.labels]
        new.sort(key=lambda source: spool.items[source.name].rank)
        late = []
        if again:
            by_name = {source.name: source for source in sources}
            late = [name for name, n in self._tries.items() if n < TRIES and name in by_name]
            late = [by_name[name] for name in sorted(late, key=self._tries.__getitem__)[:AT_ONCE]]
        found = list(
            readers.map(lambda source: self.shifts.read(source.name, source.raw_path), new + late)
        )
        known = []
        missing = []
        for source, shift in zip(new + late, found, strict=True):
            known.append((source.name, shift and (shift.x, shift.y, shift.unit)))
            if shift is not None:
                if self._tries.pop(source.name, 0):
                    log.info("%s: the beam shift is known now", source.name)
                continue
            self._tries[source.name] = self._tries.get(source.name, 0) + 1
            if self._tries[source.name] == 1:
                missing.append(source.name)
        if missing:
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            why = self.shifts.problems.get(missing[0], "")
            log.warning("%s%s: no beam shift was found: %s", missing[0], more, why)
        changed = self._groups.add(known)
        if changed:
            self._kept = -1
        return changed

    def restore_hope(self, sources: Iterable[Source]) -> None:
        """Search again for all missing beam shifts: the engine or the folder is new."""
        labels = self._groups.labels
        self._tries = {s.name: 1 for s in sources if labels.get(s.name) == NO_SHIFT}

    def save(self) -> None:
        """Write groups and numbers for the next engine. Raises OSError."""
        if self._kept == len(self.numbers):
            return
        record = {"groups": self._groups.to_json(), "numbers": self.numbers}
        write_text(self._path, json.dumps(record))
        self._kept = len(self.numbers)

    def account(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        """See `beam_shifts.account`."""
        return account(self._groups, numbers, numbers, self.shifts.problems)

    def _restored(self, distance: float) -> tuple[BeamGroups, dict[str, int]]:
        """Groups of the previous engine, if they are readable and were made with these settings."""
        try:
            record = json.loads(self._path.read_text(encoding="utf-8"))
            groups = BeamGroups.from_json(record["groups"])
            numbers = {str(key): int(number) for key, number in record["numbers"].items()}
        except FileNotFoundError:
            return BeamGroups(distance), {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            log.warning("%s cannot be used (%s): groups are made again", self._path, problem)
            return BeamGroups(distance), {}
        if groups.distance != distance:
            return BeamGroups(distance), {}
        return groups, numbers
