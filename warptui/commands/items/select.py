"""`select`: include or exclude items by hand, or leave them to the filters again.

The engine's verb is `choose`: what the user sets is a choice, which filters never change.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from warptui.client import running
from warptui.commands import offline
from warptui.commands.output import DONE, print_json, say
from warptui.commands.parsing import Parsers, add_json, new_parser
from warptui.engine.config import file
from warptui.engine.errors import EngineError, WarptuiError
from warptui.engine.model.item import Choice
from warptui.engine.project.paths import ProjectPaths


class UnknownItem(WarptuiError):
    """A name or pattern that matches no item."""


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "select", words, run)
    add_json(parser)
    parser.add_argument("project", metavar="PROJECT", type=Path)
    parser.add_argument("names", nargs="+", metavar="NAME", help="a name or a pattern")
    choice = parser.add_mutually_exclusive_group(required=True)
    for option, value in (("include", Choice.INCLUDE), ("exclude", Choice.EXCLUDE)):
        choice.add_argument(
            f"--{option}", dest="choice", action="store_const", const=value,
            help=f"{option} these whatever the filters say",
        )  # fmt: skip
    choice.add_argument(
        "--auto", dest="choice", action="store_const", const=Choice.AUTO,
        help="leave them to the filters again",
    )  # fmt: skip


def run(call: argparse.Namespace) -> int:
    """Set the user's choice for items, through the engine or, where none runs, on disk."""
    project, choice = call.project, call.choice
    file.load(project)
    client = running(project)
    if client is None:
        chosen = _choose_on_disk(project, call.names, choice)
    else:
        with client:
            chosen = expand(call.names, [row.name for row in client.items()])
            client.choose(chosen, choice)
    if call.json:
        print_json({"choice": str(choice), "items": chosen})
    say(f"{len(chosen)} item{'s' if len(chosen) != 1 else ''}: {choice}")
    return DONE


def expand(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Names of the items that names and patterns match, each once.

    Raises
    ------
    UnknownItem
        If a name or pattern matches no item; then the caller changes nothing.
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


def _choose_on_disk(project: Path, names: Sequence[str], choice: Choice) -> list[str]:
    from warptui.engine.project.lock import ProjectLock
    from warptui.engine.project.store import Store

    project_paths = ProjectPaths(project.resolve())
    lost: list[str] = []
    lock = ProjectLock(project_paths.lock, lost.append)  # keeps an engine from writing meanwhile
    try:
        table, _ = offline.load_table(project)
        usable = {name: entry for name, entry in table.entries.items() if not entry.refused}
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
