"""The base of widgets that draw themselves: what it repaints, and in which colours."""

from __future__ import annotations

import numpy as np
import pytest
from rich.color import ColorType
from textual.app import App
from textual.geometry import Region
from textual.strip import Strip

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from warptui.screens.widgets.bars.navigation_bar import NavigationBar
from warptui.screens.widgets.line import PLAIN, LineWidget
from warptui.screens.widgets.lists.text_pane import wrap


class Lines(LineWidget):
    """Shows words."""

    DEFAULT_CSS = "Lines { border: round $foreground; width: 20; height: 8; }"

    def __init__(self) -> None:
        super().__init__()
        self.words = list("abcdef")
        self.sent: list[tuple[Region, ...]] = []

    def paint(self, width: int, height: int) -> list[Strip]:
        return [self.line((word, self.colours["strong"])) for word in self.words]

    def refresh(self, *regions: Region, **options):
        self.sent.append(regions)
        return super().refresh(*regions, **options)


class OneWidget(App[None]):
    """A widget in a terminal."""

    def compose(self):
        yield Lines()


def change(widget: Lines, words: str) -> list[tuple[Region, ...]]:
    widget.sent.clear()
    widget.words = list(words)
    widget.repaint()
    return widget.sent


async def test_lines_that_differ_are_sent_and_neighbours_as_one_region() -> None:
    app = OneWidget()
    async with app.run_test(size=(40, 10)) as pilot:
        widget = app.query_one(Lines)
        await pilot.pause()
        assert change(widget, "abcdef") == []
        assert change(widget, "abXdef") == [(Region(0, 2, 18, 1),)]
        assert change(widget, "aYXdeZ") == [(Region(0, 1, 18, 1), Region(0, 5, 18, 1))]
        # the most of it: whole rows with their frame
        assert change(widget, "123456") == [(Region(-1, 0, 20, 6),)]
        await pilot.pause()
        shown = [strip.text[:3] for strip in app.screen._compositor.render_strips()]
        assert shown[1:7] == [f"│{word} " for word in "123456"]
        change(widget, "123")  # lines that are no more are blank
        await pilot.pause()
        shown = [strip.text[:3] for strip in app.screen._compositor.render_strips()]
        assert shown[1:7] == ["│1 ", "│2 ", "│3 ", "│  ", "│  ", "│  "]


async def test_the_background_follows_theme_and_style_sheet() -> None:
    app = OneWidget()
    async with app.run_test(size=(40, 10)) as pilot:
        widget = app.query_one(Lines)
        for theme in ("textual-dark", "textual-light", "nord"):
            app.theme = theme
            await pilot.pause()
            background = app.screen.styles.background.rich_color
            assert widget.rich_style.bgcolor == background
            first = next(iter(widget.render_line(0)))
            assert first.style is not None and first.style.bgcolor == background


@pytest.mark.slow
@pytest.mark.parametrize("key", ["1", "enter", "5"])
async def test_every_colour_has_24_bits_as_nothing_translates_it_later(driven, key) -> None:
    async with driven(FakeEngine(40)) as (app, pilot):
        for theme in ("dark", "light", "okabe-ito", "high-contrast"):
            app.theme = theme
            await pilot.press(key)
            await pilot.pause()
            for widget in app.screen.query(LineWidget):
                for strip in widget._painted or ():
                    for _, style, _ in strip:
                        assert style is not None and not style.dim
                        for colour in (style.color, style.bgcolor):
                            assert colour is None or colour.type is ColorType.TRUECOLOR


async def test_what_is_drawn_is_the_same_as_with_all_filters(driven, monkeypatch) -> None:
    async with driven(FakeEngine(60)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.read_ahead)
        await pilot.pause()
        with_ours = app.screen._compositor.render_strips()
        monkeypatch.delattr(LineWidget, "get_line_filters")
        app.screen.refresh(layout=True)
        await pilot.pause()
        assert app.screen._compositor.render_strips() == with_ours


async def test_the_bar_of_the_session_shows_its_cursor_over_every_state(driven) -> None:
    async with driven(FakeEngine(60)) as (app, _):
        bar = app.screen.query_one(NavigationBar)
        for number in np.linspace(0, 59, 7).astype(int).tolist():
            bar.show_cursor(number)
            marked = [s for s in bar.paint(80, 1)[0] if s.style and s.style.bold]
            assert any(s.style.reverse or s.text == bar.glyphs.cursor for s in marked if s.style)


@pytest.mark.parametrize(
    "text", ["  what is said", " ", "", "a-long-word-that-fits-nowhere at all"]
)
@pytest.mark.parametrize("width", [8, 12, 30, 60])
def test_a_line_is_broken_although_what_stands_before_is_wider(text: str, width: int) -> None:
    lines = wrap([("what stands before it, and is long", PLAIN), (text, PLAIN)], width)
    said = "".join(part for line in lines for part, _ in line)
    assert "".join(text.split()) in "".join(said.split())
    assert all(sum(len(part) for part, _ in line) <= width for line in lines[1:])
