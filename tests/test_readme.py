"""The README says what the program does: its tables are those of the models and of the parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import warptui.app  # noqa: F401  (defines every screen and with it every key)
from warptui import cli
from warptui.engine.config.checks import SECTIONS, as_toml
from warptui.engine.config.settings import Config
from warptui.engine.model.item import Choice, State
from warptui.screens.keys.bindings import all_bindings
from warptui.screens.look.glyphs import ASCII, UNICODE

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def settings_rows() -> Iterator[str]:
    """One line of the table per setting; print them to bring the README up to date."""
    values = Config().to_json()
    for section, model in SECTIONS.items():
        for key, info in model.model_fields.items():
            extra = info.json_schema_extra
            unit = extra.get("unit") if isinstance(extra, dict) else ""
            given = values[section].get(key)
            default = "not set" if given is None else f"`{as_toml(given)}`"
            yield f"| `{section}.{key}` | {default} | {unit or ''} | {info.description} |"


def test_every_setting_is_in_the_table_with_its_default_unit_and_meaning():
    start = r"\| `(" + "|".join(SECTIONS) + r")\.\w+` \|"
    written = [line for line in README.splitlines() if re.match(start, line)]
    expected = list(settings_rows())
    assert written == expected, "the table should be:\n" + "\n".join(expected)


def test_the_first_commands_are_those_of_the_makefile():
    found = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert found[:2] == ["demo", "test"]
    targets = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert set(found) <= set(targets)
    assert "make --no-print-directory test" in (REPOSITORY / ".ci" / "run").read_text()


def test_every_verb_is_in_the_table_of_commands_and_no_other():
    assert set(re.findall(r"^\| `warptui (\w+)", README, re.MULTILINE)) == set(cli.VERBS)


def test_every_state_and_choice_is_explained_with_its_glyphs():
    for state in State:
        assert f"| `{UNICODE.states[state]}` `{ASCII.states[state]}` | {state} |" in README
    for choice in (Choice.INCLUDE, Choice.EXCLUDE):
        name = f"{choice}d"
        assert f"`{getattr(UNICODE, name)}` `{getattr(ASCII, name)}`" in README


def test_keys_of_the_readme_exist():
    ids = {binding.id for binding in all_bindings() if binding.id}
    named = set(re.findall(r"^\| `[^`.]{1,5}` \| `([a-z.-]+)` \|", README, re.MULTILINE))
    assert named
    assert named <= ids
