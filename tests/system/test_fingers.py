"""Impatient fingers in a real terminal: keys in one write, and leaving while the engine hangs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal import REPOSITORY, Terminal, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.xdist_group("terminals"),
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A project with a fake engine behind the real socket, in a process of its own."""
    folder = tmp_path / "apoferritin"
    command = [sys.executable, "-m", "tests.screens.served_engine", str(folder), "1284"]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    yield folder, process
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(180) == 0
    process.stdout.close()


def opened(terminal: Terminal, project: Path) -> None:
    given = environment(TERM="screen-256color")
    terminal.run(sys.executable, "-m", "warptui", str(project), variables=given)
    terminal.wait("RUNNING", "Data_1279")


def test_keys_in_one_write(engine) -> None:
    with Terminal() as terminal:
        opened(terminal, engine[0])
        terminal.keys("-l", "g!\r")  # the first, the next problem, open it
        terminal.wait("Data_0211", "21 of 40 frames", "212/1,284")
        terminal.keys("-l", "1/data_0007\rf")  # none of the letters is a command
        terminal.wait("/ data_0007", "excluded")


def test_the_app_is_left_at_once_while_the_engine_hangs(engine) -> None:
    project, process = engine
    with Terminal() as terminal:
        opened(terminal, project)
        os.kill(process.pid, signal.SIGSTOP)
        terminal.keys("-l", "s5")  # both ask, and nobody answers
        terminal.wait("Items")
        terminal.keys("q")
        # an app that waited for the engine would wait until this test is over
        terminal.until(lambda: terminal.status() is not None, "the app to leave", 50.0)
        assert terminal.status() == 0
