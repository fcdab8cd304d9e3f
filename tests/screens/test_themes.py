"""Themes: what can be read in them, who can tell the colours apart, and what is remembered."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from warptui.screens.look import preferences
from warptui.screens.look.ascii_filter import AsciiFilter
from warptui.screens.look.glyphs import Drawing
from warptui.screens.look.palette import VARIABLES
from warptui.screens.look.preferences import Preferences
from warptui.screens.look.themes import HIGH_CONTRAST, OKABE_ITO, THEMES

READ = [name for name in VARIABLES if name.startswith(("state-", "choice-"))]
READ += ["muted", "strong", "alert", "warning-text", "plot-dots", "axis-x", "axis-y"]
# What a person without red, green or blue cones sees, in linear RGB (Machado et al. 2009).
DEFICIENT = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def linear(colour: str) -> np.ndarray:
    value = np.array(Color.parse(colour).rgb) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """As WCAG defines it: 4.5 for text, 7 for those who see little."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(matrix) @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def variables(theme) -> dict[str, str]:
    return {**VARIABLES, **theme.to_color_system().generate(), **theme.variables}


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_word_can_be_read_on_its_background(theme) -> None:
    colours = variables(theme)
    least = 7.0 if theme is HIGH_CONTRAST else 4.0
    for name in READ:
        assert contrast(colours[name], colours["background"]) >= least, name
    for row in ("row-cursor", "row-cursor-dim", "row-marked"):
        assert contrast(colours["foreground"], colours[row]) >= 4.5, row
        for name in READ:
            if name.startswith("state-"):
                assert contrast(colours[name], colours[row]) >= 2.0, (name, row)


@pytest.mark.parametrize("kind", DEFICIENT)
def test_states_are_told_apart_with_every_kind_of_colour_vision(kind) -> None:
    colours = variables(OKABE_ITO)
    states = ("done", "running", "outdated", "failed", "missing")
    seen = {s: lab(np.array(DEFICIENT[kind]) @ linear(colours[f"state-{s}"])) for s in states}
    for one, other in combinations(states, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 12, (one, other)


@pytest.fixture
def own_preferences(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "warptui" / "app.toml"


async def test_a_theme_and_glyphs_are_remembered_for_the_user(
    driven, own_preferences, monkeypatch
) -> None:
    monkeypatch.setattr(
        "warptui.screens.look.appearance.suggested_drawing", lambda *_: Drawing.QUADRANT
    )
    async with driven(FakeEngine(50), drawing=Drawing.BRAILLE) as (app, pilot):
        assert set(app.available_themes) == {theme.name for theme in THEMES}
        app.theme = "okabe-ito"
        await until(pilot, own_preferences.exists)
        await pilot.press("comma")
        assert preferences.read() == Preferences("okabe-ito", "ascii")
    async with driven(FakeEngine(50)) as (app, _):
        assert app.theme == "okabe-ito"


@pytest.mark.slow
async def test_glyphs_chosen_in_a_good_terminal_leave_a_poor_one_alone(
    driven, own_preferences, monkeypatch
) -> None:
    suits = Drawing.QUADRANT
    monkeypatch.setattr("warptui.screens.look.appearance.suggested_drawing", lambda *_: suits)
    async with driven(FakeEngine(50), drawing=Drawing.QUADRANT) as (_, pilot):
        await pilot.press("comma")  # half blocks, in a terminal of many colours
        await until(pilot, own_preferences.exists)
    async with driven(FakeEngine(50), drawing=None) as (app, _):
        assert app.appearance.drawing is Drawing.HALF
    suits = Drawing.BRAILLE  # 16 colours, or NO_COLOR
    async with driven(FakeEngine(50), drawing=None) as (app, pilot):
        assert app.appearance.drawing is Drawing.BRAILLE
        await pilot.press("comma")
        assert preferences.read() == Preferences("", "half block", "ascii")
    suits = Drawing.ASCII  # no UTF-8
    async with driven(FakeEngine(50), drawing=None) as (app, pilot):
        assert app.appearance.drawing is Drawing.ASCII
        await pilot.press("comma")
        assert preferences.read() == Preferences("", "half block", "ascii")


async def test_unusable_preferences_are_told_and_change_nothing(driven, own_preferences) -> None:
    own_preferences.parent.mkdir()
    own_preferences.write_text("theme = 7\n")
    async with driven(FakeEngine(50)) as (app, _):
        assert app.theme == "dark"
        assert any("app.toml" in notice.message for notice in app._notifications)
    own_preferences.write_text('theme = "of an older version"\nlater = 3\n')
    async with driven(FakeEngine(50)) as (app, _):
        assert app.theme == "dark"


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
async def test_every_screen_is_drawn_in_every_theme(driven, own_preferences, theme) -> None:
    async with driven(FakeEngine(700)) as (app, pilot):
        app.theme = theme.name
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert app.theme_variables["state-done"] == variables(theme)["state-done"]


@pytest.mark.slow
async def test_in_ascii_nothing_else_is_sent_to_the_terminal(driven) -> None:
    engine = FakeEngine(100)
    async with driven(engine, drawing=Drawing.ASCII) as (app, pilot):
        for key in ("question_mark", "escape", "2", "6", "5", "1", "colon"):
            await pilot.press(key)
            await pilot.pause()
            lines = sent(app)
            assert all(line.isascii() for line in lines), (
                key,
                [x for x in lines if not x.isascii()],
            )
            assert {len(line) for line in lines} == {120}
        await pilot.press("escape", "comma")
        await pilot.pause()
        assert not all(line.isascii() for line in sent(app))


def sent(app) -> list[str]:
    """The screen's lines after all filters."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def test_what_is_not_ascii_keeps_its_width() -> None:
    given = [Segment("Å ⣿█─│… é 写 😀 x")]
    (found,) = AsciiFilter().apply(given, Color(0, 0, 0))
    assert found.text == "A *#-|~ ? ?? ?? x"
    assert cell_len(found.text) == cell_len(given[0].text)
