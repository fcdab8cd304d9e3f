"""Keys of dialogs that show a text, ask for a line or offer answers."""

from __future__ import annotations

from textual.binding import Binding

SCROLLING = [  # of a dialog with a longer text
    Binding("j,down", "scroll(1)", "down", show=False, id="dialog.down"),
    Binding("k,up", "scroll(-1)", "up", show=False, id="dialog.up"),
    Binding("space,pagedown", "scroll(10)", "page down", show=False, id="dialog.page-down"),
    Binding("pageup", "scroll(-10)", "page up", show=False, id="dialog.page-up"),
    Binding("G,end", "scroll(100000)", "end", show=False, id="dialog.end"),
    Binding("g,home", "scroll(-100000)", "start", show=False, id="dialog.start"),
]
ANSWERS = {"y": "choose.yes", "n": "choose.no", "x": "choose.drop", "k": "choose.keep"}

ASK = [Binding("escape", "dismiss(None)", "close", id="ask.close")]

CHOOSE = [
    Binding("escape,q", "last", "close", id="choose.close", show=False),
    *(Binding(key, f"answer('{key}')", show=False, id=name) for key, name in ANSWERS.items()),
]

TEXT_DIALOG = [
    Binding("escape,q,enter,question_mark", "dismiss", "close", id="dialog.close"),
    *SCROLLING,
]

QUESTION = [
    Binding("y,enter", "answer(True)", "yes", id="question.yes"),
    Binding("n,escape,q", "answer(False)", "no", id="question.no"),
]
