"""Dialogs on top of a screen: a text to read, a question to answer."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from warptui.screens.keys.names import key_name
from warptui.screens.keys.tables.dialogs import QUESTION, TEXT_DIALOG

WIDEST = 110  # columns; the style sheet has the same number


class TextDialog(ModalScreen[None]):
    """Shows a longer text: the end of a log, a traceback, the help."""

    BINDINGS = list(TEXT_DIALOG)

    def __init__(self, title: str, text: str, *, at_end: bool = False) -> None:
        super().__init__()
        self._title, self._text, self._at_end = title, text, at_end

    @staticmethod
    def text_width(window: int) -> int:
        """Columns for text in a dialog of that width: without frame, padding and scroll bar."""
        return min(WIDEST, window * 9 // 10) - 6

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            down, up = key_of(self, "dialog.down"), key_of(self, "dialog.up")
            mapped = "dialog.close" in self.app._keymap
            close = key_of(self, "dialog.close") if mapped else "esc or q"
            dialog.border_subtitle = f"{down} {up} scroll · {close} closes"
            with VerticalScroll(id="text", can_focus=False):
                yield Static(self._text, markup=False)

    def on_mount(self) -> None:
        if self._at_end:
            self.call_after_refresh(self.action_scroll, 100000)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#text").scroll_relative(y=lines, animate=False)


class Question(ModalScreen[bool]):
    """Asks yes or no before an action that takes long or cannot be undone."""

    BINDINGS = list(QUESTION)

    def __init__(self, text: str, *, title: str = "Sure?") -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog question") as dialog:
            dialog.border_title = self._title
            yield Static(self._text, markup=False)
            yes, no = key_of(self, "question.yes"), key_of(self, "question.no")
            yield Static(f"\n{yes}  yes        {no}  no", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


def key_of(screen: ModalScreen, name: str) -> str:
    """The key of a binding of this screen, as the user's [keys] set it."""
    own = tuple(entry for entry in screen.BINDINGS if isinstance(entry, Binding))
    return key_name(screen.app._keymap, name, own)
