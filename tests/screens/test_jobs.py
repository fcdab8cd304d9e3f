"""Jobs and log, driven by keys."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.screens.conftest import until, until_quiet
from tests.screens.fake_engine import START, FakeEngine
from tests.screens.test_overview import SIZES, text_of
from tests.work import counted
from warptui.engine.api.events import LogLine, Snapshot
from warptui.engine.model.item import State
from warptui.screens import words
from warptui.screens.item.screen import ItemScreen
from warptui.screens.jobs.dialogs import FailureDialog, RetryQuestion, account
from warptui.screens.jobs.screen import Jobs
from warptui.screens.link import following
from warptui.screens.link.following import EventFollower
from warptui.screens.link.mirror import LOG_LINES, Mirror
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.lists.job_table import JobTable, Tab
from warptui.screens.widgets.lists.log_pane import LogPane
from warptui.screens.widgets.lists.slots_pane import SlotsPane


async def opened(pilot) -> Jobs:
    await pilot.press("5")
    await until(pilot, lambda: isinstance(pilot.app.screen, Jobs))
    await pilot.pause(0.1)
    return pilot.app.screen


def asked(engine: FakeEngine, call: str) -> list[tuple]:
    return [entry for entry in engine.calls if entry[0] == call]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("drawing", [Drawing.QUADRANT, Drawing.ASCII])
async def test_what_runs_and_what_failed_is_seen_at_every_size(driven, size, drawing) -> None:
    async with driven(FakeEngine(1284), size, drawing) as (app, pilot):
        await opened(pilot)
        await until(pilot, lambda: "3/6.0 s" in text_of(app))
        shown = text_of(app)
        assert "motion" in shown and "cuda:1" in shown
        assert "failed 3" in shown and "queued 4" in shown and "done 1,27" in shown
        assert "21 of 40 frames" in shown
        if drawing is Drawing.ASCII:
            assert shown.isascii()


@pytest.mark.slow
async def test_enter_on_a_failure_tells_all_and_leads_to_the_item(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine, (80, 24)) as (app, pilot):
        page = await opened(pilot)
        failed = page.table.current
        assert failed.failed_at == max(row.failed_at for row in engine.rows.values())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FailureDialog))
        await until(pilot, lambda: "TruncatedError" in text_of(app))
        shown = text_of(app)
        assert "at motion, 3 tries" in shown and "reading frame 21" in shown
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        assert app.workspace.current == failed.name


async def test_a_failed_item_is_retried_alone_or_with_all_others(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        first = page.table.current.name
        await pilot.press("P")
        await until(pilot, lambda: isinstance(app.screen, RetryQuestion))
        await pilot.press("P")
        await until(pilot, lambda: asked(engine, "retry") == [("retry", (first,))])
        await until(pilot, lambda: len(page.table.names) == 2)
        left = set(page.table.names)
        await pilot.press("P", "a")
        await until(pilot, lambda: len(asked(engine, "retry")) == 2)
        assert set(asked(engine, "retry")[1][1]) == left
        await until(pilot, lambda: "nothing failed" in text_of(app))


@pytest.mark.slow
async def test_the_question_can_be_left_without_an_answer(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        for key in ("q", "escape", "n"):
            await pilot.press("P")
            await until(pilot, lambda: isinstance(app.screen, RetryQuestion))
            await pilot.press(key)
            await until(pilot, lambda: app.screen is page)
        assert not asked(engine, "retry")


async def test_the_queue_is_in_the_order_of_the_engine_and_says_why(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("l")
        await until(pilot, lambda: page.table.names == [name for name, _ in engine.queue()])
        assert page.table.tab is Tab.QUEUED and page.table.cursor == 0
        await until(pilot, lambda: "outdated: motion: motion.b_f" in text_of(app))


async def test_files_that_are_still_written_have_a_list_while_there_are_any(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("l", "l")
        await until(pilot, lambda: "1.2 of 1.5 GB so far" in text_of(app))
        assert page.table.tab is Tab.WAITING
        row = page.table.current
        engine.say(replace(row, state=State.DONE, reason="", summary={"motion.early_motion": 1.0}))
        await until(pilot, lambda: "nothing is being written" in text_of(app))
        await pilot.press("l")
        await until(pilot, lambda: page.table.tab is Tab.DONE and "waiting" not in text_of(app))


async def test_x_stops_a_trial_and_leaves_its_item_alone(driven) -> None:
    engine = FakeEngine(1284)
    queued = next(row.name for row in engine.rows.values() if row.state is State.QUEUED)
    device = {**engine.state.devices[0], "item": queued, "stage": "ctf", "trial": True}
    engine.state = replace(engine.state, devices=(device,))
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        page.query_one(SlotsPane).focus()
        await until(pilot, lambda: "trial of ctf" in text_of(app))
        await pilot.press("x")
        await until(pilot, lambda: asked(engine, "drop") == [("drop", queued)])
        assert not asked(engine, "cancel")


@pytest.mark.slow
async def test_x_cancels_what_runs_and_what_waits(driven) -> None:
    engine = FakeEngine(1284)
    running = next(row.name for row in engine.rows.values() if row.state is State.RUNNING)
    devices = ({**engine.state.devices[0], "item": running}, engine.state.devices[1])
    engine.state = replace(engine.state, devices=devices)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        page.query_one(SlotsPane).focus()
        await pilot.pause()
        await pilot.press("x")
        await until(pilot, lambda: asked(engine, "cancel") == [("cancel", (running,))])
        page.table.focus()
        await pilot.press("l")
        await until(pilot, lambda: asked(engine, "queue") and page.table.cursor == 0)
        await pilot.pause(0.1)
        two = page.table.names[:2]
        await pilot.press("v", "j", "x")
        await until(pilot, lambda: "Cancel 2 items" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: asked(engine, "cancel")[-1] == ("cancel", tuple(two)))
        await pilot.press("l", "l", "x")  # what is done can not be cancelled
        await pilot.press("question_mark")
        await until(pilot, lambda: "This pane" in text_of(app))  # the key before was handled
        assert len(asked(engine, "cancel")) == 2


async def test_the_cursor_stays_on_its_item_when_others_fail(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (_, pilot):
        page = await opened(pilot)
        here = page.table.current.name
        row = list(engine.rows.values())[10]
        engine.say(replace(row, state=State.FAILED, reason="new", failed_at=START * 2))
        await until(pilot, lambda: len(page.table.names) == 2)
        assert page.table.names[0] == row.name
        assert page.table.current.name == here


@pytest.mark.slow
async def test_100_000_failures_are_walked(driven) -> None:
    engine = FakeEngine(0)
    row = next(row for row in FakeEngine(300).rows.values() if row.state is State.FAILED)
    engine.add_all(
        row.with_values(name=f"m{index:06}.tif", sequence=index, failed_at=float(index))
        for index in range(100_000)
    )
    async with driven(engine) as (_, pilot):
        page = await opened(pilot)
        await until(pilot, lambda: page.table.current is not None)  # 100,000 rows are sorted
        await pilot.press("G")
        assert page.table.current.name == "m000000.tif"
        await pilot.press("g", "j")
        assert page.table.current.name == "m099998.tif"


async def test_the_log_holds_what_was_said_before_and_follows_what_is_said_now(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await until(pilot, lambda: "the worker died of SIGKILL" in text_of(app))
        engine.say_line("something new", "warning")
        await until(pilot, lambda: "something new" in text_of(app))
        page.log_pane.focus()
        await pilot.press("g")
        assert not page.log_pane.tail
        here = page.log_pane.current
        engine.say_line("even newer")
        await until(pilot, lambda: app.workspace.mirror.log[-1].text == "even newer")
        await until(pilot, lambda: page.log_pane.n_rows > 1)
        assert page.log_pane.current == here and "even newer" not in text_of(app)
        await pilot.press("L")
        assert page.log_pane.tail and page.log_pane.current.text == "even newer"


async def test_levels_are_letters_and_can_be_left_out(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        page = await opened(pilot)
        await until(pilot, lambda: "!! E" in text_of(app))
        assert "motion took" not in text_of(app)
        await pilot.press("V", "V")
        assert page.log_pane.level == "error"
        assert {line.level for _, line in page.log_pane._lines} == {"error"}
        await pilot.press("V")
        await until(pilot, lambda: "motion took" in text_of(app))


@pytest.mark.slow
async def test_a_word_is_found_in_the_log(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("slash", *"Data_127", "enter")
        assert page.log_pane.current.item.endswith("1278.tif")
        await pilot.press("N")
        assert page.log_pane.current.item.endswith("1277.tif")
        await pilot.press("n", "n")
        assert page.log_pane.current.item.endswith("1270.tif")  # round the end
        await until(pilot, lambda: "/data_127 9" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        await pilot.press("5", "escape")
        await until(pilot, lambda: not page.log_pane.search)


async def test_a_line_about_the_engine_is_shown_in_full(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine, (60, 20)) as (app, pilot):
        page = await opened(pilot)
        engine.say_line("nothing " * 30 + "but the end", "error")
        await pilot.press("tab")
        await until(pilot, lambda: page.log_pane.has_focus and page.log_pane.tail)
        await until(pilot, lambda: "nothing" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "but the end" in text_of(app))


async def test_nothing_is_repainted_here_while_nothing_changes(driven, monkeypatch) -> None:
    monkeypatch.setattr(following, "AGES_S", 0.1)
    looks = counted(monkeypatch, EventFollower, "follow")
    async with driven(FakeEngine(300)) as (_, pilot):
        await opened(pilot)
        await until_quiet(pilot, looks, monkeypatch)


@pytest.mark.slow
async def test_screens_do_not_pile_up(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        for _ in range(3):
            await pilot.press("5", "2")
        assert len(app.screen_stack) <= 4
        await pilot.press("1")
        assert len(app.screen_stack) == 1


async def test_without_colour_the_cursor_and_the_levels_are_seen(driven, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with driven(FakeEngine(300)) as (app, pilot):
        page = await opened(pilot)
        line = page.query_one(JobTable).render_line(1)
        assert any(segment.style.reverse for segment in line)
        assert "!! E" in text_of(app)


def test_a_snapshot_brings_no_line_twice_and_memory_is_bounded() -> None:
    mirror = Mirror()
    status = FakeEngine(0).state
    lines = [LogLine(float(n), "info", f"line {n}") for n in range(LOG_LINES + 500)]
    mirror.apply(lines)
    assert len(mirror.log) == LOG_LINES and mirror.n_logged == LOG_LINES + 500
    newer = LogLine(9e9, "info", "newer")
    changes = mirror.apply([Snapshot((), status), *lines[-500:], newer])
    assert changes.log and mirror.n_logged == LOG_LINES + 501
    assert [line.text for line in mirror.log][-2:] == [lines[-1].text, "newer"]


def test_lines_that_a_new_engine_reads_from_the_file_are_the_same_lines() -> None:
    mirror, engine = Mirror(), FakeEngine(21)
    name = next(iter(engine.rows))
    everything = Snapshot(tuple(engine.rows.values()), engine.state)
    said = LogLine(100.7, "info", "done in 8.1 s", name)
    mirror.apply([everything, said])
    from_file = [
        LogLine(99.0, "warning", f"{name}: torn"),
        LogLine(100.0, "info", f"{name}: done in 8.1 s"),
    ]
    mirror.apply([everything, *from_file])
    assert [(line.item, line.text) for line in mirror.log] == [
        (name, "done in 8.1 s"),
        (name, "torn"),
    ]


def test_a_traceback_that_the_log_repeats_is_told_once() -> None:
    engine = FakeEngine(300)
    row = next(row for row in engine.rows.values() if row.state is State.FAILED)
    detail = replace(
        engine.item(row.name),
        log_tail="job 1\nTraceback (most recent call last):\n  ...\nTruncatedError: frame 21\n",
    )
    assert account(detail).count("TruncatedError") == 1
    nothing = replace(detail, traceback="", log_tail="", failed_stage="")
    assert "before the first stage" in account(nothing)


def test_log_lines_of_strange_levels_are_shown() -> None:
    pane = LogPane()
    mirror = Mirror()
    mirror.apply([LogLine(0.0, "notice", "x"), LogLine(0.0, "debug", "y")])
    pane.repaint = lambda: None
    pane.show(mirror)
    assert [line.text for _, line in pane._lines] == ["x"]


async def test_the_date_stands_in_the_log_only_where_another_day_begins(driven) -> None:
    engine = FakeEngine(0)
    engine.lines = []
    async with driven(engine, (60, 20)) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("tab")
        noon = time.mktime((2026, 9, 21, 12, 0, 0, 0, 0, -1))
        for hours in (0, 1, 24, 25):
            engine.say_line(f"line {hours}", at=noon + 3600 * hours)
        engine.say_line("now", at=time.time())
        await until(pilot, lambda: " now" in text_of(app))
        shown = [line.text.split() for line in page.log_pane._painted]
        lines = [line for line in shown if line[-2:-1] == ["line"] or line[-1:] == ["now"]]
        assert [line[0] for line in lines[:4]] == ["09-21", "13:00:00", "09-22", "13:00:00"]
        assert lines[4][0] == words.day(time.time())
        assert "09-21" not in " ".join(shown[0])  # the cursor is on today's line
