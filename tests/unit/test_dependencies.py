"""What pyproject.toml declares is used where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomli.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOLS = {"ruff", "pyright", "import-linter", "zensical"}  # run as programs, by the Makefile
PLUGINS = re.compile(r"pytest-")  # loaded by pytest


def names(requirements: list[str]) -> list[str]:
    return [re.split(r"[\[<>=]", requirement)[0] for requirement in requirements]


def imported(folder: str, module: str) -> bool:
    pattern = re.compile(rf"^\s*(import|from) {re.escape(module)}\b", re.MULTILINE)
    files = (REPOSITORY / folder).rglob("*.py")
    return any(pattern.search(path.read_text(encoding="utf-8")) for path in files)


@pytest.mark.parametrize("name", names(PROJECT["dependencies"]))
def test_the_program_imports_what_it_depends_on(name: str):
    assert imported("warptui", name)


@pytest.mark.parametrize("name", names(PROJECT["optional-dependencies"]["dev"]))
def test_tests_and_makefile_use_what_they_depend_on(name: str):
    if name in TOOLS:
        command = {"import-linter": "lint-imports"}.get(name, name)
        assert command in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    elif not PLUGINS.match(name):
        assert imported("tests", name)


def test_every_dependency_has_its_reason_beside_it():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    block = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    bare = [line for line in block.splitlines() if re.match(r'\s+"', line) and "#" not in line]
    assert not bare
