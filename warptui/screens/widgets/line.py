"""Base class of the widgets that draw themselves line by line and repaint only on request."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest

from rich.segment import Segment
from rich.style import Style
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from warptui.screens.look.glyphs import Drawing, Glyphs, glyphs, plain
from warptui.screens.look.palette import Palette, palette

Piece = tuple[str, Style]


class LineWidget(Widget):
    """Draws all its lines in `paint`, once per change of data, size, theme or way of drawing."""

    drawing: reactive[Drawing] = reactive(Drawing.QUADRANT)

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._painted: list[Strip] | None = None
        self._painted_for: tuple = ()
        self._base_style: Style | None = None  # cached, see `rich_style`
        self._look_now: tuple | None = None  # True while lines are drawn

    @property
    def colours(self) -> Palette:
        """The current theme's colours by meaning."""
        return palette(self.app)

    @property
    def glyphs(self) -> Glyphs:
        """The glyphs in use."""
        return glyphs(self.drawing)

    def paint(self, width: int, height: int) -> list[Strip]:
        """All lines; missing ones up to ``height`` are blank."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Draw after the data changed; sends only the lines that differ."""
        with self._same_look():
            if self._painted is None or self._painted_for != self._look():
                self._painted = None
                self.refresh()
                return
            painted = self.paint(self.size.width, self.size.height)
        before, self._painted = self._painted, painted
        regions = _differing(before, painted, self.size.width)
        if 2 * sum(region.height for region in regions) > self.size.height:
            left, right = self.gutter.left, self.gutter.right
            first, last = regions[0].y, regions[-1].bottom
            # whole rows with their frame: nothing must be cut out of them
            regions = [Region(-left, first, left + self.size.width + right, last - first)]
        if regions:
            self.refresh(*regions)

    def _look(self) -> tuple:
        """Everything except the data that the lines depend on."""
        if self._look_now is not None:
            return self._look_now
        return (self.size, self.rich_style, self.drawing, self.has_focus, self.app.theme)

    @property
    def rich_style(self) -> Style:
        """The style of the widget's background. Kept until the style sheet changes: it is slow."""
        if self._base_style is None:
            self._base_style = super().rich_style
        return self._base_style

    def notify_style_update(self) -> None:
        """The style sheet was applied again, to this widget or to one around it."""
        self._base_style = None
        super().notify_style_update()

    @contextmanager
    def _same_look(self) -> Iterator[None]:
        self._look_now = self._look()
        try:
            yield
        finally:
            self._look_now = None

    def render_lines(self, crop: Region) -> list[Strip]:
        with self._same_look():
            return super().render_lines(crop)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's line filters without the one for 24-bit colours, which ours are already."""
        filters = super().get_line_filters()
        return [found for found in filters if not isinstance(found, ANSIToTruecolor)]

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
        """A muted text in lines that fit, for a widget that has nothing to draw."""
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


def fitted(
    left: list[tuple[int, list[Piece]]], right: list[tuple[int, list[Piece]]], width: int
) -> list[Piece]:
    """Two groups of pieces at both ends of a line; where room is short, high ranks are left out.

    Pieces of rank 0 stay.
    """
    left, right = [*left], [*right]
    while _length(left) + _length(right) > width - 1:
        last = max((*left, *right), key=lambda entry: entry[0], default=(0, []))
        if last[0] == 0:
            break
        (left if last in left else right).remove(last)
    gap = " " * max(1, width - _length(left) - _length(right))
    return [
        *(piece for _, group in left for piece in group),
        (gap, PLAIN),
        *(piece for _, group in right for piece in group),
    ]


def _length(groups: list[tuple[int, list[Piece]]]) -> int:
    return sum(len(text) for _, group in groups for text, _ in group)


def _differing(before: list[Strip], after: list[Strip], width: int) -> list[Region]:
    """The regions in which two drawings differ; neighbouring lines make one region."""
    regions: list[Region] = []
    for y, (old, new) in enumerate(zip_longest(before, after)):
        if old == new:
            continue
        if regions and regions[-1].bottom == y:
            last = regions.pop()
            regions.append(Region(0, last.y, width, last.height + 1))
        else:
            regions.append(Region(0, y, width, 1))
    return regions


PLAIN = Style()
BOLD = Style(bold=True)
