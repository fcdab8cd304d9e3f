"""The overview, the app's first screen: items, plots, and the state of the session."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
from textual.containers import Horizontal, Vertical
from textual.events import Click
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import Astigmatism
from warptui.screens import words
from warptui.screens.keys.names import key_name
from warptui.screens.keys.tables.lists import MOVING
from warptui.screens.keys.tables.overview import FILTER, FILTER_LINE, OVERVIEW
from warptui.screens.link.mirror import Changes
from warptui.screens.look.glyphs import plain
from warptui.screens.overview.filters import FilterError, parse
from warptui.screens.overview.plots import Plots
from warptui.screens.overview.sorting import ARRIVAL
from warptui.screens.page import Page
from warptui.screens.widgets.bars.item_line import ItemLine
from warptui.screens.widgets.bars.navigation_bar import NavigationBar
from warptui.screens.widgets.bars.status_panel import StatusPanel
from warptui.screens.widgets.lists.item_table import ItemTable
from warptui.screens.widgets.plots.strip_plot import AXIS_WIDTH, StripPlot, dots_width
from warptui.screens.workspace import Workspace

PLOTTING_SHARE = 20  # drawing plots takes at most this share of the time, one part in so many


class FilterLine(Input):
    """The input in which a filter is typed; items that do not match are hidden."""

    BINDINGS = list(FILTER_LINE)

    async def action_clear(self) -> None:
        self.value = ""
        await self.action_submit()


class Overview(Page):
    """The overview: item table, strip plots of the summary values, and the session in numbers."""

    BINDINGS = list(OVERVIEW)
    PANES = ("Items", "Plots", "Scatter", "Status")
    topic = "overview"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._filter_problem = ""
        self._titles: tuple = ()
        self._judged_by: tuple[dict[str, float], Astigmatism | None] = ({}, None)
        self._age_shown = ""
        self._plots_due = 0.0  # monotonic time from which the plots may be drawn again
        self._plots_later: Timer | None = None

    def content(self) -> Iterable[Widget]:
        yield Static(classes="tabs", markup=False)
        with Horizontal(id="main"):
            with Vertical(id="left"):
                yield ItemTable(id="items")
                yield Static(id="empty", markup=False)
                yield Vertical(id="strip-below")
                yield ItemLine(id="item-line")
                line = FilterLine(
                    id="filter-line",
                    placeholder="motion<0.8  state:failed  sel:out  -word  part of a name",
                )
                line.cursor_blink = False
                yield line
                yield StatusPanel(id="status-panel")
            yield Plots(self.workspace, id="plots")

    def opened(self) -> None:
        self.query_one("#filter-line").display = False
        self.query_one(StatusPanel).border_title = "Status"
        self.table.focus()

    @property
    def table(self) -> ItemTable:
        """The list of items."""
        return self.query_one(ItemTable)

    @property
    def plots(self) -> Plots:
        """Strip plots and scatter plot."""
        return self.query_one(Plots)

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
        if status is not None and self._judged_by != (status.filters, status.astigmatism):
            self._judged_by = (status.filters, status.astigmatism)
            changes.values = True
        if changes.values:
            self._follow_values(at_once=not changes.items)
        elif changes.order:
            super().draw_current()
            self._show_cursor()
        age = words.age(workspace.mirror.newest_age_s())
        if changes.everything or changes.items or changes.status or age != self._age_shown:
            self._age_shown = age
            self._show_status()
        if changes.everything or changes.items or changes.order:
            self._show_item()
        self._show_titles()

    def _show_status(self) -> None:
        workspace = self.workspace
        panel = self.query_one(StatusPanel)
        panel.show(workspace.mirror, workspace.limits.counts(), not workspace.lost)

    def on_plots_limits_shown(self) -> None:
        """Count the items that limits exclude, also while the key is held down."""
        self._show_status()

    def draw_current(self) -> None:
        super().draw_current()
        if self.workspace.current is not None:
            self.table.go_to_item(self.workspace.current)
        self._show_cursor()
        self._show_titles()

    def set_drawing(self) -> None:
        super().set_drawing()
        self.table.drawing = self.workspace.drawing

    def draw_choices(self, names: set[str]) -> None:
        self.table.refresh_items(names)
        self._show_item()
        self._show_titles()

    def _go(self, name: str | None) -> None:
        """Put the cursor on an item that the user chose outside the list."""
        if name is not None:
            self.workspace.following = False
            self.workspace.current = name
            self.draw_current()

    # handling panes

    def action_pane(self, step: int) -> None:
        if self.narrow:
            super().action_pane(step)
            self.call_after_refresh(self._focus_pane)
            return
        panes: list[Widget] = [self.table, self.plots.strips]
        if self.plots.scatter.display:
            panes.append(self.plots.scatter.shown)
        here = next((n for n, pane in enumerate(panes) if pane.has_focus_within), 0)
        pane = panes[(here + step) % len(panes)]
        if pane is self.plots.strips:
            self.plots.strips.focus_strip()
        else:
            self.set_focus(pane)  # in this call: the next key is meant for the pane

    def _focus_pane(self) -> None:
        match self.PANES[self._pane]:
            case "Items":
                self.set_focus(self.table)
            case "Plots":
                self.plots.strips.focus_strip()
            case "Scatter":
                self.set_focus(self.plots.scatter.shown)
            case _:
                self.set_focus(None)

    # titles, and texts in place of an empty list

    def _show_titles(self) -> None:
        workspace = self.workspace
        shown, n = len(workspace.order), len(workspace.mirror)
        counted = f"{shown:,}/{n:,}" if workspace.filter else f"{n:,}"
        if self.table.mark_from is not None:
            counted = f"{len(self.table.marked):,} marked"
        title = "Items"
        if workspace.sort is not None and workspace.sort[0] == ARRIVAL:
            title = "Items  newest first"
        newest = "following" if self.narrow else "following the newest"
        follow = f" · {newest}" if workspace.following and n else ""
        if self._filter_problem:
            title = f"Items  ! {self._filter_problem}"
        elif workspace.filter:
            title = f"Items  / {workspace.filter.text}"
        look = (title, counted, follow, self.narrow, self._pane, workspace.drawing)
        if look == self._titles:
            return  # setting a title repaints the whole widget, even with the same text
        self._titles = look
        drawing = workspace.drawing
        for pane in (self.table, self.query_one("#empty")):
            pane.border_title = plain(title, drawing)
            pane.border_subtitle = plain(f"{counted}{follow}", drawing)
        if self.narrow:
            tabs = self.query_one(".tabs", Static)
            names = (
                f"[{name}]" if number == self._pane else f" {name} "
                for number, name in enumerate(self.PANES)
            )
            extra = title.removeprefix("Items").strip()
            tabs.update(plain(f"{' '.join(names)}  {counted}{follow}  {extra}", drawing))

    def _show_empty(self) -> None:
        workspace = self.workspace
        status = workspace.mirror.status
        empty = self.query_one("#empty", Static)
        nothing = not len(workspace.order)
        keys = workspace.config.get("keys", {})
        # on their parent alone: a class of the screen would update the style of every widget
        self.query_one("#left").set_class(nothing, "-nothing")
        if not nothing:
            return
        if workspace.filter is not None and len(workspace.mirror):
            empty.update(
                f"No item matches  {workspace.filter.text}\n\n"
                f"{key_name(keys, 'list.filter', FILTER)} changes the filter, "
                f"{workspace.key('back')} clears it"
            )
        elif status is None:
            answers = (
                "No engine" if workspace.other_version is None else "No engine of this version"
            )
            waiting = (
                f"{answers} answers.\n\n{workspace.key('start-pause')} starts it    "
                f"{workspace.key('palette')} shows its log    {workspace.key('detach')} leaves"
            )
            empty.update(waiting if workspace.lost else "Waiting for the engine.")
        else:
            pattern = self.app_patterns()
            empty.update(
                "Nothing here yet.\n\n"
                f"Looking for  {pattern}\nin  {status.input_folder}\n"
                f"by  {status.watch_mode or 'polling'}.\n\n"
                "New movies appear by themselves once they are complete.\n"
                f"Wrong place? {workspace.key('settings')} sets folder and pattern ([input] in "
                "config.toml)."
            )

    def app_patterns(self) -> str:
        """The file names that the engine accepts."""
        pattern = self.workspace.config.get("input", {}).get("pattern") or ()
        return "  ".join(pattern) or "movies"

    # showing plots

    def _arrange_plots(self) -> None:
        summaries = self.workspace.mirror.summaries
        if self.plots.declare():
            below = self.query_one("#strip-below")
            below.remove_children()
            if summaries:  # where the plots are a tab, the first strip is visible here, too
                below.mount(strip := StripPlot(summaries[0]))
                strip.can_focus = False
                strip.drawing = self.workspace.drawing

    def _show_plots(self) -> None:
        """Draw everything that depends on the values or the limits."""
        self.plots.show_values()
        for strip in self._strips_below():
            strip.show(self.plots.strip_data(strip.summary), self.workspace.current_number)

    def _follow_values(self, *, at_once: bool) -> None:
        """Draw the plots again, but never for more than a small part of the time.

        Of 100,000 items that takes a tenth of a second, and values may come twice a second.
        """
        now = time.monotonic()
        if self._plots_later is not None:
            if not at_once:
                return
            self._plots_later.stop()
            self._plots_later = None
        if not at_once and now < self._plots_due:
            self._plots_later = self.set_timer(self._plots_due - now, self._draw_late)
            return
        self._show_plots()
        done = time.monotonic()
        self._plots_due = done + PLOTTING_SHARE * (done - now)

    def _draw_late(self) -> None:
        self._plots_later = None
        self._follow_values(at_once=True)

    def _strips_below(self) -> Iterable[StripPlot]:
        return self.query("#strip-below StripPlot").results(StripPlot)

    def _show_cursor(self) -> None:
        self.plots.show_cursor()
        for strip in self._strips_below():
            strip.show_cursor(self.workspace.current_number)
        self._show_item()

    def _show_item(self) -> None:
        shown = {summary.key for summary, _ in self.table.columns()}
        workspace = self.workspace
        line = self.query_one(ItemLine)
        opens = key_name(workspace.config.get("keys", {}), "list.open", MOVING)
        line.show(workspace.current_row, workspace.mirror.summaries, shown, opens)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a filter is typed, `/` and `m` are characters of the text."""
        return not (action in ("filter", "axes") and isinstance(self.focused, FilterLine))

    def action_axes(self) -> None:
        """Open the dialog for the axes of the plots."""
        self.plots.choose_axes()

    # handling the filter line

    def action_filter(self) -> None:
        line = self.query_one("#filter-line", Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.apply_filter(event.value)

    def on_input_submitted(self) -> None:
        self._leave_filter_line()

    def _leave_filter_line(self) -> None:
        self.query_one("#filter-line").display = False
        self.table.focus()

    def apply_filter(self, text: str) -> None:
        """Show only matching items; a word without a meaning leaves the filter as it was."""
        workspace = self.workspace
        self._filter_problem = ""
        try:
            workspace.filter = parse(text, workspace.mirror.summaries) if text.strip() else None
        except FilterError as problem:
            self._filter_problem = str(problem)
        workspace.refresh()
        self.show(Changes(order=True))

    def clear_filter(self) -> bool:
        """Show all items; False when no filter was set."""
        had = self.workspace.filter is not None
        self.query_one("#filter-line", Input).value = ""
        if had:
            self.apply_filter("")
        return had

    # handling messages of the widgets

    def on_item_table_marked(self) -> None:
        """A range is marked by its two ends: items between them must stay there."""
        workspace = self.workspace
        workspace.frozen = self.table.mark_from is not None
        if not workspace.frozen and workspace.order_depends_on_items:
            workspace.refresh()
            self.show(Changes(order=True))
        self._show_titles()

    def on_item_table_fitted(self) -> None:
        if self.alive:
            self._show_item()

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

    def on_plots_went(self, message: Plots.Went) -> None:
        self._go(message.name)

    def on_plots_axes_changed(self) -> None:
        everything = Changes(everything=True, values=True)
        self.show(everything)
        self.call_after_refresh(self.show, everything)  # handling widgets that got another size

    def on_strip_stack_fitted(self) -> None:
        self.show(Changes(values=True))

    def on_click(self, event: Click) -> None:
        """Put the cursor on the item drawn nearest to a click in a strip."""
        strip = event.widget
        if not isinstance(strip, StripPlot) or strip.data is None or not len(self.workspace.order):
            return
        x = strip.data.x[self.workspace.order]
        if np.isnan(x).all():
            return
        there = (event.x - AXIS_WIDTH + 0.5) / dots_width(strip.size.width)
        nearest = self.workspace.order[int(np.nanargmin(np.abs(x - there)))]
        self._go(self.workspace.mirror.names[nearest])

    def on_navigation_bar_jumped(self, message: NavigationBar.Jumped) -> None:
        self._go(self.workspace.mirror.names[message.number])
