"""The first screen: is it running, is the data good, what is going wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from warptui.engine.items import ItemRow, Summary
from warptui.screens import words
from warptui.screens.acquisition import Along, hours, positions
from warptui.screens.axes_dialog import Axes, AxesDialog
from warptui.screens.filters import FilterError, parse
from warptui.screens.limits import Held, is_whole, moved
from warptui.screens.limits_dialog import LimitsDialog, Pair
from warptui.screens.mirror import Changes
from warptui.screens.page import Page
from warptui.screens.sorting import ARRIVAL
from warptui.screens.widgets.glyphs import plain
from warptui.screens.widgets.item_line import ItemLine
from warptui.screens.widgets.item_table import ItemTable
from warptui.screens.widgets.navigation_bar import NavigationBar
from warptui.screens.widgets.scatter_plot import ScatterPlot, Values
from warptui.screens.widgets.status_panel import StatusPanel
from warptui.screens.widgets.strip_plot import StripData, StripPlot
from warptui.screens.widgets.strip_stack import StripStack
from warptui.screens.workspace import Workspace

SEND_S = 0.5  # after the last key the engine hears of a limit
LEAP = 20  # parts of the session


class Overview(Page):
    """Item table, strips of the summary values, and the session in numbers."""

    BINDINGS = [
        Binding("slash", "filter", "filter", id="list.filter", key_display="/"),
        Binding(
            "m",
            "axes",
            "plots",
            id="axes",
            tooltip="what strips run along, and a scatter plot of two values",
        ),
    ]
    PANES = ("Items", "Plots", "Scatter", "Status")
    topic = "overview"

    @dataclass
    class LimitsChanged(Message):
        """The engine is to filter by other limits; None takes one away."""

        filters: dict[str, float | None]
        refused: Callable[[], object]  # what to call when it does not take them

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._filter_problem = ""
        self._titles: tuple = ()
        self._axes = Axes()
        self._limit_key, self._cursor_key = Held(), Held()
        self._sending: Timer | None = None
        self._filters_shown: dict[str, float] = {}
        self._age_shown = ""

    def content(self) -> Iterable[Widget]:
        yield Static(classes="tabs", markup=False)
        with Horizontal(id="main"):
            with Vertical(id="left"):
                yield ItemTable(id="items")
                yield Static(id="empty", markup=False)
                yield Vertical(id="strip-below")
                yield ItemLine(id="item-line")
                line = Input(
                    id="filter-line",
                    placeholder="motion<0.8  state:failed  sel:out  -word  part of a name",
                )
                line.cursor_blink = False
                yield line
                yield StatusPanel(id="status-panel")
            with Vertical(id="plots"):
                yield StripStack(id="strips")
                yield ScatterPlot(id="scatter")

    def on_mount(self) -> None:
        self.query_one("#filter-line").display = False
        self.table.focus()

    @property
    def table(self) -> ItemTable:
        """The list of items."""
        return self.query_one(ItemTable)

    @property
    def strips(self) -> StripStack:
        """The values along the session."""
        return self.query_one(StripStack)

    def targets(self) -> list[ItemRow]:
        return self.table.marked

    def clear_marks(self) -> bool:
        had = self.table.mark_from is not None
        self.table.mark_from = None
        self.table.refresh()
        if had:
            self.on_item_table_marked()
        return had

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        workspace = self.workspace
        if changes.everything or changes.order:
            self._show_empty()
            self.table.show_items(
                workspace.mirror, workspace.order, workspace.current, workspace.sort
            )
        elif changes.items:
            self.table.refresh_items(changes.items)
        if changes.everything:
            self._arrange_plots()
        status = workspace.mirror.status
        if status is not None and status.filters != self._filters_shown:
            self._filters_shown = status.filters
            changes.values = True
        if changes.values:
            self._show_plots()
        elif changes.order:
            super().draw_current()
            self._show_cursor()
        age = words.age(workspace.mirror.newest_age_s())
        if changes.everything or changes.items or changes.status or age != self._age_shown:
            self._age_shown = age
            self.query_one(StatusPanel).show(workspace.mirror)
        if changes.everything or changes.items or changes.order:
            self._show_item()
        self._show_titles()

    def draw_current(self) -> None:
        super().draw_current()
        if self.workspace.current is not None:
            self.table.go_to_item(self.workspace.current)
        self._show_cursor()
        self._show_titles()

    def draw_choices(self, names: set[str]) -> None:
        self.table.refresh_items(names)
        self._show_item()
        self._show_titles()

    def _go(self, name: str | None) -> None:
        """Put the cursor on an item, as the user asked in another place than the list."""
        if name is not None:
            self.workspace.following = False
            self.workspace.current = name
            self.draw_current()

    # panes

    def action_pane(self, step: int) -> None:
        if self.narrow:
            super().action_pane(step)
            self.call_after_refresh(self._focus_pane)
            return
        panes: list[Widget] = [self.table, self.strips]
        scatter = self.query_one(ScatterPlot)
        if scatter.display:
            panes.append(scatter)
        here = next((n for n, pane in enumerate(panes) if pane.has_focus_within), 0)
        pane = panes[(here + step) % len(panes)]
        if pane is self.strips:
            self.strips.focus_strip()
        else:
            self.set_focus(pane)  # at once: the next key is meant for it

    def _focus_pane(self) -> None:
        match self.PANES[self._pane]:
            case "Items":
                self.set_focus(self.table)
            case "Plots":
                self.strips.focus_strip()
            case "Scatter":
                self.set_focus(self.query_one(ScatterPlot))
            case _:
                self.set_focus(None)

    # titles, and what is said where nothing is to be shown

    def _show_titles(self) -> None:
        workspace = self.workspace
        shown, n = len(workspace.order), len(workspace.mirror)
        said = f"{shown:,}/{n:,}" if workspace.filter else f"{n:,}"
        if self.table.mark_from is not None:
            said = f"{len(self.table.marked):,} marked"
        title = "Items"
        if workspace.sort is not None and workspace.sort[0] == ARRIVAL:
            title = "Items  newest first"
        newest = "following" if self.narrow else "following the newest"
        follow = f" · {newest}" if workspace.following and n else ""
        if self._filter_problem:
            title = f"Items  ! {self._filter_problem}"
        elif workspace.filter:
            title = f"Items  / {workspace.filter.text}"
        look = (title, said, follow, self.narrow, self._pane, workspace.drawing)
        if look == self._titles:
            return  # setting a title repaints the whole widget, even to the same words
        self._titles = look
        drawing = workspace.drawing
        for pane in (self.table, self.query_one("#empty")):
            pane.border_title = plain(title, drawing)
            pane.border_subtitle = plain(f"{said}{follow}", drawing)
        if self.narrow:
            tabs = self.query_one(".tabs", Static)
            names = (
                f"[{name}]" if number == self._pane else f" {name} "
                for number, name in enumerate(self.PANES)
            )
            extra = title.removeprefix("Items").strip()
            tabs.update(plain(f"{' '.join(names)}  {said}{follow}  {extra}", drawing))

    def _show_empty(self) -> None:
        workspace = self.workspace
        status = workspace.mirror.status
        empty = self.query_one("#empty", Static)
        nothing = not len(workspace.order)
        self.set_class(nothing, "-nothing")
        if not nothing:
            return
        if workspace.filter is not None and len(workspace.mirror):
            empty.update(
                f"No item matches  {workspace.filter.text}\n\n/ changes the filter, esc clears it"
            )
        elif status is None:
            waiting = "No engine answers.\n\ns starts it    : shows its log    q leaves"
            empty.update(waiting if workspace.lost else "Waiting for the engine.")
        else:
            pattern = self.app_patterns()
            empty.update(
                "Nothing here yet.\n\n"
                f"Looking for  {pattern}\nin  {status.input_folder}\n"
                f"by  {status.watch_mode or 'polling'}.\n\n"
                "New movies appear by themselves once they are complete.\n"
                "Wrong place? Set [input] folder and pattern in config.toml."
            )

    def app_patterns(self) -> str:
        """The file names that the engine takes."""
        pattern = self.workspace.config.get("input", {}).get("pattern") or ()
        return "  ".join(pattern) or "movies"

    # plots

    def _arrange_plots(self) -> None:
        workspace = self.workspace
        summaries = workspace.mirror.summaries
        self.set_class(self._axes.scatter and bool(summaries), "-scatter")
        if self.strips.declare(summaries, workspace.drawing):
            below = self.query_one("#strip-below")
            below.remove_children()
            if summaries:  # where the plots are a tab of their own, the first is seen here too
                below.mount(strip := StripPlot(summaries[0]))
                strip.can_focus = False
                strip.drawing = workspace.drawing

    def _show_plots(self) -> None:
        """Everything that is drawn from the values: they or the limits are others."""
        workspace = self.workspace
        mirror, current = workspace.mirror, workspace.current_number
        workspace.along = self._axes.along
        self._x, self._whole = positions(mirror, workspace.along)
        along = workspace.along if self._whole != len(mirror) else Along.ORDER
        self._kept = workspace.limits.kept()
        self.strips.show(self._strip_data, current, along, self._whole)
        for strip in self.query("#strip-below StripPlot").results(StripPlot):
            strip.show(self._strip_data(strip.summary), current)
        self._show_scatter()

    def _strip_data(self, summary: Summary) -> StripData:
        limits = self.workspace.limits
        return StripData(
            self.workspace.mirror.values(summary.key),
            self._x,
            self._kept,
            limits.of(summary),
            int(np.count_nonzero(limits.outside(summary))),
        )

    def _show_scatter(self) -> None:
        scatter = self.query_one(ScatterPlot)
        if scatter.display and self.workspace.mirror.summaries:
            axes = self._axes.known(self.workspace.mirror.summaries)
            x, y = self._values(axes.x), self._values(axes.y)
            scatter.show(x, y, self._kept, self.workspace.current_number)

    def _values(self, key: str) -> Values:
        mirror = self.workspace.mirror
        if key == Along.ORDER:
            return Values("order", "", 0, np.arange(1.0, len(mirror) + 1))
        if key == Along.TIME:
            return Values("time", "h", 2, hours(mirror))
        summary = next(entry for entry in mirror.summaries if entry.key == key)
        limits = self.workspace.limits.of(summary)
        return Values(summary.label, summary.unit, summary.digits, mirror.values(key), limits)

    def _show_cursor(self) -> None:
        current = self.workspace.current_number
        self.strips.show_cursor(current)
        for strip in self.query("#strip-below StripPlot").results(StripPlot):
            strip.show_cursor(current)
        self.query_one(ScatterPlot).show_cursor(current)
        self._show_item()

    def _show_item(self) -> None:
        shown = {summary.key for summary, _ in self.table.columns()}
        workspace = self.workspace
        line = self.query_one(ItemLine)
        line.show(workspace.current_row, workspace.mirror.summaries, shown)

    def action_axes(self) -> None:
        """Choose what the plots run along."""
        summaries = self.workspace.mirror.summaries
        drawing = self.workspace.drawing
        self.app.push_screen(AxesDialog(self._axes, summaries, self._take_axes, drawing))

    def _take_axes(self, axes: Axes) -> None:
        self._axes = axes
        self.workspace.along = axes.along
        everything = Changes(everything=True, values=True)
        self.call_after_refresh(self.show, everything)
        self.show(everything)

    # limits

    def on_strip_plot_limit_moved(self, message: StripPlot.LimitMoved) -> None:
        strip, limits = message.strip, self.workspace.limits
        summary, span = strip.summary, strip.span()
        key = summary.filter_max if message.upper else summary.filter_min
        factor = self._limit_key.press(f"{message.upper}{message.direction}", time.monotonic())
        if not key:
            end = "upper" if message.upper else "lower"
            if factor == 1:
                self.notify(f"[filters] has no key for the {end} limit of {summary.label}")
            return
        if span is None:
            return
        step = max(strip.step(), 1.0) if is_whole(key) else strip.step()
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
        """Show other limits at once, and tell the engine when the key rests."""
        limits = self.workspace.limits
        changed = {key: value for key, value in wanted.items() if limits.get(key) != value}
        for key, value in changed.items():
            limits.set(key, value)
        if not changed:
            return
        self._kept = limits.kept()
        for strip in self.query(StripPlot):
            if strip.summary == summary and strip.display:
                strip.show_limits(self._strip_data(summary), self.workspace.current_number)
        if self._sending is not None:
            self._sending.stop()
        self._sending = self.set_timer(SEND_S, self._send_limits)

    def _send_limits(self) -> None:
        limits = self.workspace.limits
        self._sending = None
        wanted = limits.unsent()
        if wanted:
            limits.sent()
            self.post_message(self.LimitsChanged(wanted, self._limits_refused))
            self._show_plots()

    def _limits_refused(self) -> None:
        self.workspace.limits.refused()
        self.show(Changes(values=True))

    # filter line

    def action_filter(self) -> None:
        line = self.query_one("#filter-line", Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.apply_filter(event.value)

    def on_input_submitted(self) -> None:
        self._leave_filter_line()

    def on_key(self, event) -> None:
        line = self.query_one("#filter-line", Input)
        if event.key == "escape" and line.has_focus:
            event.stop()
            line.value = ""
            self._leave_filter_line()

    def _leave_filter_line(self) -> None:
        self.query_one("#filter-line").display = False
        self.table.focus()

    def apply_filter(self, text: str) -> None:
        """Show only what matches; an unknown word keeps the filter before it."""
        workspace = self.workspace
        self._filter_problem = ""
        try:
            workspace.filter = parse(text, workspace.mirror.summaries) if text.strip() else None
        except FilterError as problem:
            self._filter_problem = str(problem)
        workspace.refresh()
        self.show(Changes(order=True))

    def clear_filter(self) -> bool:
        """Show all again; False when no filter was set."""
        had = self.workspace.filter is not None
        self.query_one("#filter-line", Input).value = ""
        if had:
            self.apply_filter("")
        return had

    # messages of the widgets

    def on_item_table_marked(self) -> None:
        """A range is marked by its ends: what lies between must stay there."""
        workspace = self.workspace
        workspace.frozen = self.table.mark_from is not None
        if not workspace.frozen and workspace.order_depends_on_items:
            workspace.refresh()
            self.show(Changes(order=True))
        self._show_titles()

    def on_item_table_sorted(self, message: ItemTable.Sorted) -> None:
        self.clear_marks()
        self.workspace.sort = message.sort
        self.workspace.refresh()
        self.show(Changes(order=True))

    def on_item_table_moved(self, message: ItemTable.Moved) -> None:
        workspace = self.workspace
        if message.name != workspace.current:
            workspace.current = message.name
            workspace.following = False
            super().draw_current()
            self._show_cursor()
        self._show_titles()

    def on_strip_plot_moved(self, message: StripPlot.Moved) -> None:
        steps = max(1, len(self.workspace.order) // LEAP) if message.leap else 1
        steps *= self._cursor_key.press(f"{message.step}{message.leap}", time.monotonic())
        self._go(self.workspace.step_in_session(message.step * steps))

    def on_scatter_plot_moved(self, message: ScatterPlot.Moved) -> None:
        factor = self._cursor_key.press(f"scatter{message.step}", time.monotonic())
        self._go(self.workspace.step_in_session(message.step * factor))

    def on_strip_stack_fitted(self) -> None:
        self.show(Changes(values=True))

    def on_strip_plot_left(self, message: StripPlot.Left) -> None:
        if self.maximized is None and (strip := self.strips.focus_strip(message.step)):
            strip.show(self._strip_data(strip.summary), self.workspace.current_number)

    def on_navigation_bar_jumped(self, message: NavigationBar.Jumped) -> None:
        self._go(self.workspace.mirror.names[message.number])
