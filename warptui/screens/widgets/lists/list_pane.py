"""Base class of the lists of the jobs screen: a header line, rows drawn when visible, a cursor."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.strip import Strip

from warptui.screens.keys.tables.lists import MOVING
from warptui.screens.widgets.line import LineWidget, Piece
from warptui.screens.widgets.lists.text_pane import wrap

FOOT_FROM = 12  # lines; smaller panes have no room to show a row in full
FOOT_LINES = 4


class ListPane(LineWidget, can_focus=True):
    """Draws `heading` and the rows around the cursor; subclasses define the rows."""

    BINDINGS = list(MOVING)

    class Opened(Message):
        """The user opened the row under the cursor."""

    class Moved(Message):
        """The user moved the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self._top = 0

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        raise NotImplementedError

    def heading(self, width: int) -> list[Piece]:
        """The header line; empty without one."""
        return []

    def headings(self, width: int) -> list[list[Piece]]:
        """All lines above the rows."""
        heading = self.heading(width)
        return [heading] if heading else []

    def row(self, position: int, width: int) -> list[Piece]:
        """The pieces of one row."""
        raise NotImplementedError

    def empty(self) -> str:
        """The text in place of an empty list."""
        return ""

    def in_full(self) -> list[Piece]:
        """Details of the row under the cursor for which it has no room; the last is wrapped."""
        return []

    def moved(self) -> None:
        """Called after the user moved the cursor."""
        self.post_message(self.Moved())

    def go_to(self, position: int) -> None:
        """Put the cursor on a row; beyond the ends, on the nearest one."""
        self.cursor = min(max(position, 0), max(0, self.n_rows - 1))
        self.repaint()

    def action_move(self, step: int) -> None:
        self.go_to(self.cursor + step)
        self.moved()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 2))

    def action_jump(self, position: int) -> None:
        self.go_to(position if position >= 0 else self.n_rows - 1)
        self.moved()

    def action_open(self) -> None:
        if self.n_rows:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        here = event.get_content_offset(self)  # the frame belongs to the widget
        if here is None:
            return
        line = here.y - len(self.headings(self.size.width))
        position = self._top + line
        if line >= 0 and position < self.n_rows:
            again = position == self.cursor and event.chain == 2
            self.go_to(position)
            self.moved()
            if again:
                self.action_open()

    def paint(self, width: int, height: int) -> list[Strip]:
        lines = [self.line(*heading) for heading in self.headings(width)]
        n = self.n_rows
        foot = self._foot(width) if n and height >= FOOT_FROM else []
        room = max(0, height - len(lines) - len(foot))
        if not n:
            return [*lines, *(self.line(*line) for line in self.wrapped(self.empty(), width))]
        self.cursor = min(self.cursor, n - 1)
        self._top = min(max(self._top, self.cursor - room + 1, 0), self.cursor, max(0, n - room))
        for position in range(self._top, min(n, self._top + room)):
            pieces = self.row(position, width)
            if position == self.cursor:
                lines.append(self._under_cursor(pieces, width))
            else:
                lines.append(self.line(*pieces))
        lines += [self.line()] * (height - len(foot) - len(lines)) if foot else []
        return lines + foot

    def _foot(self, width: int) -> list[Strip]:
        """The row under the cursor in full, under a rule."""
        full = self.in_full()
        if not full:
            return []
        lines = wrap(full, width)[:FOOT_LINES]
        rule = (self.glyphs.rule * width, self.colours["muted"])
        return [self.line(rule), *(self.line(*line) for line in lines)]

    def _under_cursor(self, pieces: list[Piece], width: int) -> Strip:
        look = self.colours.on("row-cursor" if self.has_focus else "row-cursor-dim")
        if self.app.no_color:
            look = type(look)(reverse=self.has_focus, underline=not self.has_focus)
        pieces = [(text, style + look) for text, style in pieces]
        used = sum(len(text) for text, _ in pieces)
        return self.line(*pieces, (" " * max(0, width - used), look))
