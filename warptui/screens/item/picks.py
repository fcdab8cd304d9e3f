"""Candidates, picks and edits of one item. Pure.

Editing gives other `Edits`, or says in a sentence why there is nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # imported late: pydantic takes 0.2 s, and a start of the app does not need it
    from warptui.engine.model.edits import Chosen, Edits, Spot

STAGE = "picking"  # stage whose view reads a `Field`, and whose settings hold threshold and model
Place = tuple[float, float]  # y, x in Å from the middle of the first pixel
MARKS = ("", "examples", "held-out")  # uses in training, in the order of the key that changes them
MEANT = 1 / 3  # of the diameter: a candidate within this distance of a place is meant
REACH = 1.0  # of the diameter: the crosshair reaches no farther than this
_FINER = (0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997)
# most scores lie near 1, so the steps of thresholds are finer there
THRESHOLDS = (*(n / 50 for n in range(20, 46)), *_FINER, 0.998, 0.999, 1.0)
_BRUSH_STEP = 1.25
_BRUSH_LIMITS = (10.0, 20_000.0)  # Å


@dataclass(frozen=True, eq=False)
class Field:
    """Candidates, picks and mask of an item as the engine stored them, with edits by hand."""

    candidates: np.ndarray  # (n, 4): y, x in px of the average, score, area
    mask: np.ndarray | None  # (y, x) uint8, first row at the bottom; 1 = masked
    shape_yx: tuple[int, int]  # of the average
    pixel_size: float
    diameter: float  # Å
    min_score: float  # threshold of the settings
    min_mask_distance: float  # Å
    edits: Edits
    mask_pixel_yx: tuple[float, float] = (8.0, 8.0)  # Å
    problem: str = ""  # why the item cannot be edited
    unsaved: str = ""  # why the engine has not saved these edits yet

    def edited(self, edits: Edits, unsaved: str = "") -> Field:
        """A copy with other edits."""
        return replace(self, edits=edits, unsaved=unsaved)

    @cached_property
    def chosen(self) -> Chosen:
        """The picks: candidates and edits, by the engine's own rule."""
        from warptui.engine.ops.picking.choice import choose

        return choose(
            self.candidates,
            self.mask,
            self.pixel_size,
            self.diameter,
            self.min_score,
            self.min_mask_distance,
            self.edits,
            mask_pixel_yx=self.mask_pixel_yx,
        )

    @property
    def threshold(self) -> float:
        """The lowest score of a pick on this item."""
        own = self.edits.min_score
        return self.min_score if own is None else own

    @property
    def automatic(self) -> np.ndarray:
        """(n, 2) Å of the candidates that the network found, without picks by hand."""
        return self.chosen.positions_yx_angstrom[len(self.edits.added) :]

    @property
    def n_edits(self) -> int:
        """Number of places that were edited by hand."""
        edits = self.edits
        return sum(map(len, (edits.added, edits.removed, edits.uncertain, edits.certain)))

    def fractions(self, places: np.ndarray) -> np.ndarray:
        """Places (n, 2) in Å as fractions of the picture."""
        return (places / self.pixel_size + 0.5) / np.array(self.shape_yx)

    def place(self, fractions_yx: tuple[float, float]) -> Place:
        """One place in Å from fractions of the picture; the inverse of `fractions`."""
        y, x = (
            (fraction * n - 0.5) * self.pixel_size
            for fraction, n in zip(fractions_yx, self.shape_yx, strict=True)
        )
        return y, x

    @property
    def width(self) -> float:
        """Width of the micrograph, in Å."""
        return self.shape_yx[1] * self.pixel_size


Done = tuple["Edits", str]  # the new edits, and a message about them, if any


def spots(found: tuple[Spot, ...]) -> np.ndarray:
    """(n, 2) y and x in Å of these places."""
    return np.array([(s.y_angstrom, s.x_angstrom) for s in found], dtype=float).reshape(-1, 2)


def add(field: Field, place: Place) -> Done | str:
    """Add a pick at ``place``; restores a removed or nearly picked candidate there."""
    from warptui.engine.model.edits import Spot

    edits, near = field.edits, MEANT * field.diameter
    number, distance = _nearest(spots(edits.removed), place)
    if distance <= near:
        return _with(edits, removed=_without(edits.removed, number)), ""
    _, distance = _nearest(field.chosen.positions_yx_angstrom, place)
    if distance <= near:
        return "there is a pick already; x removes it"
    if not _inside(field, place):
        return "the crosshair is at the very edge of the picture"
    candidates = field.candidates[:, :2].astype(float) * field.pixel_size
    number, distance = _nearest(candidates, place)
    if distance <= near:
        place = float(candidates[number, 0]), float(candidates[number, 1])
    spot = Spot(y_angstrom=round(place[0], 3), x_angstrom=round(place[1], 3))
    return _with(edits, added=(*edits.added, spot)), ""


