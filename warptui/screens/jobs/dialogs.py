"""Dialogs of the jobs screen: why an item failed, and which items to try again."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from warptui.engine.model.detail import ItemDetail
from warptui.screens import words
from warptui.screens.dialogs.windows import key_of
from warptui.screens.keys.tables.jobs import FAILURE, RETRY


class FailureDialog(ModalScreen[str]):
    """Shows the full account of a failure. Gives "item", "retry" or None."""

    BINDINGS = list(FAILURE)

    def __init__(self, detail: ItemDetail) -> None:
        super().__init__()
        self._detail = detail

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._detail.row.name
            item, retry = key_of(self, "failure.item"), key_of(self, "failure.retry")
            close = key_of(self, "dialog.close")
            dialog.border_subtitle = f"{item}: item · {retry}: try again · {close}: close"
            with VerticalScroll(id="text", can_focus=False):
                yield Static(account(self._detail), markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def action_end(self, answer: str) -> None:
        self.dismiss(answer)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#text").scroll_relative(y=lines, animate=False)


class RetryQuestion(ModalScreen[str]):
    """Asks: try this item again, or all that failed? Gives "this", "all" or None."""

    BINDINGS = list(RETRY)

    def __init__(self, name: str, n_failed: int) -> None:
        super().__init__()
        self._name, self._n_failed = name, n_failed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog question") as dialog:
            dialog.border_title = "Try again"
            this, every, none = (key_of(self, f"retry.{name}") for name in ("this", "all", "none"))
            keys = f"\n{this}  this one     {every}  all {self._n_failed:,} that failed"
            keys += f"     {none}  none"
            yield Static(f"{self._name}{keys}", markup=False)

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)


def account(detail: ItemDetail) -> str:
    """The full account of a failure: reason, place, traceback, and the end of the worker's log."""
    row = detail.row
    tries = f"{row.tries} tries" if row.tries > 1 else "1 try" if row.tries else ""
    place = [f"at {detail.failed_stage}" if detail.failed_stage else "before the first stage"]
    place += [tries] if tries else []
    place.append(words.clock(row.failed_at))
    lines = [row.reason, "", ", ".join(place), f"raw file: {detail.raw_path}"]
    if detail.traceback:
        lines += ["", "Traceback", detail.traceback.rstrip()]
    tail = detail.log_tail.rstrip()
    if tail and detail.traceback and detail.traceback.strip() in tail:
        tail = tail.replace(detail.traceback.strip(), "(the traceback above)")
    if tail:
        lines += ["", "The worker's last words", tail]
    if not detail.traceback and not tail:
        lines += ["", "The worker's log is empty."]
    return "\n".join(lines)
