"""The app as a whole: what it imports, its keys, and terminals that cannot show it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.screens.conftest import driven, until
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import text_of
from warptui.app import run_app
from warptui.screens.keys.bindings import all_bindings
from warptui.screens.link.mirror import Changes
from warptui.screens.look.glyphs import Drawing, speaks_utf8, suggested_drawing

__all__ = ["driven"]


def test_the_app_imports_no_number_cruncher() -> None:
    code = (
        "import sys, warptui.app; "
        "heavy = ('torch', 'scipy', 'numba', 'pandas', 'cupy', 'pydantic'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.slow
async def test_a_key_is_changed_by_its_id(driven) -> None:
    engine = FakeEngine(50)
    engine.settings["keys"] = {"toggle-exclude": "x", "no-such-id": "y"}
    async with driven(engine) as (app, pilot):
        said = [notice.message for notice in app._notifications]
        assert any("no-such-id" in message for message in said)
        await pilot.press("g", "x")
        assert app.workspace.mirror.rows[0].choice == "exclude"
        await pilot.press("f")  # no longer bound
        assert app.workspace.mirror.rows[0].choice == "exclude"


@pytest.mark.slow
async def test_help_lists_every_key_that_works_here(driven) -> None:
    async with driven(FakeEngine(50), (120, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "This pane" in text_of(app))
        shown = text_of(app)
        for name in ("list.mark", "toggle-include", "start-pause"):
            assert name in shown
        await pilot.press("q")
        assert "This pane" not in text_of(app)


async def test_q_detaches_and_leaves_the_engine_alone(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert app.return_code == 0
    assert not {"pause", "stop", "start"} & {call[0] for call in engine.calls}


async def test_without_colour_all_states_can_be_told_apart(driven, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with driven(FakeEngine(700)) as (app, pilot):
        assert app.no_color
        await pilot.press("slash", *"state:outdated", "enter")
        await pilot.pause()
        assert "▲" in text_of(app)


@pytest.mark.slow
async def test_a_window_of_60x20_is_never_a_wall(driven) -> None:
    async with driven(FakeEngine(50), (60, 20)) as (app, pilot):
        assert "too small" not in text_of(app)
        await pilot.resize_terminal(30, 8)
        await until(pilot, lambda: "too small" in text_of(app))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "RUNNING" in text_of(app))


async def test_the_engine_is_followed_at_2_hz_and_no_faster(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        shown: list[float] = []
        show = app.screen.show
        app.screen.show = lambda changes: (shown.append(time.monotonic()), show(changes))
        began = time.monotonic()
        while time.monotonic() < began + 2.0:
            engine.say_status(newest_age_s=time.monotonic() % 100)
            await pilot.pause(0.02)
        elapsed = time.monotonic() - began
        assert 2 <= len(shown) <= elapsed / 0.5 + 1, shown


async def test_items_arrive_while_an_item_is_looked_at(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        await pilot.press("enter")
        engine.say_status(newest_age_s=1.0)
        await until(pilot, lambda: "<5 s" in text_of(app))


@pytest.mark.parametrize(
    ("term", "color_system", "no_color", "drawing"),
    [
        ("xterm-256color", "256", False, Drawing.QUADRANT),
        ("screen-256color", "256", True, Drawing.BRAILLE),
        ("xterm", "standard", False, Drawing.BRAILLE),
        ("linux", "standard", False, Drawing.ASCII),
    ],
)
def test_the_way_of_drawing_fits_the_terminal(
    monkeypatch, term, color_system, no_color, drawing
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("warptui.screens.look.glyphs.speaks_utf8", lambda *_: True)
    assert suggested_drawing(color_system, no_color) is drawing


def test_a_locale_without_utf8_gets_ascii(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("warptui.screens.look.glyphs.speaks_utf8", lambda *_: False)
    assert suggested_drawing("256", False) is Drawing.ASCII


@pytest.mark.parametrize(
    ("environment", "utf8_mode", "encoding", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, False, "UTF-8", True),
        ({"LANG": "de_DE"}, False, "ISO-8859-1", False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, "utf-8", False),  # what Python makes of C
        ({"LANG": "de_DE.utf8", "LC_CTYPE": "C.UTF-8"}, True, "utf-8", True),  # not installed
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True, "utf-8", False),
        ({}, True, "utf-8", False),
    ],
)
def test_whether_the_terminal_speaks_utf8(environment, utf8_mode, encoding, expected) -> None:
    assert speaks_utf8(environment, utf8_mode, encoding) is expected


def test_a_dumb_terminal_gets_a_sentence(monkeypatch, capsys) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert run_app(Path("/nowhere")) == 2
    assert "TERM" in capsys.readouterr().err


def test_ids_are_unique_but_for_aliases() -> None:
    seen: dict[str, str] = {}
    for binding in all_bindings():
        if binding.id:
            assert seen.setdefault(binding.id, binding.action) == binding.action


@pytest.mark.slow
async def test_a_screen_that_was_left_is_not_drawn_any_more(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        for key in ("2", "5", "6"):
            await pilot.press(key)
            await until(pilot, lambda: len(app.screen_stack) == 2)
            left = app.screen
            await pilot.press("1")
            left.show(Changes(everything=True, values=True, status=True))
            left.show_current()
            left.show_choices(set())
            await pilot.pause()


async def test_the_app_is_left_while_a_call_to_the_engine_hangs(driven) -> None:
    engine, answered = FakeEngine(50), threading.Event()
    engine.pause = lambda: answered.wait(20)
    async with driven(engine) as (app, pilot):
        await pilot.press("s")
        await pilot.press("q")
        await pilot.pause()
    answered.set()  # before the loop ends: what hears of it must not wait for the app
    assert app.return_code == 0
