"""An empty project and its store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store


@pytest.fixture
def local_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indices of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def project(tmp_path: Path) -> ProjectPaths:
    (tmp_path / "project").mkdir()
    return ProjectPaths(tmp_path / "project")


@pytest.fixture
def store(project: ProjectPaths, local_state: None) -> Iterator[Store]:
    opened = Store(project)
    yield opened
    opened.close()
