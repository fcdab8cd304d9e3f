"""The first line of every screen: state of the engine, age of the newest file, free disk space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.style import Style
from textual.strip import Strip

from warptui.engine.model.item import State
from warptui.engine.model.status import EngineStatus
from warptui.screens import words
from warptui.screens.link.mirror import Mirror
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece

QUIET_AFTER_S = 600.0  # s without a new file after which the age is highlighted
DISK_HOURS = 4.0
NAME_WIDTH = 30

_SIGNS = {"running": "●", "paused": "‖", "idle": "○", "stopped": "■"}
_ASCII_SIGNS = {"running": "*", "paused": "=", "idle": "o", "stopped": "#"}


@dataclass
class _Group:
    """One piece of information in forms from long to short; the highest rank is shortened first."""

    rank: int
    forms: list[list[Piece]]

    @property
    def length(self) -> int:
        return sum(len(text) for text, _ in self.forms[0])


class StatusBar(LineWidget):
    """One line; in a narrow window the less urgent pieces are shortened and left out first."""

    DEFAULT_CSS = "StatusBar { height: 1; dock: top; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.reachable = True

    def show(self, mirror: Mirror, reachable: bool) -> None:
        """Show the engine's state; nothing is drawn while the text is unchanged."""
        self.mirror, self.reachable = mirror, reachable
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        groups = _fitted(self._groups(), width)
        return [self.line(*(piece for group in groups for piece in group.forms[0]))]

    def _groups(self) -> list[_Group]:
        status = self.mirror.status
        muted = self.colours["muted"]
        if status is None:
            sentence = "connecting" if self.reachable else "engine not reachable"
            alarm = PLAIN if self.reachable else self.colours["alert"] + Style(reverse=True)
            return [_Group(0, [[(f" {sentence} ", BOLD + alarm)]])]
        name = words.shorten_left(Path(status.project).name, NAME_WIDTH, self.glyphs.ellipsis)
        rate = words.number(status.rate_per_hour, 0, self.glyphs.unknown)
        n = f"{len(self.mirror):,}"
        groups = [
            _Group(0, [[self._state(status)]]),
            _Group(7, [[(f" {name} ", BOLD)]]),
            _Group(2, [[(f" {n} items ", PLAIN)], [(f" {n} ", PLAIN)]]),
            *self._problems(),
        ]
        if self.reachable:  # without the engine, speed and age are not known
            groups.insert(3, _Group(3, [[(f" {rate}/h ", PLAIN)]]))
            newest = self._newest()
            groups.append(_Group(1, [[(" newest ", muted), newest], [(" new ", muted), newest]]))
            if status.devices:
                groups.append(_Group(5, self._devices(status)))
        groups.append(self._disk(status))
        return groups

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

    def _problems(self) -> list[_Group]:
        counts = self.mirror.counts()
        groups = []
        if n := counts[State.FAILED]:
            alert = self.colours["alert"] + BOLD
            groups.append(_Group(1, [[(f" ! {n:,} failed ", alert)]]))
        if n := counts[State.MISSING]:
            missing = self.colours["state-missing"]
            groups.append(_Group(6, [[(f" ? {n:,} missing ", missing)], [(f" ? {n:,} ", missing)]]))
        return groups

    def _newest(self) -> Piece:
        seconds = self.mirror.newest_age_s()
        text = words.age(seconds, self.glyphs.unknown)
        if seconds is not None and seconds > QUIET_AFTER_S:
            return f"! {text} ", self.colours["warning-text"] + BOLD
        return f"{text} ", PLAIN

    def _devices(self, status: EngineStatus) -> list[list[Piece]]:
        """What each device does; in the short form, how many are busy."""
        muted = self.colours["muted"]
        each: list[Piece] = []
        for device in status.devices:
            stage = str(device.get("stage") or ("starting" if device.get("item") else "waits"))
            if device.get("problem"):
                each += [(f" {device.get('device')} ", muted), ("! lost ", self.colours["alert"])]
            else:
                style = self.colours["state-running"] if device.get("item") else muted
                each += [(f" {device.get('device')} ", muted), (f"{stage} ", style)]
        busy = sum(bool(device.get("item")) for device in status.devices)
        return [each, [(f" {busy}/{len(status.devices)} busy ", PLAIN)]]

    def _disk(self, status: EngineStatus) -> _Group:
        muted = self.colours["muted"]
        free = words.size(status.disk_free_bytes, self.glyphs.unknown)
        hours = status.disk_hours_left
        long = f"{free} ({hours:.0f} h) " if hours is not None and hours < 999 else f"{free} "
        if hours is not None and hours < DISK_HOURS:
            alert = self.colours["alert"] + BOLD
            return _Group(1, [[(f" ! disk {long}", alert)], [(f" ! disk {hours:.0f} h ", alert)]])
        return _Group(
            4, [[(" disk ", muted), (long, PLAIN)], [(" disk ", muted), (f"{free} ", PLAIN)]]
        )


def _fitted(groups: list[_Group], width: int) -> list[_Group]:
    """The pieces that fit: the least important are shortened first, then left out."""
    while len(groups) > 1 and sum(group.length for group in groups) > width:
        long = [group for group in groups if len(group.forms) > 1]
        if long:
            max(long, key=lambda group: group.rank).forms.pop(0)
        else:
            groups.remove(max(groups, key=lambda group: group.rank))
    return groups
