"""The last line: keys that work here. How to get help and how to leave are never cut off."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import HorizontalGroup
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

ALWAYS = ("help", "quit")  # actions


class KeyBar(Footer):
    """Textual's footer, with the keys that matter to one who is lost at its right end."""

    DEFAULT_CSS = """
    KeyBar .always {
        dock: right; width: auto; height: 1; padding-left: 1; background: $surface;
    }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        keys = list(super().compose())
        always = [key for key in keys if isinstance(key, FooterKey) and key.action in ALWAYS]
        yield from (key for key in keys if key not in always)
        if always:
            yield HorizontalGroup(*always, classes="always")
