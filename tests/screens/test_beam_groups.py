"""Optics groups by beam shift in the app: a picture and a table, before an export and of a list."""

from __future__ import annotations

import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import START, FakeEngine
from tests.screens.test_exports import opened
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.model.exports import Export, ExportRequest
from warptui.screens.exporting.dialog import ExportDialog
from warptui.screens.exporting.optics_groups_dialog import BeamDialog
from warptui.screens.jobs.screen import Jobs
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.lists.exports_pane import ExportsPane
from warptui.screens.widgets.lists.log_pane import LogPane
from warptui.screens.widgets.plots.beam_plot import beam_cells

LIVE = Export(
    "l", "live particles", "/p/particles_boxnet.star", "live", START, 400, 40,
    "25 optics groups by beam shift, of 16 items each; late.mrc without a beam shift", "engine",
)  # fmt: skip
SQUARE = {
    "groups": [
        {"number": 1, "n": 1, "x": 0.0, "y": 0.0, "unit": "µm"},
        {"number": 2, "n": 1, "x": 1.0, "y": 0.0, "unit": "µm"},
        {"number": 3, "n": 1, "x": 0.0, "y": 1.0, "unit": "µm"},
        {"number": 4, "n": 1, "x": None, "y": None, "unit": "µm"},
        {"number": 5, "n": 1, "x": None, "y": None, "unit": ""},
    ],
    "points": [[0.0, 0.0, 1], [1.0, 0.0, 2], [0.0, 1.0, 3], [1.0, 1.0, 4]],
    "summary": "",
}


def test_x_is_to_the_right_and_y_upwards_at_the_same_scale() -> None:
    cells = beam_cells(SQUARE, 21, 60, Drawing.ASCII)
    lines = ["".join(map(chr, row)) for row in cells.codes]
    at = {
        mark: next((y, line.index(mark)) for y, line in enumerate(lines) if mark in line)
        for mark in "123x"
    }
    assert at["1"][0] == at["2"][0] > at["3"][0] == at["x"][0]
    assert at["1"][1] == at["3"][1] < at["2"][1] == at["x"][1]
    across, up = at["2"][1] - at["1"][1], at["1"][0] - at["3"][0]
    assert across == pytest.approx(2 * up, abs=2)  # a cell is twice as high as wide
    assert "x 0 to 1, y 0 to 1 µm" in lines[-1]


def test_images_at_one_place_are_drawn() -> None:
    told = {**SQUARE, "groups": SQUARE["groups"][:1], "points": [[0.5, -2.0, 1]] * 3}
    cells = beam_cells(told, 10, 30, Drawing.QUADRANT)
    assert (cells.codes[:9] != ord(" ")).any()


@pytest.mark.parametrize(("size", "drawing"), [(SIZES[0], Drawing.ASCII), (SIZES[-1], None)])
async def test_the_groups_of_an_export_are_seen_beforehand(driven, size, drawing) -> None:
    engine = FakeEngine(300)
    async with driven(engine, size, drawing or Drawing.QUADRANT) as (app, pilot):
        dialog = await opened(pilot)
        await pilot.press("b")
        assert app.screen is dialog  # there is one group: nothing to show
        await pilot.press(*"jjjjjj", "space")
        await until(pilot, lambda: "25 by beam" in text_of(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BeamDialog))
        await until(pilot, lambda: "EPU units" in text_of(app))
        shown = text_of(app)
        assert "group   items" in shown and "late.mrc without a beam shift" in shown
        await pilot.press("j", "k", "space", "space", "space")
        await until(pilot, lambda: "no beam shift known" in text_of(app))
        if drawing is Drawing.ASCII:
            assert text_of(app).isascii()
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("o")
        await until(
            pilot, lambda: ("export", ExportRequest(switches=("beam_shift",))) in engine.calls
        )


async def test_the_groups_of_a_live_list_are_seen_on_the_jobs_screen(driven) -> None:
    engine = FakeEngine(300)
    engine.settings["export"]["optics_groups"] = "beam_shift"
    engine.say_status(exports=(LIVE,))
    async with driven(engine, (80, 24)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.screen, Jobs))
        await until(pilot, lambda: app.screen.query_one(ExportsPane).display)
        await pilot.press("tab")
        await until(pilot, lambda: app.screen.query_one(ExportsPane).has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BeamDialog))
        await until(pilot, lambda: "/p/particles_boxnet.star" in text_of(app))
        assert "EPU units" in text_of(app)
        await pilot.press("q", "tab")
        await until(pilot, lambda: app.screen.query_one(LogPane).has_focus)
