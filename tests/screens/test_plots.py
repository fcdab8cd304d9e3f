"""Strips, limits and the scatter plot of the overview, driven by keys."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import SUMMARIES, FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.errors import SettingsError
from warptui.engine.model.summary import Summary
from warptui.screens.look.glyphs import Drawing
from warptui.screens.overview.acquisition import Along
from warptui.screens.overview.limits_dialog import LimitsDialog
from warptui.screens.overview.plots import Plots
from warptui.screens.widgets.bars.item_line import ItemLine
from warptui.screens.widgets.bars.status_panel import StatusPanel
from warptui.screens.widgets.plots.scatter_plot import ScatterPlot
from warptui.screens.widgets.plots.strip_plot import StripPlot
from warptui.screens.widgets.plots.strip_stack import SessionAxis

LOWER, HIGHER = "left_curly_bracket", "right_curly_bracket"


def changes_of(engine: FakeEngine) -> list[dict]:
    return [call[1]["filters"] for call in engine.calls if call[0] == "change"]


def selected_and_filtered(engine: FakeEngine) -> tuple[int, int]:
    rows = list(engine.rows.values())
    return sum(row.selected for row in rows), sum(row.filtered for row in rows)


def strip_of(app, label: str) -> StripPlot:
    strips = app.screen.query("#strips StripPlot").results(StripPlot)
    return next(strip for strip in strips if strip.summary.label == label)


async def test_a_limit_moves_at_once_and_the_engine_hears_of_it_when_the_key_rests(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        await pilot.press("tab", LOWER, LOWER)
        strip = strip_of(app, "motion")
        assert strip.has_focus
        limit = strip.data.limits[1]
        assert limit < 1.5
        values = app.workspace.mirror.values("motion.early_motion")
        assert strip.data.n_out > np.count_nonzero(values > 1.5)
        await until(pilot, lambda: changes_of(engine))
        assert changes_of(engine) == [{"motion_max": limit}]
        await until(pilot, lambda: engine.state.filters == {"motion_max": limit})
        # not excluded, not exempt: what the engine filters is what the strip said
        filtered = app.workspace.mirror.filtered
        await until(
            pilot, lambda: np.count_nonzero(app.workspace.mirror.filtered) == strip.data.n_out
        )
        assert len(filtered) == 1284


async def test_the_session_is_counted_while_a_key_is_held(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        panel = app.screen.query_one(StatusPanel)
        await pilot.press("tab", LOWER)
        shown = [panel.counts]
        for _ in range(5):
            await pilot.press(LOWER)
            shown.append(panel.counts)
        assert not changes_of(engine)
        assert all(fewer[0] <= more[0] for more, fewer in pairwise(shown))
        assert shown[-1][0] < shown[0][0]
        assert {sum(counts) for counts in shown} == {sum(shown[0])}
        await until(pilot, lambda: changes_of(engine))
        await until(pilot, lambda: selected_and_filtered(engine) == shown[-1])
        assert panel.counts == shown[-1]


@pytest.mark.slow
async def test_a_limit_begins_at_the_edge_of_what_is_seen_and_takes_out_what_is_beyond(
    driven,
) -> None:
    engine = FakeEngine(1284)
    name = next(iter(engine.rows))
    values = engine.rows[name].summary | {"motion.early_motion": 19.67}
    engine.rows[name] = replace(engine.rows[name], summary=values)
    engine.state = replace(engine.state, filters={})
    async with driven(engine) as (app, pilot):
        await pilot.press("tab", LOWER)
        strip = strip_of(app, "motion")
        shown = app.workspace.mirror.values("motion.early_motion")
        known = np.sort(shown[np.isfinite(shown)])
        first = strip.data.limits[1]
        assert known[-1] == 19.67 and first < 10
        assert strip._beyond == np.count_nonzero(known > first) >= 1
        assert f"out {strip.data.n_out}" in text_of(app)
        await pilot.press(*[LOWER] * 12)
        assert strip.data.limits[1] < 0.8 * first
        await pilot.press(*[HIGHER] * 40)
        assert strip.data.limits[1] is None


async def test_many_presses_are_one_change(driven, monkeypatch) -> None:
    engine = FakeEngine(300)
    monkeypatch.setattr("warptui.screens.overview.plots.SEND_S", 1000.0)  # after the last key
    async with driven(engine) as (app, pilot):
        await pilot.press("tab", *[LOWER] * 12)
        plots = app.screen.query_one(Plots)
        assert plots._sending is not None and not changes_of(engine)
        plots._send_limits()
        await until(pilot, lambda: changes_of(engine))
        assert plots._sending is None and len(changes_of(engine)) == 1
        assert changes_of(engine)[0]["motion_max"] == strip_of(app, "motion").data.limits[1]


@pytest.mark.slow
async def test_0_takes_the_limits_away_and_they_can_be_typed(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await pilot.press("tab", "0")
        await until(pilot, lambda: changes_of(engine) == [{"motion_max": None}])
        await until(pilot, lambda: engine.state.filters == {})
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, LimitsDialog))
        await pilot.press(*"1,25", "enter")
        await until(pilot, lambda: changes_of(engine)[-1] == {"motion_max": 1.25})


async def test_a_typed_limit_that_is_not_allowed_is_said(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await pilot.press("tab", "i")
        await until(pilot, lambda: isinstance(app.screen, LimitsDialog))
        await pilot.press("backspace", "backspace", "backspace", *"-3", "enter")
        await until(pilot, lambda: "not from 0 to 1000" in text_of(app))
        await pilot.press("q")
        await until(pilot, lambda: not isinstance(app.screen, LimitsDialog))
        assert app.screen.query_one(Plots)._sending is None  # nothing will be sent
        assert not changes_of(engine)


async def test_a_limit_that_the_engine_refuses_goes_back(driven, monkeypatch) -> None:
    engine = FakeEngine(300)

    def refuse(changes) -> None:
        engine.calls.append(("change", dict(changes)))
        raise SettingsError("config.toml cannot be written")

    monkeypatch.setattr(engine, "change", refuse)
    async with driven(engine) as (app, pilot):
        await pilot.press("tab", LOWER)
        await until(pilot, lambda: changes_of(engine))
        await until(pilot, lambda: strip_of(app, "motion").data.limits == (None, 1.5))


@pytest.mark.slow
async def test_a_value_without_a_key_in_filters_says_so(driven, monkeypatch) -> None:
    later = Summary("later.value", "later", "")  # of a stage that nobody wrote yet
    engine = FakeEngine(300, summaries=(*SUMMARIES, later))
    async with driven(engine) as (app, pilot):
        said: list[str] = []
        monkeypatch.setattr(Plots, "notify", lambda self, message: said.append(message))
        await pilot.press("tab", "right_square_bracket", *["j"] * len(SUMMARIES), LOWER, "i")
        await until(pilot, lambda: any("lower limit of motion" in message for message in said))
        await until(pilot, lambda: any("upper limit of later" in message for message in said))
        assert app.screen.query_one(Plots)._sending is None  # nothing will be sent
        assert not changes_of(engine)
        assert "no limits here" in text_of(app)


async def test_another_viewers_limit_is_seen(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        engine.change({"filters": {"motion_max": 0.7}})
        await until(pilot, lambda: strip_of(app, "motion").data.limits == (None, 0.7))
        assert "▽" in text_of(app)


async def test_h_and_l_go_along_the_session_also_when_the_list_is_sorted(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        await pilot.press("g", *[">"] * 3, "tab")
        here = app.workspace.current_number
        await pilot.press("l")
        assert app.workspace.current_number == here + 1
        await pilot.pause(0.4)
        await pilot.press("h")
        assert app.workspace.current_number == here
        await pilot.press("pagedown")
        assert app.workspace.current_number == here + 15
        assert app.screen.table.current.name == app.workspace.current


@pytest.mark.slow
async def test_strips_that_do_not_fit_are_reached_by_going_down(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (120, 40)) as (app, pilot):
        await pilot.press("tab", *["j"] * 20)
        strip = strip_of(app, SUMMARIES[-1].label)
        assert strip.has_focus and strip.display
        assert not strip_of(app, "motion").display
        await pilot.pause()
        assert strip.data is not None


async def test_z_shows_one_strip_as_large_as_the_window(driven) -> None:
    async with driven(FakeEngine(300), (120, 40)) as (app, pilot):
        await pilot.press("tab", "z")
        await pilot.pause()
        strip = strip_of(app, "motion")
        assert strip.size.height > 30
        await pilot.press("z")
        await pilot.pause()
        assert strip.size.height < 20
        assert strip_of(app, SUMMARIES[1].label).display


@pytest.mark.slow
async def test_m_chooses_a_scatter_plot_and_time(driven) -> None:
    engine = FakeEngine(300, later=True)
    async with driven(engine, (120, 40)) as (app, pilot):
        scatter = app.screen.query_one(ScatterPlot)
        assert not scatter.display
        page = app.screen
        await pilot.press("m", "l", "j", "l", "j", "l", "q")
        await pilot.pause()
        assert app.screen is page
        assert app.workspace.along is Along.TIME
        assert scatter.display
        named = f"{SUMMARIES[2].label} {SUMMARIES[2].unit}".strip()
        assert f"{named}  over motion" in text_of(app)
        assert " h " in text_of(app)
        await pilot.press("tab", "tab")
        assert scatter.has_focus


@pytest.mark.slow
async def test_m_puts_items_of_a_grid_square_side_by_side(driven) -> None:
    async with driven(FakeEngine(1000), (120, 40)) as (app, pilot):
        await pilot.press("m", "h", "q")
        await pilot.pause()
        assert app.workspace.along is Along.SQUARE
        axis = app.screen.query_one(SessionAxis)._painted[0].text
        assert axis.count("…") >= 3 and "┃18890004" in axis
        strip = strip_of(app, "motion")
        assert any("┊" in line.text for line in strip._painted)
        await pilot.press("tab", "g")
        app.screen._go(app.workspace.mirror.names[6])
        await pilot.press("l")  # the next along the axis: the seventh is of no square
        assert app.workspace.current_number == 8
        await pilot.press("h")
        assert app.workspace.current_number == 6


@pytest.mark.parametrize(
    ("size", "drawing"),
    [*((size, Drawing.ASCII) for size in SIZES), *((SIZES[2], drawing) for drawing in Drawing)],
)
async def test_plots_are_drawn_at_every_size_in_every_glyph_mode(driven, size, drawing) -> None:
    engine = FakeEngine(300, later=True)
    async with driven(engine, size, drawing) as (app, pilot):
        await pilot.press("m", "j", "l", "l", "q")
        if app.screen.narrow:
            await pilot.press("tab")
        await pilot.pause()
        shown = text_of(app)
        assert "[ … 1.5]" in shown or "[ ~ 1.5]" in shown
        if app.screen.narrow:
            await pilot.press("tab")
            await pilot.pause()
        assert "over motion" in text_of(app)
        if drawing is Drawing.ASCII:
            assert text_of(app).isascii(), [c for c in text_of(app) if not c.isascii()]


@pytest.mark.parametrize("size", [SIZES[0], SIZES[2]])
async def test_a_dash_explains_itself_below_the_list(driven, size) -> None:
    engine = FakeEngine(300)
    engine.change({"filters": {"motion_max": None}})
    async with driven(engine, size) as (app, pilot):
        await pilot.press("exclamation_mark", "exclamation_mark")
        await until(pilot, lambda: "no signal: motion, defocus" in text_of(app))
        assert app.screen.query_one(ItemLine).display


async def test_no_values_yet_is_said(driven) -> None:
    async with driven(FakeEngine(0)) as (app, _):
        assert "no values yet" in text_of(app)
