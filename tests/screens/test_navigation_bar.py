"""The whole session in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.screens.fake_engine import FakeEngine
from tests.screens.test_mirror import filled
from tests.screens.test_overview import text_of
from warptui.engine.api.events import ItemChanged
from warptui.engine.model.item import State
from warptui.screens.overview.acquisition import UNKNOWN_SQUARE, Along, axis_of, hours
from warptui.screens.widgets.bars.navigation_bar import NavigationBar


def bar_of(app) -> str:
    return app.screen.query_one(NavigationBar)._painted[0].text


async def test_each_cell_shows_the_worst_of_its_slice(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.press("g")
        await pilot.pause()
        bar = bar_of(app)
        assert bar.count("!") == 3
        assert bar.count("▲") == 2
        assert "99% done" in bar


async def test_the_cursor_does_not_hide_what_is_wrong(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert bar_of(app).count("!") == 3
        await pilot.press("g")
        await pilot.pause()
        assert bar_of(app)[1] == "┃"


async def test_along_the_time_a_night_without_movies_is_empty(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.press("m", "l", "q")
        await pilot.pause()
        assert " " * 40 in bar_of(app)
        assert " h" in text_of(app)


def test_time_is_counted_from_the_first_arrival() -> None:
    mirror = filled(100)
    passed = hours(mirror)
    assert passed[0] == 0
    assert np.isclose(passed[1], 11 / 3600)
    row = replace(mirror.rows[3], arrived_at=0.0)  # nobody saw it arrive
    mirror.apply([ItemChanged(row)])
    axis = axis_of(mirror, Along.TIME)
    assert np.isnan(axis.x[3])
    assert axis.whole == np.nanmax(hours(mirror))


def test_without_times_the_order_takes_their_place() -> None:
    mirror = filled(10)
    rows = [replace(row, arrived_at=0.0, state=State.DONE) for row in mirror.rows]
    mirror.apply([ItemChanged(row) for row in rows])
    axis = axis_of(mirror, Along.TIME)
    assert (axis.along, axis.whole) == (Along.ORDER, 10)
    assert (np.diff(axis.x) > 0).all()


def test_items_of_a_square_stand_side_by_side_and_those_of_none_last() -> None:
    mirror = filled(6)
    names = ("20", "", "31", "20", "", "31")
    rows = zip(mirror.rows, names, strict=True)
    mirror.apply([ItemChanged(replace(row, square=name)) for row, name in rows])
    axis = axis_of(mirror, Along.SQUARE)
    assert [(group.name, round(6 * group.end)) for group in axis.groups] == [
        ("20", 2),
        ("31", 4),
        (UNKNOWN_SQUARE, 6),
    ]
    assert np.argsort(axis.x).tolist() == [0, 3, 2, 5, 1, 4]
    assert axis_of(filled(0), Along.SQUARE).along is Along.ORDER
