"""One item as a list shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from warptui.engine.model import codec
from warptui.engine.model.item import MOVIE, Choice, State


@dataclass(frozen=True)
class ItemRow:
    """One item as a list shows it. Unknown numbers are None."""

    name: str
    sequence: int  # order of arrival: never taken from file times
    state: State
    choice: Choice = Choice.AUTO
    selected: bool = False  # included in exports, by items/selection.py
    reason: str = ""  # why failed, outdated, waiting, missing or filtered
    stage: str = ""  # while running: the stage; else empty
    fraction: float = 0.0  # of that stage
    tries: int = 0
    summary: dict[str, float | None] = field(default_factory=dict)  # "motion.early_motion": 0.6
    seconds: dict[str, float] = field(default_factory=dict)  # per stage, of the last run
    arrived_at: float = 0.0  # Unix time by the engine's clock, for display only
    finished_at: float = 0.0
    failed_at: float = 0.0  # the last failure, while it holds
    filtered: bool = False  # out by a limit of [filters]; `reason` says which
    square: str = ""  # the grid square that it was taken on; empty = not known
    training: str = ""  # "examples" or "held-out": marked by hand for the training of BoxNet
    edited_at: float = 0.0  # Unix time of the last edit of its picks; another one: read it again
    kind: str = MOVIE
    parent: str = ""  # the name of the item that it is a member of: the series of a tilt

    def with_values(self, **values: Any) -> ItemRow:
        """The row with other values: cheaper than `replace`, for thousands of them."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), **values)
        return made


# Many rows are encoded by columns: 100,000 of them in a fraction of a second.
codec.register(
    Sequence[ItemRow], "warptui.engine.model.item_columns", "encode_rows", "decode_rows", "items"
)
