"""The command palette: every key that works here, and commands without a key."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette, SearchIcon
from textual.dom import DOMNode
from textual.screen import Screen

# Keys that are useless as commands: the palette would be full of them.
_MOVES = ("list.", "text.", "strip.", "pane.", "dialog.", "form.", "chart.", "image.")


class Palette(CommandPalette):
    """Textual's command palette, without the emoji that many terminals cannot show."""

    def on_mount(self) -> None:
        """Also called for the base class."""
        self.query_one(SearchIcon).icon = ">"


def key_commands(app: App, screen: Screen) -> Iterable[SystemCommand]:
    """The actions of the focused pane, of the screen and of the app, each with its key and id."""
    seen: set[str] = set()
    focused = screen.focused
    nodes: list[DOMNode] = [screen, app] if focused is None else [focused, screen, app]
    for node in nodes:
        for bindings in node._bindings.key_to_bindings.values():
            for binding in bindings:
                name = binding.id or ""
                if not name or name in seen or not binding.description:
                    continue
                seen.add(name)
                if binding.show or not name.startswith(_MOVES):
                    yield _command(app, node, binding)


def _command(app: App, node: DOMNode, binding: Binding) -> SystemCommand:
    key = app.get_key_display(mapped(app, binding))
    title = binding.description[:1].upper() + binding.description[1:]
    explanation = (
        binding.tooltip if binding.tooltip and binding.tooltip != binding.description else ""
    )
    return SystemCommand(
        title,
        "  ".join(filter(None, (key, explanation, f"id {binding.id}"))),
        partial(app.run_action, binding.action, default_namespace=node),
    )


def mapped(app: App, binding: Binding) -> Binding:
    """The binding with the key that the user's [keys] gives it."""
    key = app._keymap.get(binding.id or "")
    return binding if key is None else binding.with_key(key.split(",")[0])
