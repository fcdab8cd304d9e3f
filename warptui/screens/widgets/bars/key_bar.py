"""The last line: keys that work here. The keys for help and for leaving are never cut off."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import Strip

from warptui.screens.widgets.line import LineWidget, Piece

ALWAYS = ("help", "quit")  # actions
KEY, LABEL, HOVERED = "key-bar--key", "key-bar--label", "key-bar--hovered"


@dataclass(frozen=True)
class ShownKey:
    """A key in the bar, with the columns that react to the mouse."""

    key: str
    sign: str  # the key as it is shown
    label: str  # empty: the label of the group follows its last key
    description: str  # for the tooltip
    enabled: bool
    start: int
    end: int


@dataclass(frozen=True)
class GroupLabel:
    """The label that the keys to the left of it share."""

    label: str
    start: int


class KeyBar(LineWidget):
    """The keys of the screen, with those for help and for leaving at the right end.

    One widget that draws one line: a widget for each key, as in Textual's footer, takes most of the
    time of a screen that opens. A key is left out where its label does not fit in full: half a
    label is of no use.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {KEY, LABEL, HOVERED}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom; height: 1; color: $footer-foreground; background: $surface;
        & > .key-bar--key { color: $footer-key-foreground; text-style: bold; }
        & > .key-bar--label { color: $footer-description-foreground; }
        & > .key-bar--hovered { background: $block-hover-background; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._hovered: str | None = None  # a key
        self._ready = False  # before the first list of keys nothing is drawn

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._keys_changed)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _keys_changed(self, screen: Screen) -> None:
        self._ready = True
        if self.is_attached and screen is self.screen:
            self.call_after_refresh(self.repaint)

    def shown(self, width: int) -> list[ShownKey | GroupLabel]:
        """The keys and labels that fit into ``width`` columns, from left to right."""
        first: dict[str, tuple[Binding, bool, str]] = {}  # only the first key of an action is shown
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show:
                first.setdefault(binding.action, (binding, enabled, tooltip))
        always = [first.pop(action) for action in ALWAYS if action in first]
        needed = sum(self._length(binding) for binding, _, _ in always)
        found: list[ShownKey | GroupLabel] = []
        room, at = width - needed - 1, 0
        for group, members in groupby(first.values(), lambda entry: entry[0].group):
            entries = list(members)
            if group is not None and len(entries) > 1:
                keys: list[ShownKey] = []
                for entry in entries:
                    keys.append(self._shown(*entry, keys[-1].end if keys else at, grouped=True))
                label = GroupLabel(group.description, keys[-1].end + 1)
                end = label.start + cell_len(label.label) + 1
                if end > room + 1:  # the last label needs no space after it
                    return [*found, *self._at_end(always, width)]
                found += [*keys, label]
                at = end
                continue
            for entry in entries:
                key = self._shown(*entry, at)
                if key.end > room:
                    return [*found, *self._at_end(always, width)]
                found.append(key)
                at = key.end + 1
        return [*found, *self._at_end(always, width)]

    def _at_end(self, entries: list[tuple[Binding, bool, str]], width: int) -> list[ShownKey]:
        at = width - sum(self._length(binding) for binding, _, _ in entries)
        found: list[ShownKey] = []
        for entry in entries:
            found.append(self._shown(*entry, at))
            at = found[-1].end + 1
        return found

    def _length(self, binding: Binding) -> int:
        """Columns of a key, its label and the space after them."""
        return cell_len(self.app.get_key_display(binding)) + cell_len(binding.description) + 2

    def _shown(
        self, binding: Binding, enabled: bool, tooltip: str, at: int, *, grouped: bool = False
    ) -> ShownKey:
        sign = self.app.get_key_display(binding)
        label = "" if grouped else binding.description
        length = cell_len(sign) + (cell_len(label) + 1 if label else 0)
        described = tooltip or (binding.description if grouped else "")
        return ShownKey(binding.key, sign, label, described, enabled, at, at + length)

    def paint(self, width: int, height: int) -> list[Strip]:
        if not self._ready:
            return []
        pieces: list[Piece] = []
        at = 0
        styles = {name: self._partial(name) for name in (KEY, LABEL, HOVERED)}
        for entry in self.shown(width):
            pieces.append((" " * (entry.start - at), Style.null()))
            if isinstance(entry, GroupLabel):
                pieces.append((entry.label, styles[LABEL]))
                at = entry.start + cell_len(entry.label)
                continue
            over = Style(dim=True) if not entry.enabled else Style.null()
            if entry.key == self._hovered:
                over += styles[HOVERED]
            pieces.append((entry.sign, styles[KEY] + over))
            if entry.label:
                pieces.append((f" {entry.label}", styles[LABEL] + over))
            at = entry.end
        return [self.line(*pieces)]

    def _partial(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _key_at(self, x: int) -> ShownKey | None:
        """The key in column ``x``; None between keys."""
        if not self._ready:
            return None
        for entry in self.shown(self.size.width):
            if isinstance(entry, ShownKey) and entry.start <= x < entry.end:
                return entry
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        found = self._key_at(event.x)
        self._hover(found)

    def on_leave(self, event: events.Leave) -> None:
        self._hover(None)

    def _hover(self, found: ShownKey | None) -> None:
        key = found.key if found else None
        if key == self._hovered:
            return
        self._hovered = key
        self.tooltip = (found.description or None) if found else None
        self.styles.pointer = "pointer" if found else "default"
        self.repaint()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        found = self._key_at(event.x)
        if found is None:
            return
        if found.enabled:
            self.app.simulate_key(found.key)
        else:
            self.app.bell()
