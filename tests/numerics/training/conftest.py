"""A project to train in."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_project import Project, write_net


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.root.mkdir()
    text = '[input]\nfolder = "."\npattern = ["m*.mrc"]\n[compute]\ndevices = "cpu"\nthreads = 1\n'
    made.paths.config.write_text(text)
    write_net(made.paths.model("tiny"))
    return made
