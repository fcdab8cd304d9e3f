"""The glyphs of states: a Unicode set and an ASCII set with the same meanings.

Colour never carries a state alone; every state has a glyph of its own in both sets.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow


class Drawing(StrEnum):
    """How pictures and dots are drawn; a key cycles through these."""

    QUADRANT = "quadrant"  # pictures in quadrant blocks, dots in braille
    HALF = "half block"  # pictures in half blocks, dots in quadrants: fonts without braille
    BRAILLE = "braille"  # pictures dithered: one colour, few bytes
    ASCII = "ascii"


@dataclass(frozen=True)
class Glyphs:
    """One set of glyphs."""

    states: dict[State, str]
    filtered: str
    excluded: str
    included: str
    ellipsis: str
    unknown: str  # an unknown number; never shown as 0
    slices: dict[State, str]  # in the navigation bar, where a done item is the quiet case
    cursor: str
    bars: str  # growing heights; the first is empty
    rule: str
    vertical: str
    limit: str  # a line that is no axis
    border: str  # between groups along an axis
    point: str  # the strip, point or row under the cursor
    rising: str  # sorted in this direction
    falling: str
    plus_minus: str


UNICODE = Glyphs(
    states={
        State.DONE: "●",
        State.RUNNING: "◐",
        State.QUEUED: "○",
        State.WAITING: "·",
        State.OUTDATED: "▲",
        State.FAILED: "!",
        State.MISSING: "?",
    },
    filtered="▽",
    excluded="✕",
    included="★",
    ellipsis="…",
    unknown="–",
    slices={
        State.DONE: "█",
        State.RUNNING: "◐",
        State.QUEUED: "░",
        State.WAITING: "·",
        State.OUTDATED: "▲",
        State.FAILED: "!",
        State.MISSING: "?",
    },
    cursor="┃",
    bars=" ▏▎▍▌▋▊▉█",
    rule="─",
    vertical="│",
    limit="┈",
    border="┊",
    point="◆",
    rising="▲",
    falling="▼",
    plus_minus="±",
)

ASCII = Glyphs(
    states={
        State.DONE: "*",
        State.RUNNING: ">",
        State.QUEUED: ".",
        State.WAITING: "~",
        State.OUTDATED: "^",
        State.FAILED: "!",
        State.MISSING: "?",
    },
    filtered="v",
    excluded="x",
    included="+",
    ellipsis="~",
    unknown="-",
    slices={
        State.DONE: "=",
        State.RUNNING: ">",
        State.QUEUED: ".",
        State.WAITING: "~",
        State.OUTDATED: "^",
        State.FAILED: "!",
        State.MISSING: "?",
    },
    cursor="|",
    bars=" -=#",
    rule="-",
    vertical="|",
    limit="-",
    border=":",
    point="@",
    rising="^",
    falling="v",
    plus_minus="+-",
)


PLAIN = str.maketrans("Å±²³µσ°×–·…○□≥", "A~23usox--~o#>")


def plain(text: str, drawing: Drawing) -> str:
    """``text`` in ASCII where that is drawn, with as many characters as before."""
    return spell_out(text).translate(PLAIN) if drawing is Drawing.ASCII else text


def spell_out(text: str) -> str:
    """``text`` with two-character signs spelt out, where the line has room."""
    return text.replace("± ", "+-")


def glyphs(drawing: Drawing) -> Glyphs:
    """The set of glyphs for a way of drawing."""
    return ASCII if drawing is Drawing.ASCII else UNICODE


def choice_glyph(row: ItemRow, characters: Glyphs) -> str:
    """The glyph of the user's or the filters' decision about an item; blank for an included one."""
    if row.choice is Choice.EXCLUDE:
        return characters.excluded
    if row.choice is Choice.INCLUDE:
        return characters.included
    if row.filtered:
        return characters.filtered
    return " "


TRAINING_MARKS = {"examples": "E", "held-out": "H"}  # letters, in every set


def training_glyph(training: str) -> str:
    """The glyph of an item's mark for training; blank without a mark."""
    return TRAINING_MARKS.get(training, " ")


def speaks_utf8(environment: Mapping[str, str], utf8_mode: bool, encoding: str) -> bool:
    """Whether the terminal shows UTF-8, according to the locale.

    Python switches to UTF-8 where the locale is C or not installed; then the locale's name
    shows the encoding of the user's terminal. C.UTF-8 in LC_CTYPE was set by Python itself.
    """
    if not utf8_mode:
        return encoding.upper().replace("-", "") == "UTF8"
    coerced = environment.get("LC_CTYPE")
    names = (environment.get("LC_ALL"), "" if coerced == "C.UTF-8" else coerced)
    name = next((name for name in names if name), environment.get("LANG", ""))
    return name.upper().replace("-", "").endswith("UTF8")


def suggested_drawing(color_system: str | None, no_color: bool) -> Drawing:
    """The best way of drawing that this terminal most likely shows.

    With 16 colours a half-block picture has four greys, so braille dither is better there.
    """
    if not speaks_utf8(os.environ, bool(sys.flags.utf8_mode), locale.getpreferredencoding(False)):
        return Drawing.ASCII
    if os.environ.get("TERM") in ("linux", "vt100", "vt220", "ansi", "dumb"):
        return Drawing.ASCII  # console fonts have no braille and few blocks
    if no_color or color_system in (None, "standard"):
        return Drawing.BRAILLE
    return Drawing.QUADRANT
