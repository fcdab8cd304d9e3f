"""The beam shifts of items, read once, and an account of the optics groups made from them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from warptui.engine.errors import InputError
from warptui.engine.exporters.optics_groups.grouping import NO_SHIFT, BeamGroups
from warptui.engine.formats.acquisition.beam_shift import BeamShift, BeamShiftFiles

MOST_POINTS = 2000  # that a plot of beam shifts needs


class BeamShifts:
    """Beam shift of each item, from files beside its movie. Safe for several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.problems: dict[str, str] = {}  # items without a beam shift, and why
        self._files = BeamShiftFiles(folder)
        self._known: dict[str, BeamShift] = {}
        self._lock = threading.Lock()

    def known(self, name: str) -> BeamShift | None:
        """The beam shifts that were read so far."""
        return self._known.get(name)

    def read(self, name: str, raw_path: str) -> BeamShift | None:
        """The beam shift of an item; None if no file has it: `problems` then says why."""
        if (known := self._known.get(name)) is not None:
            return known
        try:
            if not raw_path:
                raise InputError("the place of its movie is not recorded")
            found = self._files.read(Path(raw_path))
        except (InputError, OSError) as problem:
            with self._lock:
                self.problems[name] = str(problem)
            return None
        with self._lock:
            self._known[name] = found
            self.problems.pop(name, None)
        return found


@dataclass(frozen=True)
class Grouping:
    """How optics groups are made by beam shift."""

    folder: Path | None = None  # searched for metadata that is not beside the movies
    distance: float = 0.0  # positions closer than this are merged; 0 = found from the images


class Gathering:
    """Optics groups of a complete set of images, for a list that is written once.

    ``shifts``: beam shifts of the same folder that are known already.
    """

    def __init__(self, grouping: Grouping, shifts: BeamShifts | None = None) -> None:
        self._shifts = shifts or BeamShifts(grouping.folder)
        self._groups = BeamGroups(grouping.distance)
        self._taken: list[tuple[str, tuple[float, float, str] | None]] = []

    def take(self, name: str, raw_path: str) -> None:
        """Read an item's beam shift."""
        shift = self._shifts.read(name, raw_path)
        self._taken.append((name, shift and (shift.x, shift.y, shift.unit)))

    def labels(self) -> dict[str, int]:
        """Label of the optics group of each item taken so far."""
        self._groups.add(self._taken)
        self._taken = []
        return self._groups.labels

    def account(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        """See `account`."""
        return account(self._groups, numbers, numbers, self._shifts.problems)


def number_as_they_come(labels: Mapping[str, int]) -> dict[str, int]:
    """Numbers of the groups in a list whose items all have the same optics."""
    numbers: dict[int, int] = {}
    return {name: numbers.setdefault(label, len(numbers) + 1) for name, label in labels.items()}


def account(
    groups: BeamGroups,
    names: Iterable[str],
    numbers: Mapping[str, int],
    problems: Mapping[str, str],
) -> dict[str, Any]:
    """The optics groups of a list for plots and tables, as JSON-ready values.

    ``numbers`` are those that the items have in the list. ``groups`` has each one's number, n,
    x, y (None = at no position of its own) and unit; ``points`` a part of the images, as x, y
    and number; `summary` is a sentence about them.
    """
    names = list(names)
    rows: dict[int, dict[str, Any]] = {}
    known = {group.label: group for group in groups.groups(names)}
    for name in names:
        group = known[groups.labels[name]]
        x, y = group.centre or (None, None)
        row = rows.setdefault(
            numbers[name], {"number": numbers[name], "n": 0, "x": x, "y": y, "unit": group.unit}
        )
        row["n"] += 1
    placed = [name for name in names if groups.labels[name] != NO_SHIFT]
    if len(placed) > MOST_POINTS:  # always the same ones: a plot must not flicker
        placed = random.Random(0).sample(placed, MOST_POINTS)
    points = [[*groups.shifts[name][:2], numbers[name]] for name in placed]
    unknown = [name for name in names if groups.labels[name] == NO_SHIFT]
    return {
        "groups": [rows[number] for number in sorted(rows)],
        "points": points,
        "summary": summary(list(rows.values()), unknown, problems),
    }


def summary(
    rows: Sequence[Mapping[str, Any]], unknown: Sequence[str], problems: Mapping[str, str]
) -> str:
    """A summary of the optics groups in one or two sentences."""
    at = [row for row in rows if row["x"] is not None]
    astray = sum(row["n"] for row in rows if row["x"] is None and row["unit"])
    parts = []
    if at:
        n = [row["n"] for row in at]
        of = f"{min(n):,} to {max(n):,} items" if min(n) < max(n) else f"{n[0]:,} items each"
        parts.append(f"{len(at):,} optics groups by beam shift, of {of}")
        if astray:
            parts.append(f"{astray:,} items at none of these positions form a group of their own")
    elif astray:
        parts.append(
            f"the beam shifts of {astray:,} items show no separate positions (yet): one group"
        )
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        why = next(islice((problems[name] for name in unknown if name in problems), 1), "not read")
        parts.append(f"{unknown[0]}{more} without a beam shift, a group of their own: {why}")
    return "; ".join(parts)
