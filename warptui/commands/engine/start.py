"""`start`: start a detached engine, or let it process again."""

from __future__ import annotations

import argparse

from warptui.client import attach
from warptui.commands.output import DONE, say
from warptui.commands.parsing import Parsers, add_project, new_parser
from warptui.engine.config import file


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    add_project(new_parser(verbs, "start", words, run))


def run(call: argparse.Namespace) -> int:
    """Start an engine if none runs, and let it process with the present settings."""
    file.load(call.project)  # a wrong setting is reported here, not in the engine's log
    with attach(call.project) as client:
        client.reload()
        client.start()
        say(f"the engine runs (process {client.hello.get('pid')} on {client.hello.get('host')})")
    return DONE
