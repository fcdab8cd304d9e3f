"""Keys of strip plots, scatter plots and the astigmatism plot."""

from __future__ import annotations

from textual.binding import Binding

STRIP = [
    Binding("h,left", "move(-1)", "previous", show=False, id="strip.previous"),
    Binding("l,right", "move(1)", "next", show=False, id="strip.next"),
    Binding("pageup", "leap(-1)", "back", show=False, id="strip.back"),
    Binding("pagedown", "leap(1)", "on", show=False, id="strip.on"),
    Binding("j,down", "other(1)", "next strip", show=False, id="strip.below"),
    Binding("k,up", "other(-1)", "strip above", show=False, id="strip.above"),
    Binding(
        "left_square_bracket",
        "limit(False, -1)",
        "lower",
        id="strip.low-down",
        key_display="[",
        tooltip="lower limit down; it grows while held; out of the plot: no limit",
        group=Binding.Group("lower limit", compact=True),
    ),
    Binding(
        "right_square_bracket",
        "limit(False, 1)",
        "lower",
        id="strip.low-up",
        key_display="]",
        tooltip="lower limit up",
        group=Binding.Group("lower limit", compact=True),
    ),
    Binding(
        "left_curly_bracket",
        "limit(True, -1)",
        "upper",
        id="strip.high-down",
        key_display="{",
        tooltip="upper limit down",
        group=Binding.Group("upper limit", compact=True),
    ),
    Binding(
        "right_curly_bracket",
        "limit(True, 1)",
        "upper",
        id="strip.high-up",
        key_display="}",
        tooltip="upper limit up",
        group=Binding.Group("upper limit", compact=True),
    ),
    Binding("i", "type_limits", "type limits", id="strip.type"),
    Binding("0", "clear_limits", "no limits", id="strip.clear"),
]

SCATTER = [
    Binding("h,left", "move(-1)", "previous", show=False, id="scatter.previous"),
    Binding("l,right", "move(1)", "next", show=False, id="scatter.next"),
]

ASTIGMATISM = [
    Binding("h,left", "move(-1)", "previous", show=False, id="astigmatism.previous"),
    Binding("l,right", "move(1)", "next", show=False, id="astigmatism.next"),
    Binding(
        "left_curly_bracket,left_square_bracket",
        "limit(-1)",
        "limit",
        id="astigmatism.tighter",
        key_display="{",
        tooltip="a smaller circle: fewer items are in; it goes faster while held",
        group=Binding.Group("limit", compact=True),
    ),
    Binding(
        "right_curly_bracket,right_square_bracket",
        "limit(1)",
        "limit",
        id="astigmatism.wider",
        key_display="}",
        tooltip="a larger circle; beyond the last item: no limit",
        group=Binding.Group("limit", compact=True),
    ),
    Binding("i", "type_limits", "type limit", id="astigmatism.type"),
    Binding("0", "clear_limits", "no limit", id="astigmatism.clear"),
]
