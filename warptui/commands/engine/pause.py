"""`pause`: start no further items."""

from __future__ import annotations

import argparse

from warptui.client import Client
from warptui.commands.output import DONE, say
from warptui.commands.parsing import Parsers, add_project, new_parser


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    add_project(new_parser(verbs, "pause", words, run))


def run(call: argparse.Namespace) -> int:
    """Have the engine start no further items."""
    with Client.connect(call.project) as client:
        client.pause()
    say("paused: items that run are finished, no others are started")
    return DONE
