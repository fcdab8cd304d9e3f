"""A pane of styled text that scrolls: values, settings, history."""

from __future__ import annotations

import textwrap

from textual.strip import Strip

from warptui.screens.keys.tables.lists import TEXT
from warptui.screens.widgets.line import LineWidget, Piece


class TextPane(LineWidget, can_focus=True):
    """Shows lines of text; `j` and `k` scroll."""

    BINDINGS = list(TEXT)

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[list[Piece]] = []
        self._top = 0

    def show(self, lines: list[list[Piece]]) -> None:
        """Show other lines; returns to the top if their number changed."""
        if len(lines) != len(self._lines):
            self._top = 0
        self._lines = lines
        self.repaint()

    def lines_at(self, width: int) -> int:
        """Number of lines for all text at this width."""
        return sum(len(wrap(line, width)) for line in self._lines)

    def action_scroll_lines(self, step: int) -> None:
        self._top = max(self._top + step, 0)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        lines = [part for line in self._lines for part in wrap(line, width)]
        self._top = min(self._top, max(0, len(lines) - height))
        shown = [self.line(*line) for line in lines[self._top : self._top + height]]
        more = len(lines) - self._top - height
        if more > 0:
            shown[-1] = self.line(
                (
                    f" {more + 1} more{': j k' if self.has_focus else ': tab, j k'}",
                    self.colours["muted"],
                )
            )
        return shown


def wrap(line: list[Piece], width: int) -> list[list[Piece]]:
    """Break a line at this width; continued lines are indented under the last piece."""
    used = sum(len(text) for text, _ in line[:-1])
    if not line or used + len(line[-1][0]) <= width or width < 8:
        return [line]
    indent = used if used < width // 2 else 3
    text, style = line[-1]
    if used >= width:  # textwrap never ends if the indent leaves no room
        parts = textwrap.wrap(text, width - indent)
        return [line[:-1], *([(" " * indent + part, style)] for part in parts)]
    # break long words (paths, hashes), too, so that no text is lost at the right edge
    parts = textwrap.wrap(text, width - indent, initial_indent=" " * max(0, used - indent))
    if not parts:
        return [line]
    first = parts[0][max(0, used - indent) :]
    return [[*line[:-1], (first, style)], *([(" " * indent + part, style)] for part in parts[1:])]
