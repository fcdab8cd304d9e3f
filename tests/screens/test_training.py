"""The training screen, driven by keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.screens import fake_training
from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_keys import last_line, messages
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.errors import EngineError, TrainingError
from warptui.engine.model.item import State
from warptui.engine.model.training import TrainingRequest
from warptui.screens.dialogs.prompts import Choose
from warptui.screens.dialogs.windows import Question
from warptui.screens.item.screen import ItemScreen
from warptui.screens.keys.help import help_text
from warptui.screens.look.glyphs import Drawing
from warptui.screens.training.pictures import Compared
from warptui.screens.training.screen import TrainingScreen
from warptui.screens.widgets.pictures.twin_image import TwinImage
from warptui.screens.widgets.plots.chart import Chart


async def opened(pilot) -> TrainingScreen:
    await pilot.press("4")
    await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
    page = pilot.app.screen
    await until(
        pilot, lambda: page.data.examples is not None and page.data.models and page.data.preview
    )
    await pilot.pause()
    return page


def asked(engine: FakeEngine, call: str) -> list[tuple]:
    return [entry for entry in engine.calls if entry[0] == call]


def untrained(n: int = 1284) -> FakeEngine:
    """No model was ever trained: only the bundled one is there."""
    engine = FakeEngine(n)
    engine.known_models = fake_training.models()[-1:]
    engine.training_metrics = lambda name: []
    engine.training_report = lambda name: {}
    return engine


@pytest.mark.parametrize(
    ("size", "drawing"),
    [
        *((size, Drawing.QUADRANT) for size in SIZES),
        ((60, 20), Drawing.ASCII),
        ((120, 40), Drawing.ASCII),
        ((80, 24), Drawing.HALF),
        ((120, 40), Drawing.BRAILLE),
    ],
)
async def test_all_panes_are_there_at_every_size(driven, size, drawing) -> None:
    engine = FakeEngine(1284)
    engine.train(TrainingRequest())
    engine.advance_training(400)
    async with driven(engine, size, drawing) as (app, pilot):
        page = await opened(pilot)
        await until(pilot, lambda: page.data.metrics)
        missing = {"1,419", "corpus_percent", "40 %", "0.930", "boxnet_1"}

        def look() -> bool:
            shown = text_of(app)
            assert drawing is not Drawing.ASCII or shown.isascii()
            missing.difference_update([part for part in missing if part in shown])
            return not missing

        for _ in range(100):  # times 0.1 s, if nothing is drawn for so long
            if look():
                break
            await pilot.pause(0.1)
            if page.narrow:  # one pane at a time
                look()
                await pilot.press("tab")
        assert not missing


async def test_no_examples_says_which_keys_make_some(driven) -> None:
    engine = untrained()
    engine.examples = []
    async with driven(engine) as (app, pilot):
        await opened(pilot)
        await until(pilot, lambda: "No micrograph is marked yet" in text_of(app))
        shown = text_of(app)
        assert "mark it: to learn from, held out, not used" in shown
        assert "come back here" in shown
        await pilot.press("t")
        await until(pilot, lambda: "not begun: no micrograph is marked" in messages(app))
        assert not asked(engine, "train")


@pytest.mark.slow
async def test_training_begins_after_a_question_and_is_followed_to_its_end(driven) -> None:
    engine = untrained()
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await until(pilot, lambda: "Processing pauses until" in text_of(app))
        assert "1,000 steps (8,000 windows)" in text_of(app)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is page)
        assert not asked(engine, "train")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: asked(engine, "train") == [("train", TrainingRequest())])
        await until(pilot, lambda: "making examples" in text_of(app))
        assert "not begun in this window" not in text_of(app)
        engine.training_metrics = lambda name: fake_training.metrics(engine.state.training.step)
        engine.advance_training(400)
        await until(pilot, lambda: "40 %" in text_of(app))
        page.data._read_at = float("-inf")
        engine.advance_training(401)
        await until(pilot, lambda: "0.930" in text_of(app))
        await pilot.press("t")
        await until(pilot, lambda: "is being trained" in messages(app))
        engine.training_report = lambda name: FakeEngine.training_report(engine, name)
        engine.advance_training(1000)
        await until(pilot, lambda: "done" in text_of(app) and "not used" in text_of(app))
        await until(pilot, lambda: isinstance(page.data.compared, Compared))
        assert "better on your micrographs" in text_of(app)
        assert "training of boxnet_3: done" in [n.title for n in app._notifications]


@pytest.mark.slow
async def test_settings_are_of_this_training_alone(driven, tmp_path: Path) -> None:
    engine = untrained()
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("tab", "j", "enter", *"apof_r1", "enter")
        await pilot.press("j", "enter", *"0", "enter")
        await until(pilot, lambda: "at least 1" in text_of(app))
        await pilot.press("t")
        await until(pilot, lambda: "not begun: training.epochs" in messages(app))
        await pilot.press("enter", *"20", "enter")
        await until(pilot, lambda: not page.data.draft.problems)
        await until(pilot, lambda: page.data.preview["model"] == "apof_r1")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        request = TrainingRequest("apof_r1", settings={"epochs": 20})
        await until(pilot, lambda: asked(engine, "train") == [("train", request)])
        assert not asked(engine, "change")
        await until(pilot, lambda: not page.data.draft.n_changes)


@pytest.mark.slow
async def test_changes_stay_when_the_screen_is_left_and_can_be_undone(driven) -> None:
    engine = untrained()
    async with driven(engine) as (app, pilot):
        await opened(pilot)
        await pilot.press("tab", "j", "j", "enter", *"7", "enter", "escape")
        await until(pilot, lambda: not isinstance(app.screen, TrainingScreen))
        page = await opened(pilot)
        assert make_values(page)["epochs"] == 7
        await pilot.press("tab", "j", "j", "backspace")
        await until(pilot, lambda: make_values(page)["epochs"] == 100)


def make_values(page: TrainingScreen) -> dict:
    return page.data.draft.all_values()["training"]


@pytest.mark.parametrize(("key", "keep"), [("k", True), ("x", False)])
async def test_a_training_is_stopped_with_or_without_what_it_has(driven, key, keep) -> None:
    engine = untrained()
    engine.train(TrainingRequest())
    engine.advance_training(300)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await until(pilot, lambda: "not begun in this window" in text_of(app))
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is page)
        assert not asked(engine, "cancel_training")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press(key)
        await until(pilot, lambda: asked(engine, "cancel_training") == [("cancel_training", keep)])
        end = "done" if keep else "stopped"
        await until(pilot, lambda: f"boxnet_3 {end}" in text_of(app))
        if not keep:
            assert "R continues from its checkpoint" in text_of(app)
        await pilot.press("x")
        await until(pilot, lambda: "nothing is being trained" in messages(app))


@pytest.mark.slow
async def test_an_interrupted_training_goes_on(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        page.models.focus()
        await pilot.press("g", "j")
        await until(pilot, lambda: "it stopped at step 400 of 1000" in text_of(app))
        await pilot.press("u")
        await until(pilot, lambda: "boxnet_2 cannot be used: it stopped" in messages(app))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        request = TrainingRequest("boxnet_2", resume=True)
        await until(pilot, lambda: asked(engine, "train") == [("train", request)])


@pytest.mark.slow
async def test_another_model_is_used_after_saying_what_that_costs(driven) -> None:
    engine = FakeEngine(1284)
    engine.preview = lambda changes: {
        "problems": {}, "outdated": {"picking": 1102}, "n_items": 1102, "seconds": 720.0
    }  # fmt: skip
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("u")
        await until(pilot, lambda: "boxnet is used already" in messages(app))
        page.models.focus()
        await pilot.press("g")
        await until(pilot, lambda: "611 particles" in text_of(app))
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await until(pilot, lambda: "1,102 items are picked again, about 12 min" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: asked(engine, "use_model") == [("use_model", "boxnet_1")])
        await until(pilot, lambda: "boxnet_1, used for picking" in text_of(app))
        await pilot.press("G", "u")  # and back to what came with the program
        await until(pilot, lambda: isinstance(app.screen, Question))
        await until(pilot, lambda: "it comes with the program" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: asked(engine, "use_model")[-1] == ("use_model", "boxnet"))


@pytest.mark.slow
async def test_a_model_is_discarded_after_a_question_but_not_the_used_or_bundled_one(
    driven,
) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("d")
        await until(pilot, lambda: "comes with the program and stays" in messages(app))
        page.models.focus()
        await pilot.press("g", "d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(
            pilot, lambda: asked(engine, "discard_model") == [("discard_model", "boxnet_1")]
        )
        await until(pilot, lambda: [m.name for m in page.data.models] == ["boxnet_2", "boxnet"])
        engine.known_models[0] = replace(engine.known_models[0], state="ready", used=True)
        page.data.refresh()
        await until(pilot, lambda: page.data.models[0].used)
        await pilot.press("g", "d")
        await until(pilot, lambda: "use another one first" in messages(app))


@pytest.mark.slow
async def test_enter_leads_to_the_item_and_escape_back(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        assert app.workspace.current == engine.examples[1].name
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is page)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        await pilot.press("4")
        await until(pilot, lambda: app.screen is page)


@pytest.mark.slow
async def test_an_example_that_a_filter_hides_is_opened_all_the_same(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        await pilot.press("slash", *"data_0005", "enter")
        await until(pilot, lambda: len(app.workspace.order) == 1)
        await opened(pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        row = engine.rows[engine.examples[1].name]
        engine.say(replace(row, state=State.OUTDATED))
        mirror = app.workspace.mirror
        await until(pilot, lambda: mirror.rows[mirror.index[row.name]].state is State.OUTDATED)
        await pilot.pause()
        assert app.workspace.current == row.name


async def test_examples_follow_the_marks_of_items(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (_, pilot):
        page = await opened(pilot)
        name = next(iter(engine.rows))
        engine.examples = engine.examples[:3]
        engine.say(replace(engine.rows[name], training="examples", edited_at=5.0))
        await until(pilot, lambda: page.examples.n_rows == 3)
        engine.examples = engine.examples[:2]
        engine.say(replace(engine.rows[name], training="", edited_at=6.0))
        await until(pilot, lambda: page.examples.n_rows == 2)


@pytest.mark.slow
async def test_an_example_is_marked_otherwise_where_it_is_listed(driven) -> None:
    engine = FakeEngine(1284)
    sent: list[tuple] = []
    engine.edit = lambda name, edits: sent.append((name, edits.training))
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        first, fifth = engine.examples[0].name, engine.examples[4].name
        await pilot.press("E")
        await until(pilot, lambda: sent == [(first, "held-out")])
        await pilot.press("j", "j", "j", "j", "E")
        await until(pilot, lambda: sent[1:] == [(fifth, "")])
        await until(pilot, lambda: f"{fifth} is no example now" in messages(app))
        page.models.focus()
        await pilot.press("E")
        await until(pilot, lambda: "no example is under the cursor" in messages(app))


async def test_a_failure_is_told_in_words(driven) -> None:
    engine = untrained()
    engine.train(TrainingRequest())
    engine.advance_training(300)
    async with driven(engine) as (app, pilot):
        await opened(pilot)
        failed = replace(engine.state.training, phase="failed", resumable=True,
                         message="not even one window fits into the memory of cuda:1")  # fmt: skip
        engine.say_status(training=failed, message="")
        await until(pilot, lambda: "! not even one window fits" in text_of(app))
        assert "R continues from its checkpoint" in text_of(app)
        assert "training of boxnet_3: failed" in [n.title for n in app._notifications]


@pytest.mark.slow
async def test_without_an_engine_it_says_so_and_what_was_known_stays(driven) -> None:
    engine = FakeEngine(1284)
    engine.train(TrainingRequest())
    engine.advance_training(300)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await until(pilot, lambda: page.data.metrics)
        engine.die(EngineError("gone; start it again"))
        await until(pilot, lambda: "when the engine was last heard of" in text_of(app))
        assert "1,419" in text_of(app)
        for key in "tud":
            await pilot.press(key)
        await pilot.press("x", "x", "question_mark")  # the last opens the help over the screen
        await until(pilot, lambda: "This pane: Examples" in text_of(app))
        assert app.screen_stack[-2] is page


async def test_an_engine_that_refuses_is_heard(driven) -> None:
    engine = untrained()

    def refuse(request: TrainingRequest) -> str:
        raise TrainingError("boxnet_9 is being trained: wait or cancel it")

    engine.train = refuse
    async with driven(engine) as (app, pilot):
        await opened(pilot)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: "boxnet_9 is being trained: wait" in messages(app))


@pytest.mark.slow
async def test_the_measure_of_curves_and_table_is_chosen(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        page.models.focus()
        await pilot.press("g")
        await until(pilot, lambda: "F1 by epoch" in text_of(app))
        await pilot.press("m")
        await until(pilot, lambda: "accuracy by epoch" in text_of(app))
        await pilot.press("m", "m", "m")
        await until(pilot, lambda: "F1 by epoch" in text_of(app))
        assert page.query_one("#scores", Chart).has_focus is False


@pytest.mark.slow
async def test_both_pictures_look_at_the_same_place(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (_, pilot):
        page = await opened(pilot)
        page.models.focus()
        await pilot.press("g")
        await until(pilot, lambda: isinstance(page.data.compared, Compared))
        before, after = page.query_one("#before", TwinImage), page.query_one("#after", TwinImage)
        before.focus()
        await pilot.press("plus", "plus", "l", "greater_than_sign")
        assert after.zoom == before.zoom == 4
        assert after.looks == before.looks
        after.focus()
        await pilot.press("0")
        assert before.zoom == 1


@pytest.mark.slow
async def test_the_mouse_chooses_models_and_examples(driven) -> None:
    engine = FakeEngine(1284)
    async with driven(engine) as (app, pilot):
        page = await opened(pilot)
        await pilot.click(page.models, offset=(8, 2))  # frame, heading, first row
        await until(pilot, lambda: "611 particles" in text_of(app))
        await pilot.click(page.examples, offset=(8, 5))
        assert page.examples.cursor == 2


@pytest.mark.parametrize("size", SIZES)
async def test_the_footer_ends_with_help_and_leaving(driven, size) -> None:
    async with driven(FakeEngine(20), size) as (app, pilot):
        await opened(pilot)
        await until(pilot, lambda: last_line(app).endswith("? help q detach"))
        assert "t train" in last_line(app)
        await pilot.press("question_mark")
        await until(pilot, lambda: "This pane: Examples" in text_of(app))
        page = app.screen_stack[-2]
        assert "training.start" in help_text(app, page, Drawing.QUADRANT)
