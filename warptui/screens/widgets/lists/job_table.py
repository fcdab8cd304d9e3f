"""Lists of failed, queued, incomplete and processed items."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from rich.style import Style

from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.screens import words
from warptui.screens.keys.tables.lists import JOB_TABLE
from warptui.screens.link.mirror import STATE_NUMBERS, Mirror
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.list_pane import ListPane

NAME_WIDTH = 26  # columns, at most, where a text follows


class Tab(StrEnum):
    """The lists."""

    FAILED = "failed"  # newest failure first
    QUEUED = "queued"  # in the order of processing
    WAITING = "waiting"  # still being written; oldest first, since its writer may be stuck
    DONE = "done"  # newest first


_STATES = {
    Tab.FAILED: (State.FAILED,),
    Tab.QUEUED: (State.QUEUED, State.OUTDATED),
    Tab.WAITING: (State.WAITING,),
    Tab.DONE: (State.DONE,),
}
_EMPTY = {
    Tab.FAILED: "nothing failed",
    Tab.QUEUED: "nothing waits",
    Tab.WAITING: "nothing is being written",
    Tab.DONE: "nothing is done yet",
}


class JobTable(ListPane):
    """Shows one of the lists; the cursor stays on its item when the list changes."""

    BINDINGS = list(JOB_TABLE)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.tab = Tab.FAILED
        self.numbers = np.zeros(0, dtype=np.intp)  # numbers of the mirror's rows
        self.mark_from: int | None = None
        self._queue: dict[str, str] = {}  # names of the next items, and why they wait
        self._counts = dict.fromkeys(Tab, 0)
        self._turned = False  # to a list whose order is not known yet

    def show(self, mirror: Mirror, queue: list[tuple[str, str]]) -> None:
        """Show the items in their present states; ``queue`` is the engine's order."""
        current = self.current
        marked = self._name_at(self.mark_from)
        self.mirror, self._queue = mirror, dict(queue)
        counts = mirror.counts()
        self._counts = {tab: sum(counts[s] for s in states) for tab, states in _STATES.items()}
        self.numbers = self._ordered()
        self.mark_from = self._position(marked) if marked else None
        position = self._position(current.name) if current else None
        if self._turned and queue:
            self._turned, self.cursor = False, 0
        elif position is not None:
            self.cursor = position
        self.repaint()

    def turn_to(self, tab: Tab) -> None:
        """Show another list."""
        self.tab, self.cursor, self._top, self.mark_from = tab, 0, 0, None
        self.numbers = np.zeros(0, dtype=np.intp)
        self.show(self.mirror, list(self._queue.items()))
        self._turned = tab is Tab.QUEUED

    @property
    def tabs(self) -> list[Tab]:
        """The lists to choose from; that of incomplete files is there only while there are any."""
        return [
            tab for tab in Tab if tab is not Tab.WAITING or self._counts[tab] or tab is self.tab
        ]

    @property
    def current(self) -> ItemRow | None:
        """The item under the cursor."""
        if self.cursor >= len(self.numbers):
            return None
        return self.mirror.rows[int(self.numbers[self.cursor])]

    @property
    def marked(self) -> list[ItemRow]:
        """The marked range, or the item under the cursor."""
        if not len(self.numbers):
            return []
        low, high = self._range()
        return [self.mirror.rows[number] for number in self.numbers[low : high + 1].tolist()]

    @property
    def names(self) -> list[str]:
        """Names of all items of the list."""
        return [self.mirror.names[number] for number in self.numbers.tolist()]

    @property
    def n_rows(self) -> int:
        return len(self.numbers)

    def empty(self) -> str:
        return _EMPTY[self.tab]

    def moved(self) -> None:
        self._turned = False

    def action_mark(self) -> None:
        self.mark_from = self.cursor if self.mark_from is None else None
        self.repaint()

    def _range(self) -> tuple[int, int]:
        start = self.cursor if self.mark_from is None else self.mark_from
        return min(self.cursor, start), max(self.cursor, start)

    def _ordered(self) -> np.ndarray:
        mirror = self.mirror
        states = [STATE_NUMBERS[state] for state in _STATES[self.tab]]
        found = np.flatnonzero(np.isin(mirror.states, states))
        if self.tab is Tab.QUEUED:
            # items that the engine named come first, others after them by arrival
            known = [mirror.index[name] for name in self._queue if name in mirror.index]
            first = np.array(known, dtype=np.intp)
            first = first[np.isin(first, found)]
            return np.concatenate([first, found[~np.isin(found, first)]])
        if self.tab is Tab.WAITING:
            return found
        key = "failed_at" if self.tab is Tab.FAILED else "finished_at"
        return found[np.argsort(-mirror.rows.number(key)[found], kind="stable")]

    def _name_at(self, position: int | None) -> str | None:
        if position is None or position >= len(self.numbers):
            return None
        return self.mirror.names[int(self.numbers[position])]

    def _position(self, name: str) -> int | None:
        number = self.mirror.index.get(name)
        if number is None:
            return None
        found = np.flatnonzero(self.numbers == number)
        return int(found[0]) if len(found) else None

    def heading(self, width: int) -> list[Piece]:
        muted = self.colours["muted"]
        pieces: list[Piece] = []
        for tab in self.tabs:
            text = f" {tab} {self._counts[tab]:,} "
            if tab is self.tab:
                pieces.append((f"[{text.strip()}]", BOLD))
            else:
                alert = tab is Tab.FAILED and self._counts[tab]
                pieces.append((text, self.colours["alert"] if alert else muted))
        if self.mark_from is not None:
            low, high = self._range()
            pieces.append((f"  {high - low + 1:,} marked", BOLD))
        hint = "  h l: other list"
        if self.mark_from is None and sum(len(text) for text, _ in pieces) + len(hint) <= width:
            pieces.append((hint, muted))
        return pieces

    def row(self, position: int, width: int) -> list[Piece]:
        row = self.mirror.rows[int(self.numbers[position])]
        colours, characters = self.colours, self.glyphs
        stem = row.name.rpartition(".")[0] or row.name
        marks: list[Piece] = [(f" {characters.states[row.state]} ", colours.state(row.state))]
        if self.mark_from is not None:
            low, high = self._range()
            if low <= position <= high:
                marks = [(f">{marks[0][0][1:]}", marks[0][1] + Style(bold=True))]
        head, sentence, quiet = self._words(row, position, width)
        room = max(0, width - 3 - len(head))
        name_width = min(len(stem), NAME_WIDTH if width >= 70 else room // 3)
        name = words.shorten_name(stem, name_width, characters.ellipsis)
        rest = words.shorten_right(sentence, max(0, room - len(name) - 2), characters.ellipsis)
        muted = colours["muted"]
        return [*marks, (head, muted), (name, BOLD), (f"  {rest}", muted if quiet else PLAIN)]

    def in_full(self) -> list[Piece]:
        row = self.current
        if row is None:
            return []
        why = self._queue.get(row.name, "") if self.tab is Tab.QUEUED else ""
        reason = why or row.reason
        return [(f" {row.name}  ", BOLD), (reason, PLAIN)] if reason else [(f" {row.name}", BOLD)]

    def _words(self, row: ItemRow, position: int, width: int) -> tuple[str, str, bool]:
        """The texts before and after the name, and whether the latter is only a remark."""
        if self.tab is Tab.QUEUED:
            why = self._queue.get(row.name) or row.reason
            return f"{position + 1:>5,} ", why, True
        unknown = self.glyphs.unknown
        if self.tab is Tab.WAITING:
            return f"{words.short_clock(row.arrived_at, self.glyphs.unknown)} ", row.reason, False
        at = row.failed_at if self.tab is Tab.FAILED else row.finished_at
        clock = (words.clock if width >= 70 else words.short_clock)(at, unknown)
        if self.tab is Tab.DONE:
            each = "  ".join(f"{stage} {seconds:.1f}" for stage, seconds in row.seconds.items())
            total = f"{sum(row.seconds.values()):.1f} s" if row.seconds else unknown
            return f"{clock} ", f"{total}  {each}", True
        tries = f"{row.tries}x " if row.tries > 1 else ("   " if width >= 70 else "")
        return f"{clock} {tries}", row.reason, False
