"""A night at the microscope in tmux: start, watch, filter, exclude, edit, retrain, export, detach.

    PYTHONPATH=. python benchmarks/story.py [--size 80x24] [--folder build/story] [--movies FOLDER]

Simulates a small session (or takes that of an earlier call), lets its movies arrive while the app
is looked at, presses the keys of the whole story, and keeps what stood on the screen after each of
them as text in FOLDER/SIZE, to be looked at. It ends with what the engine says, and with status 1
where the app did not come to show what it should. Ten minutes, most of them processing.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.terminal import Terminal, environment
from warptui.engine.simulation import session

N_MOVIES, SHAPE_YX, N_FRAMES = 8, (768, 768), 12
EPOCHS = 3
LONGEST_S = 600.0
BOX = "256"
SOME_PICK = re.compile("added|a pick already")  # the crosshair lies elsewhere at other sizes


class Story:
    """A project, a terminal with the app on it, and the panes that were kept."""

    def __init__(self, root: Path, source: Path, panes: Path, size: tuple[int, int]) -> None:
        self.movies, self.project, self._source = root / "movies", root / "apoferritin", source
        self.names = sorted(path.name for path in (source / "movies").glob("*.tif"))
        self.movies.mkdir()
        self.terminal, self.narrow = Terminal(*size), size[0] < 100
        self._panes, self._n, self.missed = panes, 0, 0
        for name in ("run", "state", "config"):
            (root / name).mkdir(mode=0o700)
        self.variables = environment(
            TERM="screen-256color", XDG_RUNTIME_DIR=str(root / "run"),
            XDG_STATE_HOME=str(root / "state"), XDG_CONFIG_HOME=str(root / "config"),
        )  # fmt: skip

    def command(self, *words: str) -> str:
        """What a command prints."""
        line = [sys.executable, "-m", "warptui", *words]
        return subprocess.run(line, env=self.variables, capture_output=True, text=True).stdout

    def status(self) -> dict[str, Any]:
        """What the engine says."""
        return json.loads(self.command("status", str(self.project), "--json"))

    def arrive(self, name: str) -> None:
        """A movie, and its mdoc where it has one."""
        for path in (self._source / "movies").glob(f"{name}*"):
            shutil.copy(path, self.movies / path.name)

    def open(self) -> None:
        """The app, as far as its first frame."""
        line = [sys.executable, "-m", "warptui", str(self.project)]
        self.terminal.run(*line, variables=self.variables)
        self.expect("help")

    def expect(self, *words: str | re.Pattern[str]) -> None:
        """Wait until the screen shows these."""
        try:
            self.terminal.wait(*words, timeout_s=90.0)
        except AssertionError as problem:
            self.missed += 1
            print(f"! {problem}", file=sys.stderr)

    def keep(self, name: str, quiet_s: float = 1.2) -> None:
        """Keep what is seen once it rests."""
        self.terminal.settle(quiet_s)
        self._n += 1
        (self._panes / f"{self._n:02}-{name}.txt").write_text(self.terminal.text() + "\n")
        print(self._n, name, flush=True)

    def press(
        self, *keys: str, name: str = "", wait: tuple[str | re.Pattern[str], ...] = ()
    ) -> None:
        """Press keys, wait for words, keep what came of it."""
        self.terminal.keys(*keys)
        if wait:
            self.expect(*wait)
        if name:
            self.keep(name)
        else:
            self.terminal.settle()

    def until(self, done: Callable[[], bool], name: str) -> None:
        """Wait for the engine, and keep what is seen then."""
        end = time.monotonic() + LONGEST_S
        while not done():
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain for: {name}")
            time.sleep(3.0)
        self.keep(name)


def tell(story: Story) -> None:
    """All of it."""
    names = story.names
    story.open()
    story.keep("start")
    story.expect(re.compile(r"demo_001 +[0-9]"))
    story.keep("first-item")
    for name in names[1:]:
        story.arrive(name)
        time.sleep(3.0)
    story.keep("movies-arrive")
    story.until(lambda: processed(story) == len(names), "all-done")

    story.press("5", name="jobs", wait=("demo_005",))
    story.press("1", wait=("motion",))
    story.press("!", name="problem")
    story.press("g", "Tab", name="strips")
    story.press(*"{{{{{", name="limit-moved")
    story.press(*"{{{{{{{{{{", name="limit-held")
    story.press("?", name="help", wait=("This pane",))
    story.press("q")
    story.press("0", name="limit-away")
    story.press("m", "j", "l", name="scatter-plot")
    story.press("Escape")
    story.press("1", *["Tab"] * (3 if story.narrow else 2), name="list")
    story.press("g", "f", name="excluded")
    story.press("j", "Space", "Space", name="included")

    story.press("j", "Enter", name="item", wait=("demo_003",))
    story.press("r", "+", "+", name="zoomed")
    story.press("k", "k", "l", "l", "a", name="pick-added", wait=(SOME_PICK,))
    story.press("x", name="pick-removed")
    story.press("u", name="undone")
    story.press("0", "b", "b", name="uncertain")
    story.press("E", name="example")
    story.press("i", name="details", wait=("raw file",))
    story.press("q")
    story.press("Right", "E", "E", name="held-out", wait=("demo_004",))
    story.press("Right", "Right", "E", name="second-example", wait=("demo_006",))

    story.press("4", name="training", wait=("learn",))
    story.press("t", name="train-question", wait=("y  yes",))
    story.press("y", name="training-begins")
    story.until(lambda: phase(story) in ("done", "failed"), "trained")
    if story.narrow:
        for name in ("curves", "before-and-after", "models"):
            story.press("Tab", name=name)
    story.press("u", name="use-question", wait=("y  yes",))
    story.press("y", name="used")
    story.press("1", name="picked-again")
    story.until(lambda: processed(story) == len(names), "up-to-date")

    story.press("o", name="export", wait=("the first rows",))
    story.press("o", name="micrographs-exported", wait=("export done",))
    story.press("o", wait=("the first rows",))
    story.press("l", name="export-particles", wait=("CoordinateX",))
    story.press(*"jjjjjj")
    story.press("Enter")
    story.press(*BOX, "Enter", name="export-box", wait=(BOX,))
    story.press("o")
    story.press("5", name="exporting", wait=("export_particles",))
    story.until(lambda: not any(e["state"] == "running" for e in exports(story)), "exported")
    story.press("6", "j", "j", name="settings", wait=("settle",))
    story.press("1", "q")
    story.terminal.until(lambda: story.terminal.status() is not None, "the app to leave")
    story.keep("detached")
    story.open()
    story.expect("demo_008")
    story.keep("attached")


def processed(story: Story) -> int:
    counts = story.status()["counts"]
    return counts["done"] + counts["failed"]


def phase(story: Story) -> str:
    return (story.status().get("training") or {}).get("phase", "")


def exports(story: Story) -> list[dict[str, Any]]:
    return story.status().get("exports", [])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--folder", type=Path, default=Path("build/story"))
    parser.add_argument("--movies", type=Path, help="of an earlier call; made here where it is not")
    given = parser.parse_args()
    columns, lines = (int(part) for part in given.size.split("x"))
    source, panes = given.movies or given.folder / "demo", given.folder / given.size
    if not (source / "movies").is_dir():
        session.write_demo_session(
            source, n_movies=N_MOVIES, delay_s=0.0, shape_yx=SHAPE_YX, n_frames=N_FRAMES
        )
    shutil.rmtree(panes, ignore_errors=True)
    panes.mkdir(parents=True)
    root = Path(tempfile.mkdtemp(prefix="ws-"))
    story = Story(root, source, panes, (columns, lines))
    try:
        story.arrive("demo_001.tif")
        shutil.copy(source / "gain.mrc", root)
        values = {
            "--input": story.movies, "--gain": root / "gain.mrc",
            "--pixel-size": session.PIXEL_SIZE, "--dose-per-frame": session.DOSE_PER_FRAME,
            "--diameter-angstrom": session.PARTICLE_DIAMETER,
        }  # fmt: skip
        words = (str(part) for pair in values.items() for part in pair)
        story.command("init", str(story.project), *words)
        config = story.project / "config.toml"
        config.write_text(re.sub(r"(?m)^epochs = \d+", f"epochs = {EPOCHS}", config.read_text()))
        with story.terminal:
            tell(story)
        print(story.command("status", str(story.project)))
    finally:
        story.command("stop", str(story.project))
        shutil.rmtree(root, ignore_errors=True)
    return 1 if story.missed else 0


if __name__ == "__main__":
    sys.exit(main())
