"""What is processed: an item and its states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


def root_name_of(name: str) -> str:
    """Item name without its last extension: Warp names every product by it."""
    return Path(name).stem


class State(StrEnum):
    """Where an item stands. Never says whether it is selected (see `Choice`)."""

    WAITING = "waiting"  # found, still being written
    QUEUED = "queued"  # complete, to be processed
    RUNNING = "running"
    DONE = "done"
    OUTDATED = "outdated"  # processed with other settings than the current ones
    FAILED = "failed"  # with a reason; the rest goes on
    MISSING = "missing"  # results may exist, but the raw file is gone


class Choice(StrEnum):
    """The user's choice for an item; only ever the user's."""

    AUTO = "auto"
    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True)
class Movie:
    """One movie file."""

    path: Path

    @property
    def name(self) -> str:
        """File name with extension."""
        return self.path.name

    @property
    def root_name(self) -> str:
        """File name without the last extension."""
        return Path(self.name).stem
