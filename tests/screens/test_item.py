"""The item screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine, synthetic_rows
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.summary import Summary
from warptui.screens.item.comparison import Comparison, compared, standing
from warptui.screens.item.screen import ItemScreen
from warptui.screens.link.prefetch import AHEAD, KEPT, Shelf
from warptui.screens.link.previews import PreviewError, read_preview
from warptui.screens.look.glyphs import Drawing
from warptui.screens.stages import average, motion
from warptui.screens.stages.view import LayerSwitch, Loaded, Pane, Side, StageView
from warptui.screens.widgets.pictures.image import Image, Picture
from warptui.screens.widgets.pictures.layers import Paths, Tint
from warptui.screens.widgets.plots.chart import Chart, Plot


async def opened(app, pilot) -> Image:
    await pilot.press("enter")
    await until(pilot, lambda: getattr(app.screen, "loaded", None) is not None)
    await pilot.pause()
    return app.screen.query_one("#picture", Image)


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
        assert not any(isinstance(layer, Paths) for layer in image.picture.layers)
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


@pytest.mark.slow
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
        lines = [line for line in text_of(app).split("\n") if " dose " in line]
        assert lines
        assert "–" in lines[0]
        assert "0" not in lines[0].split("dose ")[1]


async def test_outdated_settings_say_why(driven) -> None:
    engine = FakeEngine(400)
    async with driven(engine, (200, 60)) as (app, pilot):
        app.navigation.go(list(engine.rows)[300])
        await opened(app, pilot)
        assert "settings: outdated" in text_of(app)
        assert "b_factor -200 -> -100" in text_of(app)


def test_something_else_than_a_preview_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "float.npy", np.zeros((4, 4)))
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    for name in ("float.npy", "cut.npy", "absent.npy"):
        with pytest.raises(PreviewError, match=name):
            read_preview(tmp_path / name)


def ring(n: int = 200) -> np.ndarray:
    y, x = np.mgrid[:n, :n] - n / 2
    return np.where(np.abs(np.hypot(y, x) - 60) < 6, 255, 0).astype(np.uint8)


BASIC = (average.VIEW, motion.VIEW)  # stages that fill no Fourier side
SPECTRUM = StageView(
    "spectrum",
    panes=(
        Pane("spectrum", "Spectrum", Side.FOURIER, Image, lambda _: Picture(ring())),
        Pane("fit", "Fit", Side.FOURIER, Chart, lambda _: "nothing fitted"),
    ),
    layers=(
        LayerSwitch("defocus", "d", "defocus", lambda _: Tint(np.eye(4), 0, 1, "defocus", "µm")),
    ),
    facts=lambda _: [("defocus", "1.31 ± 0.02 µm")],
)


async def open_with(app, pilot, views) -> ItemScreen:
    screen = ItemScreen(app.workspace, app.calls.client, app.edits.send, views)
    await app.push_screen(screen)
    await until(pilot, lambda: screen.read_ahead)
    await pilot.pause()
    return screen


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_fourier_side_takes_no_room(driven, size) -> None:
    async with driven(FakeEngine(50), size) as (app, pilot):
        await open_with(app, pilot, BASIC)
        assert not app.screen.query_one("#fourier-side").display
        await pilot.press("e")
        await pilot.pause()
        assert "Fourier side is empty" in app._notifications.__iter__().__next__().message
        assert app.screen.query_one("#picture").display


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_a_stage_that_fills_the_fourier_side_is_one_record(driven, size) -> None:
    async with driven(FakeEngine(50), size) as (app, pilot):
        screen = await open_with(app, pilot, (*BASIC, SPECTRUM))
        shown = text_of(app)
        for text in ("Spectrum", "Fit", "nothing fitted", "Average", "Motion"):
            assert text in shown
        assert "1.31 ± 0.02 µm" in shown or size == (120, 40)  # there one scrolls to it
        spectrum = screen.query_one("#spectrum", Image)
        strips = screen._compositor.render_strips()
        area = spectrum.content_region
        assert area.width > 20
        assert any(strips[y].text[area.x : area.right].strip() for y in range(area.y, area.bottom))
        screen.show_side(Side.FOURIER)
        await pilot.pause()
        curves = screen.query_one("#fit").region
        assert spectrum.region.x == 0 and curves.right == size[0]  # both as wide as the window
        assert spectrum.size.height > size[1] - 8 and curves.height == spectrum.region.height
        assert not screen.query_one("#picture").size.width
        screen.show_side(Side.FOURIER)
        screen.action_layer("defocus")
        await pilot.pause()
        assert screen.query_one("#picture", Image).picture is not None


@pytest.mark.slow
async def test_a_narrow_window_has_a_tab_for_every_pane(driven) -> None:
    async with driven(FakeEngine(50), (80, 24)) as (app, pilot):
        screen = await open_with(app, pilot, (*BASIC, SPECTRUM))
        seen = set()
        for _ in screen.PANES:
            await pilot.press("tab")
            await pilot.pause()
            seen |= {pane.id for pane in screen.query(".pane") if pane.size.width}
        assert seen == {"spectrum", "fit", "picture", "speed", "motion", "numbers", "story"}
        screen.show_side(Side.FOURIER)
        await pilot.pause()
        assert screen.query_one("#spectrum").size.width == 80


async def test_real_space_takes_the_width_of_the_window_and_gives_it_back(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        image = await opened(app, pilot)
        before = image.size.width
        await pilot.press("r")
        await pilot.pause()
        assert image.size.width > 110
        await pilot.press("r")
        await pilot.pause()
        assert image.size.width == before


async def test_zoom_keeps_the_crosshair_and_the_frame_tells_where_it_is(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        image = await opened(app, pilot)
        await pilot.press("plus", "l", "k", "plus")
        assert image.zoom == 4
        assert image.centre_yx[0] > 0.5  # k goes up, towards higher rows
        assert image.centre_yx[1] > 0.5
        assert "zoom 4  x " in image.border_title
        assert "µm" in image.border_title
        await pilot.press("greater_than_sign")
        assert "grey 2…98 %" in image.border_title
        place = image.centre_yx
        await pilot.press("left")
        await until(pilot, lambda: app.screen.loaded is not None)
        assert image.centre_yx == place  # neighbours are compared at the same place
        await pilot.press("0")
        assert image.centre_yx == (0.5, 0.5)


@pytest.mark.parametrize("drawing", list(Drawing))
async def test_the_local_motion_is_a_layer_with_its_range(driven, drawing) -> None:
    async with driven(FakeEngine(50), drawing=drawing) as (app, pilot):
        image = await opened(app, pilot)
        assert "local motion" not in image.border_subtitle
        await pilot.press("p", "M", "m")
        assert len(image.picture.layers) == 2
        assert "local motion" in image.border_subtitle
        assert ("A rms" if drawing is Drawing.ASCII else "Å rms") in image.border_subtitle


async def test_no_signal_is_explained_and_draws_no_track(driven) -> None:
    engine = FakeEngine(50)
    still = {
        "n_frames": 3,
        "confidence": 0.12,
        "early_motion": None,
        "track_yx_angstrom": [[0, 0]] * 3,
        "shape_yx": [100, 100],
        "pixel_size": 1.0,
        "notes": ["no common signal found"],
    }
    item = engine.item

    def without_signal(name: str):
        detail = item(name)
        return replace(detail, results=detail.results | {"motion": still})

    engine.item = without_signal
    async with driven(engine, (200, 60)) as (app, pilot):
        await pilot.press("g")
        image = await opened(app, pilot)
        shown = text_of(app)
        assert "No motion was applied" in shown
        assert "0.12" in shown
        assert "none applied" in shown
        assert not any(isinstance(layer, Paths) for layer in image.picture.layers)


async def test_y_copies_the_average_and_says_so(driven, monkeypatch) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        copied: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        app.navigation.go(next(iter(app.workspace.mirror.index)))
        await opened(app, pilot)
        await pilot.press("y", "Y")
        await pilot.pause()
        assert "/average/" in copied[0]
        assert copied[0].endswith(".mrc")
        assert copied[1].endswith(app.workspace.current)
        said = [notice.title for notice in app._notifications]
        assert said == ["copied: average", "copied: raw file"]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_an_item_is_compared_with_all_others(driven, size) -> None:
    async with driven(FakeEngine(300), size) as (app, pilot):
        app.navigation.go(list(app.workspace.mirror.index)[5])
        await opened(app, pilot)
        await pilot.press("H")
        await pilot.pause()
        shown = text_of(app)
        assert "median of" in shown
        assert "█" in shown
        await pilot.press("right")
        await pilot.pause()
        assert "2/" in text_of(app)
        await pilot.press("q")
        assert isinstance(app.screen, ItemScreen)


async def test_the_comparison_has_its_axis_where_its_words_take_two_lines(driven) -> None:
    async with driven(FakeEngine(300), (80, 24)) as (app, pilot):
        await pilot.press("2", "H")
        await until(pilot, lambda: isinstance(app.screen, Comparison))
        chart = app.screen.query_one("#comparison-chart")
        text, dialog = app.screen.query_one("#comparison-text"), chart.parent
        await until(pilot, lambda: text.size.height == 2)
        assert chart.region.bottom <= dialog.content_region.bottom


@pytest.mark.slow
async def test_a_large_plot_is_drawn_by_plotext(driven) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        app.navigation.go(next(iter(app.workspace.mirror.index)))
        await opened(app, pilot)
        app.screen.query_one("#motion").focus()
        await pilot.pause()
        await pilot.press("z")
        await until(pilot, lambda: "┐" in text_of(app))  # its frame has four sides, ours has two
        assert sum("┤" in line for line in text_of(app).split("\n")) >= 3


async def test_an_item_that_changes_stays_seen_until_it_is_read_again(driven) -> None:
    engine = FakeEngine(50)
    async with driven(engine) as (app, pilot):
        app.navigation.go(list(engine.rows)[10])
        image = await opened(app, pilot)
        await until(pilot, lambda: app.screen.read_ahead)
        calls = engine.calls.count(("item", app.workspace.current))
        row = engine.rows[app.workspace.current]
        engine.say(replace(row, state="running", stage="motion", fraction=0.1))
        await until(pilot, lambda: engine.calls.count(("item", row.name)) == calls + 1)
        engine.say(replace(row, state="running", stage="motion", fraction=0.6))
        await until(pilot, lambda: app.workspace.current_row.fraction == 0.6)
        engine.say(row)  # it is done: now there is something to read
        await until(pilot, lambda: engine.calls.count(("item", row.name)) > calls + 1)
        assert engine.calls.count(("item", row.name)) == calls + 2
        assert image is app.screen.query_one("#picture", Image)


def test_what_stands_where_among_all_is_said_in_numbers() -> None:
    summary = Summary("motion.early_motion", "motion", "Å/frame")
    values = np.array([0.5, 1.0, 1.5, np.nan])
    assert "33 % of them have less" in standing(summary, 0.8, values)
    assert "median of 3 items 1.00 Å/frame" in standing(summary, None, values)
    assert isinstance(compared(summary, 0.8, values), Plot)
    assert isinstance(compared(summary, None, values[:1]), str)
    assert "all items have" in compared(summary, 2.0, np.array([2.0, 2.0]))
    assert "all items have" in compared(summary, 2.0, np.array([2.0, np.nextafter(2.0, 3.0)]))


def test_the_current_item_is_read_first_and_then_the_nearest_neighbours() -> None:
    shelf, order = Shelf(), []
    names = [f"item {step:+d}" for step in (0, *AHEAD)]
    while (name := shelf.wanted(names)) is not None:
        assert shelf.wanted(names) is None  # one at a time
        order.append(name)
        shelf.put(name, Loaded())
    assert order == names
    assert {abs(step) for step in AHEAD} == {1, 2, 3}


def test_the_shelf_forgets_what_was_not_looked_at_for_long() -> None:
    shelf = Shelf()
    for number in range(KEPT + 1):
        shelf.put(str(number), Loaded())
    assert shelf.get("0") is None
    assert shelf.get("1") is not None


def test_an_item_that_changed_while_it_was_read_is_read_again() -> None:
    shelf = Shelf()
    row = synthetic_rows(1)[0]
    assert shelf.wanted([row.name]) == row.name
    shelf.forget([row])
    shelf.put(row.name, Loaded(ItemDetail(row)))
    assert shelf.get(row.name) is not None  # shown meanwhile
    assert shelf.wanted([row.name]) == row.name


@pytest.mark.parametrize(("key", "shown"), [("e", "#picture"), ("r", "#picture")])
async def test_warps_keys_work_from_the_overview_too(driven, key: str, shown: str) -> None:
    async with driven(FakeEngine(50)) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ItemScreen))
        await until(pilot, lambda: app.screen.read_ahead)
        await pilot.pause()
        assert app.screen.query_one(shown).display
        assert (app.screen.query_one("#picture").size.width > 110) is (key == "r")
        await pilot.press("w")
        await pilot.pause()
        assert not isinstance(app.screen, ItemScreen)
