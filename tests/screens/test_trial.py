"""CTF settings that are tried on one item, driven by keys."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.screens.conftest import until
from tests.screens.fake_app import write_project
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.config import file
from warptui.engine.model.item import State
from warptui.engine.stages.movie.ctf import CtfSettings
from warptui.screens.dialogs.prompts import Choose
from warptui.screens.item.screen import ItemScreen
from warptui.screens.item.trial import TrialScreen
from warptui.screens.widgets.lists.form_pane import FormPane


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    (tmp_path / "project").mkdir()
    made = FakeEngine(60)
    made.project = write_project(tmp_path / "project")
    made.settings = file.read_config(made.project).to_json()
    return made


async def opened(app, pilot) -> FormPane:
    await pilot.press("2")
    await until(pilot, lambda: isinstance(app.screen, ItemScreen) and app.screen.loaded)
    await pilot.press("T")
    await until(pilot, lambda: isinstance(app.screen, TrialScreen))
    await pilot.pause()
    return app.screen.query_one(FormPane)


async def typed(pilot, form: FormPane, name: str, text: str) -> None:
    form.fields.go(name)
    await pilot.press("enter", *text, "enter")
    await pilot.pause()


def asked(engine: FakeEngine, *kinds: str) -> list[tuple]:
    return [call for call in engine.calls if call[0] in kinds]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_a_trial_stands_beside_what_is_stored_at_every_size(driven, engine, size) -> None:
    async with driven(engine, size) as (app, pilot):
        form = await opened(app, pilot)
        name = app.workspace.current
        for entry in app.screen.draft.fields:
            await pilot.pause()
            assert form.current == entry and f" {entry.key}  " in text_of(app)
            await pilot.press("j")
        assert {f.key for f in app.screen.draft.fields} == set(CtfSettings.model_fields) - {
            "enabled"
        }
        assert "nothing was tried yet" in text_of(app)
        await typed(pilot, form, "ctf.fit_max_resolution", "5")
        await pilot.press("t")
        await until(pilot, lambda: "1.777 µm" in text_of(app))
        await until(pilot, lambda: "items outdated: ctf" in text_of(app))
        shown = text_of(app)
        stored = engine.rows[name].summary["ctf.defocus_um"]
        assert f"{stored:.3f} µm" in shown and "trial: 4.2 s on cuda:0" in shown
        assert "nothing is stored" in shown
        ((_, tried, values),) = asked(engine, "try")
        assert tried == name and list(values) == ["ctf"]
        assert values["ctf"]["fit_max_resolution"] == 5.0
        assert values["ctf"]["window_px"] == 512  # what the form shows, all of it
        await pilot.press("tab")
        await until(pilot, lambda: "model | m" in text_of(app) or "measured" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        assert not asked(engine, "change", "pause", "drop", "reprocess")


@pytest.mark.slow
async def test_what_was_tried_is_adopted_for_all_after_its_cost_was_told(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await typed(pilot, form, "ctf.fit_max_resolution", "5")
        await pilot.press("A")  # not before it was tried
        await until(pilot, lambda: any("not tried yet" in n.message for n in app._notifications))
        await pilot.press("t")
        await until(pilot, lambda: "1.777 µm" in text_of(app))
        await until(pilot, lambda: "items outdated: ctf" in text_of(app))
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        shown = text_of(app)
        assert "ctf.fit_max_resolution 4 -> 5 Å" in shown
        assert re.search(r"items outdated: ctf and particles,\s+about", shown)
        await pilot.press("n")
        assert not asked(engine, "change")
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        kinds = [call[0] for call in asked(engine, "pause", "change", "start")]
        assert kinds == ["pause", "change", "start"]  # it was running, and goes on
        assert asked(engine, "change") == [("change", {"ctf": {"fit_max_resolution": 5.0}})]
        assert not app.workspace.trial


@pytest.mark.slow
async def test_settings_that_differ_from_the_trial_are_not_adopted(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await pilot.press("t")
        await until(pilot, lambda: "1.777 µm" in text_of(app))
        await pilot.press("A")
        await until(pilot, lambda: any("nothing to adopt" in n.message for n in app._notifications))
        await typed(pilot, form, "ctf.defocus_max_um", "3")
        await until(pilot, lambda: "trial of other settings" in text_of(app))
        await pilot.press("A")
        await until(pilot, lambda: any("not tried yet" in n.message for n in app._notifications))
        assert not asked(engine, "change")


@pytest.mark.slow
async def test_what_was_typed_waits_for_the_next_item(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await typed(pilot, form, "ctf.defocus_max_um", "3")
        await pilot.press("q", "left")
        await pilot.pause()
        form = await opened(app, pilot)
        assert app.screen.draft.changes == {"ctf": {"defocus_max_um": 3.0}}
        assert not app.workspace.draft  # the settings screen knows nothing of it
        await pilot.press("U")
        assert app.screen.draft.changes == {}


@pytest.mark.slow
async def test_a_wrong_value_is_told_and_not_tried(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await typed(pilot, form, "ctf.defocus_max_um", "900")
        await pilot.press("k", "k", "t")
        await until(
            pilot, lambda: any("not tried: ctf.def" in n.message for n in app._notifications)
        )
        await pilot.pause()
        assert "at most 50" in text_of(app)
        assert not asked(engine, "try")


async def test_a_trial_that_runs_is_said_and_can_be_stopped(driven, engine) -> None:
    engine.trial_waits = True
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("t")
        await until(pilot, lambda: "runs; x stops it" in text_of(app))
        await pilot.press("x")
        await until(pilot, lambda: "! trial:" in text_of(app))
        assert "the trial was stopped" in text_of(app)
        await pilot.press("t")
        await until(pilot, lambda: "runs; x stops it" in text_of(app))
        await pilot.press("escape")  # whoever leaves wants it no more
        await until(pilot, lambda: len(asked(engine, "drop")) == 2)
        assert isinstance(app.screen, ItemScreen)


@pytest.mark.slow
async def test_why_there_can_be_no_trial_is_said(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        row = engine.rows[app.workspace.current]
        engine.rows[row.name] = replace(row, state=State.MISSING)
        await pilot.press("t")
        await until(pilot, lambda: "! trial:" in text_of(app))
        assert "the raw file is gone: nothing can be tried without" in text_of(app)
