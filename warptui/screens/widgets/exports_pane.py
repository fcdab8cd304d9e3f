"""What is written for other programs: how many rows, where, and since when it is current."""

from __future__ import annotations

from typing import Any

from textual.strip import Strip

from warptui.screens import words
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget


class ExportsPane(LineWidget):
    """One line per export; not there while there is none."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.exports: tuple[dict[str, Any], ...] = ()

    def show(self, exports: tuple[dict[str, Any], ...]) -> None:
        """Show these."""
        self.exports = exports
        self.display = bool(exports)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        lines = []
        muted = self.colours["muted"]
        for export in self.exports[:height]:
            head = f" {export.get('name', '?')} "
            facts = f" {int(export.get('rows') or 0):,} rows  {export.get('state', '')} "
            facts += f" {words.short_clock(float(export.get('at') or 0))} "
            room = max(0, width - len(head) - len(facts))
            path = words.shorten_left(str(export.get("path", "")), room, self.glyphs.ellipsis)
            lines.append(self.line((head, BOLD), (facts, PLAIN), (path, muted)))
        return lines
