"""The pictures of the documentation, of a small session that is really processed.

    python benchmarks/screenshots.py [FOLDER] [--session PROJECT]

Simulates movies as `warptui demo` does, has an engine process them, marks three micrographs, trains
a model for a moment, and then has the app draw itself. With --session pictures are taken of a
project that is there, whatever was done with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from warptui import client as engine_client
from warptui.app import WarptuiApp
from warptui.client import Client
from warptui.engine.model.training import TrainingRequest
from warptui.engine.simulation import session
from warptui.screens.look.glyphs import Drawing

SIZE = (120, 40)
N_MOVIES, SHAPE_YX, N_FRAMES = 8, (768, 768), 12
TRAINING = {"epochs": 60, "held_out_percent": 0.0}
LONGEST_S, SETTLE_S = 3600.0, 3.0
PICTURES = {
    "overview": ("Overview: list, strips of every value, the session in numbers", ("g", "j")),
    "item": (
        "Item: spectrum and rings of the CTF, average with picks and tracks, numbers",
        ("g", "j", "enter"),
    ),
    "training": ("Training: examples, settings, curves, before and after", ("4",)),
    "jobs": ("Jobs and log: what failed and why, lists for other programs", ("5",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--session", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ws-") as temporary:
        root = Path(temporary)
        if given.session is None:
            for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
                (root / name).mkdir(mode=0o700)
                os.environ[name] = str(root / name)
        project = (given.session or make_session(root)).resolve()
        try:
            asyncio.run(take_all(project, given.folder))
        finally:
            if given.session is None:
                command("stop", str(project))


def make_session(root: Path) -> Path:
    """A project whose movies are processed, and on which a model was trained."""
    project = root / "apoferritin"
    session.write_demo_session(
        root, n_movies=N_MOVIES, delay_s=0.0, shape_yx=SHAPE_YX, n_frames=N_FRAMES
    )
    values = {
        "--input": root / "movies", "--gain": root / "gain.mrc",
        "--pixel-size": session.PIXEL_SIZE, "--dose-per-frame": session.DOSE_PER_FRAME,
        "--diameter-angstrom": session.PARTICLE_DIAMETER,
    }  # fmt: skip
    command("init", str(project), *(str(part) for pair in values.items() for part in pair))
    with engine_client.attach(project) as client:
        wait_for(lambda: counted(client, "done", "failed") == N_MOVIES)
        for number, use in ((1, "examples"), (2, "examples"), (4, "held-out")):
            client.edit(f"demo_{number:03}.tif", {"training": use})
        client.train(TrainingRequest(settings=TRAINING))
        wait_for(lambda: (told := client.status().training) is not None and not told.active)
    return project


def command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "warptui", *words], check=True, stdout=sys.stderr)


def counted(client: Client, *states: str) -> int:
    counts = client.status().counts
    return sum(counts[state] for state in states)


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + LONGEST_S
    while not done():
        if time.monotonic() > until:
            raise SystemExit("it takes too long")
        time.sleep(1.0)


async def take_all(project: Path, folder: Path) -> None:
    """Each picture of a fresh app."""
    for name, (title, keys) in PICTURES.items():
        app = WarptuiApp(
            project,
            lambda: engine_client.attach(project),
            lambda: Client.connect(project),
            lambda: engine_client.launch_engine(project),
            drawing=Drawing.QUADRANT,
        )
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(SETTLE_S)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.2)
            await pilot.pause(SETTLE_S)
            (folder / f"{name}.svg").write_text(small(app.export_screenshot(title=title)))


def small(picture: str) -> str:
    """The same picture in half as many bytes: shorter names, no clipping of what fits, no fonts
    from the network."""
    picture = re.sub(r"\s*@font-face \{.*?\}\n", "", picture, flags=re.DOTALL)
    picture = re.sub(r"terminal-\d+-", "t", picture)
    return re.sub(r' clip-path="url\(#tline-\d+\)"', "", picture)


if __name__ == "__main__":
    main()
