"""A message to the operator that stays until it was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """A message to the operator; every screen shows it until it is marked as seen."""

    id: int
    at: float  # Unix time by the engine's clock
    rule: str  # the setting in [alerts] that it comes from
    level: str  # "warning" or "error"
    text: str
    item: str = ""
