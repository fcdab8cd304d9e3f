"""The settings screen, driven by keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.screens.conftest import until
from tests.screens.fake_app import write_project
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.config import file
from warptui.engine.errors import EngineError, SettingsError
from warptui.screens.dialogs.prompts import Ask, Choose
from warptui.screens.look.glyphs import Drawing
from warptui.screens.settings.screen import SettingsScreen
from warptui.screens.widgets.lists.form_pane import FormPane


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine with a project folder; presets lie in a folder of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "presets"))
    (tmp_path / "project").mkdir()
    made = FakeEngine(300)
    made.project = write_project(tmp_path / "project")
    made.settings = file.read_config(made.project).to_json()
    return made


async def opened(app, pilot) -> FormPane:
    await pilot.press("6")
    await until(pilot, lambda: isinstance(app.screen, SettingsScreen) and app.screen._disk)
    await pilot.pause()
    return app.screen.query_one(FormPane)


async def edited(pilot, form: FormPane, name: str, text: str) -> None:
    """Type ``text`` over the value of a field."""
    form.fields.go(name)
    await pilot.press("enter", *["backspace"] * (0 if text.lstrip("-")[:1].isdigit() else 60))
    await pilot.press(*["minus" if letter == "-" else letter for letter in text], "enter")
    await pilot.pause()


def written(engine: FakeEngine) -> str:
    assert engine.project is not None
    return (engine.project / "config.toml").read_text()


def done(engine: FakeEngine) -> list[str]:
    return [call[0] for call in engine.calls if call[0] in ("pause", "change", "reload", "start")]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_every_setting_is_reached_and_explained_at_every_size(driven, engine, size) -> None:
    async with driven(engine, size) as (app, pilot):
        form = await opened(app, pilot)
        seen = set()
        for _ in app.screen.draft.fields:
            await pilot.pause()
            entry, shown = form.current, text_of(app)
            assert entry.key in shown
            assert entry.name in shown
            seen.add(entry.name)
            await pilot.press("j")
        assert seen == {entry.name for entry in app.screen.draft.fields}


async def test_a_tall_window_shows_sections_below_which_are_clicked(driven, engine) -> None:
    async with driven(engine, (200, 60)) as (app, pilot):
        form = await opened(app, pilot)
        lines = [line.strip("│ ") for line in text_of(app).splitlines()]
        below = next(n for n, line in enumerate(lines) if line.startswith("voltage"))
        assert form.current.name == "input.folder" and lines[below - 1] == "optics"
        await pilot.click(offset=(40, below))
        assert form.current.name == "optics.voltage"
        await pilot.click(offset=(40, form.fields.region.y))  # it is the first one now
        await pilot.press(*"200", "enter")
        await pilot.pause()
        assert app.screen.draft.changes == {"optics": {"voltage": 200}}


async def test_a_change_is_marked_and_its_cost_told_and_applied_while_processing_runs(
    driven, engine
) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "motion.b_factor", "-200")
        cost = "items outdated: motion, average, ctf, picking and particles, about"
        await until(pilot, lambda: cost in text_of(app))
        shown = text_of(app)
        assert " * b_factor" in shown
        assert "Locked while processing runs: s pauses, applies, goes on" in shown
        assert "b_factor = -100.0" in written(engine)
        await pilot.press("s")
        await until(pilot, lambda: "b_factor = -200.0" in written(engine))
        await until(pilot, lambda: not app.workspace.draft)
        assert done(engine) == ["pause", "change", "start"]
        assert ("change", {"motion": {"b_factor": -200.0}}) in engine.calls
        await until(pilot, lambda: "nothing is changed" in text_of(app))
        await until(pilot, lambda: app.workspace.config["motion"]["b_factor"] == -200.0)


async def test_what_is_paused_stays_paused(driven, engine) -> None:
    engine.say_status(state="paused")
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        form.fields.go("average.halves")
        await pilot.press("space")
        await until(pilot, lambda: "s applies; processing stays paused" in text_of(app))
        await pilot.press("s")
        await until(pilot, lambda: "halves = true" in written(engine))
        assert done(engine) == ["change"]


async def test_without_changes_s_starts_and_pauses_as_everywhere(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("s")
        await until(pilot, lambda: app.workspace.mirror.status.state == "paused")


async def test_processing_goes_on_when_the_engine_refuses(driven, engine, monkeypatch) -> None:
    def refuse(changes) -> None:
        raise SettingsError("config.toml cannot be written: No space left on device")

    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "motion.b_factor", "-200")
        monkeypatch.setattr(engine, "change", refuse)
        await pilot.press("s")
        await until(pilot, lambda: done(engine) == ["pause", "start"])
        await until(pilot, lambda: any("No space" in n.message for n in app._notifications))
        assert app.workspace.draft == {"motion": {"b_factor": -200.0}}


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_what_is_wrong_is_said_while_one_types_and_is_not_applied(
    driven, engine, size
) -> None:
    async with driven(engine, size) as (app, pilot):
        form = await opened(app, pilot)
        form.fields.go("motion.b_factor")
        await pilot.press("enter", "5")
        await until(pilot, lambda: "expected a number at least -10000" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "not applied" in text_of(app))
        await pilot.press("s")
        await pilot.pause()
        assert done(engine) == []
        await pilot.press("u")
        await until(pilot, lambda: "nothing is changed" in text_of(app))


async def test_two_settings_that_contradict_each_other_are_told(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "motion.fit_min_resolution", "4")
        await until(pilot, lambda: "expected less than motion.fit_min" in text_of(app))
        await edited(pilot, form, "motion.fit_max_resolution", "3")
        await until(pilot, lambda: "2 changes" in text_of(app))


async def test_escape_leaves_a_value_as_it_was(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        form.fields.go("optics.cs")
        await pilot.press("enter", "1", "escape")
        assert isinstance(app.screen, SettingsScreen)
        assert app.screen.draft.n_changes == 0
        assert form.fields.has_focus


@pytest.mark.slow
async def test_lists_are_edited_as_toml_and_choices_cycle(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "motion.local_grid", "[1, 1, 1]")
        assert app.workspace.draft == {"motion": {"local_grid": [1, 1, 1]}}
        await edited(pilot, form, "input.pattern", '["*.tif')
        await until(pilot, lambda: "no list as TOML" in text_of(app))
        assert form.typing is not None  # it cannot be taken as it is
        await pilot.press("escape")
        form.fields.go("average.dose_weighting")
        await pilot.press("enter")
        assert app.workspace.draft["average"] == {"dose_weighting": "critical"}


async def test_a_limit_is_taken_away_by_emptying_it(driven, engine) -> None:
    file.write_config(engine.project, {"filters": {"motion_max": 1.5}})
    engine.settings = file.read_config(engine.project).to_json()
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "filters.motion_max", "")
        assert app.workspace.draft == {"filters": {"motion_max": None}}
        await pilot.press("s")
        await until(pilot, lambda: not file.read_config(engine.project).filters.limits())


async def test_an_edit_by_hand_is_seen_compared_and_taken_up(driven, engine) -> None:
    async with driven(engine, (120, 60)) as (app, pilot):
        path = engine.project / "config.toml"
        path.write_text(path.read_text().replace("cs = 2.7", "cs = 0.5"))
        await opened(app, pilot)
        await until(pilot, lambda: "1 edit by hand in config.toml" in text_of(app))
        await pilot.press("d")
        await until(pilot, lambda: "2.7 -> 0.5 mm" in text_of(app))
        await pilot.press("q", "s")
        await until(pilot, lambda: done(engine) == ["pause", "reload", "start"])
        await until(pilot, lambda: "nothing is changed" in text_of(app))


async def test_a_broken_file_is_said_and_the_engines_settings_shown(driven, engine) -> None:
    (engine.project / "config.toml").write_text("[optics\n")
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await until(pilot, lambda: "not valid TOML" in text_of(app))
        assert app.screen.draft.before(app.screen.draft.fields[0]) == "/data/k3/movies"


@pytest.mark.slow
async def test_a_file_that_is_not_there_is_hinted_at(driven, engine) -> None:
    async with driven(engine, (200, 60)) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "input.gain", "gain.mrc")
        await until(pilot, lambda: "is not there: nothing is processed" in text_of(app))
        (engine.project / "gain.mrc").touch()
        await edited(pilot, form, "input.gain", "gain.mrc")
        await until(pilot, lambda: "is not there: nothing is processed" not in text_of(app))


@pytest.mark.slow
async def test_changes_are_kept_or_discarded_when_the_screen_is_left(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "optics.cs", "1.5")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("k")
        form = await opened(app, pilot)
        assert "* cs" in text_of(app) or app.workspace.draft == {"optics": {"cs": 1.5}}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("x")
        assert app.workspace.draft == {}


async def test_the_answers_have_the_keys_of_the_key_map(driven, engine) -> None:
    engine.settings["keys"] = {"choose.drop": "d", "list.open": "f8"}
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        app.workspace.draft["optics"] = {"cs": 1.5}
        form.focus()
        await pilot.press("q")
        await until(pilot, lambda: "d  leave" in text_of(app))
        await pilot.press("x", "y")
        assert isinstance(app.screen, Choose)
        await pilot.press("d")
        await pilot.pause()
        assert app.return_code == 0


async def test_leaving_the_app_with_changes_asks_first(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "optics.cs", "1.5")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("escape")
        assert app.return_code is None
        assert app.workspace.draft == {"optics": {"cs": 1.5}}
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("x")
        await pilot.pause()
        assert app.return_code == 0


@pytest.mark.parametrize("from_item", [False, True])
async def test_the_settings_of_an_item_are_adopted_as_changes(driven, engine, from_item) -> None:
    made = engine.config()
    changed = {
        "motion": {"b_factor": -300.0, "local_grid": [3, 3, 1]},
        "picking": {"diameter_angstrom": 120.0},
    }
    engine.change(changed)  # since the items were made
    engine.calls.clear()
    async with driven(engine) as (app, pilot):
        await pilot.press("g", *(["enter"] if from_item else []))
        await pilot.press("A")
        expected = {
            section: {key: made[section][key] for key in values}
            for section, values in changed.items()
        }
        await until(pilot, lambda: app.workspace.draft == expected)
        await until(pilot, lambda: "3 changes" in text_of(app))
        assert isinstance(app.screen, SettingsScreen)
        assert done(engine) == []


@pytest.mark.slow
async def test_presets_are_saved_loaded_and_only_shown(driven, engine, tmp_path: Path) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        await edited(pilot, form, "motion.b_factor", "-200")
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press(*"fast", "enter")
        preset = tmp_path / "presets" / "warptui" / "presets" / "fast.toml"
        await until(pilot, preset.exists)
        assert "folder" not in preset.read_text()
        await pilot.press("U", "O")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("enter")  # the only one is offered
        await until(pilot, lambda: app.workspace.draft == {"motion": {"b_factor": -200.0}})
        assert done(engine) == []
        preset.write_text("[motion]\nb_factor = 7\nspeed = 3\n[optics]\ncs = 1.0\n")
        await pilot.press("U", "O")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("enter")
        await until(pilot, lambda: "motion.b_factor: expected a number" in text_of(app))
        assert any("motion.speed" in notice.message for notice in app._notifications)


async def test_another_viewers_change_is_seen(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        form.fields.go("optics.cs")
        engine.change({"optics": {"cs": 0.25}})
        await until(pilot, lambda: "0.25" in text_of(app))
        assert app.screen.draft.n_changes == 0


async def test_without_an_engine_the_file_is_written_for_its_next_start(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        form = await opened(app, pilot)
        app.feed._again = lambda: (_ for _ in ()).throw(EngineError("nobody"))
        engine.die(EngineError("the engine of /data/k3 went away; start it again"))
        await until(pilot, lambda: app.workspace.lost)
        await edited(pilot, form, "motion.b_factor", "-200")
        await until(pilot, lambda: "no engine runs: s writes config.toml" in text_of(app))
        await pilot.press("s")
        await until(pilot, lambda: "b_factor = -200.0" in written(engine))
        assert done(engine) == []
        await until(pilot, lambda: not app.workspace.draft)


async def test_a_key_of_the_form_is_changed_by_its_id(driven, engine) -> None:
    engine.settings["keys"] = {"settings.apply": "f5"}
    async with driven(engine) as (app, pilot):
        assert not [n.message for n in app._notifications if "no binding" in n.message]
        form = await opened(app, pilot)
        form.fields.go("average.halves")
        await pilot.press("space", "f5")
        await until(pilot, lambda: "halves = true" in written(engine))


async def test_ascii_draws_the_form_with_ascii_alone(driven, engine) -> None:
    async with driven(engine, drawing=Drawing.ASCII) as (app, pilot):
        await opened(app, pilot)
        for _ in range(6):
            await pilot.press("l")
            await pilot.pause()
            content = "\n".join(text_of(app).split("\n")[:-1])  # the footer shows arrow keys
            assert content.isascii(), {letter for letter in content if not letter.isascii()}


async def test_no_key_acts_on_an_item_that_is_not_seen(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("f", "P", "space")
        await pilot.pause()
        assert not [call for call in engine.calls if call[0] in ("choose", "reprocess", "retry")]


async def test_y_copies_the_path_of_the_settings_file(driven, engine) -> None:
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == str(engine.project / "config.toml")
