"""Picks on the item screen: seen, edited by keys and clicks, sent, and still there later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.screens.conftest import eventually, until
from tests.screens.fake_engine import FakeEngine
from tests.screens.fake_picking import MIN_SCORE, N_FAINT, n_particles
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.errors import ItemError
from warptui.engine.model.edits import Edits, Spot
from warptui.screens.dialogs.windows import Question
from warptui.screens.item.picks import Field
from warptui.screens.item.screen import ItemScreen
from warptui.screens.look.glyphs import Drawing
from warptui.screens.settings.screen import SettingsScreen
from warptui.screens.widgets.pictures.image import Image
from warptui.screens.widgets.pictures.layers import Marks, Mask
from warptui.screens.widgets.pictures.shapes import Shape

MASKED = 3  # the number of an item with a mask


async def opened(app, pilot, number: int = MASKED) -> Image:
    app.navigation.go(list(app.workspace.mirror.index)[number])
    await pilot.press("2")
    await until(pilot, lambda: isinstance(app.screen, ItemScreen) and app.screen.read_ahead)
    await pilot.pause()
    return app.screen.query_one("#picture", Image)


def field(app) -> Field:
    return app.screen.loaded.parts["picking"]


def shapes(image: Image) -> dict[Shape, Marks]:
    layers = image.picture.layers if image.picture else ()
    return {layer.shape: layer for layer in layers if isinstance(layer, Marks)}


def sent(engine: FakeEngine) -> list[dict[str, Any]]:
    return [call[2].model_dump(mode="json") for call in engine.calls if call[0] == "edit"]


def aim(app, image: Image, place_yx: np.ndarray) -> None:
    """The crosshair at a place in Å."""
    y, x = field(app).fractions(place_yx[None])[0]
    image.aim((float(y), float(x)))


def free_place(app) -> np.ndarray:
    """Å, far from all candidates and from the edges."""
    found, known = field(app), field(app).candidates[:, :2] * field(app).pixel_size
    grid = np.stack(np.meshgrid(np.arange(300, 3000, 40), np.arange(300, 4400, 40)), -1)
    grid = grid.reshape(-1, 2).astype(float)
    nearest = np.hypot(*(grid[:, None] - known[None]).transpose(2, 0, 1)).min(axis=1)
    assert nearest.max() > found.diameter
    return grid[nearest.argmax()]


@pytest.mark.parametrize("size", SIZES)
async def test_picks_and_mask_are_seen_with_their_numbers(driven, size) -> None:
    async with driven(FakeEngine(50), size) as (app, pilot):
        image = await opened(app, pilot)
        assert len(shapes(image)[Shape.CIRCLE].places_yx) == n_particles(MASKED)
        assert image.picture is not None
        assert any(isinstance(layer, Mask) for layer in image.picture.layers)
        assert f"○ {n_particles(MASKED)} picks ≥ 0.95" in text_of(app)


@pytest.mark.parametrize("drawing", list(Drawing))
async def test_p_and_m_hide_and_show_them(driven, drawing) -> None:
    async with driven(FakeEngine(50), drawing=drawing) as (app, pilot):
        image = await opened(app, pilot)
        both = text_of(app)
        await pilot.press("M")
        await pilot.pause()
        assert image.picture is not None
        assert not any(isinstance(layer, Mask) for layer in image.picture.layers)
        await pilot.press("p")
        await pilot.pause()
        assert not shapes(image)
        assert "picks" not in image.border_subtitle
        await pilot.press("p", "M")
        await pilot.pause()
        assert text_of(app) == both


@pytest.mark.slow
async def test_the_numbers_tell_how_it_was_picked(driven) -> None:
    async with driven(FakeEngine(50), (200, 60)) as (app, pilot):
        await opened(app, pilot)
        shown = text_of(app)
        assert f"{n_particles(MASKED)} of {n_particles(MASKED) + N_FAINT} from 0.95" in shown
        assert "boxnet 3fa9c1d2" in shown
        assert "146 Å seen, 150 Å set" in shown
        await pilot.press("E")
        assert "an example to learn from" in text_of(app)


async def test_the_first_key_only_shows_where_the_crosshair_is(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        assert not image.crosshair
        await pilot.press("a")
        assert image.crosshair
        assert field(app).edits == Edits()
        assert "crosshair" in next(iter(app._notifications)).message


@pytest.mark.slow
async def test_picks_are_added_and_removed_at_the_crosshair_and_come_back(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        n = len(field(app).chosen)
        aim(app, image, free_place(app))
        await pilot.press("a")
        assert len(field(app).chosen) == n + 1
        assert len(shapes(image)[Shape.BOX].places_yx) == 1
        aim(app, image, field(app).automatic[5] + 20)
        await pilot.press("x")
        assert len(field(app).chosen) == n
        assert len(shapes(image)[Shape.CROSS].places_yx) == 1
        assert "1 added" in image.border_subtitle
        assert "1 removed" in image.border_subtitle
        await pilot.press("u", "u")
        assert field(app).edits == Edits()
        await pilot.press("u")
        assert "nothing to undo" in [note.message for note in app._notifications][-1]
        await pilot.press("U", "U")
        assert len(field(app).edits.added) == len(field(app).edits.removed) == 1


@pytest.mark.slow
async def test_an_edit_reaches_the_engine_within_a_second(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        aim(app, image, free_place(app))
        await pilot.press("a")
        await until(pilot, lambda: sent(engine))
        assert len(sent(engine)[0]["added"]) == 1
        await until(pilot, lambda: not app.workspace.edits.unsaved)
        await until(pilot, lambda: app.workspace.current_row.edited_at > 0)
        await until(pilot, lambda: app.screen.read_ahead)
        assert len(field(app).edits.added) == 1
        await pilot.press("u")  # also once it is read again
        await until(pilot, lambda: len(sent(engine)) == 2)
        assert sent(engine)[1]["added"] == []


async def test_an_answer_that_comes_while_the_app_ends_is_taken(driven, monkeypatch) -> None:
    engine = FakeEngine(50)
    answered = []
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        closing = app._close_all

        async def close_and_answer() -> None:
            prune = app._prune

            async def prune_and_answer(*nodes, **options) -> None:
                await prune(*nodes, **options)
                app.show_edited()  # its screen is still there, without widgets
                answered.append(len(app.screen_stack))

            monkeypatch.setattr(app, "_prune", prune_and_answer)
            await closing()
            app.show_edited()
            answered.append(len(app.screen_stack))

        monkeypatch.setattr(app, "_close_all", close_and_answer)
    assert answered[0] > 0
    assert answered[-1] == 0


@pytest.mark.slow
async def test_edits_are_there_after_the_screen_and_the_app_were_left(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        aim(app, image, free_place(app))
        await pilot.press("a", "b", "E", "1")
        await until(pilot, lambda: not app.workspace.edits.unsaved)
        await opened(app, pilot)
        assert field(app).n_edits == 2
        await pilot.press("u")  # of the whole visit, not of the screen's
        assert field(app).edits.training == ""
        await pilot.press("U")
        await until(pilot, lambda: not app.workspace.edits.unsaved)
    again = FakeEngine(50)
    again.edits = engine.edits
    async with driven(again) as (app, pilot):
        image = await opened(app, pilot)
        assert field(app).n_edits == 2
        assert field(app).edits.training == "examples"
        assert Shape.DASHED in shapes(image)


@pytest.mark.slow
async def test_many_keys_are_few_calls_and_the_last_state_wins(driven, monkeypatch) -> None:
    engine = FakeEngine(50)
    monkeypatch.setattr("warptui.screens.link.pending_edits.PAUSE_S", 1000.0)  # between two calls
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await pilot.press(*["left_square_bracket"] * 10)
        assert field(app).threshold < MIN_SCORE
        await until(pilot, lambda: sent(engine) and not app.edits._calling)
        app.edits.send(now=True)
        await until(pilot, lambda: not app.workspace.edits.unsaved)
        assert len(sent(engine)) == 2  # the first, and the last when the pause is over
        assert sent(engine)[-1]["min_score"] == field(app).threshold
        await pilot.press("u")
        assert field(app).threshold == MIN_SCORE


@pytest.mark.slow
async def test_the_threshold_is_this_items_own_and_can_become_that_of_all(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        n = len(field(app).chosen)
        await pilot.press("backslash")
        assert "threshold of the settings" in [note.message for note in app._notifications][-1]
        await pilot.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert len(field(app).chosen) > n
        assert f"≥ {field(app).threshold:g}" in image.border_subtitle
        threshold = field(app).threshold
        await pilot.press("right")
        await until(pilot, lambda: app.screen.loaded is not None)
        assert field(app).threshold == MIN_SCORE
        await pilot.press("left", "backslash")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        assert app.workspace.draft == {"picking": {"min_score": threshold}}


@pytest.mark.slow
async def test_areas_are_painted_with_a_brush_of_any_width(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        image = await opened(app, pilot)
        await pilot.press("right_parenthesis")
        assert image.ring > 0
        ring = image.ring
        await pilot.press("right_parenthesis", "right_parenthesis", "b", "l", "l", "B")
        assert image.ring > ring
        (uncertain,), (certain,) = field(app).edits.uncertain, field(app).edits.certain
        assert uncertain.radius_angstrom == certain.radius_angstrom > field(app).diameter / 2
        assert {Shape.DASHED, Shape.DOUBLE} <= set(shapes(image))
        await pilot.press("B")
        assert field(app).edits.certain == ()
        assert len(field(app).chosen) == n_particles(MASKED)


@pytest.mark.slow
async def test_a_click_aims_and_a_double_click_edits_without_moving_the_view(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        await pilot.press("plus", "plus")
        corner = image.content_region.offset
        place = corner.x + 20, corner.y + 5
        before = image.view(image.size.width, image.size.height)
        await pilot.click(offset=place)
        assert image.view(image.size.width, image.size.height) == before
        assert field(app).edits == Edits()
        y, x = before.units(np.array(image.centre_yx))
        assert (int(y // 2), int(x)) == (5, 20)
        await pilot.click(offset=place, times=2)
        await pilot.pause()
        assert field(app).n_edits == 1
        await pilot.click(offset=place, times=2)
        await pilot.pause()
        assert len(field(app).chosen) == n_particles(MASKED)


@pytest.mark.slow
async def test_fine_steps_of_the_crosshair(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        image = await opened(app, pilot)
        await pilot.press("l")
        coarse = image.centre_yx[1] - 0.5
        await pilot.press("shift+left")
        assert 0 < 0.5 + coarse - image.centre_yx[1] < coarse / 3


@pytest.mark.slow
async def test_training_marks_are_seen_in_the_list_and_found_by_the_filter(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        await opened(app, pilot, 30)
        await pilot.press("E")
        assert "●E" in text_of(app).split("\n")[1]
        await pilot.press("left", "E", "E", "1")
        await until(pilot, lambda: len([row for row in engine.rows.values() if row.training]) == 2)
        await until(pilot, lambda: "●" in text_of(app) and " H " in text_of(app))
        lines = text_of(app).split("\n")
        assert any("Data_0030" in line and " E " in line for line in lines)
        assert any("Data_0029" in line and " H " in line for line in lines)
        for word, found in (
            ("train:ex", 1),
            ("train:held", 1),
            ("train:none", 48),
            ("-train:none", 2),
        ):
            await pilot.press("slash", *word, "enter")
            await until(pilot, lambda found=found: len(app.workspace.order) == found)
            await pilot.press("escape")


# what can go wrong


@pytest.mark.slow
async def test_edits_wait_for_an_engine_that_is_gone_and_say_so(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        client, app.feed.client = app.feed.client, None
        await pilot.press("E")
        await until(pilot, lambda: "edits not saved" in text_of(app))
        assert any("not reachable" in note.message for note in app._notifications)
        app.feed.client = client
        app.edits._called_at = float("-inf")
        app.edits.send_again()
        await until(pilot, lambda: sent(engine))
        await until(pilot, lambda: "edits not saved" not in text_of(app))


@pytest.mark.slow
async def test_a_refusal_is_told_once_and_leaving_asks(driven, monkeypatch) -> None:
    engine = FakeEngine(50)

    def full(name: str, edits: Edits) -> None:
        raise ItemError("no space left on device")

    async with driven(engine) as (app, pilot):
        monkeypatch.setattr(engine, "edit", full)
        await opened(app, pilot)
        await pilot.press("E", "E")
        await until(pilot, lambda: "edits not saved" in text_of(app))
        told = [n.message for n in app._notifications if "no space" in n.message]
        assert len(told) == 1
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("n")
        await pilot.pause()
        assert app.is_running
        assert field(app).edits.training == "held-out"


@pytest.mark.slow
async def test_leaving_takes_the_last_edit_along(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("E")
        await until(pilot, lambda: not app.workspace.edits.unsaved)
        before = len(sent(engine))
        await pilot.press("E", "q")  # at once, before the next call is due
        await eventually(lambda: len(sent(engine)) > before)
    assert sent(engine)[-1]["training"] == "held-out"


async def test_unreadable_edits_are_told_and_never_overwritten(driven) -> None:
    engine = FakeEngine(50)
    item = engine.item
    problem = "/data/matching/a_edits.json: the edits of picks cannot be read: it is not JSON"
    engine.item = lambda name: replace(item(name), edits_problem=problem)
    async with driven(engine, (200, 60)) as (app, pilot):
        await opened(app, pilot)
        assert "cannot be read" in text_of(app)
        await pilot.press("E", "left_square_bracket", "a", "a", "u")
        assert field(app).edits == Edits()
        assert not sent(engine)


async def test_what_was_not_picked_yet_cannot_be_edited(driven) -> None:
    engine = FakeEngine(50)
    item = engine.item

    def without(name: str):
        detail = item(name)
        results = {stage: found for stage, found in detail.results.items() if stage != "picking"}
        return replace(detail, results=results, paths={})

    engine.item = without
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        image.aim()
        await pilot.press("a", "x", "b", "E", "right_parenthesis", "backslash", "u")
        assert not sent(engine)
        assert {note.message for note in app._notifications} == {"no picks yet"}


@pytest.mark.slow
@pytest.mark.parametrize("content", [np.zeros((3, 3), np.float32), np.zeros((3, 4)), b"\x93NUMPY"])
async def test_damaged_candidates_are_told(driven, tmp_path, content) -> None:
    engine = FakeEngine(50, tmp_path)
    item, path = engine.item, tmp_path / "bad.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    engine.item = lambda name: replace(
        item(name), paths=item(name).paths | {"candidates": str(path)}
    )
    async with driven(engine, (200, 60)) as (app, pilot):
        await opened(app, pilot)
        told = field(app)
        assert isinstance(told, str) and "bad.npy" in told
        assert told.split("\n")[0] in text_of(app)  # the path below it is cut where the pane ends
        await pilot.press("E")
        assert not sent(engine)


async def test_edits_of_another_viewer_are_shown(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        image = await opened(app, pilot)
        other = Edits(added=(Spot(y_angstrom=1500, x_angstrom=300),))
        engine.edit(app.workspace.current, other)
        await until(pilot, lambda: Shape.BOX in shapes(image))
        assert field(app).edits == other
