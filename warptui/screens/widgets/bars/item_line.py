"""One line about the item under the cursor: its problem, or the values that have no column."""

from __future__ import annotations

from textual.strip import Strip

from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary
from warptui.screens import words
from warptui.screens.look.glyphs import choice_glyph
from warptui.screens.overview import problems
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece


class ItemLine(LineWidget):
    """One line about an item; as many words as fit."""

    DEFAULT_CSS = "ItemLine { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._row: ItemRow | None = None
        self._key = ""
        self._summaries: tuple[Summary, ...] = ()
        self._columns: set[str] = set()

    def show(
        self,
        row: ItemRow | None,
        summaries: tuple[Summary, ...],
        columns: set[str],
        key: str = "enter",
    ) -> None:
        """Show an item. ``columns``: values that the list shows; ``key``: opens the item."""
        self._key = key
        self._row, self._summaries, self._columns = row, summaries, columns
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        row = self._row
        if row is None:
            return []
        colours, muted = self.colours, self.colours["muted"]
        pieces: list[Piece] = [(f" {self.glyphs.states[row.state]}", colours.state(row.state))]
        pieces.append((f"{choice_glyph(row, self.glyphs)} ", colours.choice(row)))
        used = 4
        problem = problems.words(row, self._summaries)
        if problem:
            loud = row.state in (State.FAILED, State.MISSING)
            style = colours.state(row.state) if loud else PLAIN
            if len(problem) <= width - used:
                return [self.line(*pieces, (problem, style))]
            more = f" {self._key}: all"
            text = words.shorten_right(problem, width - used - len(more), self.glyphs.ellipsis)
            return [self.line(*pieces, (text, style), (more, muted))]
        rest = [summary for summary in self._summaries if summary.key not in self._columns]
        for summary in rest if row.state in (State.DONE, State.OUTDATED) else ():
            value = words.summary_value(row, summary, self.glyphs.unknown)
            text = f"{value} {summary.unit}".strip()
            if used + len(summary.label) + len(text) + 4 > width:
                break
            pieces += [(f" {summary.label} ", muted), (f"{text}  ", BOLD)]
            used += len(summary.label) + len(text) + 4
        if used == 4:
            pieces.append((words.shorten_right(_story(row), width - used, "~"), muted))
        return [self.line(*pieces)]


def _story(row: ItemRow) -> str:
    """The progress of an item, where it has neither values nor a problem to show."""
    match row.state:
        case State.RUNNING:
            return f"{row.stage or 'starting'} {row.fraction:.0%}"
        case State.DONE:
            times = ", ".join(f"{stage} {s:.1f} s" for stage, s in row.seconds.items())
            return f"done: {times}" if times else "done"
    return str(row.state)
