"""The page on architecture names functions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "develop" / "architecture.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(warptui/[\w/]+\.py)::([\w.]+)`", TEXT)
MOST_STEPS = {"A movie, from the folder to the list": 15, "A key, from one viewer to all": 8}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_function_that_the_page_names_exists(path: str, name: str) -> None:
    scope: ast.AST = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for part in name.split("."):
        known = {
            node.name: node
            for node in ast.iter_child_nodes(scope)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        assert part in known, f"{path}: no {part} of {name}"
        scope = known[part]


@pytest.mark.parametrize("title", MOST_STEPS)
def test_a_walk_is_short_and_each_step_names_a_function(title: str) -> None:
    _, _, rest = TEXT.partition(f"## {title}\n")
    steps = re.findall(r"^\d+\. .*(?:\n {2,}.*)*", rest.partition("\n## ")[0], re.MULTILINE)
    assert 0 < len(steps) <= MOST_STEPS[title]
    assert not [step for step in steps if "::" not in step]


@pytest.mark.parametrize("path", re.findall(r"`(warptui/[\w/.]+)`", TEXT))
def test_a_path_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()
