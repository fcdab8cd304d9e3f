"""Names of keys in texts: a text that says "s starts it" must follow the user's [keys]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from textual.binding import Binding
from textual.keys import format_key

from warptui.screens.keys.tables.app import APP


def shown(key: str) -> str:
    """A key such as ``ctrl+f5`` or ``question_mark``, as the footer shows it."""
    *modifiers, last = key.split("+")
    named = format_key(last)
    if "ctrl" in modifiers:
        modifiers.remove("ctrl")
        named = f"^{named}"
    return "+".join([*modifiers, named])


def key_name(keys: Mapping[str, str], name: str, bindings: Sequence[Binding] = ()) -> str:
    """The first key of the binding called ``name``, given the user's [keys]."""
    if name in keys:
        return shown(str(keys[name]).replace(" ", "").split(",")[0])
    found = next((binding for binding in bindings if binding.id == name), None)
    binding = found or _of_the_app()[name]
    return binding.key_display or shown(binding.key.split(",")[0])


@cache
def _of_the_app() -> dict[str, Binding]:
    return {binding.id or "": binding for binding in APP}
