"""The plots of the overview: strip plots with movable limits, and a scatter plot."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from warptui.engine.model.summary import Summary
from warptui.screens.overview.acquisition import Along, Axis, axis_of, hours, squares
from warptui.screens.overview.axes_dialog import Axes, AxesDialog, Scatter
from warptui.screens.overview.limits import Held, is_whole, moved
from warptui.screens.overview.limits_dialog import LimitsDialog, Pair
from warptui.screens.overview.mean_ctf import FREQUENCIES, mean_ctf
from warptui.screens.stages.ctf import ANGLE, MAGNITUDE, SIGMAS
from warptui.screens.widgets.plots.astigmatism_plot import (
    AstigmatismData,
    AstigmatismPlot,
    Judged,
    vectors,
)
from warptui.screens.widgets.plots.scatter_pane import ScatterPane
from warptui.screens.widgets.plots.scatter_plot import ScatterPlot, Values
from warptui.screens.widgets.plots.strip_plot import StripData, StripPlot
from warptui.screens.widgets.plots.strip_stack import StripStack
from warptui.screens.workspace import Workspace

SEND_S = 0.5  # s after the last key, then the engine gets the new limit
LEAP = 20  # fraction of the session that a long step covers


class Plots(Vertical):
    """Strip plots of every value along the session, and a scatter plot; keys move the limits."""

    @dataclass
    class LimitsChanged(Message):
        """The engine shall filter by other limits; None removes one."""

        filters: dict[str, float | None]
        refused: Callable[[], object]  # called when the engine refuses them

    @dataclass
    class Went(Message):
        """The cursor shall go to an item."""

        name: str | None

    class LimitsShown(Message):
        """The plots show other limits; the engine may get them later."""

    class AxesChanged(Message):
        """The plots have another axis, or there are more or fewer of them."""

    def __init__(self, workspace: Workspace, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.workspace = workspace
        self._axes = Axes()
        self._limit_key, self._cursor_key = Held(), Held()
        self._sending: Timer | None = None
        self._axis = Axis(Along.ORDER, np.zeros(0), 0.0)
        self._kept = np.zeros(0, dtype=bool)

    def compose(self) -> ComposeResult:
        yield StripStack(id="strips")
        yield ScatterPane(id="scatter")

    @property
    def strips(self) -> StripStack:
        """The strip plots of the values along the session."""
        return self.query_one(StripStack)

    @property
    def scatter(self) -> ScatterPane:
        """The scatter plot of two values or of the astigmatism; visible if chosen."""
        return self.query_one(ScatterPane)

    def declare(self) -> bool:
        """Make a strip for each value that the engine declares; True if they changed."""
        summaries = self.workspace.mirror.summaries
        self.screen.set_class(
            bool(self._axes.scatter is not Scatter.NONE and summaries), "-scatter"
        )
        return self.strips.declare(summaries, self.workspace.drawing)

    def show_cursor(self) -> None:
        """Move the cursor in all plots; the values are unchanged."""
        current = self.workspace.current_number
        self.strips.show_cursor(current)
        self.scatter.shown.show_cursor(current)

    def choose_axes(self) -> None:
        """Open the dialog for the axes of the plots."""
        summaries = self.workspace.mirror.summaries
        drawing = self.workspace.drawing
        self.app.push_screen(
            AxesDialog(self._axes, summaries, self._take_axes, drawing, with_ctf=self._with_ctf)
        )

    def _take_axes(self, axes: Axes) -> None:
        self._axes = axes
        self.workspace.along = axes.along
        self.post_message(self.AxesChanged())

    def show_values(self) -> None:
        """Draw everything that depends on the values or on the limits."""
        workspace = self.workspace
        mirror, current = workspace.mirror, workspace.current_number
        workspace.along = self._axes.along
        self._axis = axis_of(mirror, workspace.along)
        self._kept = workspace.limits.kept()
        self.strips.show(self.strip_data, current, self._axis)
        self._show_scatter()

    def strip_data(self, summary: Summary) -> StripData:
        """The data for the strip of a value."""
        limits = self.workspace.limits
        return StripData(
            self.workspace.mirror.values(summary.key),
            self._axis.x,
            self._kept,
            limits.of(summary),
            int(np.count_nonzero(limits.outside(summary))),
            tuple(group.start for group in self._axis.groups[1:]),
        )

    @property
    def _with_ctf(self) -> bool:
        return bool(np.isfinite(self.workspace.mirror.values(MAGNITUDE)).any())

    def _show_scatter(self) -> None:
        pane, mirror = self.scatter, self.workspace.mirror
        if not pane.display or not mirror.summaries:
            return
        current = self.workspace.current_number
        astigmatism = self._axes.plotted(with_ctf=self._with_ctf) is Scatter.ASTIGMATISM
        pane.choose(astigmatism=astigmatism)
        if not astigmatism:
            axes = self._axes.known(mirror.summaries)
            pane.values.show(self._values(axes.x), self._values(axes.y), self._kept, current)
            return
        x, y = vectors(mirror.values(MAGNITUDE), mirror.values(ANGLE))
        session = mirror.status.astigmatism if mirror.status else None
        data = AstigmatismData(self._judge(), x, y, mirror.values(SIGMAS), session)
        pane.astigmatism.show(data, self._judged(), current)
        self._show_mean_ctf()

    def _judge(self) -> Summary | None:
        """The value whose limit applies to astigmatism."""
        return next((e for e in self.workspace.mirror.summaries if e.key == SIGMAS), None)

    def _judged(self) -> Judged:
        limits, summary = self.workspace.limits, self._judge()
        if summary is None:
            return Judged(self._kept, np.zeros(len(self._kept), dtype=bool), None)
        return Judged(self._kept, limits.outside(summary), limits.of(summary)[1])

    def _show_mean_ctf(self) -> None:
        optics = self.workspace.config.get("optics", {})
        mean = mean_ctf(self.workspace.mirror, self._kept, optics)
        self.scatter.ctf.show(FREQUENCIES, mean, int(np.count_nonzero(self._kept)))

    def _values(self, key: str) -> Values:
        mirror = self.workspace.mirror
        if key == Along.ORDER:
            return Values("order", "", 0, np.arange(1.0, len(mirror) + 1))
        if key == Along.TIME:
            return Values("time", "h", 2, hours(mirror))
        if key == Along.SQUARE:
            codes, names = squares(mirror)
            numbers = np.where([not name for name in names], np.nan, np.arange(1.0, len(names) + 1))
            return Values("square no.", "", 0, numbers[codes] if len(codes) else numbers)
        summary = next(entry for entry in mirror.summaries if entry.key == key)
        limits = self.workspace.limits.of(summary)
        return Values(summary.label, summary.unit, summary.digits, mirror.values(key), limits)

    # moving limits

    def on_strip_plot_limit_moved(self, message: StripPlot.LimitMoved) -> None:
        limits, summary, span = self.workspace.limits, message.summary, message.span
        key = summary.filter_max if message.upper else summary.filter_min
        factor = self._limit_key.press(f"{message.upper}{message.direction}", time.monotonic())
        if not key:
            end = "upper" if message.upper else "lower"
            if factor == 1:
                self.notify(f"[filters] has no key for the {end} limit of {summary.label}")
            return
        if span is None:
            return
        step = max(message.step, 1.0) if is_whole(key) else message.step
        steps = message.direction * factor
        value = moved(limits.get(key), steps, step, span, upper=message.upper)
        other = limits.get(summary.filter_min if message.upper else summary.filter_max)
        if value is not None and other is not None:
            value = max(value, other) if message.upper else min(value, other)
        self._set_limits(summary, {key: value})

    def on_strip_plot_limits_cleared(self, message: StripPlot.LimitsCleared) -> None:
        keys = (message.summary.filter_min, message.summary.filter_max)
        self._set_limits(message.summary, {key: None for key in keys if key})

    def on_strip_plot_limits_wanted(self, message: StripPlot.LimitsWanted) -> None:
        summary = message.summary
        if not (summary.filter_min or summary.filter_max):
            self.notify(f"[filters] has no key that limits {summary.label}")
            return

        def take(pair: Pair | None) -> None:
            if pair is not None:
                keys = (summary.filter_min, summary.filter_max)
                wanted = {key: end for key, end in zip(keys, pair, strict=True) if key}
                self._set_limits(summary, wanted)

        self.app.push_screen(LimitsDialog(summary, self.workspace.limits.of(summary)), take)

    def _set_limits(self, summary: Summary, wanted: dict[str, float | None]) -> None:
        """Show other limits now, and send them to the engine when the key rests."""
        limits = self.workspace.limits
        changed = {key: value for key, value in wanted.items() if limits.get(key) != value}
        for key, value in changed.items():
            limits.set(key, value)
        if not changed:
            return
        self._kept = limits.kept()
        for strip in self.query(StripPlot):
            if strip.summary == summary and strip.display:
                strip.show_limits(self.strip_data(summary), self.workspace.current_number)
        self._show_limits_in_scatter()
        self.post_message(self.LimitsShown())
        if self._sending is not None:
            self._sending.stop()
        self._sending = self.set_timer(SEND_S, self._send_limits)

    def _show_limits_in_scatter(self) -> None:
        pane = self.scatter
        if not pane.display:
            return
        if pane.shown is pane.astigmatism:
            pane.astigmatism.show_limit(self._judged(), self.workspace.current_number)
            self._show_mean_ctf()
        else:
            self._show_scatter()

    def _send_limits(self) -> None:
        limits = self.workspace.limits
        self._sending = None
        wanted = limits.unsent()
        if wanted:
            limits.sent()
            self.post_message(self.LimitsChanged(wanted, self._limits_refused))
            self.show_values()

    def _limits_refused(self) -> None:
        self.workspace.limits.refused()
        self.show_values()
        self.post_message(self.LimitsShown())

    # moving the cursor

    def on_strip_plot_moved(self, message: StripPlot.Moved) -> None:
        steps = max(1, len(self.workspace.order) // LEAP) if message.leap else 1
        steps *= self._cursor_key.press(f"{message.step}{message.leap}", time.monotonic())
        self._go(message.step * steps)

    def on_scatter_plot_moved(self, message: ScatterPlot.Moved) -> None:
        factor = self._cursor_key.press(f"scatter{message.step}", time.monotonic())
        self._go(message.step * factor)

    def on_astigmatism_plot_moved(self, message: AstigmatismPlot.Moved) -> None:
        factor = self._cursor_key.press(f"scatter{message.step}", time.monotonic())
        self._go(message.step * factor)

    def on_strip_plot_left(self, message: StripPlot.Left) -> None:
        if self.screen.maximized is None and (strip := self.strips.focus_strip(message.step)):
            strip.show(self.strip_data(strip.summary), self.workspace.current_number)

    def _go(self, steps: int) -> None:
        self.post_message(self.Went(self.workspace.step_in_session(steps)))
