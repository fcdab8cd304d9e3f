"""One item, and all that the engine remembers about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from warptui.engine.items.selection import NOT_PROCESSED, Selection
from warptui.engine.model.item import FRAMES, Item, ItemId, State
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.members import Member


@dataclass(slots=True)  # of 20,000 items, dictionaries would take 25 MB
class Entry:
    """One item and all that the engine remembers about it."""

    name: str
    item: Item
    sequence: int
    stored: StoredItem  # abridged; with the user's choice
    fingerprints: dict[str, str] = field(
        default_factory=dict
    )  # of the inputs as last seen, by role
    present: bool = False  # its files are there
    waiting: str | None = None  # why it is not complete yet; None = complete
    refused: str = ""  # why it cannot be an item at all
    undecided: bool = False  # perhaps a known item in another place: the content decides
    note: str = ""
    at_start: bool = False
    asked: bool = False  # the user asked for all stages to run again
    cancelled: bool = False  # the user asked for what runs to stop
    delayed: str = ""  # why it waits for another try
    deaths: int = 0  # of workers, in a row
    hiccups: int = 0  # transient failures, in a row
    running: bool = False
    stage: str = ""
    fraction: float = 0.0
    state: State = State.WAITING
    reason: str = ""
    selection: Selection = NOT_PROCESSED  # kept by the table's `select`
    shown: bool = False  # viewers know of it
    arrived_at: float = 0.0
    square: str = ""  # by its path
    arrived: float = field(default_factory=time.monotonic)
    place: int = -1  # in the table's columns
    members: tuple[Member, ...] = ()  # as they were when the item was last judged
    members_digest: str = ""  # names their results
    seen_by_parent: object = None  # what the item it is a member of was last judged by

    @property
    def id(self) -> ItemId:
        """Names the item; two entries have the same only where one of them is refused."""
        return self.item.id

    @property
    def path(self) -> Path:
        """The raw file. Raises ValueError where there is none of its own."""
        return self.item.path

    @property
    def fingerprint(self) -> str:
        """That of the raw file, "" = not yet; of an item without one, that of its members."""
        return self.fingerprints.get(FRAMES, self.members_digest)

    @fingerprint.setter
    def fingerprint(self, value: str) -> None:
        if value and self.item.file(FRAMES) is not None:
            self.fingerprints = {**self.fingerprints, FRAMES: value}

    @property
    def tries(self) -> int:
        """Attempts that failed."""
        return self.stored.failure.tries if self.stored.failure else self.deaths + self.hiccups
