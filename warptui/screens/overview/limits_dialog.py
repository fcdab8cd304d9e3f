"""The dialog in which a person types the limits of a value."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from warptui.engine.model.summary import Summary
from warptui.screens.keys.tables.overview import LIMITS
from warptui.screens.overview.limits import allowed, is_whole

Pair = tuple[float | None, float | None]


class NumberInput(Input):
    """An input for numbers; other keys go to the dialog."""

    def __init__(self, value: str, *, id: str) -> None:
        super().__init__(value, id=id, restrict=r"[-+0-9.,eE]*", compact=True)
        self.cursor_blink = False

    def on_key(self, event: events.Key) -> None:
        if event.key == "q":  # closes the dialog, although an input takes it as text
            event.prevent_default()
            event.stop()
            self.screen.dismiss(None)


class LimitsDialog(ModalScreen[Pair | None]):
    """Asks for the limits of a value; an empty field is no limit."""

    BINDINGS = list(LIMITS)

    def __init__(self, summary: Summary, limits: Pair) -> None:
        super().__init__()
        self._summary, self._limits = summary, limits

    def compose(self) -> ComposeResult:
        summary = self._summary
        ends = zip(
            ("least", "most"), (summary.filter_min, summary.filter_max), self._limits, strict=True
        )
        with Vertical(classes="dialog question limits") as dialog:
            dialog.border_title = f"Limits of {summary.label} {summary.unit}".strip()
            for name, key, value in ends:
                if key:
                    low, high = allowed(key)
                    yield Static(f"{name}  ({low:g} to {high:g}; empty: no limit)", markup=False)
                    yield NumberInput("" if value is None else f"{value:g}", id=name)
            yield Static(id="limits-problem", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def action_take(self) -> None:
        """Close with the limits, or show what is wrong with them."""
        try:
            low = self._read("least", self._summary.filter_min)
            high = self._read("most", self._summary.filter_max)
            if low is not None and high is not None and low > high:
                raise ValueError("the lower limit is above the upper one")
        except ValueError as problem:
            self.query_one("#limits-problem", Static).update(f"! {problem}")
            return
        self.dismiss((low, high))

    def _read(self, name: str, key: str) -> float | None:
        fields = self.query(f"#{name}").results(Input)
        text = next((field.value for field in fields), "").strip().replace(",", ".")
        if not text:
            return None
        low, high = allowed(key)
        try:
            value = float(int(text)) if is_whole(key) else float(text)
        except ValueError:
            kind = "a whole number" if is_whole(key) else "a number"
            raise ValueError(f"{text} is not {kind}") from None
        if not low <= value <= high:
            raise ValueError(f"{text} is not from {low:g} to {high:g}")
        return value
