"""`engine`, and `start`, `stop`, `pause`, `resume` of a detached one; `select`."""

from __future__ import annotations

import difflib
import fnmatch
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from warptui.client import Client, attach, end_engine, running
from warptui.commands import offline
from warptui.commands.output import DONE, print_json, say
from warptui.engine.config import file
from warptui.engine.errors import EngineError, OtherVersionError, WarptuiError
from warptui.engine.model.item import Choice
from warptui.engine.project.paths import ProjectPaths

STOP_TIMEOUT_S = 30.0


class UnknownItem(WarptuiError):
    """A name that no item has."""


def engine(project: Path) -> int:
    """Run the engine in the foreground until it is told to stop."""
    for note in file.load(project).notes:
        say(f"config.toml: {note}")
    from warptui.engine.api.server import serve

    return serve(project, file.read_config, file.write_config)


def start(project: Path) -> int:
    """Start a detached engine if none runs, and let it process with the settings of now."""
    file.load(project)  # a wrong setting is told here, not in the engine's log
    with attach(project) as client:
        client.reload()
        client.start()
        say(f"the engine runs (process {client.hello.get('pid')} on {client.hello.get('host')})")
    return DONE


def stop(project: Path) -> int:
    """End the engine of a project and wait until it is gone, also one of another version."""
    try:
        client = Client.connect(project)
    except OtherVersionError as other:
        say(f"an engine of version {other.version} runs (process {other.pid} on {other.host})")
        end_engine(project)
        say("the engine stopped")
        return DONE
    except EngineError as problem:
        _tell_of_one_elsewhere(project)
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


def _tell_of_one_elsewhere(project: Path) -> None:
    """Raises EngineError when an engine on another host holds the project."""
    from warptui.engine.project.lock import advances, read_holder

    lock_path = ProjectPaths(project.resolve()).lock
    holder = read_holder(lock_path)
    if holder is None or holder.lives_here() is not None:
        return
    say(f"the project was opened by {holder}; looking whether it lives (up to 20 s)")
    if advances(lock_path):
        raise EngineError(f"the engine of {project} is {holder}: stop it there")


def pause(project: Path) -> int:
    """Start no further items."""
    with Client.connect(project) as client:
        client.pause()
    say("paused: items that run are finished, no others are started")
    return DONE


def resume(project: Path) -> int:
    """Go on after `pause`, with the settings of now."""
    file.load(project)
    with Client.connect(project) as client:
        client.reload()
        client.start()
    say("processing goes on")
    return DONE


def select(project: Path, names: Sequence[str], choice: Choice, *, as_json: bool) -> int:
    """Set the user's choice for items, through the engine or, where none runs, on disk."""
    file.load(project)
    client = running(project)
    if client is None:
        chosen = _select_on_disk(project, names, choice)
    else:
        with client:
            chosen = expand(names, [row.name for row in client.items()])
            client.choose(chosen, choice)
    if as_json:
        print_json({"choice": str(choice), "items": chosen})
    say(f"{len(chosen)} item{'s' if len(chosen) != 1 else ''}: {choice}")
    return DONE


def expand(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Item names of the given names and patterns, each once.

    Raises
    ------
    UnknownItem
        If one fits no item; then nothing is to be changed.
    """
    chosen: dict[str, None] = {}
    for name in names:
        if name in known:
            found = [name]
        else:
            found = [item for item in known if fnmatch.fnmatchcase(item, name)]
            found = found or [item for item in known if Path(item).stem == name]
        if not found:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"{len(known)} items are known"
            raise UnknownItem(f"no item is named {name!r}: {hint}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _select_on_disk(project: Path, names: Sequence[str], choice: Choice) -> list[str]:
    from warptui.engine.project.lock import ProjectLock
    from warptui.engine.project.store import Store

    project_paths = ProjectPaths(project.resolve())
    lost: list[str] = []
    lock = ProjectLock(project_paths.lock, lost.append)  # an engine must not write meanwhile
    try:
        roster, _ = offline.load_roster(project)
        usable = {name: entry for name, entry in roster.entries.items() if not entry.refused}
        chosen = expand(names, usable)
        store = Store(project_paths)
        try:
            for name in chosen:
                store.save(replace(usable[name].stored, choice=choice))
        finally:
            store.close()
    finally:
        lock.release()
    if lost:
        raise EngineError(f"{lost[0]} took over the project: look at `warptui status --items`")
    return chosen
