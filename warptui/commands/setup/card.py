"""The test card of `doctor`: one picture in every way of drawing, and the terminal's colours."""

from __future__ import annotations

import os
import sys
from itertools import zip_longest

import numpy as np
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import Monochrome

from warptui.screens.look.glyphs import ASCII, UNICODE, Drawing, plain, suggested_drawing
from warptui.screens.look.palette import MAP, VARIABLES, hexadecimal
from warptui.screens.widgets.pictures import layers, raster
from warptui.screens.widgets.pictures.image import SAMPLES, cell_style, drawn
from warptui.screens.widgets.pictures.layers import GREYS, Marks
from warptui.screens.widgets.pictures.view import look

SIDE = 18  # cells; the picture is as high as it is wide
_NAMES = {None: "no colours", "standard": "16 colours", "256": "256 colours"}


def colour_system() -> str | None:
    """Colours that the app would use: "standard" (16), "256" or "truecolor"; None = no colour."""
    return _console().color_system


def colour_words() -> str:
    """The colours that the app would use."""
    if "NO_COLOR" in os.environ:
        return "no colours, greys alone (NO_COLOR is set)"
    return _NAMES.get(colour_system(), "16 million colours")


def app_drawing() -> Drawing:
    """The way of drawing that the app would take in this terminal."""
    return suggested_drawing(colour_system(), "NO_COLOR" in os.environ)


def print_card() -> None:
    """Draw the card on stdout, which is a terminal."""
    console = _console()
    unicode = "utf" in (console.encoding or "").lower()
    ways = list(Drawing) if unicode else [Drawing.ASCII]
    chosen = app_drawing()
    print()
    print(f"Test card. The app takes: {chosen}. The key , changes it, for other fonts.")
    print("Take what shows a closed round ring, three small ones in it, the lowest of")
    print("them circled, and neither boxes nor gaps:")
    print()
    titles = (f"{way}{' <- app' if way is chosen else ''}".ljust(SIDE) for way in ways)
    print("  " + "  ".join(titles).rstrip())
    for lines in zip_longest(*(picture(way) for way in ways)):
        row: list[Segment] = []
        for line in lines:
            row += [Segment("  "), *line]
        _print(console, row)
    print()
    greys = [Segment("  ", Style(bgcolor=layers.colour(step))) for step in range(GREYS)]
    _print(console, [Segment("  greys    "), *greys, Segment(f"  {GREYS} even steps")])
    steps = [Segment("    ", Style(bgcolor=hexadecimal(colour))) for colour in MAP]
    _print(console, [Segment("  maps     "), *steps, Segment("  6 steps, dark to bright")])
    for name, characters in (("states", UNICODE), ("in ASCII", ASCII)):
        if unicode or characters is ASCII:
            states = (
                Segment(f"{glyph} {state} ", Style(color=VARIABLES[f"state-{state}"]))
                for state, glyph in characters.states.items()
            )
            _print(console, [Segment(f"  {name:9}"), *states])
    if unicode:
        print(plain("  letters  Å ± ² µ × – … σ °", Drawing.QUADRANT))


def picture(drawing: Drawing) -> list[list[Segment]]:
    """The sample in one way of drawing, a list of segments a line."""
    width, height = SIDE, SIDE // 2
    sample, marked = make_sample()
    view = look((sample.shape[0], sample.shape[1]), width, height)
    fine_y, fine_x = SAMPLES[drawing]
    shape = (height * fine_y, width * fine_x)
    part = raster.resample(sample[::-1], view.top, view.left, *view.seen_yx, shape)
    cells = drawn(part, drawing)
    layers.draw(marked, cells, view, drawing, coloured=True)
    line = Style(color=VARIABLES["track"])
    strips = cells.strips(lambda front, back: cell_style(front, back, line))
    return [list(strip) for strip in strips]


def make_sample(n: int = 144) -> tuple[np.ndarray, Marks]:
    """(n, n) greys 0..1: a large dark ring with three small ones in it, one of them marked."""
    y, x = np.mgrid[:n, :n] / (n - 1)
    grey = 0.55 + 0.35 * x
    grey[np.abs(np.hypot(y - 0.5, x - 0.5) - 0.44) < 0.03] = 0.1
    places = [(0.7, 0.4), (0.52, 0.7), (0.34, 0.36)]  # the last one lowest: y points up
    for place in places:
        grey[np.abs(np.hypot(y - place[0], x - place[1]) - 0.07) < 0.025] = 0.05
    return grey.astype(np.float32), Marks(np.array(places[-1:]), radius=0.15)


def _console() -> Console:
    system = os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto")
    known = system if system in ("auto", "standard", "256", "truecolor") else "auto"
    # the app turns colours to greys itself under NO_COLOR; Rich would drop the greys too
    return Console(file=sys.stdout, color_system=known, no_color=False, force_terminal=True)


def _print(console: Console, segments: list[Segment]) -> None:
    if "NO_COLOR" in os.environ:
        styled = [Segment(text, style or Style()) for text, style, _ in segments]
        segments = Monochrome().apply(styled, Color(0, 0, 0))
    for text, style, _ in segments:
        console.print(text, style=style or Style(), end="", highlight=False, markup=False)
    print()
