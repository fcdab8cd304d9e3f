"""The engine's log: filtered by level, searchable; the cursor follows the end or stays to read."""

from __future__ import annotations

import time

from rich.style import Style

from warptui.engine.api.events import LogLine
from warptui.screens import words
from warptui.screens.link.mirror import Mirror
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.list_pane import ListPane

LEVELS = ("debug", "info", "warning", "error")
_SIGNS = {"debug": "   D", "info": "   I", "warning": " ! W", "error": "!! E"}
_NAME_WIDTHS = ((100, 26), (60, 18), (0, 12))  # columns of the pane from which it is shown


class LogPane(ListPane):
    """Log lines of a level and above; ``tail`` keeps the cursor on the newest."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tail = True
        self.level = "info"
        self.search = ""
        self._mirror = Mirror()
        self._lines: list[tuple[int, LogLine]] = []  # with their numbers since the start

    def show(self, mirror: Mirror) -> None:
        """Show the log; the cursor stays on its line unless it follows the newest."""
        self._mirror = mirror
        number = self._lines[self.cursor][0] if self.cursor < len(self._lines) else 0
        above = self.cursor - self._top
        least = LEVELS.index(self.level)
        first = mirror.n_logged - len(mirror.log)
        self._lines = [
            (first + index, line)
            for index, line in enumerate(mirror.log)
            if _rank(line.level) >= least
        ]
        if self.tail:
            self.cursor = max(0, len(self._lines) - 1)
        else:
            later = (n for n, (known, _) in enumerate(self._lines) if known >= number)
            self.cursor = next(later, max(0, len(self._lines) - 1))
            self._top = max(0, self.cursor - above)
        self.repaint()

    @property
    def current(self) -> LogLine | None:
        """The line under the cursor."""
        return self._lines[self.cursor][1] if self.cursor < len(self._lines) else None

    @property
    def n_rows(self) -> int:
        return len(self._lines)

    def empty(self) -> str:
        return "the log is empty" if self.level != "error" else "no errors"

    def moved(self) -> None:
        self.tail = self.cursor >= len(self._lines) - 1
        self.repaint()

    def follow(self, on: bool) -> None:
        """Follow the newest line, or stay on this one."""
        self.tail = on
        self.show(self._mirror)

    def next_level(self) -> None:
        """Show another least level: debug, info, warning, error."""
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        self.show(self._mirror)

    def search_for(self, text: str) -> None:
        """Highlight ``text``, and go to the last line that contains it."""
        self.search = text.lower()
        found = bool(self.search) and self.go_to_match(-1, from_end=True)
        if not found:
            self.repaint()

    def go_to_match(self, direction: int, *, from_end: bool = False) -> bool:
        """Go to the next line that matches, wrapping around; False if no line does."""
        matching = [n for n, (_, line) in enumerate(self._lines) if self._matches(line)]
        if not matching:
            return False
        here = len(self._lines) if from_end else self.cursor
        if direction < 0:
            earlier = [n for n in matching if n < here]
            position = earlier[-1] if earlier else matching[-1]
        else:
            position = next((n for n in matching if n > here), matching[0])
        self.tail = False
        self.go_to(position)
        return True

    def _matches(self, line: LogLine) -> bool:
        return bool(self.search) and self.search in f"{line.item} {line.text}".lower()

    def heading(self, width: int) -> list[Piece]:
        muted = self.colours["muted"]
        level = self.level if self.level == "error" else f"{self.level} and above"
        pieces: list[Piece] = [(f" {level} ", BOLD)]
        if self.current is not None and words.day(self.current.at) != words.day(time.time()):
            pieces.append((f" {words.day(self.current.at)} ", muted))
        if self.tail:
            pieces.append((" follows ", muted))
        elif later := len(self._lines) - 1 - self.cursor:
            pieces.append((f" {later:,} newer: L ", self.colours["warning-text"]))
        if self.search:
            n = sum(self._matches(line) for _, line in self._lines)
            pieces.append((f" /{self.search} {n:,} ", BOLD if n else self.colours["alert"]))
        return pieces

    def in_full(self) -> list[Piece]:
        line = self.current
        if line is None or self.tail:
            return []
        item: list[Piece] = [(f" {line.item} ", BOLD)] if line.item else []
        return [*item, (f" {line.text}", PLAIN)]

    def row(self, position: int, width: int) -> list[Piece]:
        line = self._lines[position][1]
        clock = words.time_of_day(line.at, seconds=width >= 60)
        before = self._lines[position - 1][1] if position else None
        if words.day(line.at) != words.day(before.at if before else time.time()):
            clock = f"{words.day(line.at)} {clock}"  # a line for each new day
        name_width = next(name for least, name in _NAME_WIDTHS if width >= least)
        stem = line.item.rpartition(".")[0] or line.item
        name = words.shorten_name(stem, name_width, self.glyphs.ellipsis)
        style = {
            "warning": self.colours["warning-text"],
            "error": self.colours["alert"] + BOLD,
            "debug": self.colours["muted"],
        }.get(line.level, PLAIN)
        head = f" {clock} {_SIGNS.get(line.level, _SIGNS['info'])} "
        name = f"{name} " if name else ""
        text = words.shorten_right(
            " ".join(line.text.split()), max(0, width - len(head) - len(name)), self.glyphs.ellipsis
        )
        quiet = line.level in ("debug", "info")  # muted, so that warnings and errors are seen first
        head_style = self.colours["muted"] if quiet else style
        found = Style(reverse=True)
        in_name = bool(self.search) and self.search in line.item.lower()
        name_style = (PLAIN if quiet else BOLD) + (found if in_name else PLAIN)
        return [(head, head_style), (name, name_style), *_marked(text, self.search, style, found)]


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("info")


def _marked(text: str, search: str, style: Style, found: Style) -> list[Piece]:
    """``text`` with every occurrence of ``search`` highlighted."""
    if not search:
        return [(text, style)]
    pieces: list[Piece] = []
    low, start = text.lower(), 0
    while (at := low.find(search, start)) >= 0 and len(low) == len(text):
        pieces += [(text[start:at], style), (text[at : at + len(search)], style + found)]
        start = at + len(search)
    return [*pieces, (text[start:], style)]
