"""Keys of the jobs screen and its dialogs."""

from __future__ import annotations

from textual.binding import Binding

from warptui.screens.keys.tables.dialogs import SCROLLING

JOBS = [
    Binding("l,right", "turn(1)", "next list", id="jobs.next-list", show=False),
    Binding("h,left", "turn(-1)", "previous list", id="jobs.previous-list", show=False),
    Binding(
        "P",
        "app.reprocess",
        "try again",
        id="reprocess",
        tooltip="process again, also for a range; failed: this one or all",
    ),
    Binding(
        "x",
        "cancel",
        "cancel",
        id="jobs.cancel",
        tooltip="stop what runs or waits; it counts as failed until P; also an export",
    ),
    Binding(
        "V",
        "level",
        "log level",
        id="log.level",
        tooltip="log: debug, info, warning, error and above",
    ),
    Binding("slash", "search", "search log", id="log.search", key_display="/"),
]

FAILURE = [
    Binding("escape,q", "dismiss", "close", id="dialog.close"),
    Binding("enter", "end('item')", "go to the item", id="failure.item"),
    Binding("P", "end('retry')", "try again", id="failure.retry"),
    *SCROLLING,
]

RETRY = [
    Binding("P,y,enter", "answer('this')", "this one", id="retry.this"),
    Binding("a", "answer('all')", "all", id="retry.all"),
    Binding("n,escape,q", "dismiss", "none", id="retry.none"),
]
