"""A list for another program: the request for it, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Export:
    """A list for another program: being written, written, or not."""

    id: str  # names the file that is written
    kind: str  # "micrographs"
    path: str
    state: str  # "running", "done", "failed", "cancelled"; "live" = always being kept up to date
    at: float = 0.0  # Unix time: since when it is so
    rows: int = 0  # written; while it runs, items looked at so far
    total: int = 0  # items that were asked for; of a live list, that are in it
    reason: str = ""  # why it failed, what was left out
    writer: str = ""  # "engine" or "command line"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name


@dataclass(frozen=True)
class ExportRequest:
    """A request to write a list for another program: which, where and how."""

    kind: str = "micrographs"
    items: str = "selected"  # "selected", "done" = all that is, "named", "all"
    names: tuple[str, ...] = ()
    path: str = ""  # from the project folder; empty = the usual name in it
    relative_to: str = ""  # paths in the list start here, from the project folder; empty = it
    absolute: bool = False  # whole paths instead
    switches: tuple[str, ...] = ()  # those of the kind that are on
    given: dict[str, str] = field(default_factory=dict)  # what was typed, by the kind's fields
