"""`engine`: run the engine in the foreground."""

from __future__ import annotations

import argparse

from warptui.commands.output import say
from warptui.commands.parsing import Parsers, add_project, new_parser
from warptui.engine.config import file


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    add_project(new_parser(verbs, "engine", words, run))


def run(call: argparse.Namespace) -> int:
    """Run the engine until it is stopped."""
    for note in file.load(call.project).notes:
        say(f"config.toml: {note}")
    from warptui.engine.api.server import serve

    return serve(call.project, file.read_config, file.write_config)
