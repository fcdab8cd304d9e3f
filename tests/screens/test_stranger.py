"""What an operator wants, and how many keys it takes.

Counted twice. In steps, where a key that is held, and a word that is typed with the enter that ends
it, are one each: never more than four. And in presses, where each letter and each enter counts, and
a held key is pressed as often as the test does. The table of common tasks in the docs is this one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.screens.conftest import until
from tests.screens.fake_app import write_project
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import text_of
from warptui.engine.config import file
from warptui.engine.model.item import Choice, State

PAGE = Path(__file__).resolve().parents[2] / "docs" / "using" / "screens-and-keys.md"
WISHES = {
    "is it running, and how fast": (),
    "which movies failed, and why": ("5",),
    "go to the newest movie": ("G",),
    "stop processing for now": ("s",),
    "copy a path": ("y",),
    "why is this one outdated": ("enter",),
    "is the newest data worse than an hour ago": ("m", "l", "m"),
    "exclude these twelve": ("v", "j held", "f"),
    "what would a lower limit of motion take out": ("tab", "{ held"),
    "retry what failed": ("5", "P", "a"),
    "what changes if I bin by 2": ("6", "j held", "enter", "2 typed"),
    "show what moved more than 3 Å a frame": ("/", "motion>3 typed"),
}
HELD = {"exclude these twelve": 11, "what would a lower limit of motion take out": 30}
HELD |= {"what changes if I bin by 2": 4}
NAMES = {"{": "left_curly_bracket", "/": "slash"}


def rows() -> list[str]:
    """The table of common tasks in the docs; print it to bring that up to date."""
    table = []
    for wish, keys in WISHES.items():
        shown = " ".join(
            f"`{key.partition(' ')[0]}`{' (held)' * key.endswith(' held')}" for key in keys
        )
        shown = shown or "none: it is on the screen"
        table.append(f"| {wish} | {shown} | {len(keys)} | {presses(wish)} |")
    return table


def presses(wish: str) -> int:
    """Keys that go down, or repeat while they are held."""
    counts = {"typed": lambda word: len(word) + 1, "held": lambda _: HELD[wish], "": lambda _: 1}
    return sum(counts[how](key) for key, _, how in (key.partition(" ") for key in WISHES[wish]))


class Operator:
    """Presses the keys of one wish and no other."""

    def __init__(self, pilot, wish: str) -> None:
        self._pilot, self._wish, self._keys = pilot, wish, list(WISHES[wish])
        self.n_pressed = 0

    async def press(self, n: int = 1) -> None:
        """The next ``n`` keys, held where the wish says so."""
        for _ in range(n):
            key, _, how = self._keys.pop(0).partition(" ")
            down = [*key, "enter"] if how == "typed" else [NAMES.get(key, key)]
            for _ in range(HELD[self._wish] if how == "held" else 1):
                await self._pilot.press(*down)
                self.n_pressed += len(down)
            await self._pilot.pause()

    async def sees(self, *expected: str) -> None:
        """All of it is on the screen, and no key is left."""
        app = self._pilot.app
        await until(self._pilot, lambda: all(text in text_of(app) for text in expected))
        self.is_done()

    def is_done(self) -> None:
        """No key is left, and the table counts what was pressed."""
        assert not self._keys
        assert self.n_pressed == presses(self._wish)


def test_no_wish_takes_more_than_four_steps_and_the_docs_say_which() -> None:
    assert len(WISHES) >= 10
    assert all(len(keys) <= 4 for keys in WISHES.values())
    written = PAGE.read_text(encoding="utf-8")
    assert "\n".join(rows()) in written, "the table should be:\n" + "\n".join(rows())


async def test_is_it_running_and_how_fast(driven) -> None:
    async with driven(FakeEngine(1284)) as (_, pilot):
        await Operator(pilot, "is it running, and how fast").sees("RUNNING", "312/h", "newest")


async def test_which_movies_failed_and_why(driven) -> None:
    async with driven(FakeEngine(1284)) as (_, pilot):
        operator = Operator(pilot, "which movies failed, and why")
        await operator.press()
        await operator.sees("failed 3", "Data_1005", "21 of 40 frames")


async def test_go_to_the_newest_movie(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        await pilot.press("g")
        operator = Operator(pilot, "go to the newest movie")
        await operator.press()
        await operator.sees("Data_1283")
        assert app.workspace.current_number == 1283


async def test_stop_processing_for_now(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (_, pilot):
        operator = Operator(pilot, "stop processing for now")
        await operator.press()
        await operator.sees("PAUSED", "Press s to go on")
        assert ("pause",) in engine.calls


async def test_copy_a_path(driven, monkeypatch) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        copied: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        operator = Operator(pilot, "copy a path")
        await operator.press()
        await until(pilot, lambda: copied)
        assert Path(copied[0]).is_absolute()
        assert "/average/" in copied[0] and copied[0].endswith(".mrc")
        operator.is_done()


async def test_why_is_this_one_outdated(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        outdated = app.workspace.mirror.named(State.OUTDATED)[0]
        app.navigation.go(outdated)
        operator = Operator(pilot, "why is this one outdated")
        await operator.press()
        await operator.sees("outdated", "b_factor")


async def test_is_the_newest_data_worse_than_an_hour_ago(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        operator = Operator(pilot, "is the newest data worse than an hour ago")
        await operator.press(3)
        await operator.sees("0 h", "5 h")
        assert app.screen.query("#plots StripPlot")


async def test_exclude_these_twelve(driven) -> None:
    engine = FakeEngine(300)
    async with driven(engine) as (_, pilot):
        await pilot.press("g")
        operator = Operator(pilot, "exclude these twelve")
        await operator.press(3)
        await until(pilot, lambda: any(call[0] == "choose" for call in engine.calls))
        [(_, names, choice)] = [call for call in engine.calls if call[0] == "choose"]
        assert (len(names), choice) == (12, Choice.EXCLUDE)
        operator.is_done()


async def test_what_would_a_lower_limit_take_out(driven) -> None:
    async with driven(FakeEngine(1284)) as (app, pilot):
        before = int(app.workspace.limits.kept().sum())
        operator = Operator(pilot, "what would a lower limit of motion take out")
        await operator.press(2)
        await operator.sees("out ")
        assert app.workspace.limits.kept().sum() < before


async def test_retry_what_failed(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (_, pilot):
        operator = Operator(pilot, "retry what failed")
        await operator.press(3)
        await until(pilot, lambda: any(call[0] == "retry" for call in engine.calls))
        [(_, names)] = [call for call in engine.calls if call[0] == "retry"]
        assert len(names) == 3
        operator.is_done()


async def test_what_changes_if_i_bin_by_2(driven, tmp_path) -> None:
    engine = FakeEngine(300)
    (tmp_path / "project").mkdir()
    engine.project = write_project(tmp_path / "project")
    engine.settings = file.read_config(engine.project).to_json()
    async with driven(engine) as (app, pilot):
        operator = Operator(pilot, "what changes if I bin by 2")
        await operator.press(1)
        await until(pilot, lambda: "binning" in text_of(app))
        await operator.press(3)
        await operator.sees("outdated")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_show_what_moved_more_than_3(driven, size) -> None:
    async with driven(FakeEngine(1284), size) as (app, pilot):
        operator = Operator(pilot, "show what moved more than 3 Å a frame")
        await operator.press(2)
        values = app.workspace.mirror.values("motion.early_motion")[app.workspace.order]
        assert len(values) and (values > 3).all()
        operator.is_done()
