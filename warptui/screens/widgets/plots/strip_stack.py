"""The strip plots of all summary values above one axis, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from warptui.engine.model.summary import Summary
from warptui.screens.look.glyphs import Drawing
from warptui.screens.overview.acquisition import UNKNOWN_SQUARE, Along, Axis, Group
from warptui.screens.widgets.line import LineWidget
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.axis import decimals, round_step, ticks
from warptui.screens.widgets.plots.strip_plot import AXIS_WIDTH, StripData, StripPlot, dots_width
from warptui.screens.words import shorten_left

LEAST_HEIGHT = 5  # lines of a strip: a title and four rows
LABEL_EVERY = 12  # columns
LEAST_NAME = 4  # least characters that distinguish group names
NOWHERE = Axis(Along.ORDER, np.zeros(0), 0.0)


class SessionAxis(LineWidget):
    """The axis of the strip plots, in round numbers, below the last one."""

    DEFAULT_CSS = "SessionAxis { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._axis, self._more = NOWHERE, ""

    def show(self, axis: Axis, more: str) -> None:
        """Show an axis. ``more``: a text about strips that do not fit."""
        self._axis, self._more = axis, more
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        cells = Cells.blank(1, width)
        if self._axis.groups:
            self._write_groups(cells, width)
        else:
            self._write_numbers(cells, width)
        cells.write(0, max(0, width - len(self._more) - 1), self._more)
        text = cells.codes[0].tobytes().decode("utf-32-le")
        return [self.line((text, self.colours["muted"]))]

    def _write_numbers(self, cells: Cells, width: int) -> None:
        room, axis = dots_width(width), self._axis
        n = max(2, (room - len(self._more)) // LABEL_EVERY)
        step = round_step(axis.whole, n)
        digits = decimals(step) if axis.along is Along.TIME else 0
        unit = " h" if axis.along is Along.TIME else ""
        end = 0
        for value in ticks(0, axis.whole, n) if axis.whole > 0 else ():
            text = f"{value:,.{digits}f}{unit}"
            column = AXIS_WIDTH + min(int(value / axis.whole * room), room - 1)
            left = max(0, min(column - len(text) // 2, width - len(text)))
            if left >= end and left + len(text) < width - len(self._more):
                cells.write(0, left, text)
                end = left + len(text) + 1

    def _write_groups(self, cells: Cells, width: int) -> None:
        """Write group names in the middle of their groups; names without room are left out."""
        room = dots_width(width)
        last = width - len(self._more) - 1
        free = AXIS_WIDTH
        for group in self._axis.groups:
            left, right = (AXIS_WIDTH + int(end * room) for end in (group.start, group.end))
            text = self._fitting(group, right - left - 1)
            start = left + 1 + (right - left - 1 - len(text)) // 2
            if text and start >= free and start + len(text) < last:
                cells.write(0, start, text)
                free = start + len(text) + 1

    def _fitting(self, group: Group, room: int) -> str:
        """A group's name, or its end, which differs between groups; "?" for an unknown square."""
        if len(group.name) <= room:
            return group.name
        if group.name == UNKNOWN_SQUARE:
            return "?" if room > 0 else ""
        return shorten_left(group.name, room, self.glyphs.ellipsis) if room >= LEAST_NAME else ""


class StripStack(Vertical):
    """The visible strip plots; the focused one is always among them."""

    class Fitted(Message):
        """The visible strips may have changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.strips: list[StripPlot] = []
        self._first = 0
        self._axis = NOWHERE
        self._current: int | None = None

    def compose(self) -> ComposeResult:
        yield SessionAxis()

    def declare(self, summaries: tuple[Summary, ...], drawing: Drawing) -> bool:
        """Make a strip for each value; True if the values changed."""
        if tuple(strip.summary for strip in self.strips) == summaries:
            return False
        for strip in self.strips:
            strip.remove()
        self.strips = [StripPlot(summary) for summary in summaries]
        self._first = 0
        for strip in self.strips:
            strip.drawing = drawing
        self.mount(*self.strips, before=self.query_one(SessionAxis))
        self.fit()
        return True

    def on_resize(self, event: events.Resize) -> None:
        if event.size.height and self.screen.maximized is None:
            self.fit()
            self.post_message(self.Fitted())

    def fit(self) -> None:
        """Show as many strips as there is room for."""
        height = self.size.height - 1
        seen = max(1, height // LEAST_HEIGHT)
        self._first = max(0, min(self._first, len(self.strips) - seen))
        for number, strip in enumerate(self.strips):
            strip.display = self._first <= number < self._first + seen
        self._show_axis()

    def seen(self) -> list[StripPlot]:
        """The visible strips."""
        return [strip for strip in self.strips if strip.display]

    def show(
        self,
        data: Callable[[Summary], StripData],
        current: int | None,
        axis: Axis,
    ) -> None:
        """Show other values in the visible strips."""
        self._axis, self._current = axis, current
        self._show_axis()
        for strip in self.seen():
            strip.show(data(strip.summary), current)

    def show_cursor(self, current: int | None) -> None:
        """Move the cursor; the values are unchanged."""
        self._current = current
        if self._axis.groups:
            self._show_axis()
        for strip in self.seen():
            strip.show_cursor(current)

    def focus_strip(self, step: int = 0) -> StripPlot | None:
        """Focus the strip so many places below the focused one, or the first visible one."""
        if not self.strips:
            return None
        here = next((n for n, strip in enumerate(self.strips) if strip.has_focus), self._first)
        there = int(np.clip(here + step, 0, len(self.strips) - 1))
        n_seen = max(1, len(self.seen()))
        if not self._first <= there < self._first + n_seen:
            self._first = there if there < self._first else there - n_seen + 1
            self.fit()
        self.screen.set_focus(self.strips[there])  # now: the next key is meant for the strip
        return self.strips[there]

    def _show_axis(self) -> None:
        seen = len(self.seen())
        above, below = self._first, len(self.strips) - self._first - seen
        group = self._axis.group(self._current)
        more = f"  k: {above} more" if above else ""
        more += f"  j: {below} more" if below > 0 else ""
        for axis in self.query(SessionAxis):
            here = f" {axis.glyphs.cursor}{group.name}" if group else ""
            axis.show(self._axis, f"{here}{more}")
