"""Keys: remapped, clashing, explained, and offered as commands."""

from __future__ import annotations

import asyncio
import time

import pytest
from textual.events import Key

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.errors import EngineError
from warptui.engine.model.item import State
from warptui.screens.dialogs.windows import Question, TextDialog
from warptui.screens.item.screen import ItemScreen
from warptui.screens.keys.help import help_text
from warptui.screens.keys.names import key_name
from warptui.screens.keys.tables.app import APP
from warptui.screens.settings.screen import SettingsScreen
from warptui.screens.widgets.bars.key_bar import KeyBar


def messages(app) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_a_key_that_is_given_to_two_is_told_with_both_names(driven) -> None:
    engine = FakeEngine(50)
    engine.settings["keys"] = {"follow": "f7", "next-problem": "f7"}
    async with driven(engine) as (app, pilot):
        await until(pilot, lambda: "f7" in messages(app))
        assert "follow" in messages(app)
        assert "next-problem" in messages(app)


async def test_a_key_taken_from_another_is_told_and_the_new_one_works(driven) -> None:
    engine = FakeEngine(50)
    engine.settings["keys"] = {"toggle-exclude": "space"}
    async with driven(engine) as (app, pilot):
        await until(pilot, lambda: "toggle-include" in messages(app))
        await pilot.press("g", "space")
        await pilot.pause()
        assert app.workspace.mirror.rows[0].choice == "exclude"
        await pilot.press("space")  # as f does, and not on to include
        assert app.workspace.mirror.rows[0].choice == "auto"


async def test_remapped_keys_are_those_that_help_and_footer_name(driven) -> None:
    engine = FakeEngine(50)
    engine.settings["keys"] = {"start-pause": "f5"}
    async with driven(engine, (120, 60)) as (app, pilot):
        await until(pilot, lambda: "f5" in text_of(app).splitlines()[-1])
        await pilot.press("question_mark")
        await until(pilot, lambda: "start-pause" in text_of(app))
        line = next(line for line in text_of(app).splitlines() if "start-pause" in line)
        assert "f5" in line
        await pilot.press("escape", "f5")
        await until(pilot, lambda: ("pause",) in engine.calls)


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_every_key_of_the_app_is_a_command(driven, key) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        for binding in APP:
            title = binding.description[:1].upper() + binding.description[1:]
            assert title in commands, binding.id
            assert binding.id in commands[title].help
        for theme in app.available_themes:
            assert f"Theme {theme}" in commands
        await pilot.press(key, *"settings")
        await until(pilot, lambda: "id settings" in text_of(app))
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))


async def test_help_names_the_focused_pane(driven) -> None:
    async with driven(FakeEngine(50), (120, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "This pane: Items" in text_of(app))
        await pilot.press("q", "tab", "question_mark")
        await until(pilot, lambda: "strip." in text_of(app))


@pytest.mark.parametrize("size", SIZES)
async def test_help_puts_keys_words_and_ids_into_columns(driven, size) -> None:
    async with driven(FakeEngine(50), size) as (app, _):
        width = TextDialog.text_width(size[0])
        for line in help_text(app, app.screen, app.workspace.drawing, width).split("\n"):
            assert len(line) <= width
            if line.endswith(("list.sort-turn", "toggle-include", "copy-path")):
                assert len(line) == width


def burst(app, *keys: str) -> None:
    """All keys at once, as they come when they are typed fast over a slow line."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))


async def test_keys_of_one_burst_act_one_after_the_other(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        problem = app.workspace.mirror.named(State.FAILED)[0]
        burst(app, "g", "exclamation_mark", "enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        assert app.workspace.current == problem


async def test_letters_typed_at_once_after_a_slash_are_the_filter(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        burst(app, "slash", *"data_0005", "enter", "f")
        await until(pilot, lambda: app.workspace.mirror.rows[5].choice == "exclude")
        assert app.workspace.filter.text == "data_0005"
        assert len(app.workspace.order) == 1


async def test_what_is_typed_at_once_after_a_dialog_opens_goes_into_it(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        burst(app, "5", "slash", *"61q", "enter")
        await until(pilot, lambda: "61q" in text_of(app))
        assert app.is_running


async def test_a_key_is_given_out_although_the_one_before_got_lost(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        app.key_order._given_at = time.monotonic()  # a widget went away with the messenger
        burst(app, "g", "f")
        await until(pilot, lambda: app.workspace.mirror.rows[0].choice == "exclude")


@pytest.mark.parametrize("action", ["item", "jobs", "settings"])
@pytest.mark.parametrize("turns", [0, 2, 4, 8])
async def test_the_app_may_be_left_while_a_screen_opens(driven, action: str, turns: int) -> None:
    async with driven(FakeEngine(60)) as (app, _):
        getattr(app, f"action_{action}")()
        for _ in range(turns):
            await asyncio.sleep(0)


@pytest.mark.parametrize("turns", [0, 4, 8, 12, 16, 24])
async def test_a_screen_may_be_left_while_it_opens(driven, turns: int) -> None:
    async with driven(FakeEngine(60)) as (app, pilot):
        app.action_item()
        await asyncio.sleep(0)
        app.action_overview()
        for _ in range(turns):
            await asyncio.sleep(0)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        await until(pilot, lambda: app.screen.loaded)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keys", [(), ("tab",), ("2",), ("5",), ("6",)])
async def test_the_last_line_holds_whole_words_and_ends_with_help_and_leaving(
    driven, size, keys
) -> None:
    async with driven(FakeEngine(20), size) as (app, pilot):
        await pilot.press(*keys)
        await until(pilot, lambda: last_line(app).endswith("? help q detach"))
        await pilot.pause()
        bar = app.screen.query_one(KeyBar)
        entries = bar.shown(bar.size.width)
        assert [entry.sign for entry in entries[-2:]] == ["?", "q"]
        room = bar.size.width - len(" ? help q detach")
        assert entries[:-2] and all(entry.end <= room for entry in entries[:-2])
        line = last_line(app)
        for entry in entries:  # what is drawn is what a click acts on
            words = f"{entry.sign} {entry.label}".strip()
            assert line[entry.start : entry.end] == words
        starts = [entry.start for entry in entries[1:]]
        assert all(entry.end <= start for entry, start in zip(entries, starts, strict=False))


def last_line(app) -> str:
    return text_of(app).rstrip("\n").split("\n")[-1].rstrip()


async def test_texts_name_the_keys_that_work(driven) -> None:
    engine = FakeEngine(0, state="paused")
    engine.settings["keys"] = {"start-pause": "f5", "settings": "ctrl+t", "question.yes": "Y"}
    async with driven(engine, (120, 40)) as (app, pilot):
        await until(pilot, lambda: "Press f5 to go on" in text_of(app))
        await until(pilot, lambda: "Wrong place? ^t sets folder" in text_of(app))
        engine.die(EngineError("gone; start it again"))
        await until(pilot, lambda: "Press f5 to start" in text_of(app))
        app.push_screen(Question("Sure?"))
        await until(pilot, lambda: "Y  yes        n  no" in text_of(app))
        await pilot.press("Y")
        await until(pilot, lambda: not isinstance(app.screen, Question))


@pytest.mark.parametrize(
    ("keys", "shown"),
    [({}, "s"), ({"start-pause": "f5, f6"}, "f5"), ({"start-pause": "ctrl+question_mark"}, "^?")],
)
def test_names_of_keys(keys: dict[str, str], shown: str) -> None:
    assert key_name(keys, "start-pause") == shown
