"""Keys of lists and of texts that scroll."""

from __future__ import annotations

from textual.binding import Binding

MOVING = [  # keys of every list, with one id each in [keys]
    Binding("down,j", "move(1)", "down", show=False, id="list.down"),
    Binding("up,k", "move(-1)", "up", show=False, id="list.up"),
    Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, id="list.page-down"),
    Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, id="list.page-up"),
    Binding("g,home", "jump(0)", "first", show=False, id="list.first"),
    Binding("G,end", "jump(-1)", "last", show=False, id="list.last"),
    Binding("enter", "open", "open", id="list.open", key_display="enter"),
]

ITEMS = [
    *MOVING,
    Binding(
        "greater_than_sign",
        "sort_by(1)",
        "sort by next column",
        show=False,
        id="list.sort-right",
        key_display=">",
    ),
    Binding(
        "less_than_sign",
        "sort_by(-1)",
        "sort by previous column",
        show=False,
        id="list.sort-left",
        key_display="<",
    ),
    Binding(
        "S",
        "turn_order",
        "turn order",
        show=False,
        id="list.sort-turn",
        tooltip="turn the order round; newest first where nothing is sorted",
    ),
    Binding(
        "v",
        "mark",
        "mark range",
        id="list.mark",
        tooltip="mark a range: v, move, then space, f or P",
        show=False,
    ),
]

JOB_TABLE = [
    Binding(
        "v",
        "mark",
        "mark range",
        id="list.mark",
        tooltip="mark a range: v, move, then P, x, space or f",
        show=False,
    ),
]

TEXT = [
    Binding("j,down", "scroll_lines(1)", "down", show=False, id="text.down"),
    Binding("k,up", "scroll_lines(-1)", "up", show=False, id="text.up"),
]
