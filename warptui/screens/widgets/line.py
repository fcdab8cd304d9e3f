"""Base of the widgets that draw themselves line by line and repaint only when told to."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from warptui.screens.widgets.glyphs import Drawing, Glyphs, glyphs, plain
from warptui.screens.widgets.palette import Palette, palette

Piece = tuple[str, Style]


class LineWidget(Widget):
    """Draws all its lines in `paint`, once per change of data, size, theme or drawing."""

    drawing: reactive[Drawing] = reactive(Drawing.QUADRANT)

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._painted: list[Strip] | None = None
        self._painted_for: tuple = ()
        self._base_style: Style | None = None  # while lines are made

    @property
    def colours(self) -> Palette:
        """By meaning, of the current theme."""
        return palette(self.app)

    @property
    def glyphs(self) -> Glyphs:
        """The characters in use."""
        return glyphs(self.drawing)

    def paint(self, width: int, height: int) -> list[Strip]:
        """All lines; fewer than ``height`` leave the rest blank."""
        raise NotImplementedError

    def repaint(self) -> None:
        """The data changed: send the lines that differ, and only those."""
        if self._painted is None or self._painted_for != self._look():
            self._painted = None
            self.refresh()
            return
        with self._same_style():
            painted = self.paint(self.size.width, self.size.height)
        before, self._painted = self._painted, painted
        for y, (old, new) in enumerate(zip_longest(before, self._painted)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def _look(self) -> tuple:
        """Everything but the data that the lines depend on."""
        return (self.size, self.rich_style, self.drawing, self.has_focus, self.app.theme)

    @property
    def rich_style(self) -> Style:
        """Of the widget's background. Worked out once a paint, since it takes long."""
        return super().rich_style if self._base_style is None else self._base_style

    @contextmanager
    def _same_style(self) -> Iterator[None]:
        self._base_style = super().rich_style
        try:
            yield
        finally:
            self._base_style = None

    def render_lines(self, crop: Region) -> list[Strip]:
        with self._same_style():
            return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        state = self._look()
        size, base = state[0], state[1]
        if self._painted is None or self._painted_for != state:
            self._painted, self._painted_for = self.paint(size.width, size.height), state
        if y < len(self._painted):
            return self._painted[y].adjust_cell_length(size.width, base)
        return Strip.blank(size.width, base)

    def line(self, *pieces: Piece) -> Strip:
        """A strip of styled texts on the widget's own background."""
        base, drawing = self.rich_style, self.drawing
        return Strip(
            [Segment(plain(text, drawing), base + style) for text, style in pieces if text]
        )

    def wrapped(self, text: str, width: int) -> list[list[Piece]]:
        """A quiet text in lines that fit: what is said where there is nothing to draw."""
        muted = self.colours["muted"]
        return [
            [(f" {part}", muted)]
            for line in text.split("\n")
            for part in textwrap.wrap(line, max(width - 1, 8)) or [""]
        ]

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


PLAIN = Style()
BOLD = Style(bold=True)
