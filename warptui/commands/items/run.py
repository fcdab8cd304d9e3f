"""`run`: process all items that need it, with a progress bar, without the app."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from warptui.client import running
from warptui.commands import offline
from warptui.commands.output import DONE, SOME_FAILED, one_line, print_json, say
from warptui.commands.parsing import Parsers, add_json, add_project, new_parser
from warptui.engine.config import file
from warptui.engine.errors import SettingsError
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.project.paths import ProjectPaths

LOOK_S = 0.25
QUIET_S = 1.0  # s without work after which the run ends
FIRST_LOOK_S = 60.0  # s, at most, until the engine has seen the files that are there
LINE_S = 5.0  # s between lines of progress where there is no terminal
BAR_WIDTH = 24


class Engine(Protocol):
    """The part of `engine.service.Session` and `client.Client` that is needed here."""

    def status(self) -> EngineStatus: ...
    def items(self) -> Sequence[ItemRow]: ...
    def start(self) -> None: ...


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "run", words, run)
    add_json(parser)
    add_project(parser)


def run(call: argparse.Namespace) -> int:
    """Process the items that need it; 1 if items failed."""
    for note in file.load(call.project).notes:
        say(f"config.toml: {note}")
    failed = process(call.project, as_json=call.json, arriving=lambda: False)
    return SOME_FAILED if failed else DONE


def process(project: Path, *, as_json: bool, arriving: Callable[[], bool]) -> list[str]:
    """Process until nothing is left to do and ``arriving`` says that nothing will come.

    Returns the names of the items that failed, after printing the result.
    """
    given = file.read_config(project).input
    for key in ("gain", "defects"):
        path = getattr(given, key)
        if path and not Path(path).is_file():
            raise SettingsError(f"input.{key} = {path!r}: expected a file that is there")
    n_files = sum(1 for _ in offline.find_movies(given))
    started = time.monotonic()
    client = running(project)
    if client is None:
        from warptui.engine.service import Session

        with Session(project, file.read_config, file.write_config) as session:
            rows = _follow(session, n_files, arriving)
    else:
        with client:
            say("an engine runs on this project already: watching it")
            client.start()
            rows = _follow(client, n_files, arriving)
    return _conclude(rows, time.monotonic() - started, project, as_json=as_json)


def is_finished(status: EngineStatus, n_files: int) -> bool:
    """Whether the engine has seen ``n_files`` files and has nothing left to do."""
    open_states = (State.WAITING, State.QUEUED, State.RUNNING)
    seen = sum(status.counts.values()) >= n_files
    return seen and status.state == "idle" and not any(map(status.counts.get, open_states))


def progress_line(status: EngineStatus, width: int) -> str:
    """Progress bar, counts, rate and remaining time, as one line."""
    counts = status.counts
    total = sum(counts.values()) - counts.get(State.MISSING, 0)
    done = counts.get(State.DONE, 0)
    failed = counts.get(State.FAILED, 0)
    filled = round(BAR_WIDTH * (done + failed) / total) if total else 0
    parts = [f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total} done"]
    if failed:
        parts.append(f"{failed} failed")
    if status.rate_per_hour:
        left_s = 3600 * (total - done - failed) / status.rate_per_hour
        parts.append(f"{status.rate_per_hour:.0f}/h")
        parts.append(f"{left_s // 60:.0f}:{left_s % 60:02.0f} left")
    if status.message:
        parts.append(one_line(status.message))
    return " · ".join(parts)[:width]


def _follow(engine: Engine, n_files: int, arriving: Callable[[], bool]) -> list[ItemRow]:
    on_terminal = sys.stderr.isatty()
    shown, shown_at, begun = "", 0.0, time.monotonic()
    quiet_since: float | None = None
    while True:
        status, now = engine.status(), time.monotonic()
        if now - begun > FIRST_LOOK_S:
            n_files = 0
        idle = is_finished(status, n_files) and not arriving()
        quiet_since = (quiet_since or now) if idle else None
        finished = quiet_since is not None and now - quiet_since >= QUIET_S
        line = progress_line(status, shutil.get_terminal_size((80, 24)).columns - 1)
        if on_terminal:
            print(f"\r{line}\033[K", end="\n" if finished else "", file=sys.stderr, flush=True)
        elif line != shown and (finished or now - shown_at >= LINE_S):
            say(line)
            shown, shown_at = line, now
        if finished:
            return list(engine.items())
        time.sleep(LOOK_S)


def _conclude(rows: list[ItemRow], seconds: float, project: Path, *, as_json: bool) -> list[str]:
    failed = [row for row in rows if row.state is State.FAILED]
    done = sum(row.state is State.DONE for row in rows)
    if as_json:
        reasons = [{"name": row.name, "reason": row.reason, "tries": row.tries} for row in failed]
        print_json({"done": done, "failed": reasons, "seconds": round(seconds, 1)})
    say(f"{done} done, {len(failed)} failed, in {seconds:.0f} s")
    for row in failed:
        say(f"failed: {one_line(row.name)}: {one_line(row.reason)}")
    if failed:
        say(f"more about them: warptui status --items {project}; logs: {_logs(project)}")
    return [row.name for row in failed]


def _logs(project: Path) -> Path:
    return ProjectPaths(project).worker_logs
