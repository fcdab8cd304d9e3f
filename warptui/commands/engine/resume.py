"""`resume`: continue processing after `pause`."""

from __future__ import annotations

import argparse

from warptui.client import Client
from warptui.commands.output import DONE, say
from warptui.commands.parsing import Parsers, add_project, new_parser
from warptui.engine.config import file


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    add_project(new_parser(verbs, "resume", words, run))


def run(call: argparse.Namespace) -> int:
    """Have the engine continue, with the settings that config.toml holds now."""
    file.load(call.project)
    with Client.connect(call.project) as client:
        client.reload()
        client.start()
    say("processing goes on")
    return DONE
