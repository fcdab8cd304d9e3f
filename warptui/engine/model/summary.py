"""A value that a stage declares for lists, plots and filters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """A value that a stage declares for lists, plots and filters."""

    key: str  # "motion.early_motion"
    label: str  # "motion"
    unit: str  # "Å/frame"
    help: str = ""
    digits: int = 2
    filter_min: str = ""  # the key of [filters] that limits it from below; empty = none does
    filter_max: str = ""
    minor: bool = False  # comes after all others where there is no room for all
    role: str = ""  # its meaning to parts that know no stage; see `stages.base.Role`
