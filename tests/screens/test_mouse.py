"""The mouse, where there is one: a click goes where it points."""

from __future__ import annotations

import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from warptui.screens.item.screen import ItemScreen
from warptui.screens.jobs.screen import Jobs
from warptui.screens.widgets.bars.key_bar import KeyBar
from warptui.screens.widgets.bars.navigation_bar import NavigationBar
from warptui.screens.widgets.bars.status_bar import StatusBar
from warptui.screens.widgets.lists.item_table import ItemTable
from warptui.screens.widgets.lists.job_table import JobTable
from warptui.screens.widgets.plots.strip_plot import AXIS_WIDTH, StripPlot


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_click_on_a_row_puts_the_cursor_there_and_two_open_it(driven, size) -> None:
    async with driven(FakeEngine(1284), size) as (app, pilot):
        await pilot.press("g")
        table = app.screen.query_one(ItemTable)
        # measured from the widget with its frame
        frame = table.content_region.offset - table.region.offset
        there = (frame.x + 8, frame.y + table.header_height + 5)
        await pilot.click(ItemTable, offset=there)
        assert app.workspace.current_number == table.scroll_offset.y + 5
        await pilot.click(ItemTable, offset=there, times=2)
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))


async def test_a_click_on_a_strip_goes_to_what_is_drawn_there(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        strip = app.screen.query("#plots StripPlot").first(StripPlot)
        await pilot.click(strip, offset=(AXIS_WIDTH, 2))
        assert app.workspace.current_number < 60
        await until(pilot, lambda: strip.has_focus)
        await pilot.click(strip, offset=(AXIS_WIDTH + 20, 2))
        assert 200 < app.workspace.current_number < 1200
        assert not app.workspace.following


async def test_a_click_on_the_navigation_bar_goes_there(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.click(NavigationBar, offset=(2, 0))
        assert app.workspace.current_number < 40
        await pilot.click(NavigationBar, offset=(60, 0))
        assert 500 < app.workspace.current_number < 900


async def test_a_click_on_the_header_changes_nothing(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        before = app.workspace.current
        await pilot.click(StatusBar, offset=(3, 0))
        assert app.workspace.current == before
        assert not {call[0] for call in engine.calls} & {"pause", "start", "choose"}


async def test_a_click_on_a_job_puts_the_cursor_there(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.screen, Jobs) and app.screen.table.n_rows > 1)
        table = app.screen.table
        frame = table.content_region.offset - table.region.offset
        head = bool(table.heading(table.size.width))
        await pilot.click(JobTable, offset=(frame.x + 4, frame.y + head + 1))
        assert table.cursor == 1


async def test_a_click_on_a_key_presses_it_and_nothing_beside_it(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        bar = app.screen.query_one(KeyBar)
        await until(pilot, lambda: bar.shown(bar.size.width))
        keys = {key.label: key for key in bar.shown(bar.size.width)}
        plots, help_key = keys["plots"], keys["help"]
        await pilot.hover(KeyBar, offset=(plots.start, 0))
        await until(pilot, lambda: str(bar.styles.pointer) == "pointer")
        await pilot.hover(KeyBar, offset=(plots.end, 0))
        await until(pilot, lambda: str(bar.styles.pointer) == "default")
        page = app.screen
        await pilot.click(KeyBar, offset=(help_key.start - 1, 0))
        await pilot.pause()
        assert app.screen is page
        await pilot.click(KeyBar, offset=(help_key.end - 1, 0))
        await until(pilot, lambda: app.screen is not page)
