"""Groups images by beam shift while a session still collects them.

The label of an image stays. Images that cannot be separated yet share one label, and change it at
most once, when their position is recognised: so the first images of a session wait until the
pattern of beam shifts shows, and strays wait for ever, instead of becoming groups of one image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from warptui.engine.exporters.optics_groups.positions import LEAST, positions_of, spacing

FIRST_LOOK = 16  # images, before the first search for a pattern
LOOK_AGAIN = 1.25  # times as many, before the next attempt
RECENT = 300  # waiting images, among which each search looks for further positions
DRIFT = 1 / 30  # weight of the newest image in a position's centre
NO_SHIFT = 0  # label of images without a known beam shift
NO_LABEL = -1


@dataclass(frozen=True)
class Group:
    """The images with one label."""

    label: int
    n: int
    unit: str = ""
    centre: tuple[float, float] | None = None  # x, y; None = the images lie at no common position


@dataclass
class _Plane:
    """The positions in one unit of beam shift, and the images at no position."""

    waiting: list[str] = field(default_factory=list)
    waiting_label: int = NO_LABEL
    next_look: int = FIRST_LOOK
    labels: list[int] = field(default_factory=list)  # of the positions
    counts: list[int] = field(default_factory=list)
    centres: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))  # x, y
    reaches: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def at(self, place: Sequence[float] | np.ndarray) -> int:
        """The position at which an image lies; -1 = at no position."""
        if not len(self.centres):
            return -1
        away = np.hypot(*(self.centres - place).T)
        nearest = int(away.argmin())
        return nearest if away[nearest] <= self.reaches[nearest] else -1

    def found(self, label: int, centre: np.ndarray, reach: float) -> int:
        """Add a position."""
        self.labels.append(label)
        self.counts.append(0)
        self.centres = np.vstack([self.centres, centre])
        self.reaches = np.append(self.reaches, reach)
        return len(self.labels) - 1

    def join(self, position: int, place: Sequence[float] | np.ndarray) -> int:
        """Add an image to a position, whose centre follows drift; returns the label."""
        self.counts[position] += 1
        weight = max(1 / self.counts[position], DRIFT)
        self.centres[position] += weight * (np.asarray(place) - self.centres[position])
        return self.labels[position]


class BeamGroups:
    """Gives each image a label by its beam shift.

    ``distance``: positions closer than this are merged; 0 = find the distance from the images.
    """

    def __init__(self, distance: float = 0.0) -> None:
        self.distance = distance
        self.labels: dict[str, int] = {}  # by image; `NO_SHIFT` = its shift is not known
        self.shifts: dict[str, tuple[float, float, str]] = {}  # x, y, unit
        self._planes: dict[str, _Plane] = {}
        self._last = NO_SHIFT

    def add(self, found: Iterable[tuple[str, tuple[float, float, str] | None]]) -> bool:
        """Add images, oldest first; None = unknown shift. Returns whether any label changed."""
        changed = False
        for name, shift in found:
            if shift is None:
                changed |= name not in self.labels
                self.labels.setdefault(name, NO_SHIFT)
            elif shift != self.shifts.get(name):
                self._forget(name)
                self.shifts[name] = shift
                self._place(self._planes.setdefault(shift[2], _Plane()), name)
                changed = True
        for plane in self._planes.values():
            while not self.distance and len(plane.waiting) >= plane.next_look:
                changed |= self._look(plane)
        return changed

    def groups(self, names: Iterable[str] | None = None) -> list[Group]:
        """The groups of these images, or of all images, by label."""
        of = self.labels if names is None else {name: self.labels[name] for name in names}
        units: dict[int, str] = {}
        for name, label in of.items():
            if label != NO_SHIFT and label not in units:
                units[label] = self.shifts[name][2]
        centres = {
            label: (float(x), float(y))
            for plane in self._planes.values()
            for label, (x, y) in zip(plane.labels, plane.centres, strict=True)
        }
        counts = sorted(Counter(of.values()).items())
        return [Group(label, n, units.get(label, ""), centres.get(label)) for label, n in counts]

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON-ready values."""
        planes = {
            unit: {
                "waiting_label": plane.waiting_label,
                "next_look": plane.next_look,
                "labels": plane.labels,
                "counts": plane.counts,
                "centres": plane.centres.tolist(),
                "reaches": plane.reaches.tolist(),
            }
            for unit, plane in self._planes.items()
        }
        items = {name: [label, *self.shifts.get(name, ())] for name, label in self.labels.items()}
        return {"distance": self.distance, "last": self._last, "planes": planes, "items": items}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> BeamGroups:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        made = cls(float(record["distance"]))
        made._last = int(record["last"])
        for unit, plane in record["planes"].items():
            made._planes[unit] = _Plane(
                [], int(plane["waiting_label"]), int(plane["next_look"]), list(plane["labels"]),
                list(plane["counts"]), np.array(plane["centres"], float).reshape(-1, 2),
                np.array(plane["reaches"], float),
            )  # fmt: skip
        for name, (label, *shift) in record["items"].items():
            made.labels[name] = int(label)
            if shift:
                x, y, unit = shift
                made.shifts[name] = (float(x), float(y), str(unit))
                if label == made._planes[unit].waiting_label:
                    made._planes[unit].waiting.append(name)
        return made

    def _forget(self, name: str) -> None:
        """The shift of an image turns out to be another one."""
        if before := self.shifts.pop(name, None):
            waiting = self._planes[before[2]].waiting
            if name in waiting:
                waiting.remove(name)

    def _new_label(self) -> int:
        self._last += 1
        return self._last

    def _place(self, plane: _Plane, name: str) -> None:
        place = self.shifts[name][:2]
        position = plane.at(place)
        if position < 0 and self.distance:
            position = plane.found(self._new_label(), np.array(place), self.distance)
        if position >= 0:
            if plane.labels[position] == NO_LABEL:  # no image was at this position before
                plane.labels[position] = self._new_label()
            self.labels[name] = plane.join(position, place)
            return
        if plane.waiting_label == NO_LABEL:
            plane.waiting_label = self._new_label()
        self.labels[name] = plane.waiting_label
        plane.waiting.append(name)
        if plane.labels:
            self._look_near(plane, place)

    def _look_near(self, plane: _Plane, place: Sequence[float]) -> None:
        """Find further positions: a few images as close together as those of known positions."""
        reach = float(np.median(plane.reaches))
        there = self._places(plane.waiting[-RECENT:])
        near = np.hypot(*(there - place).T) <= reach
        if near.sum() >= LEAST:
            self._settle(plane, there[near].mean(axis=0)[None], reach)

    def _look(self, plane: _Plane) -> bool:
        """Try to recognise positions among the waiting images; returns whether any was found."""
        n_waiting = len(plane.waiting)
        centres = positions_of(self._places(plane.waiting))
        if len(centres):
            self._settle(plane, centres, spacing(centres) / 2)
            for name in plane.waiting[-RECENT:]:
                if name in plane.waiting:  # not labelled with an image before
                    self._look_near(plane, self.shifts[name][:2])
        # images around a known position may all be too far from its centre
        settled = len(plane.waiting) < n_waiting
        wait_for = FIRST_LOOK if settled else int(np.ceil(LOOK_AGAIN * n_waiting))
        plane.next_look = max(FIRST_LOOK, wait_for)  # also among the images that are left
        return settled

    def _settle(self, plane: _Plane, centres: np.ndarray, reach: float) -> None:
        """Add positions with these centres and give them the waiting images nearby."""
        first = len(plane.labels)
        everywhere = np.vstack([plane.centres, centres])
        for number, centre in enumerate(centres, first):
            away = np.hypot(*(everywhere - centre).T)
            away[number] = np.inf
            plane.found(NO_LABEL, centre, min(reach, float(away.min()) / 2))
        names, plane.waiting = plane.waiting, []
        went: list[tuple[str, int]] = []
        for name, place in zip(names, self._places(names), strict=True):
            position = plane.at(place)
            if position < 0:
                plane.waiting.append(name)
                continue
            plane.join(position, place)
            went.append((name, position))
        for _, position in went:
            if plane.labels[position] == NO_LABEL:
                # no image waits any longer: the first images keep their label
                takes_over = not plane.waiting and plane.waiting_label not in plane.labels
                label = plane.waiting_label if takes_over else self._new_label()
                plane.labels[position] = label
        for name, position in went:
            self.labels[name] = plane.labels[position]
        if not plane.waiting:
            plane.waiting_label = NO_LABEL

    def _places(self, names: Sequence[str]) -> np.ndarray:
        """(n, 2) x, y."""
        return np.array([self.shifts[name][:2] for name in names], float).reshape(-1, 2)
