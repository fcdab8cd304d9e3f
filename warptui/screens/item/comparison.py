"""One item compared with all others: a histogram of each summary value."""

from __future__ import annotations

import numpy as np
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary
from warptui.screens import words
from warptui.screens.keys.tables.item import COMPARISON
from warptui.screens.look.glyphs import plain
from warptui.screens.widgets.plots.axis import same
from warptui.screens.widgets.plots.chart import Bars, Chart, Plot
from warptui.screens.workspace import Workspace

BINS = 40
RANGE = (0.5, 99.5)  # % of the values that bins cover: one outlier must not hide the rest


class Comparison(ModalScreen[None]):
    """Shows one histogram at a time; a line marks the item's own value."""

    BINDINGS = list(COMPARISON)

    def __init__(self, workspace: Workspace, row: ItemRow) -> None:
        super().__init__()
        self._workspace, self._row, self._number = workspace, row, 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog comparison") as dialog:
            dialog.border_title = self._row.name
            dialog.border_subtitle = "←/→ next value · esc or q closes"
            yield Static(id="comparison-text", markup=False)
            yield Chart(id="comparison-chart")

    def on_mount(self) -> None:
        self.query_one(Chart).drawing = self._workspace.drawing
        self.set_class(self._workspace.drawing == "ascii", "-ascii")
        self.action_turn(0)

    def action_turn(self, step: int) -> None:
        summaries, chart = self._workspace.mirror.summaries, self.query_one(Chart)
        if not summaries:
            chart.show("no stage declares a value")
            return
        self._number = (self._number + step) % len(summaries)
        summary = summaries[self._number]
        values = self._workspace.mirror.values(summary.key)
        own = self._row.summary.get(summary.key)
        sentence = f"{self._number + 1}/{len(summaries)}  {standing(summary, own, values)}"
        self.query_one("#comparison-text", Static).update(plain(sentence, self._workspace.drawing))
        chart.show(compared(summary, own, values))


def compared(summary: Summary, own: float | None, values: np.ndarray) -> Plot | str:
    """The histogram of a value over all items, with one item's value marked."""
    known = values[np.isfinite(values)]
    if known.size < 2:
        return "not enough items to compare with"
    low, high = np.percentile(known, RANGE)
    if own is not None:
        low, high = min(low, own), max(high, own)
    if same(low, high):
        return f"all items have {words.with_unit(float(low), summary.unit, summary.digits)}"
    heights, edges = np.histogram(np.clip(known, low, high), BINS, (low, high))
    marked = ((float(own), "this item"),) if own is not None else ()
    return Plot(
        f"items against {summary.label}, {summary.unit}".rstrip(", "),
        (),
        Bars(edges, heights),
        marked,
    )


def standing(summary: Summary, own: float | None, values: np.ndarray) -> str:
    """The item's value, the median, and the share of items that have less, as one line."""
    known = values[np.isfinite(values)]
    value = words.with_unit(own, summary.unit, summary.digits)
    if not known.size:
        return f"{summary.label}: {value}"
    median = words.with_unit(float(np.median(known)), summary.unit, summary.digits)
    text = f"{summary.label}: {value}   median of {known.size:,} items {median}"
    if own is not None:
        text += f"   {100 * float((known < own).mean()):.0f} % of them have less"
    return text
