"""Keys of the settings screen, of forms, and of the first page of a new session."""

from __future__ import annotations

from textual.binding import Binding

APPLY = Binding(
    "s",
    "apply",
    "apply",
    id="settings.apply",
    tooltip="apply the changes; while processing runs: pause, apply, go on",
)
SETTINGS = [
    APPLY,
    Binding("u", "undo", "undo", id="settings.undo", tooltip="this setting as in config.toml"),
    Binding(
        "U",
        "undo_all",
        "undo all",
        id="settings.undo-all",
        tooltip="all settings as in config.toml",
        show=False,
    ),
    Binding(
        "backspace,delete",
        "default",
        "default",
        id="settings.default",
        tooltip="this setting's default",
        show=False,
    ),
    Binding(
        "d",
        "differences",
        "differences",
        id="settings.differences",
        tooltip="to config.toml, to what is in use, to the defaults",
    ),
    Binding("S", "save_as", "save as", id="settings.save", tooltip="keep as a preset file"),
    Binding("O", "load", "load", id="settings.load", tooltip="changes from a preset file"),
]

FIELDS = [
    Binding("j,down", "move(1)", "down", show=False, id="settings.down"),
    Binding("k,up", "move(-1)", "up", show=False, id="settings.up"),
    Binding("pagedown", "move(10)", "page down", show=False, id="settings.page-down"),
    Binding("pageup", "move(-10)", "page up", show=False, id="settings.page-up"),
    Binding("right,l,tab", "section(1)", "section", id="settings.section", key_display="←/→"),
    Binding(
        "left,h,shift+tab",
        "section(-1)",
        "previous section",
        show=False,
        id="settings.section-previous",
    ),
    Binding(
        "enter",
        "edit",
        "edit",
        id="settings.edit",
        key_display="enter",
        tooltip="type another value; switches and choices change with this key",
    ),
    Binding("space", "edit", "edit, switch", show=False, id="settings.switch"),
]

EDITOR = [
    Binding("escape", "leave", "as it was", id="settings.editor-leave"),
    Binding("down", "submit_and(1)", "next", show=False, id="settings.editor-down"),
    Binding("up", "submit_and(-1)", "previous", show=False, id="settings.editor-up"),
]

FIRST_RUN = [
    Binding("s", "begin", "write config.toml and begin", id="first.begin"),
    Binding("u", "undo", "undo", id="first.undo", tooltip="back to what is proposed"),
    Binding("G", "gain", "next gain", id="first.gain", tooltip="another file that fits"),
    Binding("question_mark", "help", "help", id="first.help", key_display="?"),
    Binding("q,escape", "leave", "leave", id="first.leave"),
]
