"""The navigation bar: the session in one line, where each cell shows its worst item.

Slices are equal parts of what the strips run along: the order of arrival, or the time.
"""

from __future__ import annotations

import numpy as np
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from warptui.engine.model.item import Choice, State
from warptui.screens.link.mirror import CHOICE_NUMBERS, STATE_NUMBERS, STATES, Mirror
from warptui.screens.overview.acquisition import Along, axis_of
from warptui.screens.widgets.line import PLAIN, LineWidget, Piece

_SEVERITY = (  # worst state first
    State.FAILED,
    State.MISSING,
    State.OUTDATED,
    State.WAITING,
    State.RUNNING,
    State.QUEUED,
    "filtered",
    "excluded",
    State.DONE,
)
_RANKS = {what: len(_SEVERITY) - position for position, what in enumerate(_SEVERITY)}


class NavigationBar(LineWidget):
    """Cells from the first to the newest item, the cursor, and the share of processed items."""

    DEFAULT_CSS = "NavigationBar { height: 1; }"

    class Jumped(Message):
        """The user clicked a place of the session."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.current: int | None = None
        self._along = Along.ORDER
        self._slices: tuple[int, np.ndarray, np.ndarray] | None = None  # cached result of `_sliced`

    def show(self, mirror: Mirror, current: int | None, along: Along = Along.ORDER) -> None:
        """Show the session with the cursor on item number ``current``."""
        self.mirror, self.current, self._slices = mirror, current, None
        self._along = along
        self.repaint()

    def show_cursor(self, current: int | None) -> None:
        """Move the cursor to item number ``current``; the session is unchanged."""
        self.current = current
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        n = len(self.mirror)
        muted = self.colours["muted"]
        done = int((self.mirror.states == STATE_NUMBERS[State.DONE]).sum())
        percent = f" {100 * done // n:3}% done " if n else " "  # 100 % only if all are processed
        cells = self._cells(width - len(percent) - 2)
        return [
            self.line(
                ("▕" if self.drawing != "ascii" else "[", muted),
                *cells[:-1],
                ("▏" if self.drawing != "ascii" else "]", muted),  # the present end of the session
                cells[-1],
                (percent, muted),
            )
        ]

    def _sliced(self, room: int) -> tuple[np.ndarray, np.ndarray]:
        """(item,) cell of each item, -1 = outside; (cell,) worst rank in each cell, 0 = empty."""
        if self._slices is None or self._slices[0] != room:
            x = axis_of(self.mirror, self._along).x
            n_cells = min(room, len(x))
            cells = np.where(
                np.isfinite(x), np.minimum(np.nan_to_num(x) * n_cells, n_cells - 1), -1
            )
            cells = cells.astype(np.intp)
            worst = np.zeros(n_cells, dtype=np.uint8)
            somewhere = cells >= 0
            np.maximum.at(worst, cells[somewhere], self._ranks()[somewhere])
            self._slices = (room, cells, worst)
        return self._slices[1:]

    def _cells(self, room: int) -> list[Piece]:
        if room <= 0 or not len(self.mirror):
            return [(" " * max(0, room), Style())]
        cells, worst = self._sliced(room)
        at = -1 if self.current is None else int(cells[self.current])
        pieces: list[Piece] = []
        names = {rank: _SEVERITY[len(_SEVERITY) - rank] for rank in set(worst.tolist()) if rank}
        looks = {rank: self._cell(what) for rank, what in names.items()}
        for cell, rank in enumerate(worst.tolist()):
            text, style = looks.get(rank, (" ", PLAIN))
            if cell == at:  # the cursor does not hide a problem in its cell
                what = names.get(rank, "")
                quiet = what in ("", State.DONE)
                text = self.glyphs.cursor if quiet else text
                style = self.colours["plot-cursor"] + Style(bold=True, reverse=not quiet)
            if pieces and pieces[-1][1] == style and cell != at:
                pieces[-1] = (pieces[-1][0] + text, style)
            else:
                pieces.append((text, style))
        return [*pieces, (" " * (room - len(worst)), Style())]

    def _cell(self, what: str) -> Piece:
        characters = self.glyphs
        if what == "filtered":
            return characters.filtered, self.colours["choice-filtered"]
        if what == "excluded":
            return characters.excluded, self.colours["choice-excluded"]
        state = State(what)
        if state is State.DONE:
            return characters.slices[state], self.colours["slice-done"]
        bold = Style(bold=state in (State.FAILED, State.MISSING))
        return characters.slices[state], self.colours.state(state) + bold

    def _ranks(self) -> np.ndarray:
        mirror = self.mirror
        table = np.array([_RANKS[state] for state in STATES], dtype=np.uint8)
        ranks = table[mirror.states]
        done = mirror.states == STATE_NUMBERS[State.DONE]
        ranks[done & mirror.filtered] = _RANKS["filtered"]
        excluded = mirror.choices == CHOICE_NUMBERS[Choice.EXCLUDE]
        ranks[excluded] = _RANKS["excluded"]
        return ranks

    def on_click(self, event: events.Click) -> None:
        if self._slices is not None and 1 <= event.x <= len(self._slices[2]):
            cells = self._slices[1]
            nearest = int(np.argmin(np.abs(cells - (event.x - 1))))
            self.post_message(self.Jumped(nearest))
