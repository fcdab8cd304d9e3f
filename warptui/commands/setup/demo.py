"""`demo`: a small simulated session that arrives movie by movie, and is processed meanwhile."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from warptui.commands.items.run import process
from warptui.commands.output import DONE, SOME_FAILED, say
from warptui.commands.parsing import Parsers, add_json, new_parser
from warptui.commands.setup.init import first_movie, init
from warptui.engine.config.sections import InputSettings
from warptui.engine.errors import EngineError
from warptui.engine.project.paths import CONFIG_NAME

FIRST_MOVIE_S = 600.0  # a slow machine needs long to simulate one
SETTINGS = ("pixel_size", "dose_per_frame")
PICKING = ("diameter_angstrom",)
FACTS = "simulation.json"  # in the demo's folder: what the simulator says about its movies
SIMULATE = """
import json, sys
from pathlib import Path
from warptui.engine.simulation import session
folder = Path(sys.argv[1])
facts = {"pixel_size": session.PIXEL_SIZE, "dose_per_frame": session.DOSE_PER_FRAME}
facts["diameter_angstrom"] = session.PARTICLE_DIAMETER
(folder / "simulation.json").write_text(json.dumps(facts))
made = session.write_demo_session(
    folder, n_movies=int(sys.argv[2]), delay_s=float(sys.argv[3]),
    progress=lambda fraction: print(f"{fraction:.0%} written", flush=True),
)
facts |= {"truncated": made.truncated, "empty": made.empty}
(folder / "simulation.json").write_text(json.dumps(facts))
"""


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "demo", words, run)
    add_json(parser)
    parser.add_argument("project", nargs="?", default="demo", metavar="PROJECT", type=Path)
    parser.add_argument("--movies", type=_count, default=8, help="how many (default 8)")
    parser.add_argument("--delay", type=float, default=4.0, help="s between them (default 4)")
    parser.add_argument(
        "--no-app", action="store_true", help="a progress bar even where the app could be shown"
    )


def run(call: argparse.Namespace) -> int:
    """Simulate and process, in the app where it can be shown."""
    show_app = sys.stdout.isatty() and not (call.no_app or call.json)
    return demo(
        call.project, n_movies=call.movies, delay_s=call.delay, show_app=show_app, as_json=call.json
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return value


def demo(project: Path, *, n_movies: int, delay_s: float, show_app: bool, as_json: bool) -> int:
    """Simulate into ``project`` and process it, in the app or with a progress bar."""
    if (project / CONFIG_NAME).exists():
        say(f"{project} is a project already: going on with it")
        if show_app:
            return _show(project)
        return _judge(project, process(project, as_json=as_json, arriving=lambda: False))
    project.mkdir(parents=True, exist_ok=True)
    log = project / "simulation.log"
    say(f"simulating {n_movies} movies into {project / 'movies'} (log: {log}); the first takes")
    say("some seconds. One of them is truncated and one shows nothing, as it happens")
    simulation = start_simulation(project, n_movies, delay_s, log)
    try:
        wait_for_first_movie(project, simulation, log)
        init(
            project,
            project / "movies",
            {
                "input": {"gain": str(project / "gain.mrc"), **facts(project, SETTINGS)},
                "picking": facts(project, PICKING),
            },
            as_json=False,
        )
        if not show_app:
            failed = process(project, as_json=as_json, arriving=lambda: simulation.poll() is None)
            return _judge(project, failed)
    except KeyboardInterrupt:
        say("interrupted")
        return SOME_FAILED
    finally:
        if simulation.poll() is None and not (show_app and (project / CONFIG_NAME).exists()):
            simulation.terminate()
            simulation.wait()
    return _show(project)  # movies go on to arrive when it is left, as the engine goes on


def _judge(project: Path, failed: list[str]) -> int:
    """The exit status, given the names of the items that failed."""
    planned = [name for name in facts(project, ("truncated",)).values() if name]
    if failed and failed == planned:
        say("that one was truncated on purpose, to show what happens: all is well")
    return DONE if failed in ([], planned) else SOME_FAILED


def start_simulation(
    project: Path, n_movies: int, delay_s: float, log: Path
) -> subprocess.Popen[bytes]:
    """The simulator as a process of its own: movies arrive while others are processed."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", SIMULATE, str(project), str(n_movies), str(delay_s)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # outlives the terminal, as the engine does
        )


def facts(project: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named facts that the simulator wrote about its movies so far."""
    path = project / FACTS
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: known[name] for name in names if name in known}


def wait_for_first_movie(project: Path, simulation: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a movie and the gain reference are there.

    Raises
    ------
    EngineError
        If the simulator ends or takes too long before that.
    """
    deadline = time.monotonic() + FIRST_MOVIE_S
    folder = project / "movies"
    while time.monotonic() < deadline:
        code = simulation.poll()
        there = folder.is_dir() and first_movie(InputSettings(folder=str(folder)))
        if there and (project / "gain.mrc").exists():
            return
        if code is not None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise EngineError(f"the simulation ended ({code}) without a movie; {log}:\n{tail}")
        time.sleep(0.2)
    raise EngineError(f"no simulated movie within {FIRST_MOVIE_S:.0f} s; look into {log}")


def _show(project: Path) -> NoReturn:
    from warptui.app import run_app
    from warptui.screens.leaving import leave

    status = run_app(project)
    special = facts(project, ("truncated", "empty"))
    if special.get("truncated"):
        say(f"{special['truncated']} fails on purpose: its file is truncated")
    if special.get("empty"):
        say(f"{special['empty']} has no motion on purpose: it shows nothing that could move")
    leave(status)
