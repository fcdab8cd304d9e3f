"""Everything about one item, and the result of a trial on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from warptui.engine.model.row import ItemRow

AVERAGE, PREVIEW = "average", "preview"  # products that the app needs beside the stages' views


@dataclass(frozen=True)
class ItemDetail:
    """Everything about one item: what the item screen shows."""

    row: ItemRow
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # per stage, as stored
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # per stage, as processed
    outdated: dict[str, str] = field(default_factory=dict)  # per stage: why it must run
    history: tuple[dict[str, Any], ...] = ()  # stage, finished_at, device, seconds, version
    raw_path: str = ""
    paths: dict[str, str] = field(default_factory=dict)  # of products that are there, by name
    edits: dict[str, Any] = field(default_factory=dict)  # of the picks, by hand; see `edits.Edits`
    edits_problem: str = ""  # why the edits cannot be read
    failed_stage: str = ""  # where the last failure happened
    log_tail: str = ""  # of the worker that failed on it
    traceback: str = ""

    def path(self, product: str) -> str:
        """Path of a product that a stage declares as shown; "" while it does not exist."""
        return self.paths.get(product, "")


@dataclass(frozen=True)
class Trial:
    """What a stage made of an item with settings that were only tried; nothing of it is stored."""

    name: str  # of the item
    stage: str
    settings: dict[str, Any]  # of the stage, all of them
    result: dict[str, Any]  # as it would be stored
    pictures: dict[str, str] = field(default_factory=dict)  # paths by product, there for a while
    seconds: float = 0.0
    device: str = ""
