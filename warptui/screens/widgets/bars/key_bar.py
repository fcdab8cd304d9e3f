"""The last line: keys that work here. The keys for help and for leaving are never cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import Strip

from warptui.screens.widgets.line import PLAIN, LineWidget, Piece

Active = tuple[Binding, bool, str]  # with whether it is enabled and its tooltip

ALWAYS = ("help", "quit")  # actions
KEY, LABEL, HOVERED = "key-bar--key", "key-bar--label", "key-bar--hovered"


@dataclass(frozen=True)
class ShownKey:
    """A key with its label, or one of them alone, at its columns in the bar."""

    binding: Binding | None  # None: the label that the keys to the left of it share
    sign: str  # the key as it is shown; empty for a shared label
    label: str  # empty for a key of several that share a label
    tooltip: str
    enabled: bool
    start: int
    end: int


class KeyBar(LineWidget):
    """The keys of the screen, with those for help and for leaving at the right end.

    One widget that draws one line: of the widgets of a screen, two in three would be keys of
    Textual's footer. A key is left out where its label does not fit in full: half a label is of no
    use.
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
        self._hovered: Binding | None = None
        self._ready = False  # before the first list of keys nothing is drawn

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._keys_changed)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _keys_changed(self, screen: Screen) -> None:
        self._ready = True
        if self.is_attached and screen is self.screen:
            self.call_after_refresh(self.repaint)

    def shown(self, width: int) -> list[ShownKey]:
        """The keys and labels that fit into ``width`` columns, from left to right."""
        first: dict[str, Active] = {}  # only the first key of an action is shown
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show:
                first.setdefault(binding.action, (binding, enabled, tooltip))
        always = [first.pop(action) for action in ALWAYS if action in first]
        at_end = width - sum(self._placed(*entry, 0).end + 1 for entry in always)
        found: list[ShownKey] = []
        for together in self._blocks(first.values()):
            if together[-1].end >= at_end:
                break
            found += together
        for entry in always:
            found.append(self._placed(*entry, at_end))
            at_end = found[-1].end + 1
        return found

    def _blocks(self, entries: Iterable[Active]) -> Iterator[list[ShownKey]]:
        """A key, or the keys of a group with their label: what is shown or left out as a whole."""
        at = 0
        for group, members in groupby(entries, lambda entry: entry[0].group):
            some = list(members)
            if group is None or len(some) == 1:
                for entry in some:
                    key = self._placed(*entry, at)
                    yield [key]
                    at = key.end + 1
                continue
            keys: list[ShownKey] = []
            for entry in some:
                keys.append(self._placed(*entry, at, grouped=True))
                at = keys[-1].end
            end = at + 1 + cell_len(group.description)
            yield [*keys, ShownKey(None, "", group.description, "", True, at + 1, end)]
            at = end + 1

    def _placed(
        self, binding: Binding, enabled: bool, tooltip: str, start: int, *, grouped: bool = False
    ) -> ShownKey:
        sign = self.app.get_key_display(binding)
        label = "" if grouped else binding.description
        tooltip = tooltip or (binding.description if grouped else "")
        end = start + cell_len(f"{sign} {label}" if label else sign)
        return ShownKey(binding, sign, label, tooltip, enabled, start, end)

    def paint(self, width: int, height: int) -> list[Strip]:
        if not self._ready:
            return []
        key, label, hovered = (
            self.get_component_rich_style(name, partial=True) for name in (KEY, LABEL, HOVERED)
        )
        pieces: list[Piece] = []
        at = 0
        for entry in self.shown(width):
            over = PLAIN if entry.enabled else Style(dim=True)
            if entry.binding is not None and entry.binding == self._hovered:
                over += hovered
            space = " " if entry.sign and entry.label else ""
            pieces += [
                (" " * (entry.start - at), PLAIN),
                (entry.sign, key + over),
                (space + entry.label, label + over),
            ]
            at = entry.end
        return [self.line(*pieces)]

    def _key_at(self, x: int) -> ShownKey | None:
        """The key in column ``x``; None between keys."""
        for entry in self.shown(self.size.width) if self._ready else ():
            if entry.binding is not None and entry.start <= x < entry.end:
                return entry
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover(self._key_at(event.x))

    def on_leave(self, event: events.Leave) -> None:
        self._hover(None)

    def _hover(self, found: ShownKey | None) -> None:
        binding = found.binding if found else None
        if binding == self._hovered:
            return
        self._hovered = binding
        self.tooltip = (found.tooltip or None) if found else None
        self.styles.pointer = "pointer" if found else "default"
        self.repaint()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        found = self._key_at(event.x)
        if found is None or found.binding is None:
            return
        if found.enabled:
            self.app.simulate_key(found.binding.key)
        else:
            self.app.bell()
