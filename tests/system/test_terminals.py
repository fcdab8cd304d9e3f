"""The app in real terminals of every kind: it draws, it hears keys, it leaves cleanly."""

from __future__ import annotations

import re
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

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]
SCREENS = ("2", "5", "6", "1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a fake engine behind the real socket, in a process of its own."""
    folder = tmp_path_factory.mktemp("terminals") / "apoferritin"
    command = [sys.executable, "-m", "tests.screens.served_engine", str(folder), "1284", "--speak"]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    yield folder
    process.send_signal(signal.SIGTERM)
    assert process.wait(180) == 0
    process.stdout.close()


def plain(codes: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[\d;:]*m", "", codes)


def tour(terminal: Terminal, project: Path, **variables: str) -> dict[str, str]:
    """Open the app, look at every screen, leave; what was seen, by key."""
    given = environment(**{"TERM": "screen-256color", **variables})
    terminal.run(sys.executable, "-m", "warptui", str(project), variables=given)
    terminal.wait("RUNNING", re.compile(r"Data_\d+"))
    terminal.keys("g")
    terminal.wait("Data_0000", "Data_0001")
    terminal.settle()  # half a screen may have come
    seen: dict[str, str] = {}

    def drawn() -> bool:  # a busy machine may pause in the middle of drawing it anew
        seen[""] = terminal.codes()
        return {"Data_0000", "Data_0001"} <= set(re.findall(r"Data_\d+", plain(seen[""])))

    terminal.until(drawn, "the first rows to be drawn")
    for key in SCREENS:
        terminal.keys(key)
        terminal.settle()
        terminal.wait("RUNNING")
        seen[key] = terminal.codes()
    terminal.keys("?")
    terminal.wait("This pane")
    seen["?"] = terminal.codes()
    terminal.keys("q")
    terminal.wait("RUNNING")
    terminal.keys("q")
    terminal.until(lambda: terminal.status() is not None, "the app to leave")
    assert terminal.status() == 0, terminal.text()
    left = terminal.history()
    assert "attaches again" in left
    assert "Traceback" not in left
    return seen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_screen_at_every_size(project: Path, size: tuple[int, int]) -> None:
    with Terminal(*size) as terminal:
        seen = tour(terminal, project)
    assert not any("too small" in text for text in seen.values())


def colours(text: str) -> set[str]:
    """The ways in which colours are asked for: 16, 256, rgb."""
    found = set()
    for codes in re.findall(r"\x1b\[([\d;:]+)m", text):
        if re.search(r"(?:^|[;:])[34]8[;:]2[;:]", codes):
            found.add("rgb")
        elif re.search(r"(?:^|[;:])[34]8[;:]5[;:]", codes):
            found.add("256")
        elif re.search(r"(?:^|;)(?:3|4|9|10)[0-7](?:$|;)", codes):
            found.add("16")
    return found


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm"}, {"16"}),
        ({"TERM": "xterm-256color"}, {"256"}),
        ({"TERM": "screen-256color"}, {"256"}),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, {"rgb"}),
    ],
    ids=["16", "256", "screen-256color", "truecolor"],
)
def test_colours_are_those_that_the_terminal_has(
    project: Path, variables: dict[str, str], expected: set[str]
) -> None:
    with Terminal() as terminal:
        seen = tour(terminal, project, **variables)
    assert colours("".join(seen.values())) == expected


def test_without_colour_there_are_only_greys(project: Path) -> None:
    with Terminal() as terminal:
        seen = tour(terminal, project, COLORTERM="truecolor", NO_COLOR="1")
    rgb = re.findall(r"[34]8[;:]2[;:](\d+)[;:](\d+)[;:](\d+)", "".join(seen.values()))
    assert all(red == green == blue for red, green, blue in rgb)


@pytest.mark.parametrize(
    "variables",
    [{"LANG": "C"}, {"LANG": "de_DE"}, {"TERM": "linux"}],
    ids=["C", "latin1", "console"],
)
def test_a_terminal_without_unicode_gets_none(project: Path, variables: dict[str, str]) -> None:
    with Terminal() as terminal:
        seen = tour(terminal, project, **variables)
    for key, text in seen.items():
        strange = sorted({character for character in text if not character.isascii()})
        assert not strange, f"on screen {key!r}: {strange}"


def test_numbers_keep_their_point_in_every_locale(project: Path) -> None:
    german = {"LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"}
    with Terminal() as terminal:
        seen = tour(terminal, project, **german)
    row = next(line for line in plain(seen[""]).splitlines() if "Data_0001" in line)
    assert re.search(r" \d\.\d\d ", row), row
    assert not re.search(r"\d,\d\d ", row), row
