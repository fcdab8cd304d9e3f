"""The app on a fake engine, driven by keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.screens.fake_app import make_app
from tests.screens.fake_engine import FakeEngine
from tests.work import counted
from warptui.screens.look.glyphs import Drawing

WAIT_S = 180.0  # ends a test that hangs
SLOW_SIZES = ((80, 24), (200, 60))
SLOW_DRAWING = (Drawing.HALF, Drawing.BRAILLE)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``make check`` sees the smallest size and the usual one, the usual characters and ASCII.

    `widgets` draw without an app, which costs nothing.
    """
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        slow = given.get("size") in SLOW_SIZES or given.get("drawing") in SLOW_DRAWING
        if slow and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


async def until(pilot, condition: Callable[[], object]) -> None:
    """Let the app work until ``condition`` holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the app did not get there"
        await pilot.pause(0.02)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds, also after the app was left."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


async def until_quiet(pilot, looks: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until nothing is painted while the app looks at the engine three times.

    ``looks`` counts the calls of `EventFollower.follow`.
    """
    painted = counted(monkeypatch, type(pilot.app), "_display")
    for _ in range(20):
        painted.clear()
        seen = len(looks)
        await until(pilot, lambda seen=seen: len(looks) >= seen + 3)
        if not painted:
            return
    raise AssertionError("it is painted again and again")


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages and times of day are the same on every run."""
    monkeypatch.setattr("warptui.screens.link.mirror.time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr("warptui.screens.item.text.words.clock", lambda at, unknown="": "14:02:11")
    monkeypatch.setattr("warptui.screens.words.time_of_day", lambda at, seconds=True: "14:02:11")
    monkeypatch.setattr("warptui.screens.words.day", lambda at: "09-21")


@pytest.fixture
def driven(tmp_path: Path):
    """``async with driven(engine) as (app, pilot)``: an app that has heard of all items."""

    @asynccontextmanager
    async def drive(engine: FakeEngine, size=(120, 40), drawing=Drawing.QUADRANT):
        engine.folder = engine.folder or tmp_path
        app = make_app(engine, drawing=drawing)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: len(app.workspace.mirror) == len(engine.rows))
            await until(pilot, lambda: app.workspace.config)
            await pilot.pause()
            yield app, pilot

    return drive
