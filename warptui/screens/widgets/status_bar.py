"""The first line of every screen: is it running, is data coming, will the disk last."""

from __future__ import annotations

from pathlib import Path

from rich.style import Style
from textual.strip import Strip

from warptui.engine.items import EngineStatus, State
from warptui.screens import words
from warptui.screens.mirror import Mirror
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece

QUIET_AFTER_S = 600.0  # no new file for so long is worth a second look
DISK_HOURS = 4.0

_SIGNS = {"running": "●", "paused": "‖", "idle": "○", "stopped": "■"}
_ASCII_SIGNS = {"running": "*", "paused": "=", "idle": "o", "stopped": "#"}


class StatusBar(LineWidget):
    """One line; what is less urgent is left out first when it gets narrow."""

    DEFAULT_CSS = "StatusBar { height: 1; dock: top; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.reachable = True

    def show(self, mirror: Mirror, reachable: bool) -> None:
        """Show the engine's state; nothing is sent while the words stay the same."""
        self.mirror, self.reachable = mirror, reachable
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        pieces = self._pieces()
        while len(pieces) > 1 and _length(pieces) > width:
            least = max(pieces, key=lambda entry: entry[0])
            pieces.remove(least)
        return [self.line(*(piece for _, group in pieces for piece in group))]

    def _pieces(self) -> list[tuple[int, list[Piece]]]:
        """Groups of styled texts with their rank: the highest is left out first."""
        status = self.mirror.status
        muted = self.colours["muted"]
        if status is None:
            said = "connecting" if self.reachable else "engine not reachable"
            alarm = PLAIN if self.reachable else self.colours["alert"] + Style(reverse=True)
            return [(0, [(f" {said} ", BOLD + alarm)])]
        pieces: list[tuple[int, list[Piece]]] = [(0, [self._state(status)])]
        pieces.append((6, [(f" {Path(status.project).name} ", BOLD)]))
        pieces.append((1, [(f" {len(self.mirror):,} items ", PLAIN)]))
        rate = words.number(status.rate_per_hour, 0, self.glyphs.unknown)
        pieces.append((2, [(f" {rate}/h ", PLAIN)]))
        counts = self.mirror.counts()
        if problems := counts[State.FAILED] + counts[State.MISSING]:
            pieces.append((1, [(f" ! {problems:,} failed ", self.colours["alert"] + BOLD)]))
        pieces.append((1, [(" newest ", muted), self._newest()]))
        if status.devices:
            busy = sum(bool(device.get("item")) for device in status.devices)
            workers = f"{busy}/{len(status.devices)}"
            pieces.append((4, [(" workers ", muted), (f"{workers} busy ", PLAIN)]))
        pieces.append((3, [(" disk ", muted), self._disk(status)]))
        return pieces

    def _state(self, status: EngineStatus) -> Piece:
        state = status.state if self.reachable else "stopped"
        signs = _ASCII_SIGNS if self.drawing == "ascii" else _SIGNS
        text = f" {signs.get(state, '!')} {state.upper()} "
        name = {
            "running": "state-done",
            "idle": "state-done",
            "paused": "state-outdated",
        }.get(state, "state-failed")
        return text, self.colours[name] + Style(reverse=True, bold=True)

    def _newest(self) -> Piece:
        seconds = self.mirror.newest_age_s()
        text = words.age(seconds, self.glyphs.unknown)
        if seconds is not None and seconds > QUIET_AFTER_S:
            return f"! {text} ", self.colours["warning-text"] + BOLD
        return f"{text} ", PLAIN

    def _disk(self, status: EngineStatus) -> Piece:
        free = words.size(status.disk_free_bytes, self.glyphs.unknown)
        hours = status.disk_hours_left
        if hours is None:
            return f"{free} ", PLAIN
        text = f"{free} ({hours:.0f} h) " if hours < 999 else f"{free} "
        if hours < DISK_HOURS:
            return f"! {text}", self.colours["alert"] + BOLD
        return text, PLAIN


def _length(pieces: list[tuple[int, list[Piece]]]) -> int:
    return sum(len(text) for _, group in pieces for text, _ in group)
