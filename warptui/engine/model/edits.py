"""Changes that a person made to the picks of one item."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


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


MASK_PIXEL_SIZE = 8.0  # Å/px, of masks


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
    removed: tuple[Spot, ...] = ()  # picks there are no particles
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
        """Digest of the edits that change which picks are chosen; empty without such edits."""
        if not self.changes_picks:
            return ""
        values = self.model_dump(mode="json", include={"added", "removed", "min_score"})
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


NO_EDITS = Edits()
