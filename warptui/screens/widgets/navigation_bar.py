"""The whole session in one line: a cell per slice of it, showing the worst that is in there."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from warptui.engine.items import Choice, State
from warptui.screens.mirror import CHOICE_NUMBERS, STATE_NUMBERS, STATES, Mirror
from warptui.screens.widgets.line import LineWidget, Piece

_SEVERITY = (  # the worst first
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
    """Cells from the first to the newest item, the cursor, and how much is done."""

    DEFAULT_CSS = "NavigationBar { height: 1; }"

    class Jumped(Message):
        """A place of the session was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.current: int | None = None
        self._worst: tuple[int, np.ndarray] | None = None  # room, and the worst rank per cell

    def show(self, mirror: Mirror, current: int | None) -> None:
        """Show the session with the cursor on item number ``current``."""
        self.mirror, self.current, self._worst = mirror, current, None
        self.repaint()

    def show_cursor(self, current: int | None) -> None:
        """The same session with the cursor elsewhere."""
        self.current = current
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        n = len(self.mirror)
        muted = self.colours["muted"]
        done = int((self.mirror.states == STATE_NUMBERS[State.DONE]).sum())
        percent = f" {done / n:4.0%} done " if n else " "
        cells = self._cells(width - len(percent) - 2)
        return [
            self.line(
                ("▕" if self.drawing != "ascii" else "[", muted),
                *cells,
                ("▏" if self.drawing != "ascii" else "]", muted),
                (percent, muted),
            )
        ]

    def _cells(self, room: int) -> list[Piece]:
        n = len(self.mirror)
        n_cells = min(room, n)
        if n_cells <= 0:
            return [(" " * max(0, room), Style())]
        starts = np.arange(n_cells) * n // n_cells
        if self._worst is None or self._worst[0] != room:
            self._worst = (room, np.maximum.reduceat(self._ranks(), starts))
        worst = self._worst[1]
        at = -1 if self.current is None else int(np.searchsorted(starts, self.current, "right")) - 1
        pieces: list[Piece] = []
        for cell, rank in enumerate(worst.tolist()):
            text, style = self._cell(_SEVERITY[len(_SEVERITY) - rank])
            if cell == at:
                text, style = self.glyphs.cursor, self.colours["plot-cursor"] + Style(bold=True)
            if pieces and pieces[-1][1] == style and cell != at:
                pieces[-1] = (pieces[-1][0] + text, style)
            else:
                pieces.append((text, style))
        return [*pieces, (" " * (room - n_cells), Style())]

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
        ranks[done & ~mirror.selected] = _RANKS["filtered"]
        excluded = mirror.choices == CHOICE_NUMBERS[Choice.EXCLUDE]
        ranks[excluded] = _RANKS["excluded"]
        return ranks

    def on_click(self, event: events.Click) -> None:
        n = len(self.mirror)
        cells = min(self.size.width - 2, n)
        if cells > 0 and 1 <= event.x <= cells:
            self.post_message(self.Jumped((event.x - 1) * n // cells))
