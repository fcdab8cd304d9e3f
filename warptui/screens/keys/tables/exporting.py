"""Keys of the export dialog and of the dialog with optics groups."""

from __future__ import annotations

from textual.binding import Binding

EXPORT = [
    Binding("j,down", "row(1)", "row", id="export.down", key_display="j k"),
    Binding("k,up", "row(-1)", "up", show=False, id="export.up"),
    Binding("l,right,space", "turn(1)", "change", id="export.next", key_display="h l"),
    Binding("h,left", "turn(-1)", "change", show=False, id="export.previous"),
    Binding("enter", "type", "type", id="export.type"),
    Binding("b", "groups", "optics groups", id="export.groups"),
    Binding("o", "write", "write it", id="export.write"),
    Binding("escape,q", "dismiss(None)", "close", id="export.close"),
]

OPTICS_GROUPS = [
    Binding("j,down", "rows(1)", "rows", id="beam.down", key_display="j k"),
    Binding("k,up", "rows(-1)", "up", show=False, id="beam.up"),
    Binding("space,pagedown", "rows(10)", "page down", show=False, id="beam.page-down"),
    Binding("pageup", "rows(-10)", "page up", show=False, id="beam.page-up"),
    Binding("escape,q,enter", "dismiss(None)", "close", id="beam.close", key_display="q"),
]
