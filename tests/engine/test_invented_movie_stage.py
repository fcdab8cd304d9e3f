"""A stage invented in one file reaches every part of the program; the page about it shows how."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "develop" / "add-a-stage.md"
CHECKS = Path(__file__).with_name("invented_stage_checks.py")
MOST_LINES = 150


@pytest.mark.slow
def test_the_stage_on_the_page_reaches_everything(tmp_path: Path):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "brightness.py").write_text(code)
    environment = os.environ | {
        "WARPTUI_ADDED_STAGES": "brightness",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)]),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    environment.pop("PYTEST_ADDOPTS", None)
    call = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", str(CHECKS)]
    done = subprocess.run(
        call, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert re.search(r"\b[1-9]\d* passed", done.stdout), done.stdout


def test_the_page_is_short():
    assert len(PAGE.read_text().splitlines()) <= MOST_LINES
