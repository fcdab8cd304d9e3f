"""The exports: number of rows, file, start time, and the reason of a failure."""

from __future__ import annotations

from warptui.engine.model.exports import Export
from warptui.screens import words
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.list_pane import ListPane

_STATES = {
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "missing",
    "live": "done",
}


class ExportsPane(ListPane):
    """One line per export, the newest first; hidden without exports."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.exports: tuple[Export, ...] = ()

    def show(self, exports: tuple[Export, ...]) -> None:
        """Show these exports; the cursor stays on its export."""
        if exports == self.exports:
            return
        before = self.current
        self.exports = exports
        ids = [export.id for export in exports]
        if before is not None and before.id in ids:
            self.cursor = ids.index(before.id)
        self.display = bool(exports)
        self.repaint()

    @property
    def current(self) -> Export | None:
        """The export under the cursor."""
        return self.exports[min(self.cursor, len(self.exports) - 1)] if self.exports else None

    @property
    def n_rows(self) -> int:
        return len(self.exports)

    def row(self, position: int, width: int) -> list[Piece]:
        export = self.exports[position]
        glyph = next(
            glyph
            for state, glyph in self.glyphs.states.items()
            if state == _STATES.get(export.state, "missing")
        )
        if export.state == "running":
            state = f"{export.rows:,}/{export.total:,}" if export.rows else "running"
        elif export.state == "done":
            state = f"{export.rows:,} rows"
        elif export.state == "live":
            state = f"{export.rows:,} rows of {export.total:,} items, live"
        else:
            state = export.state
        loud = self.colours["alert"] if export.state == "failed" else PLAIN
        head: Piece = (f" {glyph} {export.name} ", BOLD + loud)
        facts: Piece = (f" {state}  {words.short_clock(export.at)}  ", loud)
        text = export.reason or export.path
        room = max(0, width - len(head[0]) - len(facts[0]))
        shorten = words.shorten_right if export.reason else words.shorten_left
        return [head, facts, (shorten(text, room, self.glyphs.ellipsis), self.colours["muted"])]

    def in_full(self) -> list[Piece]:
        return [(account(self.current).replace("\n", "  "), PLAIN)] if self.current else []


def account(export: Export) -> str:
    """All that is known about an export."""
    progress = {"running": f"{export.rows:,} of {export.total:,} items so far"}
    lines = [
        f"{export.kind}: {progress.get(export.state, f'{export.rows:,} rows')}, {export.state}",
        export.path,
        words.clock(export.at) + (f", by the {export.writer}" if export.writer else ""),
    ]
    return "\n".join([*lines, *(["", export.reason] if export.reason else [])])
