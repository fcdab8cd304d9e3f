"""The footer: keys that work here. The keys for help and for leaving are never cut off."""

from __future__ import annotations

from itertools import groupby

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import HorizontalGroup
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey, FooterLabel, KeyGroup

ALWAYS = ("help", "quit")  # actions


class KeyBar(Footer):
    """Textual's footer, with the keys for help and for leaving at its right end.

    A key is left out where its label does not fit in full: half a label is of no use.
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
        self._made_for = 0  # width in columns

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        self._made_for = self.size.width or self.app.size.width
        first: dict[str, tuple[Binding, bool, str]] = {}  # only the first key of an action is shown
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show:
                first.setdefault(binding.action, (binding, enabled, tooltip))
        always = [first.pop(action) for action in ALWAYS if action in first]
        room = self._made_for - sum(self._length(binding) for binding, _, _ in always) - 1
        for group, members in groupby(first.values(), lambda entry: entry[0].group):
            entries = list(members)
            together = group is not None and len(entries) > 1
            for some in [entries] if together else [[entry] for entry in entries]:
                label = group.description if together and group is not None else ""
                lengths = [self._length(binding, alone=not together) for binding, _, _ in some]
                room -= sum(lengths) + (len(label) + 2 if together else 0)
                if room < -1:  # the last key needs no space after it
                    break
                yield from self._keys(some, label)
            if room < -1:
                break
        if always:
            yield HorizontalGroup(*(self._key(*entry) for entry in always), classes="always")

    def on_resize(self, event: events.Resize) -> None:
        if self._bindings_ready and event.size.width != self._made_for:
            self.call_after_refresh(self.recompose)

    def _length(self, binding: Binding, *, alone: bool = True) -> int:
        """Columns of a key, its label and the space after them."""
        keys = cell_len(self.app.get_key_display(binding))
        return keys + cell_len(binding.description) + 2 if alone else keys

    def _keys(self, entries: list[tuple[Binding, bool, str]], label: str) -> list[Widget]:
        """A key with its label, or several keys with a label that they share."""
        if not label:
            return [self._key(*entry) for entry in entries]
        keys = (self._key(*entry, grouped=True) for entry in entries)
        return [KeyGroup(*keys, classes="-compact"), FooterLabel(label)]

    def _key(
        self, binding: Binding, enabled: bool, tooltip: str, *, grouped: bool = False
    ) -> FooterKey:
        return FooterKey(
            binding.key,
            self.app.get_key_display(binding),
            "" if grouped else binding.description,
            binding.action,
            disabled=not enabled,
            tooltip=tooltip or (binding.description if grouped else ""),
            classes="-grouped" if grouped else "",
        ).data_bind(compact=Footer.compact)
