"""States of the engine that the banner explains: catching up, no devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine, synthetic_rows
from tests.screens.test_overview import SIZES, text_of
from warptui import client
from warptui.app import WarptuiApp
from warptui.engine.api import protocol
from warptui.engine.api.events import CatchingUp, Snapshot
from warptui.engine.errors import OtherVersionError
from warptui.engine.model.status import EngineStatus
from warptui.screens.dialogs.windows import Question
from warptui.screens.page import banner_text
from warptui.screens.workspace import Workspace

LOST = {"slot": 0, "device": "cuda:0", "item": "", "stage": "", "problem": "cuda:0-0: no memory"}


@pytest.mark.parametrize("size", SIZES)
async def test_a_viewer_that_was_left_behind_says_that_it_catches_up(driven, size) -> None:
    engine = FakeEngine(300)
    async with driven(engine, size) as (app, pilot):
        engine.leave_behind(40_960)
        await until(pilot, lambda: "catching up with the engine: 40,960 items" in text_of(app))
        assert "Data_0" in text_of(app)  # what was before stays
        engine.catch_up()
        await until(pilot, lambda: "catching up" not in text_of(app))


async def test_who_is_lost_catches_up_no_more(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        engine.leave_behind(4096)
        await until(pilot, lambda: "catching up" in text_of(app))
        engine.die(client.EngineError("the engine went away; start it again"))
        await until(pilot, lambda: "catching up" not in text_of(app))


def test_before_the_first_snapshot_there_is_no_word_of_what_was() -> None:
    workspace = Workspace()
    workspace.catching_up = 4096
    assert banner_text(workspace) == "catching up with the engine: 4,096 items so far"


class SlowConnection:
    """Gives the messages of a snapshot, one in 0.4 s."""

    closed = True

    def __init__(self, messages: Iterator[dict[str, Any]], clock: list[float]) -> None:
        self._messages, self._clock = messages, clock

    def receive(self) -> dict[str, Any] | None:
        self._clock[0] += 0.4
        return next(self._messages, None)

    def wait_for_ever(self) -> None:
        """No timeout."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("n", "told"), [(100, []), (8_000, []), (20_000, [12288])])
def test_the_client_tells_of_a_snapshot_that_takes_long(monkeypatch, n, told) -> None:
    clock = [100.0]
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    snapshot = Snapshot(tuple(synthetic_rows(n)), EngineStatus("running", "/p", "/m"))
    viewer = object.__new__(client.Client)
    viewer._subscriptions, viewer._ahead = set(), None
    messages = protocol.encode_snapshot(7, snapshot)
    viewer._subscribe = lambda after: SlowConnection(messages, clock)
    heard = [event for _, event in viewer.events(0)]
    assert [event.n_items for event in heard if isinstance(event, CatchingUp)] == told
    assert isinstance(heard[-1], Snapshot) and len(heard[-1].rows) == n


@pytest.mark.parametrize("size", SIZES)
async def test_without_devices_it_says_so_and_what_to_do(driven, size) -> None:
    async with driven(FakeEngine(50, devices=()), size) as (app, pilot):
        await until(pilot, lambda: "no device to process on" in text_of(app))
        assert "[compute] devices" in " ".join(text_of(app).replace("│", " ").split())


@pytest.mark.parametrize("size", SIZES)
async def test_when_all_devices_are_lost_it_says_which_and_what_to_do(driven, size) -> None:
    engine = FakeEngine(50, state="paused", devices=(LOST,), message="cuda:0-0: no memory")
    async with driven(engine, size) as (app, pilot):
        await until(pilot, lambda: "no device works (cuda:0)" in text_of(app))
        shown = " ".join(text_of(app).replace("│", " ").split())
        assert "s tries again" in shown and "doctor" in shown and "no memory" in shown
        await pilot.press("s")
        await until(pilot, lambda: ("start",) in engine.calls)


async def test_one_device_of_two_lost_is_no_standstill(driven) -> None:
    engine = FakeEngine(50)
    engine.state = FakeEngine(1, devices=(LOST, engine.state.devices[1])).state
    async with driven(engine) as (app, _):
        assert "no device" not in text_of(app)


async def test_what_only_an_engine_knows_is_not_told_without_one(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine, (120, 40)) as (app, pilot):
        assert "/h" in text_of(app) and "watching" in text_of(app)
        engine.die(client.EngineError("the engine went away; start it again"))
        await until(pilot, lambda: "no engine: nothing is watched" in text_of(app))
        said = text_of(app)
        assert "STOPPED" in said and "50 items" in said
        assert "newest file" not in said and "newest" not in said.split("\n")[0]
        assert "/h" not in said and "waiting for items" not in said
        await pilot.press("5")
        await until(pilot, lambda: "nothing runs" in text_of(app))


def another_version() -> OtherVersionError:
    hello = {"protocol": 1, "version": "0.0.9", "pid": 4711, "host": "krios3"}
    return OtherVersionError("/data/k3", hello, "0.1.0", 3)


@pytest.mark.parametrize("size", SIZES)
async def test_an_engine_of_another_version_is_ended_on_request(
    size, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[object] = []
    engine = FakeEngine(50)

    def connect() -> FakeEngine:
        if not ended:
            raise another_version()
        return engine

    monkeypatch.setattr(client, "end_engine", ended.append)
    app = WarptuiApp(Path("/data/k3"), connect, connect, lambda: None)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "4711" in text_of(app))
        question = " ".join(text_of(app).replace("│", " ").split())
        assert "0.0.9" in question and "Nothing is lost" in question
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        assert "engine of another version runs (0.0.9" in text_of(app)
        assert not ended
        await pilot.press("s", "y")
        await until(pilot, lambda: len(app.workspace.mirror) == 50)
        assert ended == [Path("/data/k3")]
        assert "another version" not in text_of(app)


async def test_an_engine_that_cannot_be_ended_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise client.EngineError("the engine is process 4711 on krios3: it can be stopped there")

    def connect() -> FakeEngine:
        raise another_version()

    monkeypatch.setattr(client, "end_engine", refuse)
    app = WarptuiApp(Path("/data/k3"), connect, connect, lambda: None)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: [note for note in app._notifications if "4711" in note.message])
        assert "Press s to end it" in text_of(app)
