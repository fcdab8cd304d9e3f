"""A dialog with the optics groups by beam shift: a plot of the beam shifts, a table of groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer

from warptui.screens.keys.tables.exporting import OPTICS_GROUPS
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.plots.beam_plot import BeamPlot


class BeamDialog(ModalScreen[None]):
    """A scatter plot and a table of the groups."""

    BINDINGS = list(OPTICS_GROUPS)

    def __init__(self, title: str, groups: Mapping[str, Any], drawing: Drawing) -> None:
        super().__init__()
        self._title, self._groups, self._drawing = title, groups, drawing

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog beam") as dialog:
            dialog.border_title = self._title
            yield (plot := BeamPlot())
            plot.drawing = self._drawing
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one(BeamPlot).show(self._groups)

    def action_rows(self, rows: int) -> None:
        self.query_one(BeamPlot).scroll_rows(rows)
