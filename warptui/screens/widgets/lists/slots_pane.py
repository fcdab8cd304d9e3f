"""The workers: the item and stage of each, and how long the stage usually takes."""

from __future__ import annotations

from typing import Any

from warptui.engine.model.status import EngineStatus
from warptui.screens import words
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.list_pane import ListPane

NAME_WIDTH = 8  # least width of a name


class SlotsPane(ListPane):
    """One line per worker."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.devices: tuple[dict[str, Any], ...] = ()
        self._usual: dict[str, float] = {}

    def show(self, status: EngineStatus | None) -> None:
        """Show the engine's workers."""
        self.devices = status.devices if status else ()
        self._usual = status.seconds_per_stage if status else {}
        self.repaint()

    @property
    def current(self) -> str:
        """The item of the worker under the cursor; empty while it waits."""
        return str(self.devices[self.cursor].get("item") or "") if self.devices else ""

    @property
    def trial(self) -> str:
        """The item on which the worker under the cursor tries settings; empty without a trial."""
        device = self.devices[self.cursor] if self.devices else {}
        return str(device.get("item") or "") if device.get("trial") else ""

    @property
    def n_rows(self) -> int:
        return len(self.devices)

    def empty(self) -> str:
        return "nothing runs"

    def row(self, position: int, width: int) -> list[Piece]:
        device = self.devices[position]
        names = [str(device.get("device", "?")) for device in self.devices]
        head: Piece = (f" {names[position]:{max(map(len, names))}} ", BOLD)
        muted = self.colours["muted"]
        if problem := device.get("problem"):
            room = max(0, width - len(head[0]) - 2)
            text = words.shorten_right(str(problem), room, self.glyphs.ellipsis)
            return [head, (f"! {text}", self.colours["alert"])]
        item = str(device.get("item") or "")
        if not item:
            text = "waits for items" if device.get("pid") else "starts"
            return [head, (f"{self._glyph('queued')} {text}", muted)]
        stage = str(device.get("stage") or "starting")
        fraction = float(device.get("fraction") or 0.0)
        usual = words.number(self._usual.get(stage), 1, self.glyphs.unknown)
        took = f" {int(device.get('seconds') or 0)}/{usual} s "
        stage = f"trial of {stage}" if device.get("trial") else stage
        done = f" {stage} {fraction:4.0%}"
        room = width - len(head[0]) - 2 - len(done) - len(took)
        if room < NAME_WIDTH:
            done, room = f" {stage}", room + 5
        name = words.shorten_name(item.rpartition(".")[0] or item, room, self.glyphs.ellipsis)
        running = self.colours["state-running"]
        return [
            head,
            (f"{self._glyph('running')} ", running),
            (name.ljust(max(0, room)), PLAIN),
            (done, running),
            (took, PLAIN),
        ]

    def _glyph(self, state: str) -> str:
        return next(glyph for known, glyph in self.glyphs.states.items() if known == state)
