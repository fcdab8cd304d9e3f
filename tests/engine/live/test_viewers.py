"""Two apps on one engine: what one person decides, the other sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pretend_project import Engine

from warptui.app import WarptuiApp
from warptui.client import Client
from warptui.engine.errors import EngineError
from warptui.engine.model.item import State


def app_on(project: Path) -> WarptuiApp:
    def launch() -> None:
        raise EngineError("not in this test")

    def connect() -> Client:
        return Client.connect(project)

    return WarptuiApp(project, connect, connect, launch)


async def reached(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180.0
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_two_viewers_see_the_same(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.add("b.mrc")
    engine.start()
    engine.wait_all(State.DONE, 2)
    one, other = app_on(engine.project), app_on(engine.project)
    async with one.run_test(size=(120, 40)) as here, other.run_test(size=(80, 24)) as there:
        for app in (one, other):
            await reached(lambda app=app: len(app.workspace.mirror) == 2 and app.workspace.config)
        await here.press("g", "f")
        await reached(lambda: other.workspace.mirror.rows[0].choice == "exclude")
        await there.press("s")
        await reached(lambda: one.workspace.mirror.status.state == "paused")
        engine.add("c.mrc")
        for app in (one, other):
            await reached(lambda app=app: "c.mrc" in app.workspace.mirror.index)
        await reached(lambda: one.workspace.mirror.rows == other.workspace.mirror.rows)
        assert one.workspace.current != "c.mrc"  # each has a cursor of its own
        await there.press("s")
        await reached(lambda: one.workspace.mirror.counts()[State.DONE] == 3)
    assert engine.client.status().state in ("idle", "running")
