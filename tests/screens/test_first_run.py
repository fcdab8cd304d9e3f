"""The first page of a new session, driven by keys."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.screens.conftest import until
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.config import file
from warptui.engine.errors import EngineError
from warptui.screens.look.glyphs import Drawing
from warptui.screens.setup.screen import FirstRun, FirstRunApp
from warptui.screens.setup.survey import Found
from warptui.screens.widgets.lists.form_pane import FormPane


def found(folder: Path, **changes: Any) -> Found:
    """What a survey of a folder of TIFF movies without mdocs tells."""
    given: dict[str, Any] = {
        "settings": {
            "input": {"folder": "frames", "recursive": True},
            "optics": {"voltage": 200.0},
        },
        "movie": str(folder / "frames" / "a.tif"),
        "facts": {
            "format": "tiff",
            "n_frames": 40,
            "width": 5760,
            "height": 4092,
            "n_movies": 1284,
        },
        "gains": (
            {"path": str(folder / "K3_gain.tif"), "fits": True, "text": "fits 5760 x 4092 px"},
            {"path": str(folder / "old_gain.tif"), "fits": False, "text": "it fits with transpose"},
        ),
        "notes": ("1,284 movies are in frames and folders in it",),
    }
    return Found(**{**given, **changes})


class Page:
    """The page on a survey that answers what it is told to."""

    def __init__(self, folder: Path, answer: Found | EngineError, drawing=Drawing.QUADRANT) -> None:
        self.asked: list[tuple[Path, Path, Any]] = []
        self.answer = answer
        self.go_on = threading.Event()
        self.go_on.set()
        self.app = FirstRunApp(folder, self._survey, drawing)

    def _survey(self, project: Path, folder: Path, given: Any) -> Found:
        self.asked.append((project, folder, given))
        self.go_on.wait(20)
        if isinstance(self.answer, EngineError):
            raise self.answer
        return self.answer

    async def ready(self, pilot) -> FirstRun:
        await until(pilot, lambda: isinstance(self.app.screen, FirstRun))
        screen = self.app.screen
        assert isinstance(screen, FirstRun)
        await until(pilot, lambda: screen.found or screen._problem)
        await pilot.pause()
        return screen


@pytest.mark.parametrize("size", SIZES)
async def test_it_says_what_was_found_and_what_is_missing_at_every_size(tmp_path, size) -> None:
    page = Page(tmp_path, found(tmp_path))
    async with page.app.run_test(size=size) as pilot:
        screen = await page.ready(pilot)
        shown = text_of(page.app)
        assert "1,284 movies, TIFF: 40 frames of 5760 x 4092 px" in shown
        assert "K3_gain.tif" in shown
        assert "type the pixel size" in shown
        assert screen.query_one(FormPane).current.name == "input.pixel_size"
        assert page.asked == [(tmp_path, tmp_path, {"input": {}})]


async def test_what_is_missing_is_typed_and_config_toml_written(tmp_path) -> None:
    page = Page(tmp_path, found(tmp_path))
    async with page.app.run_test(size=(80, 24)) as pilot:
        await page.ready(pilot)
        await pilot.press("s")
        assert not (tmp_path / "config.toml").exists()
        await pilot.press("enter", *"0.83", "enter", "down", "enter", *"1.1", "enter")
        await until(pilot, lambda: "writes" in text_of(page.app))
        await pilot.press("s")
        await until(pilot, (tmp_path / "config.toml").exists)
    assert page.app.made == tmp_path
    given = file.read_config(tmp_path)
    assert (given.input.pixel_size, given.input.dose_per_frame) == (0.83, 1.1)
    assert (given.input.recursive, given.optics.voltage) == (True, 200.0)
    assert given.input.folder == str(tmp_path / "frames")
    assert given.input.gain == str(tmp_path / "K3_gain.tif")  # the only one that fits
    assert "# kV: acceleration voltage" in (tmp_path / "config.toml").read_text()


async def test_the_cursor_begins_where_something_is_missing(tmp_path) -> None:
    answer = found(tmp_path)
    answer.settings.setdefault("input", {})["pixel_size"] = 0.83
    page = Page(tmp_path, answer)
    async with page.app.run_test(size=(80, 24)) as pilot:
        screen = await page.ready(pilot)
        assert screen.query_one(FormPane).current.name == "input.dose_per_frame"
        await pilot.press("enter", *"1,1")
        await until(pilot, lambda: "the decimal sign is a point: 1.1" in text_of(page.app))
        await pilot.press("backspace", "backspace", *".1", "enter")
        await until(pilot, lambda: "input.dose_per_frame" not in screen.missing())
        assert screen.draft.changes["input"]["dose_per_frame"] == 1.1


async def test_leaving_writes_nothing(tmp_path) -> None:
    page = Page(tmp_path, found(tmp_path))
    async with page.app.run_test(size=(80, 24)) as pilot:
        await page.ready(pilot)
        await pilot.press("q")
        await pilot.pause()
    assert page.app.made is None
    assert list(tmp_path.iterdir()) == []


async def test_gain_references_that_fit_are_offered_in_turn(tmp_path) -> None:
    gains = tuple(
        {"path": str(tmp_path / name), "fits": True, "text": "fits"} for name in ("a.mrc", "b.mrc")
    )
    page = Page(tmp_path, found(tmp_path, gains=gains))
    async with page.app.run_test(size=(120, 40)) as pilot:
        screen = await page.ready(pilot)
        gain = screen._field("input.gain")
        assert screen.draft.value(gain) == ""  # two fit: a person decides
        assert "G takes a.mrc, which fits" in text_of(page.app)
        seen = []
        for _ in range(3):
            await pilot.press("G")
            seen.append(screen.draft.value(gain))
        assert seen == [str(tmp_path / "a.mrc"), str(tmp_path / "b.mrc"), ""]


async def test_another_folder_is_looked_at_and_what_was_typed_stays(tmp_path) -> None:
    page = Page(
        tmp_path, found(tmp_path, movie="", facts={}, gains=(), notes=("no movie is in it",))
    )
    async with page.app.run_test(size=(120, 40)) as pilot:
        screen = await page.ready(pilot)
        assert "no movie is in it" in text_of(page.app)
        fields = screen.query_one(FormPane).fields
        fields.go("input.pixel_size")
        await pilot.press("enter", *"0.5", "enter")
        fields.go("input.folder")
        page.answer = found(tmp_path)
        await pilot.press("enter", *["backspace"] * 60, *"/data/x", "enter")
        await until(pilot, lambda: len(page.asked) == 2)
        assert page.asked[-1][1] == Path("/data/x")
        await until(pilot, lambda: screen.found is not None)
        await pilot.pause()
        assert "1,284 movies" in text_of(page.app)
        assert screen.draft.value(screen._field("input.pixel_size")) == 0.5
        assert screen.draft.value(screen._field("input.folder")) == "frames"


async def test_a_folder_that_cannot_be_looked_at_is_said_and_nothing_written(tmp_path) -> None:
    page = Page(tmp_path, EngineError("--input /nowhere: expected a folder that is there"))
    async with page.app.run_test(size=(80, 24)) as pilot:
        await page.ready(pilot)
        assert "expected a folder that is there" in text_of(page.app)
        await pilot.press("s")
        await pilot.pause()
        assert not (tmp_path / "config.toml").exists()


async def test_the_page_can_be_left_while_a_folder_hangs(tmp_path) -> None:
    page = Page(tmp_path, found(tmp_path))
    page.go_on.clear()
    async with page.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "looking" in text_of(page.app))
        await pilot.press("s")
        await pilot.pause()
        assert not (tmp_path / "config.toml").exists()
        page.go_on.set()
        await page.ready(pilot)


async def test_a_folder_that_is_a_session_already_is_refused(tmp_path) -> None:
    page = Page(tmp_path, found(tmp_path))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.toml").touch()
    async with page.app.run_test(size=(120, 40)) as pilot:
        screen = await page.ready(pilot)
        screen.query_one(FormPane).fields.go(".project")
        await pilot.press("enter", *"/other")
        await until(pilot, lambda: "is a session already" in text_of(page.app))


async def test_ascii_draws_the_page_with_ascii_alone(tmp_path) -> None:
    page = Page(tmp_path, found(tmp_path), Drawing.ASCII)
    async with page.app.run_test(size=(120, 40)) as pilot:
        await page.ready(pilot)
        content = "\n".join(text_of(page.app).split("\n")[:-1])
        assert content.isascii(), {letter for letter in content if not letter.isascii()}
