"""Keys are data: every widget takes its own from one table, and they are as users know them.

``expected_keys.txt`` holds a line for each key: class, key, action, words, id, explanation, whether
the footer has it, how the footer writes it, and its group. Ids are what [keys] of config.toml
names: one that is changed or removed breaks the settings of a user.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from textual.binding import Binding
from textual.dom import DOMNode

import warptui.screens
from warptui.screens.keys.bindings import TABLES, all_bindings

EXPECTED = Path(__file__).with_name("expected_keys.txt")


def classes() -> Iterator[type[DOMNode]]:
    """All widgets, screens and apps that are defined in warptui or imported from Textual."""
    importlib.import_module("warptui.app")
    for module in pkgutil.walk_packages(warptui.screens.__path__, "warptui.screens."):
        importlib.import_module(module.name)
    pending: list[type] = [DOMNode]
    seen: set[type] = set()
    while pending:
        kind = pending.pop()
        if kind not in seen:
            seen.add(kind)
            pending.extend(kind.__subclasses__())
            yield kind


def line(owner: str, binding: Binding) -> str:
    group = binding.group.description if binding.group is not None else ""
    footer = "footer" if binding.show else ""
    shown = binding.key_display or ""
    words = (owner, binding.key, binding.action, binding.description, binding.id or "")
    return " | ".join((*words, binding.tooltip, footer, shown, group)).rstrip()


def test_every_class_takes_its_keys_from_the_one_table_of_its_name() -> None:
    found = {
        kind.__name__: list(kind.__dict__["BINDINGS"])
        for kind in classes()
        if kind.__module__.startswith("warptui.") and kind.__dict__.get("BINDINGS")
    }
    assert found == {owner: list(table) for owner, table in TABLES.items()}


def test_every_key_has_an_id_and_those_of_textual_have_none() -> None:
    assert all(binding.id for binding in all_bindings())
    for kind in classes():
        if kind.__module__.startswith("textual."):
            for binding in kind.__dict__.get("BINDINGS", ()):
                assert not (isinstance(binding, Binding) and binding.id), (kind, binding)


def test_keys_are_those_that_users_know() -> None:
    found = [line(owner, binding) for owner, table in TABLES.items() for binding in table]
    assert found == EXPECTED.read_text(encoding="utf-8").splitlines()


def test_tables_are_read_without_any_screen() -> None:
    code = (
        "import sys; from warptui.screens.keys.bindings import all_bindings, clashes; "
        "clashes({'follow': 'f7'}); "
        "from textual.screen import Screen; "
        "print(len(list(all_bindings())), "
        "[kind.__name__ for kind in Screen.__subclasses__() if kind.__module__[:7] == 'warptui'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == f"{len(list(all_bindings()))} []", result.stderr
