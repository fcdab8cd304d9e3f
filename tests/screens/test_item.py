"""The item screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.screens.previews import PreviewError, read_preview
from warptui.screens.widgets.glyphs import Drawing
from warptui.screens.widgets.image import Image


async def opened(app, pilot) -> Image:
    await pilot.press("enter")
    await until(pilot, lambda: getattr(app.screen, "loaded", None) is not None)
    await pilot.pause()
    return app.screen.query_one(Image)


@pytest.mark.parametrize("size", SIZES)
async def test_the_picture_is_seen_at_every_size(driven, size) -> None:
    async with driven(FakeEngine(100), size) as (app, pilot):
        image = await opened(app, pilot)
        assert image.picture is not None
        assert any(character in text_of(app) for character in "▘▝▀▖▌▞▛▗▚▐▜▄▙▟")


@pytest.mark.parametrize("size", SIZES)
async def test_pixels_are_square_at_every_size_and_zoom(driven, size) -> None:
    async with driven(FakeEngine(100), size) as (app, pilot):
        image = await opened(app, pilot)
        for _ in range(5):
            view = image.view(image.size.width, image.size.height)
            # one number scales both axes; the whole picture is seen at zoom 1
            assert view.scale > 0
            await pilot.press("plus")
        await pilot.press("0")
        view = image.view(image.size.width, image.size.height)
        ny, nx = image.picture.pixels.shape
        assert view.scale * image.size.width >= nx - 1e-6
        assert view.scale * 2 * image.size.height >= ny - 1e-6


@pytest.mark.parametrize("drawing", list(Drawing))
async def test_every_way_of_drawing_shows_picture_and_tracks(driven, drawing) -> None:
    async with driven(FakeEngine(100), drawing=drawing) as (app, pilot):
        image = await opened(app, pilot)
        with_tracks = text_of(app)
        await pilot.press("t")
        await pilot.pause()
        assert not image.picture.layers
        assert text_of(app) != with_tracks


async def test_ascii_draws_with_ascii_alone(driven) -> None:
    async with driven(FakeEngine(100), drawing=Drawing.ASCII) as (app, pilot):
        await opened(app, pilot)
        content = "\n".join(text_of(app).split("\n")[:-1])  # the footer shows the arrow keys
        assert content.isascii()


async def test_arrows_go_to_the_neighbours(driven) -> None:
    async with driven(FakeEngine(100)) as (app, pilot):
        await opened(app, pilot)
        before = app.workspace.current_number
        await pilot.press("left", "left", "right")
        assert app.workspace.current_number == before - 1
        await until(pilot, lambda: app.screen.loaded is not None)
        assert app.workspace.current in text_of(app)


async def test_a_failure_shows_reason_log_and_traceback_on_demand(driven) -> None:
    async with driven(FakeEngine(300)) as (app, pilot):
        await pilot.press("exclamation_mark")
        await opened(app, pilot)
        assert "21 of 40 frames" in text_of(app)
        assert "strip 3 ends" in text_of(app)
        await pilot.press("i")
        await until(pilot, lambda: "Result" in text_of(app) or "Traceback" in text_of(app))
        await pilot.press("q")
        assert app.screen.query(Image)


async def test_an_unknown_number_is_a_dash_and_never_zero(driven) -> None:
    async with driven(FakeEngine(300), (200, 60)) as (app, pilot):
        await pilot.press("exclamation_mark")
        await opened(app, pilot)
        lines = [line for line in text_of(app).split("\n") if " dose per frame" in line]
        assert lines
        assert "–" in lines[0]
        assert "0" not in lines[0].split("dose per frame")[1]


async def test_outdated_settings_say_why(driven) -> None:
    engine = FakeEngine(400)
    async with driven(engine, (200, 60)) as (app, pilot):
        app._go(list(engine.rows)[300])
        await opened(app, pilot)
        assert "settings: outdated" in text_of(app)
        assert "b_factor -100 -> -200" in text_of(app)


def test_something_else_than_a_preview_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "float.npy", np.zeros((4, 4)))
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    for name in ("float.npy", "cut.npy", "absent.npy"):
        with pytest.raises(PreviewError, match=name):
            read_preview(tmp_path / name)
