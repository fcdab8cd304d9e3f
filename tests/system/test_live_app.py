"""The whole program in a real tmux: movies arrive, are looked at, and survive a killed engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.terminal import Terminal, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

SIMULATE = """
import sys
from pathlib import Path
from warptui.engine.simulation.session import write_demo_session
write_demo_session(Path(sys.argv[1]), n_movies=5, delay_s=1.0, shape_yx=(256, 256), n_frames=6)
"""
N_DONE = 4  # the fifth movie is truncated
TIMEOUT_S = 240.0  # where other tests take the processor


class Project:
    """A project folder and the commands on it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "warptui", *arguments],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        return json.loads(self.command("status", str(self.folder), "--json", "--items").stdout)

    def items(self) -> dict[str, tuple[str, str, Any]]:
        """State, choice and values by name."""
        return {
            row["name"]: (row["state"], row["choice"], row["summary"])
            for row in self.status()["items"]
        }

    def open(self, terminal: Terminal) -> None:
        terminal.run(sys.executable, "-m", "warptui", str(self.folder), variables=self.variables)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A folder into which five small simulated movies arrive, second by second."""
    runtime = Path(tempfile.mkdtemp(prefix="wl-"))
    variables = environment(
        TERM="screen-256color",
        XDG_RUNTIME_DIR=str(runtime),
        XDG_STATE_HOME=str(tmp_path / "state"),
        XDG_CONFIG_HOME=str(tmp_path / "config"),
    )
    simulation = subprocess.Popen([sys.executable, "-c", SIMULATE, str(tmp_path)], env=variables)
    made = Project(tmp_path / "session", variables)
    yield made
    simulation.kill()
    simulation.wait()
    made.command("stop", str(made.folder))
    shutil.rmtree(runtime)


def test_a_session_from_the_first_movie_to_a_killed_engine(project: Project) -> None:
    movies = project.folder.parent / "movies"
    with Terminal() as terminal:
        terminal.until(lambda: any(movies.glob("demo_*.tif")), "the first movie", TIMEOUT_S)
        made = project.command(
            "init", str(project.folder), "--input", str(movies), "--pixel-size", "1.5",
            "--dose-per-frame", "1.5", "--gain", str(movies.parent / "gain.mrc"),
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

        # movies arrive, counts rise
        project.open(terminal)
        terminal.wait("demo_001", re.compile(rf"[1-{N_DONE}] done"), timeout_s=TIMEOUT_S)
        terminal.wait(f"{N_DONE} done", "1 failed", timeout_s=TIMEOUT_S)
        assert "truncated" in terminal.text() or "demo_005" in terminal.text()

        # one is excluded, and the app is left
        terminal.keys("g", "f")
        terminal.wait("1 excluded")
        terminal.keys("q")
        terminal.until(lambda: terminal.status() is not None, "the app to leave")
        assert terminal.status() == 0
        before = project.items()
        assert before["demo_001.tif"][:2] == ("done", "exclude")
        assert sorted(state for state, _, _ in before.values()) == ["done"] * N_DONE + ["failed"]

        # it went on without us; then the engine is killed under our eyes
        project.open(terminal)
        terminal.wait("1 excluded", f"{N_DONE} done")
        os.kill(project.status()["pid"], signal.SIGKILL)
        seen = terminal.wait("STOPPED", "Press s to start the engine")
        assert "demo_001" in seen

        # and started again: nothing is lost, nothing is done twice
        terminal.keys("s")
        terminal.until(lambda: "Press s to start" not in terminal.text(), "the engine", TIMEOUT_S)
        terminal.wait("1 excluded", f"{N_DONE} done", "1 failed", timeout_s=TIMEOUT_S)
        assert project.items() == before
        terminal.keys("q")
        terminal.until(lambda: terminal.status() is not None, "the app to leave")
