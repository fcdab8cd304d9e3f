"""How the screens look. ``pytest --snapshot-update`` accepts a change that was looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.screens.conftest import until
from tests.screens.fake_app import make_app, write_project
from tests.screens.fake_engine import FakeEngine
from warptui.engine.config.file import read_config
from warptui.engine.model.training import TrainingRequest
from warptui.screens.item.screen import ItemScreen
from warptui.screens.look.glyphs import Drawing
from warptui.screens.training.screen import TrainingScreen
from warptui.screens.widgets.lists.form_pane import FormPane


async def settled(pilot) -> None:
    """All items are heard of, and a picture that is asked for is drawn."""
    app = pilot.app
    app.animation_level = "none"
    await until(pilot, lambda: app.workspace.lost or app.workspace.config)
    await pilot.pause(0.2)


def case(engine: FakeEngine | None, keys: tuple[str, ...] = (), drawing=Drawing.QUADRANT):
    app = make_app(engine, drawing=drawing)

    async def before(pilot) -> None:
        await settled(pilot)
        await pilot.press(*keys)
        screen = pilot.app.screen
        if isinstance(screen, ItemScreen):
            await until(pilot, lambda: screen.read_ahead)
        await pilot.pause(0.2)

    return app, before


@pytest.mark.parametrize(
    ("name", "size", "keys", "drawing"),
    [
        ("overview", (120, 40), (), Drawing.QUADRANT),
        ("overview_80", (80, 24), (), Drawing.QUADRANT),
        ("overview_ascii", (80, 24), (), Drawing.ASCII),
        ("item", (120, 40), ("enter",), Drawing.QUADRANT),
        ("item_failed", (120, 40), ("exclamation_mark", "enter"), Drawing.QUADRANT),
        ("help", (120, 40), ("question_mark",), Drawing.QUADRANT),
        ("jobs", (120, 40), ("5",), Drawing.QUADRANT),
        ("jobs_80", (80, 24), ("5", "l"), Drawing.ASCII),
    ],
)
def test_screen(snap_compare, frozen, tmp_path: Path, name, size, keys, drawing) -> None:
    app, before = case(FakeEngine(1284, tmp_path), keys, drawing)
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("settings", (120, 40)), ("settings_60", (60, 20))])
def test_settings(snap_compare, frozen, tmp_path: Path, name, size) -> None:
    engine = FakeEngine(1284, tmp_path)
    engine.project = write_project(tmp_path)
    engine.settings = read_config(tmp_path).to_json()
    app, before = case(engine)

    async def changed(pilot) -> None:
        await before(pilot)
        await pilot.press("6")
        await until(pilot, lambda: pilot.app.screen.query(FormPane))
        await until(pilot, lambda: pilot.app.screen.draft.base)
        await pilot.press("l", "l", "j", "j", "j", "enter", *"5", "enter")
        await pilot.press("k", "enter", *"4.5", "enter")
        await pilot.press("j", "enter", "minus", *"200", "enter", "j")
        await until(pilot, lambda: isinstance(pilot.app.screen._effects, dict))
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=changed)


@pytest.mark.parametrize(
    ("name", "size", "step", "keys", "drawing"),
    [
        ("training", (120, 40), 1000, (), Drawing.QUADRANT),
        ("training_runs", (200, 60), 400, (), Drawing.HALF),
        ("training_60", (60, 20), 400, ("tab", "tab"), Drawing.ASCII),
    ],
)
def test_training(snap_compare, frozen, tmp_path: Path, name, size, step, keys, drawing) -> None:
    engine = FakeEngine(1284, tmp_path)
    engine.train(TrainingRequest())
    engine.advance_training(step)
    app, before = case(engine, drawing=drawing)

    async def looked_at(pilot) -> None:
        await before(pilot)
        await pilot.press("4")
        page = pilot.app.screen
        await until(pilot, lambda: isinstance(page, TrainingScreen) and page.data.preview)
        await until(pilot, lambda: page.data.metrics and page.data.compared)
        await pilot.press(*keys)
        await pilot.pause(0.3)

    assert snap_compare(app, terminal_size=size, run_before=looked_at)


@pytest.mark.slow
def test_plots_of_stages_to_come(snap_compare, frozen, tmp_path: Path) -> None:
    keys = ("m", "j", "l", "l", "q", "tab", "j")
    app, before = case(FakeEngine(1284, tmp_path, later=True), keys)
    assert snap_compare(app, terminal_size=(200, 60), run_before=before)


@pytest.mark.slow
def test_astigmatism(snap_compare, frozen, tmp_path: Path) -> None:
    engine = FakeEngine(1284, tmp_path)
    engine.change({"filters": {"astigmatism_max_sigma": 2.5}})
    app, before = case(engine, ("m", "j", "l", "q", "tab", "tab"))
    assert snap_compare(app, terminal_size=(120, 40), run_before=before)


def test_engine_not_reachable(snap_compare, frozen) -> None:
    app, before = case(None)
    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.slow
def test_no_colour(snap_compare, frozen, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, before = case(FakeEngine(1284, tmp_path), ("enter",), Drawing.BRAILLE)
    assert snap_compare(app, terminal_size=(120, 40), run_before=before)
