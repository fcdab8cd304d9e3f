"""The last line: keys that work here. How to get help and how to leave are never cut off."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import HorizontalGroup
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

ALWAYS = ("help", "quit")  # actions


class KeyBar(Footer):
    """Textual's footer, with the keys that matter to one who is lost at its right end.

    A key that has no room with all of its words is left out: half a word helps nobody.
    """

    DEFAULT_CSS = """
    KeyBar .always {
        dock: right; width: auto; height: 1; padding-left: 1; background: $surface;
    }
    KeyBar.-compact KeyGroup.-compact { padding-left: 0; }
    KeyBar.-compact FooterLabel { margin: 0 1 0 0; }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        always: list[FooterKey] = []
        for key in super().compose():  # one by one: groups take in what is yielded inside of them
            if isinstance(key, FooterKey) and key.action in ALWAYS:
                always.append(key)
            else:
                yield key
        if always:
            yield HorizontalGroup(*always, classes="always")
        self.call_after_refresh(self._fit)

    def on_resize(self, event: events.Resize) -> None:
        self._fit()

    def _fit(self) -> None:
        """Hide what is cut off at the right end, and what belongs to it."""
        room = self.size.width - sum(child.outer_size.width for child in self.query(".always"))
        together: list[Widget] = []  # the keys of a group go with the label behind them
        for child in self.children:
            if child.has_class("always"):
                continue
            together.append(child)
            if not isinstance(child, HorizontalGroup):
                for widget in together:
                    widget.visible = child.virtual_region.right <= room
                together.clear()
