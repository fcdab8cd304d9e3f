"""Small dialogs: type a line of text, or choose one of a few answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from warptui.screens.dialogs.windows import key_of
from warptui.screens.keys.tables.dialogs import ANSWERS, ASK, CHOOSE


class Ask(ModalScreen[str | None]):
    """Asks for a line of text; gives None when closed without one.

    ``refuse`` says why a text is not valid, or "".

    ``refuse`` says why a text will not do, or "".
    """

    BINDINGS = list(ASK)

    def __init__(
        self,
        title: str,
        text: str,
        initial: str = "",
        *,
        suggestions: Sequence[str] = (),
        refuse: Callable[[str], str] = lambda text: "" if text else "type something, or escape",
    ) -> None:
        super().__init__()
        self._title, self._text, self._initial = title, text, initial
        self._suggestions, self._refuse = suggestions, refuse

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog question") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = "enter · esc closes"
            yield Static(self._text, markup=False)
            yield Input(
                self._initial,
                compact=True,
                suggester=SuggestFromList(self._suggestions) if self._suggestions else None,
                id="answer",
            )
            yield Static(id="refusal", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        text = message.value.strip()
        if why := self._refuse(text):
            self.query_one("#refusal", Static).update(f"! {why}")
        else:
            self.dismiss(text)


class Choose(ModalScreen[str]):
    """Asks for one of a few answers, each with its key; escape and q give the last one.

    Answers are called by the keys that they have where [keys] gives them no other.
    """

    BINDINGS = list(CHOOSE)

    def __init__(self, title: str, text: str, answers: dict[str, str]) -> None:
        super().__init__()
        self._title, self._text, self._answers = title, text, answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog question") as dialog:
            dialog.border_title = self._title
            answers = "     ".join(
                f"{key_of(self, ANSWERS[key])}  {text}" for key, text in self._answers.items()
            )
            yield Static(f"{self._text}\n\n{answers}", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "answer" or parameters[0] in self._answers

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)

    def action_last(self) -> None:
        self.dismiss(list(self._answers)[-1])


def leaving(n_changes: int) -> Choose:
    """The question before the app closes with settings that were not applied; "x" leaves."""
    text = f"{_settings(n_changes)} changed but not applied, and would be lost."
    return Choose("Leave?", text, {"x": "leave", "k": "stay and look at them"})


def keeping(n_changes: int, key: str) -> Choose:
    """The question after the settings screen was left with changes; "x" discards them."""
    text = f"{_settings(n_changes)} changed but not applied."
    return Choose("Settings", text, {"x": "discard", "k": f"keep for later ({key})"})


def _settings(n: int) -> str:
    return "1 setting is" if n == 1 else f"{n:,} settings are"
