"""The report of CPU seconds, on a small suite of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]

SUITE = """
import subprocess, sys, time
import pytest

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

@pytest.fixture
def prepared():
    burn(0.2)

def test_idle():
    time.sleep(0.1)

def test_prepared(prepared):
    pass

def test_child():
    code = "import time\\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)

@pytest.mark.slow
def test_long():
    burn(0.5)

def test_heavy():
    burn(0.4)
"""
OWN_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(HERE)}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: long\n")
    return tmp_path


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "cpu_report", "--cpu-limit=0.35"]
    ended = subprocess.run(
        [*command, *options], cwd=folder, env=OWN_PLUGINS, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("workers", [[], ["-p", "xdist.plugin", "-n", "2"]])
def test_cpu_seconds_of_every_phase_and_of_children_are_in_the_table(
    suite: Path, workers: list[str]
) -> None:
    """A test that waits costs nothing; work in a fixture and in a child process counts."""
    shown = run(suite, *workers, "--cpu-report=report.txt")
    lines = (suite / "report.txt").read_text().splitlines()
    rows = {line.rsplit("::", 1)[1]: line.split() for line in lines if "::" in line}
    totals = {name: float(row[0]) for name, row in rows.items()}

    assert list(rows) == sorted(rows, key=lambda name: -totals[name]), "the slowest first"
    assert set(rows) == {"test_idle", "test_prepared", "test_child", "test_long", "test_heavy"}
    assert float(rows["test_prepared"][1]) >= 0.19, "setup"
    assert float(rows["test_child"][2]) >= 0.29, "call"
    assert totals["test_heavy"] >= 0.39
    assert min(totals, key=totals.__getitem__) == "test_idle"
    assert rows["test_long"][4:6] == ["unit", "slow"]
    assert rows["test_heavy"][4:6] == ["unit", "quick"]
    assert float(lines[0].split()[0]) == pytest.approx(sum(totals.values()), abs=0.05)

    section = shown.split("not marked slow, above 0.35 CPU seconds", 1)[1]
    assert "test_heavy" in section
    assert "test_long" not in section
    assert "test_idle" not in section


def test_without_the_option_nothing_is_written(suite: Path) -> None:
    shown = run(suite, "-k", "idle")
    assert "CPU" not in shown
    assert {path.name for path in suite.glob("*.txt")} == set()
