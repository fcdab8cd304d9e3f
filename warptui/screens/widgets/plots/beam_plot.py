"""The beam shift of each image, and the optics groups made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.style import Style
from textual.strip import Strip

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.line import BOLD, LineWidget
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.dots import Layer, dot_cells

TABLE_WIDTH = 38
LEAST_BESIDE = 84  # least columns that leave room for the table beside the plot
CELLS_A_NUMBER = 14  # cells of the plot for each group, so that it can show group numbers
LEAST_PLOT = 5  # rows
MARGIN = 0.06  # share of the plot's width that is free around the images
_ASTRAY, _DOTS, _NUMBER, _MUTED = range(4)
_COLOURS = ("warning-text", "plot-dots", "plot-cursor", "muted")


class BeamPlot(LineWidget):
    """A scatter plot of the images' beam shifts, and a table of the groups."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._answer: Mapping[str, Any] = {}
        self._first = 0  # the topmost visible row of the table

    def show(self, answer: Mapping[str, Any]) -> None:
        """Show groups, beam shifts and notes from the engine's answer."""
        self._answer = answer
        self.repaint()

    def scroll_rows(self, rows: int) -> None:
        """Scroll the table."""
        last = max(0, len(self._answer.get("groups", ())) - 1)
        self._first = min(max(0, self._first + rows), last)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        answer = self._answer
        if not answer.get("groups"):
            head = "no optics groups by beam shift: export.optics_groups is not beam_shift"
            return [self.line(*line) for line in self.wrapped(head, width)][:height]
        head = [self.line(*line) for line in self.wrapped(str(answer["summary"]), width)]
        head = head[: max(2, height // 4)]
        room = height - len(head) - 1
        n_groups = len(answer["groups"])
        if width >= LEAST_BESIDE:
            plot = self._plot(width - TABLE_WIDTH, room)
            table = self._table(room)
            blank = self.line((" " * (width - TABLE_WIDTH), Style()))
            body = [
                Strip.join([plot[row] if row < len(plot) else blank, *table[row : row + 1]])
                for row in range(room)
            ]
        else:
            below = min(n_groups + 1, max(4, room // 3))
            plot = self._plot(width, room - below) if room - below >= LEAST_PLOT else []
            body = [*plot, *self._table(below if plot else room)]
        return [*head, self.line(), *body][:height]

    def _table(self, height: int) -> list[Strip]:
        head = f" {'group':>5} {'items':>7} {'shift x':>10} {'shift y':>10}"
        lines = [self.line((head, self.colours["muted"]))]
        rows = self._answer["groups"]
        first = min(self._first, max(0, len(rows) - (height - 1)))
        for row in rows[first : first + height - 1]:
            place = "  no position of its own" if row["unit"] else "  no beam shift known"
            if row["x"] is not None:
                place = f" {row['x']:>10.3g} {row['y']:>10.3g}"
            number = f" {row['number']:>5}"
            lines.append(self.line((number, BOLD), (f" {row['n']:>7,}{place}", Style())))
        rest = len(rows) - first - (height - 1)
        if rest > 0 and height > 2:
            more = f" {self.glyphs.ellipsis} {rest + 1:,} more below"
            lines[-1] = self.line((more, self.colours["muted"]))
        return lines

    def _plot(self, width: int, height: int) -> list[Strip]:
        return beam_cells(self._answer, height, width - 1, self.drawing).strips(self._style)

    def _style(self, front: int, back: int) -> Style:
        bold = BOLD if front == _NUMBER else Style()
        return self.rich_style + (self.colours[_COLOURS[front]] + bold if front >= 0 else Style())


def beam_cells(answer: Mapping[str, Any], height: int, width: int, drawing: Drawing) -> Cells:
    """The images with their groups' numbers; x to the right and y upwards at the same scale.

    If shifts come in two units, those in the more common unit.
    """
    cells = Cells.blank(height, width)
    units = {row["number"]: row["unit"] for row in answer["groups"]}
    usual = Counter(units[number] for *_, number in answer["points"]).most_common(1)
    if not usual:
        return cells
    unit = usual[0][0]
    points = np.array([point for point in answer["points"] if units[point[2]] == unit], float)
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    rows = height - 1  # the last row shows the scale
    per_column = max((high[0] - low[0]) / width, (high[1] - low[1]) / (2 * rows))
    per_column = (per_column or 1.0) * (1 + 2 * MARGIN)
    left, top = (low + high) / 2 + np.array([-0.5, 1.0]) * per_column * np.array([width, rows])
    x = (points[:, 0] - left) / (per_column * width)
    y = (top - points[:, 1]) / (2 * per_column * rows)
    settled = [row for row in answer["groups"] if row["x"] is not None and row["unit"] == unit]
    inside = np.isin(points[:, 2], [row["number"] for row in settled])
    layers = (Layer(~inside, _ASTRAY, "x"), Layer(inside, _DOTS, "."))
    part = dot_cells(y, x, layers, (rows, width), drawing)
    cells.codes[:rows], cells.front[:rows] = part.codes, part.front
    if len(settled) * CELLS_A_NUMBER <= rows * width:
        for row in settled:
            text = str(row["number"])
            column = int((row["x"] - left) / per_column - len(text) / 2 + 0.5)
            cells.write(int((top - row["y"]) / (2 * per_column)), column, text, _NUMBER)
    across = f" x {low[0]:.3g} to {high[0]:.3g}, y {low[1]:.3g} to {high[1]:.3g} {unit}"
    cells.write(rows, 0, across, _MUTED)
    return cells
