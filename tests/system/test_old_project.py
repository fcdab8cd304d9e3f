"""A project that version 0.1.0 made opens, copied elsewhere, and nothing is processed again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.system.golden_session import warptui

pytestmark = pytest.mark.slow
OLD = Path(__file__).parent / "data" / "project_0.1.0"
OWN = (".warptui/",)  # logs, lock, caches


def contents(project: Path) -> dict[str, bytes]:
    """All files but the engine's own; in metadata the folder of the movies is left out."""
    found = {}
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project).as_posix()
        if path.is_file() and not name.startswith(OWN):
            data = path.read_bytes()
            if path.suffix == ".xml":
                data = re.sub(rb'DataDirectory="[^"]*"', b"", data)
                data = re.sub(rb'"raw_path":"[^"]*"', b"", data)
            found[name] = data
    return found


def items(project: Path) -> dict[str, dict[str, Any]]:
    """What `warptui status` says of every item, by name."""
    told = json.loads(warptui("status", project, "--items", "--json"))
    rows = {row["name"]: row for row in told["items"]}
    for row in rows.values():
        for key in ("arrived_at", "edited_at"):  # times of files that were copied
            row.pop(key)
    return rows


def test_nothing_of_an_old_project_is_processed_again(tmp_path: Path) -> None:
    project = tmp_path / "copy"
    shutil.copytree(OLD, project, copy_function=shutil.copyfile)
    before = contents(project)
    rows = items(project)
    assert {name: (row["state"], row["choice"], row["selected"]) for name, row in rows.items()} == {
        "a.tif": ("done", "include", True),
        "b.tif": ("done", "exclude", False),
        "c.tif": ("failed", "auto", False),
    }
    assert rows["a.tif"]["training"] == "examples"
    warptui("run", project, status=1)
    assert items(project) == rows  # with the times at which they were processed
    assert contents(project) == before
