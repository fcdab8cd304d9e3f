"""`stop`: end the engine."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from warptui.client import Client, end_engine
from warptui.commands.output import DONE, say
from warptui.commands.parsing import Parsers, add_project, new_parser
from warptui.engine.errors import EngineError, OtherVersionError
from warptui.engine.project.paths import ProjectPaths

STOP_TIMEOUT_S = 30.0


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    add_project(new_parser(verbs, "stop", words, run))


def run(call: argparse.Namespace) -> int:
    """Stop the engine of a project and wait until it is gone."""
    return stop(call.project)


def stop(project: Path) -> int:
    """Stop the engine of a project, whatever its version, and wait until it is gone."""
    try:
        client = Client.connect(project)
    except OtherVersionError as other:
        say(f"an engine of version {other.version} runs (process {other.pid} on {other.host})")
        end_engine(project)
        say("the engine stopped")
        return DONE
    except EngineError as problem:
        _refuse_other_host(project)
        say(f"{problem}: nothing to stop")
        return DONE
    with client:
        client.stop()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            Client.connect(project).close()
        except EngineError:
            say("the engine stopped")
            return DONE
        time.sleep(0.1)
    raise EngineError(f"the engine of {project} did not stop within {STOP_TIMEOUT_S:.0f} s")


def _refuse_other_host(project: Path) -> None:
    """Raise EngineError when an engine on another host holds the project."""
    from warptui.engine.project.lock import advances, read_holder

    lock_path = ProjectPaths(project.resolve()).lock
    holder = read_holder(lock_path)
    if holder is None or holder.lives_here() is not None:
        return
    say(f"the project was opened by {holder}; looking whether it lives (up to 20 s)")
    if advances(lock_path):
        raise EngineError(f"the engine of {project} is {holder}: stop it there")
