"""The strips of all values that stages declare, above one axis; as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from warptui.engine.items import Summary
from warptui.screens.acquisition import Along
from warptui.screens.widgets.axis import decimals, round_step, ticks
from warptui.screens.widgets.glyphs import Drawing
from warptui.screens.widgets.line import LineWidget
from warptui.screens.widgets.raster import Cells
from warptui.screens.widgets.strip_plot import AXIS_WIDTH, StripData, StripPlot, dots_width

LEAST_HEIGHT = 5  # of a strip: a title and four rows
LABEL_EVERY = 12  # columns


class SessionAxis(LineWidget):
    """What the strips run along, in round numbers, below the last one."""

    DEFAULT_CSS = "SessionAxis { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._along, self._whole, self._more = Along.ORDER, 0.0, ""

    def show(self, along: Along, whole: float, more: str) -> None:
        """``whole`` items or hours; ``more``: what is said of strips that are not seen."""
        self._along, self._whole, self._more = along, whole, more
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        cells = Cells.blank(1, width)
        room = dots_width(width)
        n = max(2, (room - len(self._more)) // LABEL_EVERY)
        step = round_step(self._whole, n)
        digits = decimals(step) if self._along is Along.TIME else 0
        unit = " h" if self._along is Along.TIME else ""
        end = 0
        for value in ticks(0, self._whole, n) if self._whole > 0 else ():
            text = f"{value:,.{digits}f}{unit}"
            column = AXIS_WIDTH + min(int(value / self._whole * room), room - 1)
            left = max(0, min(column - len(text) // 2, width - len(text)))
            if left >= end and left + len(text) < width - len(self._more):
                cells.write(0, left, text)
                end = left + len(text) + 1
        cells.write(0, max(0, width - len(self._more) - 1), self._more)
        text = cells.codes[0].tobytes().decode("utf-32-le")
        return [self.line((text, self.colours["muted"]))]


class StripStack(Vertical):
    """Strips from the first that is seen on; a focused one is always seen."""

    class Fitted(Message):
        """Other strips may be seen than before."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.strips: list[StripPlot] = []
        self._first = 0
        self._axis = (Along.ORDER, 0.0)

    def compose(self) -> ComposeResult:
        yield SessionAxis()

    def declare(self, summaries: tuple[Summary, ...], drawing: Drawing) -> bool:
        """Have a strip for each value; whether they are others than before."""
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
        """The strips that are shown."""
        return [strip for strip in self.strips if strip.display]

    def show(
        self,
        data: Callable[[Summary], StripData],
        current: int | None,
        along: Along,
        whole: float,
    ) -> None:
        """Show new values in the strips that are seen."""
        self._axis = (along, whole)
        self._show_axis()
        for strip in self.seen():
            strip.show(data(strip.summary), current)

    def show_cursor(self, current: int | None) -> None:
        """The same values with the cursor elsewhere."""
        for strip in self.seen():
            strip.show_cursor(current)

    def focus_strip(self, step: int = 0) -> StripPlot | None:
        """Focus the strip so many places below the focused one, or the first that is seen."""
        if not self.strips:
            return None
        here = next((n for n, strip in enumerate(self.strips) if strip.has_focus), self._first)
        there = int(np.clip(here + step, 0, len(self.strips) - 1))
        n_seen = max(1, len(self.seen()))
        if not self._first <= there < self._first + n_seen:
            self._first = there if there < self._first else there - n_seen + 1
            self.fit()
        self.screen.set_focus(self.strips[there])  # at once: the next key is meant for it
        return self.strips[there]

    def _show_axis(self) -> None:
        seen = len(self.seen())
        above, below = self._first, len(self.strips) - self._first - seen
        more = f" {above} above" if above else ""
        more += f" {below} below: j" if below > 0 else ""
        for axis in self.query(SessionAxis):
            axis.show(*self._axis, more)
