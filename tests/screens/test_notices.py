"""Notices: seen by all viewers, until one has seen them; and the line above."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import START, FakeEngine, synthetic_notices
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.errors import EngineError
from warptui.engine.model.item import State
from warptui.engine.model.notices import Notice
from warptui.screens.look.glyphs import Drawing


def bells(app, monkeypatch) -> list[None]:
    rung: list[None] = []
    monkeypatch.setattr(app, "bell", lambda: rung.append(None))
    return rung


def acknowledged(engine: FakeEngine) -> list[tuple[int, ...]]:
    return [call[1] for call in engine.calls if call[0] == "acknowledge"]


@pytest.mark.parametrize("size", SIZES)
async def test_the_newest_notice_stands_on_every_screen_until_it_is_seen(driven, size) -> None:
    engine = FakeEngine(300, notices=synthetic_notices())
    async with driven(engine, size) as (app, pilot):
        for key in ("1", "5", "2"):
            await pilot.press(key)
            await until(pilot, lambda: "3 items failed" in text_of(app))
            assert "K: seen" in text_of(app) and "+1" in text_of(app)
        await pilot.press("K")
        await until(pilot, lambda: "no new file for 20 min" in text_of(app))
        assert acknowledged(engine) == [(2,)]
        await pilot.press("K")
        await until(pilot, lambda: "K: seen" not in text_of(app))
        assert engine.state.notices == ()
        await pilot.press("K")
        assert acknowledged(engine) == [(2,), (1,)]


async def test_the_bell_rings_once_for_each_new_notice(driven, monkeypatch) -> None:
    old, new = synthetic_notices()
    engine = FakeEngine(50, notices=(old,))
    async with driven(engine) as (app, pilot):
        rung = bells(app, monkeypatch)
        engine.say_status(rate_per_hour=1.0)
        await until(pilot, lambda: app.workspace.mirror.status.rate_per_hour == 1.0)
        assert not rung  # it was there before we came
        engine.say_status(notices=(old, new))
        await until(pilot, lambda: len(rung) == 1)
        engine.say_status(notices=(old, replace(new, text="4 items failed")))
        await until(pilot, lambda: "4 items failed" in text_of(app))
        assert len(rung) == 1
        engine.say_status(notices=(Notice(3, START, "disk_low_gb", "error", "little disk"),))
        await until(pilot, lambda: len(rung) == 2)


async def test_the_bell_can_be_switched_off(driven, monkeypatch) -> None:
    engine = FakeEngine(50)
    engine.settings["alerts"] = {"bell": False}
    async with driven(engine) as (app, pilot):
        rung = bells(app, monkeypatch)
        engine.say_status(notices=synthetic_notices())
        await until(pilot, lambda: "K: seen" in text_of(app))
        assert not rung


async def test_the_bell_rings_when_the_engine_dies(driven, monkeypatch) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        rung = bells(app, monkeypatch)
        app.feed._again = lambda: (_ for _ in ()).throw(EngineError("nobody"))
        engine.die(EngineError("the engine of /data/k3 went away; start it again"))
        await until(pilot, lambda: "Press s to start" in text_of(app))
        assert len(rung) == 1


async def test_a_notice_is_readable_in_ascii(driven) -> None:
    text = "motion 2.00 Å/frame – above 1.5"
    notice = Notice(1, START, "motion_above", "warning", text)
    engine = FakeEngine(50, notices=(notice,))
    async with driven(engine, (80, 24), Drawing.ASCII) as (app, pilot):
        await until(pilot, lambda: "2.00 A/frame - above" in text_of(app))
        assert text_of(app).splitlines()[1].isascii()


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (60, ("RUNNING", "300", "312/h", "1 failed", "new 1"), ("apof", "cuda")),
        (80, ("300", "2/2 busy", "disk 3.1 TB"), ("apof",)),
        (120, ("apof", "300 items", "newest", "(52 h)"), ()),
        (160, ("apof", "cuda:0 motion", "cuda:1 average", "52 h"), ()),
    ],
)
async def test_the_status_line_says_first_what_matters_most(driven, width, there, gone) -> None:
    async with driven(FakeEngine(300), (width, 24)) as (app, pilot):
        await until(pilot, lambda: "RUNNING" in text_of(app))
        line = text_of(app).splitlines()[0]
        assert all(word in line for word in there), line
        assert not any(word in line for word in gone), line


async def test_what_is_wrong_is_never_left_out_of_the_status_line(driven) -> None:
    engine = FakeEngine(300, disk_hours_left=2.0)
    name = next(iter(engine.rows))
    engine.rows[name] = replace(engine.rows[name], state=State.MISSING)
    async with driven(engine, (60, 20)) as (app, pilot):
        await until(pilot, lambda: "RUNNING" in text_of(app))
        line = text_of(app).splitlines()[0]
        assert "! disk" in line and "2 h" in line and "! 1 failed" in line
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: "? 1 missing" in text_of(app).splitlines()[0])


async def test_the_line_names_the_key_that_the_user_gave_it(driven) -> None:
    engine = FakeEngine(50, notices=synthetic_notices())
    engine.settings["keys"] = {"notice-seen": "f9"}
    async with driven(engine) as (app, pilot):
        await until(pilot, lambda: "f9: seen" in text_of(app))


async def test_a_notice_that_is_cut_says_where_it_stands_in_full(driven) -> None:
    engine = FakeEngine(50, notices=synthetic_notices())
    async with driven(engine, (60, 20)) as (app, pilot):
        await until(pilot, lambda: "…" in text_of(app) and "5: all of it" in text_of(app))
        await pilot.press("5")
        await until(pilot, lambda: "the file is truncated" in " ".join(text_of(app).split()))
        assert "all of it" not in text_of(app)
        await pilot.press("K")
        await until(pilot, lambda: "no new file for 20 min" in text_of(app))
        await pilot.press("K")
        await until(pilot, lambda: "K: seen" not in text_of(app))
