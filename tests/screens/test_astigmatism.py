"""The astigmatism plot and the mean |CTF| beside it, driven by keys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.screens.conftest import until
from tests.screens.fake_ctf import OPTICS
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.model.item import Choice
from warptui.engine.model.status import Astigmatism
from warptui.screens.look.glyphs import Drawing
from warptui.screens.overview.mean_ctf import mean_ctf
from warptui.screens.widgets.plots.astigmatism_plot import AstigmatismPlot
from warptui.screens.widgets.plots.ctf_plot import CtfPlot
from warptui.screens.widgets.plots.scatter_plot import ScatterPlot

TIGHTER, WIDER = "left_curly_bracket", "right_curly_bracket"
SHOW = ("m", "j", "l", "q")


async def shown(pilot, app) -> AstigmatismPlot:
    """The plot with the focus on it."""
    if app.screen.narrow:
        await pilot.press("tab", "tab")
    else:
        await pilot.press(*SHOW, "tab", "tab")
    plot = app.screen.query_one(AstigmatismPlot)
    await until(pilot, lambda: plot.has_focus and plot._plot is not None)
    return plot


def out_of(app, limit: float) -> int:
    """How many items the engine would take out, but for those that the user decided about."""
    mirror = app.workspace.mirror
    sigmas = mirror.values("ctf.astigmatism_sigma")
    return int(np.count_nonzero(app.workspace.limits.judged() & ~(sigmas <= limit)))


@pytest.mark.slow
async def test_it_is_the_first_scatter_plot_where_there_are_ctfs(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        plot = await shown(pilot, app)
        assert plot.display and not app.screen.query_one(ScatterPlot).display
        assert "no limit" in text_of(app) and "mean |CTF|, good items" in text_of(app)
        await pilot.press("m", "j", "l", "q")
        await pilot.pause()
        assert not plot.display and app.screen.query_one(ScatterPlot).display


async def test_without_a_ctf_two_values_are_plotted(driven) -> None:
    engine = FakeEngine(30, astigmatism=None)
    for name, row in engine.rows.items():
        values = {key: value for key, value in row.summary.items() if key[:4] != "ctf."}
        engine.rows[name] = replace(row, summary=values)
    async with driven(engine) as (app, pilot):
        await pilot.press(*SHOW)
        await pilot.pause()
        assert app.screen.query_one(ScatterPlot).display
        assert not app.screen.query_one(AstigmatismPlot).display


@pytest.mark.slow
async def test_the_limit_moves_circle_and_counts_while_the_key_is_held(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        plot = await shown(pilot, app)
        seen: list[tuple[float, int]] = []
        for _ in range(8):
            await pilot.press(TIGHTER)
            assert plot._judged is not None and plot._judged.limit is not None
            limit, n = plot._judged.limit, int(np.count_nonzero(plot._judged.outside))
            assert n == out_of(app, limit)
            assert f"{limit:g} σ {n:,} out" in (plot._painted or [])[0].text
            seen.append((limit, n))
        assert seen == sorted(seen, key=lambda pair: (-pair[0], pair[1]))
        assert seen[-1][1] > seen[0][1]
        assert not [call for call in engine.calls if call[0] == "change"]
        await until(pilot, lambda: engine.state.filters.get("astigmatism_max_sigma") == seen[-1][0])
        await until(pilot, lambda: "▽" in "".join(line.text for line in plot._painted or []))
        await pilot.press("0")
        await until(pilot, lambda: "astigmatism_max_sigma" not in engine.state.filters)


@pytest.mark.slow
async def test_square_brackets_move_it_too_and_it_can_be_typed(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        plot = await shown(pilot, app)
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert plot._judged is not None
        first = plot._judged.limit
        assert first is not None
        await pilot.press("right_square_bracket")
        assert plot._judged.limit is not None and plot._judged.limit > first
        await pilot.press("i")
        await pilot.press(*["backspace"] * 6, *"2.5", "enter")
        await until(pilot, lambda: engine.state.filters.get("astigmatism_max_sigma") == 2.5)
        assert plot._judged.limit == 2.5


@pytest.mark.slow
async def test_the_mean_ctf_is_of_those_that_are_in_now(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        await shown(pilot, app)
        curve = app.screen.query_one(CtfPlot)
        for keys in ((), ("i", *"0.5", "enter")):
            await pilot.press(*keys)
            await pilot.pause()
            kept = app.workspace.limits.kept()
            expected = mean_ctf(app.workspace.mirror, kept, OPTICS)
            assert expected is not None
            np.testing.assert_allclose(curve._heights, expected, atol=1e-6)
            assert curve._n == np.count_nonzero(kept)


async def test_it_follows_the_microscope_of_the_settings(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await shown(pilot, app)
        curve = app.screen.query_one(CtfPlot)
        before = curve._heights.copy()
        engine.change({"optics": {"voltage": 120.0}})
        await until(pilot, lambda: not np.array_equal(curve._heights, before))


@pytest.mark.slow
async def test_nothing_good_is_said(driven) -> None:
    engine = FakeEngine(300)
    for name, row in engine.rows.items():  # none that no limit can take out
        engine.rows[name] = replace(row, choice=Choice.AUTO)
    async with driven(engine) as (app, pilot):
        await shown(pilot, app)
        await pilot.press("i", "0", "enter")
        await until(pilot, lambda: "unknown: no good items" in text_of(app))


async def test_the_circle_follows_the_session(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        plot = await shown(pilot, app)
        moved = Astigmatism(0.05, -0.01, 0.02)
        engine.say_status(astigmatism=moved)
        await until(pilot, lambda: plot._data is not None and plot._data.session == moved)


async def test_h_and_l_move_the_cursor_and_z_takes_both(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        plot = await shown(pilot, app)
        here = app.workspace.current_number
        await pilot.press("h")
        assert app.workspace.current_number == here - 1
        await pilot.press("z")
        await until(pilot, lambda: plot.size.height > 30)
        assert app.screen.query_one(CtfPlot).size.width >= 20
        await pilot.press("z")
        await until(pilot, lambda: plot.size.height < 20)


@pytest.mark.parametrize("no_color", [False, True])
@pytest.mark.parametrize(
    ("size", "drawing"),
    [*((size, Drawing.ASCII) for size in SIZES), *((SIZES[2], drawing) for drawing in Drawing)],
)
async def test_it_is_drawn_at_every_size_in_every_glyph_mode(
    driven, monkeypatch, size, drawing, no_color
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    engine = FakeEngine(300)
    engine.change({"filters": {"astigmatism_max_sigma": 2.0}})
    async with driven(engine, size, drawing) as (app, pilot):
        plot = await shown(pilot, app)
        curve = app.screen.query_one(CtfPlot)
        text = text_of(app)
        assert "astigmatism" in text and " out" in text
        assert "mean |CTF|, good items" in text
        assert "2.6 " in text
        drawn = "".join(line.text for line in plot._painted or [])
        assert plot.glyphs.filtered in drawn and plot.glyphs.point in drawn and "+" in drawn
        assert curve.size.height >= 4 and curve.size.width >= 16
        if drawing is Drawing.ASCII:
            assert text.isascii(), [c for c in text if not c.isascii()]
