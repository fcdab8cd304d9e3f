"""What is processed: an item and its states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

MOVIE, SERIES = "movie", "series"  # kinds of items
FRAMES = "frames"  # the role of a movie's own file


def root_name_of(name: str) -> str:
    """Item name without its last extension: Warp names every product by it."""
    return Path(name).stem


class State(StrEnum):
    """The state of processing of an item; independent of its selection (see `Choice`)."""

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


class ItemId(NamedTuple):
    """Names an item: its kind, and the root name that all its products have."""

    kind: str
    root: str


class InputFile(NamedTuple):
    """A file that an item is made from."""

    role: str  # "frames", "mdoc", "stack"
    path: Path


@dataclass(frozen=True)
class Item:
    """What stages work on: files, or other items, or both.

    A series keeps all its members, whatever is excluded: exclusion changes neither the identity of
    the series nor the number of any member.
    """

    id: ItemId
    inputs: tuple[InputFile, ...] = ()
    members: tuple[ItemId, ...] = ()  # of a series: its tilts, in order of acquisition

    @classmethod
    def movie(cls, path: Path) -> Item:
        """The item of one movie file."""
        return cls(ItemId(MOVIE, root_name_of(path.name)), (InputFile(FRAMES, path),))

    @property
    def kind(self) -> str:
        """Whether it is a movie or a series."""
        return self.id.kind

    @property
    def root_name(self) -> str:
        """The name of its products, without their extensions."""
        return self.id.root

    @property
    def name(self) -> str:
        """File name of the frames with extension; the root name where there are no frames."""
        path = self.file(FRAMES)
        return self.root_name if path is None else path.name

    @property
    def path(self) -> Path:
        """The file of the frames.

        Raises
        ------
        ValueError
            If the item has no frames of its own.
        """
        path = self.file(FRAMES)
        if path is None:
            raise ValueError(f"{self.root_name} is a {self.kind}: it has no frames of its own")
        return path

    def file(self, role: str) -> Path | None:
        """The input file of this role; None where the item lacks it."""
        return next((entry.path for entry in self.inputs if entry.role == role), None)

    def with_file(self, role: str, path: Path) -> Item:
        """The item with another file in this role."""
        others = tuple(entry for entry in self.inputs if entry.role != role)
        return replace(self, inputs=(InputFile(role, path), *others))
