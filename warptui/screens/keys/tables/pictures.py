"""Keys of a picture with a crosshair."""

from __future__ import annotations

from textual.binding import Binding

IMAGE = [
    Binding(
        "plus,equals_sign",
        "zoom(1)",
        "zoom in",
        show=False,
        id="image.zoom-in",
        key_display="+",
        tooltip="zoom in about the crosshair: 1, 2, 4, 8",
    ),
    Binding("minus", "zoom(-1)", "zoom out", show=False, id="image.zoom-out", key_display="-"),
    Binding("h", "pan(0,-1)", "crosshair left", show=False, id="image.left"),
    Binding("shift+left", "nudge(0,-1)", "a little left", show=False, id="image.left-a-little"),
    Binding("l", "pan(0,1)", "crosshair right", show=False, id="image.right"),
    Binding("shift+right", "nudge(0,1)", "a little right", show=False, id="image.right-a-little"),
    Binding("k", "pan(1,0)", "crosshair up", show=False, id="image.up"),
    Binding("shift+up", "nudge(1,0)", "a little up", show=False, id="image.up-a-little"),
    Binding("j", "pan(-1,0)", "crosshair down", show=False, id="image.down"),
    Binding("shift+down", "nudge(-1,0)", "a little down", show=False, id="image.down-a-little"),
    Binding(
        "greater_than_sign",
        "contrast(1)",
        "more contrast",
        show=False,
        id="image.more-contrast",
        key_display=">",
    ),
    Binding(
        "less_than_sign",
        "contrast(-1)",
        "less contrast",
        show=False,
        id="image.less-contrast",
        key_display="<",
    ),
    Binding(
        "0",
        "fit",
        "whole picture",
        show=False,
        id="image.fit",
        tooltip="the whole picture, crosshair in the middle",
    ),
]
