"""The overview, driven by keys at every size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.conftest import until, until_quiet
from tests.screens.fake_app import make_app
from tests.screens.fake_engine import FakeEngine
from tests.work import counted
from warptui.engine.errors import EngineError
from warptui.engine.model.item import Choice, State
from warptui.screens.item.screen import ItemScreen
from warptui.screens.link import following
from warptui.screens.link.following import EventFollower
from warptui.screens.widgets.bars.item_line import ItemLine
from warptui.screens.widgets.lists.item_table import ItemTable
from warptui.screens.widgets.plots.strip_plot import StripPlot

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]


def text_of(app) -> str:
    """What is on the screen."""
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines)


@pytest.mark.parametrize("size", SIZES)
async def test_state_and_problems_are_seen_at_every_size(driven, size) -> None:
    async with driven(FakeEngine(1284), size) as (app, _):
        shown = text_of(app)
        assert "RUNNING" in shown
        assert "1,284" in shown
        assert "3 failed" in shown
        assert app.screen.query_one(ItemTable).current.name.rpartition(".")[0][-9:] in shown


@pytest.mark.parametrize("size", SIZES)
async def test_the_reason_of_a_failure_stands_in_its_row(driven, size) -> None:
    async with driven(FakeEngine(300), size) as (app, pilot):
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert "21 of 40 frames" in text_of(app)


async def test_every_declared_value_is_a_column_and_a_strip(driven) -> None:
    async with driven(FakeEngine(300)) as (app, _):
        columns = [summary for summary, _ in app.screen.query_one(ItemTable).columns()]
        summaries = list(app.workspace.mirror.summaries)
        assert columns == summaries[: len(columns)] and len(columns) > 2  # as many as fit
        strips = app.screen.query("#plots StripPlot").results(StripPlot)
        assert [strip.summary for strip in strips] == summaries


async def test_a_marked_range_is_excluded_at_once(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await pilot.press("g", "v", "j", "j", "f")
        await until(pilot, lambda: any(call[0] == "choose" for call in engine.calls))
        names = tuple(row.name for row in list(engine.rows.values())[:3])
        assert ("choose", names, Choice.EXCLUDE) in engine.calls
        assert [row.choice for row in app.workspace.mirror.rows[:3]] == [Choice.EXCLUDE] * 3
        assert app.screen.query_one(ItemTable).mark_from is None


async def test_space_goes_from_auto_to_exclude_to_include_and_back(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await pilot.press("g")
        seen = []
        for _ in range(3):
            await pilot.press("space")
            seen.append(app.workspace.mirror.rows[0].choice)
        assert seen == [Choice.EXCLUDE, Choice.INCLUDE, Choice.AUTO]


async def test_s_pauses_and_starts(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        await pilot.press("s")
        await until(pilot, lambda: app.workspace.mirror.status.state == "paused")
        await until(pilot, lambda: "Press s to go on" in text_of(app))
        await pilot.press("s")
        await until(pilot, lambda: app.workspace.mirror.status.state == "running")


async def test_the_filter_narrows_while_one_types_and_esc_clears_it(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.press("slash", *"state:failed")
        await pilot.pause()
        assert len(app.workspace.order) == 3
        await pilot.press("enter")
        assert app.workspace.current_row.state is State.FAILED
        await pilot.press("escape")
        assert len(app.workspace.order) == 1284


async def test_a_filter_word_that_means_nothing_is_said_and_changes_nothing(driven) -> None:
    async with driven(FakeEngine(100)) as (app, pilot):
        await pilot.press("slash", *"tilts<4")
        await until(pilot, lambda: "tilts?" in text_of(app))
        assert len(app.workspace.order) == 100


async def test_the_cursor_follows_new_items_until_it_is_moved(driven) -> None:
    engine = FakeEngine(100)
    async with driven(engine) as (app, pilot):
        row = replace(list(engine.rows.values())[50], name="new.tif", sequence=100)
        engine.say(row)
        await until(pilot, lambda: app.workspace.current == "new.tif")
        await pilot.press("g")
        engine.say(replace(row, name="newer.tif", sequence=101))
        await until(pilot, lambda: len(app.workspace.mirror) == 102)
        assert app.workspace.current == app.workspace.mirror.rows[0].name


async def test_failed_items_are_retried_and_others_processed_again(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (_, pilot):
        await pilot.press("exclamation_mark", "P")
        await until(pilot, lambda: any(call[0] == "retry" for call in engine.calls))
        await pilot.press("g", "P")
        await until(pilot, lambda: any(call[0] == "reprocess" for call in engine.calls))


async def test_an_empty_folder_says_where_and_what_is_looked_for(driven) -> None:
    async with driven(FakeEngine(0)) as (app, pilot):
        await until(pilot, lambda: "*.eer" in text_of(app))
        assert "/data/k3/movies" in text_of(app)


async def test_without_an_engine_it_says_so_and_s_shows_why_it_does_not_start() -> None:
    app = make_app(None)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Connection refused" in text_of(app))
        await pilot.press("s")
        await until(pilot, lambda: "out of memory" in text_of(app))


async def test_when_the_engine_dies_the_data_stays_and_is_dated(driven) -> None:
    engine = FakeEngine(100)
    async with driven(engine) as (app, pilot):
        app.feed._again = lambda: (_ for _ in ()).throw(EngineError("nobody"))
        engine.die(EngineError("the engine of /data/k3 went away; start it again"))
        await until(pilot, lambda: "Press s to start" in text_of(app))
        assert "STOPPED" in text_of(app)
        assert len(app.workspace.mirror) == 100


@pytest.mark.slow
async def test_100_000_items_are_shown_and_walked(driven) -> None:
    async with driven(FakeEngine(100_000)) as (app, pilot):
        await pilot.press("g", "j", "G", "k")
        table = app.screen.query_one(ItemTable)
        assert table.cursor == 99_998


async def test_enter_opens_the_item_and_esc_comes_back(driven) -> None:
    async with driven(FakeEngine(100)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        await pilot.press("escape")
        assert not isinstance(app.screen, ItemScreen)


async def test_nothing_is_repainted_while_nothing_changes(driven, monkeypatch) -> None:
    monkeypatch.setattr(following, "AGES_S", 0.1)
    looks = counted(monkeypatch, EventFollower, "follow")
    async with driven(FakeEngine(100, newest_age_s=10.0)) as (_, pilot):
        await until_quiet(pilot, looks, monkeypatch)


async def test_the_list_is_sorted_by_a_column_and_turned_round(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        await pilot.press("g", "greater_than_sign", "greater_than_sign", "greater_than_sign")
        await pilot.pause()
        assert app.workspace.sort == ("motion.early_motion", True)
        assert "motion▼" in text_of(app)
        values = app.workspace.mirror.values("motion.early_motion")[app.workspace.order]
        assert values[0] == max(values[values == values])
        await pilot.press("S")
        await pilot.pause()
        assert app.workspace.sort == ("motion.early_motion", False)
        await pilot.press("less_than_sign", "less_than_sign", "less_than_sign")
        await pilot.pause()
        assert app.workspace.sort is None
        await pilot.press("S", "g")
        await pilot.pause()
        assert "newest first" in text_of(app)
        assert app.workspace.current_number == 299


async def test_a_range_of_a_sorted_and_filtered_list_is_what_one_saw(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await pilot.press("slash", *"state:done", "enter", *[">"] * 3, "g", "v", "j")
        await pilot.pause()
        wanted = [app.workspace.mirror.names[int(n)] for n in app.workspace.order[:2]]
        worse = replace(engine.rows[app.workspace.mirror.names[5]])
        engine.say(replace(worse, summary={**worse.summary, "motion.early_motion": 99.0}))
        await until(pilot, lambda: app.workspace.mirror.values("motion.early_motion")[5] == 99.0)
        await pilot.press("f")
        await until(pilot, lambda: any(call[0] == "choose" for call in engine.calls))
        assert ("choose", tuple(wanted), Choice.EXCLUDE) in engine.calls
        await pilot.pause()
        assert app.workspace.order[0] == 5


async def test_a_row_of_a_sorted_list_is_repainted_when_it_changes(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        await pilot.press(*[">"] * 3, "G")
        await pilot.pause()
        row = app.workspace.mirror.rows[int(app.workspace.order[0])]
        engine.say(replace(row, state=State.FAILED, reason="the disk is on fire"))
        await pilot.press("g")
        await until(pilot, lambda: "the disk is on fire" in text_of(app))


async def test_a_problem_that_the_filter_hides_is_shown(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        await pilot.press("slash", *"state:done", "enter", "g", "v", "j", "exclamation_mark")
        await pilot.pause()
        table = app.screen.query_one(ItemTable)
        assert table.current.state is State.FAILED
        assert table.mark_from is None
        assert len(app.workspace.order) == 300


async def test_when_all_is_well_there_is_no_problem_to_go_to(driven) -> None:
    async with driven(FakeEngine(10)) as (app, pilot):
        await pilot.press("g", "exclamation_mark")
        await pilot.pause()
        assert app.workspace.current_number == 0
        assert any("no item failed" in notice.message for notice in app._notifications)


async def test_a_click_on_a_label_sorts_by_its_column(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        table = app.screen.query_one(ItemTable)
        summary, edge = table._with_right_edges()[1]
        await pilot.click(ItemTable, offset=(table.width - edge + 4, 1))
        await pilot.pause()
        assert app.workspace.sort == (summary.key, False)
        await pilot.click(ItemTable, offset=(table.width - edge + 4, 1))
        await pilot.pause()
        assert app.workspace.sort == (summary.key, True)


async def test_the_column_that_is_sorted_by_is_seen_where_few_fit(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (60, 20)) as (app, pilot):
        await pilot.press(*["<"])
        await pilot.pause()
        assert app.workspace.sort == ("ctf.ice_ring", True)  # the worst on top
        assert "ice▼" in text_of(app)


async def test_a_reason_that_is_cut_names_the_key_that_shows_all_of_it(driven) -> None:
    engine = FakeEngine(50)
    name = list(engine.rows)[5]
    engine.rows[name] = replace(engine.rows[name], state="failed", reason="too long a story " * 9)
    engine.settings["keys"] = {"list.open": "f8"}
    async with driven(engine) as (app, pilot):
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "… f8: all" in text_of(app))
        engine.say(replace(engine.rows[name], reason="short"))
        await until(pilot, lambda: "f8: all" not in text_of(app) and "short" in text_of(app))


@pytest.mark.parametrize("size", SIZES)
async def test_the_line_below_the_list_tells_what_no_column_does(driven, size) -> None:
    async with driven(FakeEngine(50), size) as (app, pilot):
        table, line = app.screen.query_one(ItemTable), app.screen.query_one(ItemLine)

        def agree() -> bool:
            return table.width > 20 and line._columns == {s.key for s, _ in table.columns()}

        await until(pilot, agree)
        await pilot.resize_terminal(max(60, size[0] - 40), size[1])
        await until(pilot, agree)
