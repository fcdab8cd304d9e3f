"""The status pane: items by state, time per stage, what each device does, and the input folder."""

from __future__ import annotations

from pathlib import Path

from textual.strip import Strip

from warptui.engine.model.item import Choice, State
from warptui.screens import words
from warptui.screens.link.mirror import CHOICE_NUMBERS, Mirror
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece

_ORDER = (
    State.DONE,
    State.RUNNING,
    State.QUEUED,
    State.WAITING,
    State.OUTDATED,
    State.FAILED,
    State.MISSING,
)


class StatusPanel(LineWidget):
    """Shows the session in numbers."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.reachable = True
        self.counts = (0, 0)  # numbers of selected and of filtered items

    def show(self, mirror: Mirror, counts: tuple[int, int], reachable: bool = True) -> None:
        """Show the session's numbers; without an engine, only those that do not age.

        ``counts`` are the selected and the filtered items, by the limits as shown, also while a key
        moves a limit.
        """
        self.mirror, self.counts, self.reachable = mirror, counts, reachable
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        lines = _wrap(self._states(), width)
        lines += _wrap(self._choices(), width)
        lines += _wrap(self._pace(), width)
        lines += _wrap(self._stages(), width)
        tail = self._source(width)
        devices = self._devices(width)
        room = height - len(lines) - len(tail)
        if len(devices) > room:
            devices = [
                *devices[: max(0, room - 1)],
                [(f" and {len(devices) - room + 1} more", PLAIN)],
            ]
        return [self.line(*line) for line in [*lines, *devices, *tail]]

    def _states(self) -> list[list[Piece]]:
        counts = self.mirror.counts()
        groups = []
        for state in _ORDER:
            n = counts[state]
            always = state in (State.DONE, State.QUEUED, State.FAILED)
            if n or always:
                colour = self.colours.state(state)
                quiet = self.colours["muted"] if not n else PLAIN
                groups.append(
                    [
                        (f" {self.glyphs.states[state]} ", colour + BOLD),
                        (f"{n:,} ", BOLD if n else quiet),
                        (f"{state} ", colour if n else quiet),
                    ]
                )
        return groups

    def _choices(self) -> list[list[Piece]]:
        selected, filtered = self.counts
        numbers = (
            (None, "selected", selected),
            (self.glyphs.filtered, "filtered", filtered),
            (self.glyphs.excluded, "excluded", self._chosen(Choice.EXCLUDE)),
            (self.glyphs.included, "included by hand", self._chosen(Choice.INCLUDE)),
        )
        muted = self.colours["muted"]
        return [
            [(f" {glyph or ' '} ", BOLD), (f"{n:,} ", BOLD if n else muted), (f"{name} ", muted)]
            for glyph, name, n in numbers
            if n or glyph is None
        ]

    def _chosen(self, choice: Choice) -> int:
        return int((self.mirror.choices == CHOICE_NUMBERS[choice]).sum())

    def _pace(self) -> list[list[Piece]]:
        """Items per hour, age of the newest file, and how long the disk lasts."""
        status = self.mirror.status
        if status is None:
            return []
        muted, unknown = self.colours["muted"], self.glyphs.unknown
        rate = words.number(status.rate_per_hour, 0, unknown)
        age = words.age(self.mirror.newest_age_s(), unknown)
        disk = words.size(status.disk_free_bytes, unknown)
        if not self.reachable:
            return [[("   disk ", muted), (f"{disk} ", PLAIN)]]
        hours = status.disk_hours_left
        lasts = "" if hours is None else f", {hours:.0f} h left" if hours < 999 else ", for weeks"
        return [
            [("   rate ", muted), (f"{rate}/h ", PLAIN)],
            [("  newest file ", muted), (f"{age} " if age == unknown else f"{age} old ", PLAIN)],
            [("  disk ", muted), (f"{disk}{lasts} ", PLAIN)],
        ]

    def _stages(self) -> list[list[Piece]]:
        status = self.mirror.status
        if status is None or not status.seconds_per_stage:
            return []
        muted = self.colours["muted"]
        groups: list[list[Piece]] = [[("   s per item ", muted)]]
        for stage, seconds in status.seconds_per_stage.items():
            groups.append([(f" {stage} ", muted), (f"{seconds:.1f}", PLAIN), (" ", PLAIN)])
        return groups

    def _devices(self, width: int) -> list[list[Piece]]:
        lines: list[list[Piece]] = []
        if not self.reachable:
            return lines
        muted = self.colours["muted"]
        for device in self.mirror.status.devices if self.mirror.status else ():
            head = f"   {device.get('device', '?')} "
            item = str(device.get("item") or "")
            if not item:
                lines.append([(head, BOLD), ("waiting for items", muted)])
                continue
            done = f" {device.get('stage', '')} {float(device.get('fraction') or 0):4.0%}"
            room = max(4, width - len(head) - len(done) - 1)
            name = words.shorten_name(item.rpartition(".")[0] or item, room, self.glyphs.ellipsis)
            lines.append([(head, BOLD), (name, PLAIN), (done, self.colours["state-running"])])
        return lines

    def _source(self, width: int) -> list[list[Piece]]:
        status = self.mirror.status
        if status is None:
            return []
        muted = self.colours["muted"]
        if not self.reachable:
            sentence = "no engine: nothing is watched and nothing is processed"
            return [
                [(f"   {words.shorten_right(sentence, width - 3, self.glyphs.ellipsis)}", muted)]
            ]
        watch = f"  by {status.watch_mode}" if status.watch_mode else ""
        room = max(8, width - len(watch) - 11)
        folder = words.shorten_left(str(Path(status.input_folder)), room, self.glyphs.ellipsis)
        return [[("   watching ", muted), (folder, PLAIN), (watch, muted)]]


def _wrap(groups: list[list[Piece]], width: int) -> list[list[Piece]]:
    """Groups side by side; a new line where the next group does not fit."""
    lines: list[list[Piece]] = []
    used = width
    for group in groups:
        length = sum(len(text) for text, _ in group)
        if used + length > width:
            lines.append([])
            used = 0
        lines[-1].extend(group)
        used += length
    return lines
