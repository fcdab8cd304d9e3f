"""What a person changed about one item's picks, and the one rule by which picks are chosen.

The stage that picks and the app that shows picks while somebody works on them choose by the same
function, `choose`, so that what is seen is what is written. Numpy and pydantic alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warptui.engine.errors import InputError
from warptui.engine.formats.writing import write_text
from warptui.engine.ops.common.minimum_distance import clear_of, spaced

FORMAT = 1  # of the file
MASK_PIXEL_SIZE = 8.0  # Å/px, of masks
OVERLAP_SHARE = 1 / 1.5  # of the diameter: nearer centres are one particle found twice
SAME_SHARE = 1 / 4  # of the diameter: what a person marked so near is that very pick
ADDED_SCORE = 1.0


class Spot(BaseModel):
    """A disc in an average. Å from the corner: the centre of the first pixel is 0, 0."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    y_angstrom: float
    x_angstrom: float
    radius_angstrom: float = Field(default=0.0, ge=0)  # 0 = a quarter of the diameter


class Edits(BaseModel):
    """Everything that a person decided about the picks of one item."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    added: tuple[Spot, ...] = ()
    removed: tuple[Spot, ...] = ()  # what was picked there is none
    uncertain: tuple[Spot, ...] = ()  # areas that are to teach nothing
    certain: tuple[Spot, ...] = ()  # areas that are to teach more
    min_score: float | None = Field(default=None, ge=0, le=1)  # None = that of the settings
    training: Literal["", "examples", "held-out"] = ""  # train on it, or only measure on it
    train_mask: bool = True  # its mask may teach

    @property
    def changes_picks(self) -> bool:
        """Whether anything in here has an effect on what is picked."""
        return bool(self.added or self.removed) or self.min_score is not None

    @property
    def digest(self) -> str:
        """Names the edits that have an effect on what is picked; empty for none."""
        if not self.changes_picks:
            return ""
        values = self.model_dump(mode="json", include={"added", "removed", "min_score"})
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


NO_EDITS = Edits()


def read_edits(path: Path) -> Edits:
    """The edits in a file; none where there is no file.

    Raises
    ------
    InputError
        If the file is damaged or of another version: what somebody did by hand is never ignored.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NO_EDITS
    except UnicodeDecodeError as problem:
        raise _unreadable(path, "it is not text") from problem
    try:
        values = json.loads(text)
    except ValueError as problem:
        raise _unreadable(path, f"it is not JSON ({problem})") from problem
    if not isinstance(values, dict):
        raise _unreadable(path, f"it holds a {type(values).__name__}, not an object")
    found = values.pop("format", None)
    if found != FORMAT:
        raise _unreadable(path, f"its format is {found!r}, this version knows {FORMAT}")
    try:
        return Edits.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise _unreadable(path, f"{where}: {first['msg']}") from problem


def edits_of(name: str, values: Mapping[str, Any]) -> Edits:
    """The edits of an item in plain values, as they cross a socket.

    Raises
    ------
    InputError
        Naming the first value that is not allowed.
    """
    try:
        return Edits.model_validate(dict(values))
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "edits"
        raise InputError(f"{name}: {where}: {first['msg']}; found {first['input']!r}") from problem


def write_edits(path: Path, edits: Edits) -> None:
    """Write ``edits`` beside ``path``, renamed into place; none at all take the file away."""
    if edits == NO_EDITS:
        path.unlink(missing_ok=True)
        return
    values = {"format": FORMAT, **edits.model_dump(mode="json", exclude_defaults=True)}
    write_text(path, json.dumps(values, indent=1) + "\n")


def _unreadable(path: Path, said: str) -> InputError:
    return InputError(
        f"{path}: the edits of picks cannot be read: {said}. "
        "Repair it, or move it away to work without these edits"
    )


@dataclass(frozen=True)
class Chosen:
    """Picks, best first, and what would have been picked but was removed by hand."""

    positions_yx_angstrom: np.ndarray  # (n, 2) float64; those added by hand come first
    scores: np.ndarray  # (n,) float32
    areas_px: np.ndarray  # (n,) float32, at 8 Å/px; 0 for those added by hand
    removed_yx_angstrom: np.ndarray  # (m, 2)
    removed_scores: np.ndarray  # (m,)

    def __len__(self) -> int:
        return len(self.scores)


def choose(
    candidates: np.ndarray,
    mask: np.ndarray | None,
    pixel_size: float,
    diameter_angstrom: float,
    min_score: float,
    min_mask_distance_angstrom: float,
    edits: Edits = NO_EDITS,
    *,
    mask_pixel_yx: Sequence[float] = (MASK_PIXEL_SIZE, MASK_PIXEL_SIZE),
) -> Chosen:
    """What is picked of all ``candidates`` (n, 4): y, x (px of the average), score, area.

    Those with the score; of two that overlap the bigger; those far enough from ``mask`` (y, x;
    0/1; its pixels are ``mask_pixel_yx`` Å wide); not those removed by hand, nor those that
    were added by hand besides.
    """
    candidates = np.asarray(candidates, np.float64).reshape(-1, 4)
    lowest = min_score if edits.min_score is None else edits.min_score
    left = candidates[candidates[:, 2].astype(np.float32) >= np.float32(lowest)]
    limit = diameter_angstrom * OVERLAP_SHARE
    positions = left[:, :2] * pixel_size
    left = left[spaced(positions, limit, _by_size(left))]
    if mask is not None:
        distance = (diameter_angstrom / 2 + min_mask_distance_angstrom) / MASK_PIXEL_SIZE
        on_mask = left[:, :2] * pixel_size / np.asarray(mask_pixel_yx)
        left = left[clear_of(np.asarray(mask, bool), on_mask, distance)]
    positions = left[:, :2] * pixel_size
    same = diameter_angstrom * SAME_SHARE
    removed = _within(positions, edits.removed, same)
    added = np.array([(spot.y_angstrom, spot.x_angstrom) for spot in edits.added]).reshape(-1, 2)
    replaced = _near_any(positions, added, np.full(len(added), same))
    order = np.lexsort((positions[:, 1], positions[:, 0], -left[:, 2]))
    kept = order[~(removed | replaced)[order]]
    gone = order[(removed & ~replaced)[order]]
    return Chosen(
        np.concatenate([added, positions[kept]]),
        np.concatenate([np.full(len(added), ADDED_SCORE), left[kept, 2]]).astype(np.float32),
        np.concatenate([np.zeros(len(added)), left[kept, 3]]).astype(np.float32),
        positions[gone],
        left[gone, 2].astype(np.float32),
    )


def _by_size(candidates: np.ndarray) -> np.ndarray:
    """Ranks (n,): the biggest is 0; then the score, then the place decide, never the order."""
    y, x, score, area = candidates.T
    ranks = np.empty(len(candidates), np.int64)
    ranks[np.lexsort((x, y, -score, -area))] = np.arange(len(candidates))
    return ranks


def _within(positions: np.ndarray, spots: Sequence[Spot], radius_angstrom: float) -> np.ndarray:
    centres = np.array([(spot.y_angstrom, spot.x_angstrom) for spot in spots]).reshape(-1, 2)
    radii = np.array([spot.radius_angstrom or radius_angstrom for spot in spots])
    return _near_any(positions, centres, radii)


def _near_any(positions: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    near = np.zeros(len(positions), bool)
    for centre, radius in zip(centres, radii, strict=True):
        near |= ((positions - centre) ** 2).sum(axis=1) <= radius**2
    return near