def remove(field: Field, place: Place) -> Done | str:
    """Remove the pick nearest to ``place``."""
    from warptui.engine.model.edits import Spot
    from warptui.engine.ops.picking.choice import SAME_SHARE

    edits = field.edits
    number, distance = _nearest(field.chosen.positions_yx_angstrom, place)
    if number < 0:
        return "there are no picks"
    if distance > REACH * field.diameter:
        return f"no pick within {REACH * field.diameter:.0f} Å of the crosshair"
    y, x = field.chosen.positions_yx_angstrom[number].tolist()
    if number < len(edits.added):
        edits = _with(edits, added=_without(edits.added, number))
        left = field.edited(edits).chosen.positions_yx_angstrom
        if _nearest(left, (y, x))[1] > SAME_SHARE * field.diameter:
            return edits, ""  # otherwise the candidate under the added pick would appear again
    spot = Spot(y_angstrom=round(y, 3), x_angstrom=round(x, 3))
    return _with(edits, removed=(*edits.removed, spot)), ""


def toggle(field: Field, place: Place) -> Done | str:
    """Remove the pick at ``place``, or add one: the action of a double click."""
    _, distance = _nearest(field.chosen.positions_yx_angstrom, place)
    return remove(field, place) if distance <= field.diameter / 2 else add(field, place)


def paint(field: Field, place: Place, radius: float, kind: str) -> Done | str:
    """Add an "uncertain" or "certain" area around ``place``; remove the area centred there."""
    from warptui.engine.model.edits import Spot

    areas: tuple[Spot, ...] = getattr(field.edits, kind)
    number, distance = _nearest(spots(areas), place)
    if number >= 0 and distance <= max(areas[number].radius_angstrom, field.diameter / 2) / 2:
        return _with(field.edits, **{kind: _without(areas, number)}), ""
    if not _inside(field, place):
        return "the crosshair is at the very edge of the picture"
    spot = Spot(
        y_angstrom=round(place[0], 3),
        x_angstrom=round(place[1], 3),
        radius_angstrom=round(radius, 1),
    )
    return _with(field.edits, **{kind: (*areas, spot)}), ""


def brush(radius: float, step: int) -> float:
    """The radius of a larger or smaller brush, Å."""
    low, high = _BRUSH_LIMITS
    return min(max(radius * _BRUSH_STEP**step, low), high)


def move_threshold(field: Field, step: int) -> Done | str:
    """Move the threshold to the next score; back at the settings' value, no own one is kept."""
    scores = sorted({*THRESHOLDS, field.min_score})
    if step > 0:
        further = [score for score in scores if score > field.threshold + 1e-9]
    else:
        further = [score for score in reversed(scores) if score < field.threshold - 1e-9]
    if not further:
        return "no pick could have a higher score" if step > 0 else "no lower scores are kept"
    own = None if further[0] == field.min_score else further[0]
    return _with(field.edits, min_score=own), ""


def mark(field: Field) -> Done:
    """The next mark for training: example, held out, not marked."""
    now = MARKS[(MARKS.index(field.edits.training) + 1) % len(MARKS)]
    message = {
        "examples": "an example: BoxNet learns from its picks when it is trained",
        "held-out": "held out: a trained BoxNet is measured on it, and never learns from it",
        "": "takes no part in training",
    }
    return _with(field.edits, training=now), message[now]


def switch_mask(field: Field) -> Done:
    """Switch whether training learns from the mask of an example."""
    teaches = not field.edits.train_mask
    message = (
        "its mask is learned in training" if teaches else "its mask is not learned in training"
    )
    return _with(field.edits, train_mask=teaches), message


def _with(edits: Edits, **changes: object) -> Edits:
    return edits.model_copy(update=changes)


def _without(found: tuple[Spot, ...], number: int) -> tuple[Spot, ...]:
    return (*found[:number], *found[number + 1 :])


def _nearest(places: np.ndarray, place: Place) -> tuple[int, float]:
    """Which of ``places`` (n, 2) is nearest, and its distance; -1 and infinity without places."""
    if not len(places):
        return -1, float("inf")
    distances = np.hypot(*(places - np.array(place)).T)
    number = int(distances.argmin())
    return number, float(distances[number])


def _inside(field: Field, place: Place) -> bool:
    last = ((n - 1) * field.pixel_size for n in field.shape_yx)
    return all(0 <= part <= most for part, most in zip(place, last, strict=True))
