"""The dialog for the axes of the overview's plots; a change shows immediately."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Footer

from warptui.engine.model.summary import Summary
from warptui.screens.keys.tables.overview import AXES
from warptui.screens.look.glyphs import Drawing
from warptui.screens.overview.acquisition import Along
from warptui.screens.widgets.line import BOLD, LineWidget


class Scatter(StrEnum):
    """The plot beside the strip plots."""

    NONE = "none"
    ASTIGMATISM = "astigmatism"
    VALUES = "two values"


@dataclass(frozen=True)
class Axes:
    """The axes of all plots."""

    along: Along = Along.ORDER  # of the strips and the navigation bar
    scatter: Scatter = Scatter.NONE  # the scatter plot, if any
    x: str = ""  # axes of two values: keys of summary values, or a name of `Along`
    y: str = ""

    def known(self, summaries: tuple[Summary, ...]) -> Axes:
        """A copy with axes that exist: the first two values where no (other) choice was made."""
        keys = [summary.key for summary in summaries]
        names = {*keys, *Along}
        x = self.x if self.x in names else (keys[0] if keys else Along.ORDER)
        others = [key for key in keys if key != x]
        y = self.y if self.y in names else (others[0] if others else x)
        return replace(self, x=x, y=y)

    def plotted(self, *, with_ctf: bool) -> Scatter:
        """The plot to draw where there is room for one although none was chosen."""
        if self.scatter is not Scatter.NONE:
            return self.scatter
        return Scatter.ASTIGMATISM if with_ctf else Scatter.VALUES


class AxesDialog(ModalScreen[None]):
    """Choices in rows; each change shows immediately."""

    BINDINGS = list(AXES)

    def __init__(
        self,
        axes: Axes,
        summaries: tuple[Summary, ...],
        changed: Callable[[Axes], object],
        drawing: Drawing,
        *,
        with_ctf: bool,
    ) -> None:
        super().__init__()
        self._plots = [way for way in Scatter if with_ctf or way is not Scatter.ASTIGMATISM]
        self._axes, self._changed, self._drawing = axes.known(summaries), changed, drawing
        self._names: dict[str, str] = {
            summary.key: f"{summary.label} {summary.unit}".strip() for summary in summaries
        }
        self._names |= {along: along for along in Along}
        self._row = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog question") as dialog:
            dialog.border_title = "Plots"
            yield (rows := _Rows())
            rows.drawing = self._drawing
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._show()

    def _choices(self) -> list[tuple[str, str, list[str]]]:
        """Title, value and possible values of each row."""
        keys = list(self._names)
        return [
            ("strips along", self._axes.along, list(Along)),
            ("scatter plot", self._axes.scatter, list(self._plots)),
            ("  its height", self._axes.y, keys),
            ("  against", self._axes.x, keys),
        ]

    def action_row(self, step: int) -> None:
        self._row = (self._row + step) % 4
        self._show()

    def action_turn(self, step: int) -> None:
        _, value, values = self._choices()[self._row]
        turned = values[(values.index(value) + step) % len(values)]
        match self._row:
            case 0:
                self._axes = replace(self._axes, along=Along(turned))
            case 1:
                self._axes = replace(self._axes, scatter=Scatter(turned))
            case 2:
                self._axes = replace(self._axes, scatter=Scatter.VALUES, y=turned)
            case _:
                self._axes = replace(self._axes, scatter=Scatter.VALUES, x=turned)
        self._changed(self._axes)
        self._show()

    def _show(self) -> None:
        rows = [
            (title, self._names.get(value, value), number == self._row)
            for number, (title, value, _) in enumerate(self._choices())
        ]
        self.query_one(_Rows).show(rows)


class _Rows(LineWidget):
    DEFAULT_CSS = "_Rows { height: 4; width: 44; }"

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, str, bool]] = []

    def show(self, rows: list[tuple[str, str, bool]]) -> None:
        """Show each row's title and value, and mark the row under the cursor."""
        self._rows = rows
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        lines = []
        for title, value, current in self._rows:
            mark = ">" if current else " "
            style = BOLD + Style(reverse=current)
            lines.append(
                self.line(
                    (f" {mark} ", BOLD), (f"{title:15}", self.colours["muted"]),
                    (f" {value} ", style),
                )
            )  # fmt: skip
        return lines
