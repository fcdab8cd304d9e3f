"""Lists for other programs: asked for in a window, followed on the jobs screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import START, FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.model.exports import Export, ExportRequest
from warptui.screens.exporting.dialog import ExportDialog
from warptui.screens.jobs.screen import Jobs
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.lists.exports_pane import ExportsPane, account

MADE = Export(
    "7", "micrographs", "/p/good.star", "done", START, 1102, 1244, "3 left out: no CTF", "engine"
)


def asked(engine: FakeEngine) -> list[ExportRequest]:
    return [call[1] for call in engine.calls if call[0] == "export"]


async def opened(pilot) -> ExportDialog:
    await pilot.press("o")
    await until(pilot, lambda: isinstance(pilot.app.screen, ExportDialog))
    await until(pilot, lambda: "first rows" in text_of(pilot.app))
    return pilot.app.screen


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("drawing", [Drawing.QUADRANT, Drawing.ASCII])
async def test_the_first_rows_are_seen_before_anything_is_written(driven, size, drawing) -> None:
    engine = FakeEngine(300)
    async with driven(engine, size, drawing) as (app, pilot):
        await opened(pilot)
        shown = text_of(app)
        assert "DefocusU" in shown and "13105.1" in shown and "0004.mrc" in shown
        assert "replaced" in shown and "a list for RELION" in shown
        n = sum(row.selected for row in engine.rows.values())
        assert f"{n:,} items" in shown
        if drawing is Drawing.ASCII:
            assert shown.isascii()
        await pilot.press("q")
        await pilot.pause()
        assert not isinstance(app.screen, ExportDialog) and not asked(engine)


async def test_o_twice_writes_what_is_selected(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await opened(pilot)
        await pilot.press("o")
        await until(pilot, lambda: asked(engine))
        assert asked(engine) == [ExportRequest()]
        engine.say_export("0", state="done", rows=290, reason="4 left out: no CTF was found")
        await until(pilot, lambda: any("290 rows" in note.message for note in app._notifications))


async def test_everything_about_a_list_can_be_chosen(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (120, 40)) as (app, pilot):
        await opened(pilot)
        await pilot.press("j", "l", "j", "enter", *"all.star", "enter")
        await until(pilot, lambda: "apof/all.star" in text_of(app))
        await pilot.press("j", "l")  # where paths start: the list's own folder
        await pilot.press("j", "space")
        await until(pilot, lambda: "no columns about it  yes" in text_of(app))
        await pilot.press("o")
        await until(pilot, lambda: asked(engine))
        wanted = ExportRequest(
            items="done",
            path="all.star",
            relative_to="/data/k3/2026-11-22_apof",
            switches=("without_ctf",),
        )
        assert asked(engine) == [wanted]


async def test_a_report_is_of_all_items_and_has_no_paths(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (80, 24)) as (app, pilot):
        await opened(pilot)
        await pilot.press("h")  # the kind before the first is the last
        await until(pilot, lambda: "report.html" in text_of(app) and "300 items" in text_of(app))
        shown = text_of(app)
        assert "paths in it" not in shown and "selected:" not in shown
        await pilot.press("j", "j", "space")
        await until(pilot, lambda: "CSV and JSON  yes" in text_of(app))
        await pilot.press("o")
        await until(pilot, lambda: asked(engine))
        assert asked(engine) == [ExportRequest("report", switches=("tables",))]


async def test_paths_may_start_in_a_folder_that_is_typed(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (120, 40)) as (app, pilot):
        await opened(pilot)
        await pilot.press("j", "j", "j", "enter", *"/r", "enter")
        await until(pilot, lambda: "from /r" in text_of(app))
        await pilot.press("h")
        await until(pilot, lambda: "in full" in text_of(app))
        await pilot.press("o")
        await until(pilot, lambda: asked(engine))
        assert asked(engine)[0].absolute


@pytest.mark.slow
async def test_marked_items_are_what_is_meant_and_a_wrong_name_is_told(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (120, 40)) as (app, pilot):
        await pilot.press("g", "v", "j", "j")
        await opened(pilot)
        assert "the 3 marked" in text_of(app) and " 3 items" in text_of(app)
        await pilot.press("j", "j", "enter", *"list", "enter")
        await until(pilot, lambda: "must end with .star" in text_of(app))
        await pilot.press("o")
        await pilot.pause()
        assert isinstance(app.screen, ExportDialog) and not asked(engine)
        await pilot.press("enter", *"list.star", "enter")
        await until(pilot, lambda: "apof/list.star" in text_of(app))
        await pilot.press("o")
        await until(pilot, lambda: asked(engine))
        assert asked(engine)[0].names == tuple(engine.rows)[:3]


async def test_exports_are_followed_cancelled_and_looked_at_on_the_jobs_screen(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (120, 40)) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.screen, Jobs))
        assert "Exports" not in text_of(app)
        engine.say_status(exports=(replace(MADE, id="0", state="running", rows=500), MADE))
        await until(pilot, lambda: "500/1,244" in text_of(app))
        assert "1,102 rows" in text_of(app) and "3 left out" in text_of(app)
        await pilot.pause()
        pane = app.screen.query_one(ExportsPane)
        for _ in range(4):
            if not pane.has_focus:
                await pilot.press("tab")
        assert pane.has_focus
        await pilot.press("x")
        await until(pilot, lambda: ("cancel_export", "0") in engine.calls)
        await until(pilot, lambda: " cancelled " in text_of(app))
        await pilot.press("j", "x")  # what is written cannot be cancelled
        await pilot.press("y")
        assert app.clipboard == "/p/good.star"
        await pilot.press("enter")
        await until(pilot, lambda: "by the engine" in text_of(app))
        await pilot.press("q")
        engine.say_status(exports=())
        await until(pilot, lambda: "Exports" not in text_of(app))


def test_an_export_in_full_says_what_was_left_out() -> None:
    said = account(MADE)
    assert "1,102 rows" in said and "/p/good.star" in said and "3 left out: no CTF" in said


async def test_places_of_another_program_and_a_box_are_typed(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (80, 24)) as (app, pilot):
        await opened(pilot)
        await pilot.press("l")
        await until(pilot, lambda: "our picks" in text_of(app))
        await pilot.press("j", "j", "j", "j", "enter", *"c.star", "enter")
        await pilot.press("j", "j", "enter", *"96", "enter")
        await until(pilot, lambda: "96" in text_of(app) and "c.star" in text_of(app))
        assert "FigureOfMerit" in text_of(app) and "close" in text_of(app)
        await pilot.press("o")
        await until(pilot, lambda: asked(engine))
        wanted = ExportRequest(
            kind="particles", given={"coordinates": "c.star", "box_size_px": "96"}
        )
        assert asked(engine) == [wanted]
