"""Small windows on top of a screen: a text to read, a question to answer."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from warptui.screens.keys.names import key_name

SCROLLING = [  # of a window with a longer text
    Binding("j,down", "scroll(1)", "down", show=False, id="dialog.down"),
    Binding("k,up", "scroll(-1)", "up", show=False, id="dialog.up"),
    Binding("space,pagedown", "scroll(10)", "page down", show=False, id="dialog.page-down"),
    Binding("pageup", "scroll(-10)", "page up", show=False, id="dialog.page-up"),
    Binding("G,end", "scroll(100000)", "end", show=False, id="dialog.end"),
    Binding("g,home", "scroll(-100000)", "start", show=False, id="dialog.start"),
]
WIDEST = 110  # columns, as the style sheet has it


class TextDialog(ModalScreen[None]):
    """A longer text: a log's end, a traceback, the help."""

    BINDINGS = [
        Binding("escape,q,enter,question_mark", "dismiss", "close", id="dialog.close"),
        *SCROLLING,
    ]

    def __init__(self, title: str, text: str, *, at_end: bool = False) -> None:
        super().__init__()
        self._title, self._text, self._at_end = title, text, at_end

    @staticmethod
    def text_width(window: int) -> int:
        """Columns for text in a window of so many: without frame, padding and scroll bar."""
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
    """Yes or no, for what takes long or cannot be undone."""

    BINDINGS = [
        Binding("y,enter", "answer(True)", "yes", id="question.yes"),
        Binding("n,escape,q", "answer(False)", "no", id="question.no"),
    ]

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
    """The key of one of the screen's own bindings, as the user's key map has it."""
    own = tuple(entry for entry in screen.BINDINGS if isinstance(entry, Binding))
    return key_name(screen.app._keymap, name, own)
