"""Keys of the overview: the filter line, the axes of the plots, limits."""

from __future__ import annotations

from textual.binding import Binding

FILTER = [Binding("slash", "filter", "filter", id="list.filter", key_display="/")]
FILTER_LINE = [
    Binding("enter", "submit", "keep", id="filter.keep"),
    Binding("escape", "clear", "show all", id="filter.clear"),
]

OVERVIEW = [
    *FILTER,
    Binding(
        "m",
        "axes",
        "plots",
        id="axes",
        tooltip="what strips run along; a scatter plot of astigmatism or of two values",
    ),
]

AXES = [
    Binding("j,down", "row(1)", "row", id="axes.down", key_display="j k"),
    Binding("k,up", "row(-1)", "up", show=False, id="axes.up"),
    Binding("l,right,space", "turn(1)", "change", id="axes.next", key_display="h l"),
    Binding("h,left", "turn(-1)", "change", show=False, id="axes.previous"),
    Binding("escape,q,m,enter", "dismiss", "close", id="axes.close"),
]

LIMITS = [
    Binding("enter", "take", "take", id="limits.take", priority=True),
    Binding("escape,q", "dismiss(None)", "cancel", id="limits.cancel"),
]
