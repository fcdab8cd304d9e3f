"""The command line: the table of commands, and exit statuses."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import warptui
from warptui.commands.output import DONE, WRONG_CALL, say
from warptui.commands.parsing import new_parser
from warptui.engine.errors import WarptuiError
from warptui.engine.project.paths import CONFIG_NAME

INTERRUPTED = 130

DESCRIPTION = "Real-time cryo-EM pre-processing, seen and steered in a terminal."
EPILOG = """\
examples:
  warptui demo                                 a simulated session: try this first
  warptui init . --input /data/movies --dose-per-frame 1.2 --gain gain.mrc --diameter-angstrom 120
  warptui                                      the app on the project in this folder
  warptui run PROJECT                          process what is there, with a progress bar
  warptui status PROJECT --items --json        for scripts
  warptui train PROJECT --use                  BoxNet learns from the marked micrographs

`warptui [PROJECT]` without a verb opens the app, starting an engine if none runs;
leaving the app (q) leaves the engine running. PROJECT is the folder that holds
config.toml; the present one when left out. Where there is no config.toml yet, a page
says what the folder holds, proposes settings and asks for what is missing.

exit status: 0 done; 1 done, but some items failed; 2 the call or the settings are wrong
"""
# the module of each command (`add_parser`, `run`), and what the command does
VERBS = {
    "init": ("setup.init", "write a commented config.toml"),
    "engine": (
        "engine.engine",
        "run the engine in the foreground (systemd, tmux, a cluster job)",
    ),
    "start": ("engine.start", "start a detached engine, or let it process again"),
    "stop": ("engine.stop", "end the engine"),
    "pause": ("engine.pause", "start no further items"),
    "resume": ("engine.resume", "go on after pause"),
    "run": ("items.run", "process everything that needs it, then return"),
    "status": ("items.status", "print the state of engine and items"),
    "select": ("items.select", "include or exclude items by hand"),
    "export": ("export.export", "write lists of what is selected, for RELION and others"),
    "report": (
        "export.report",
        "write a report of the session as a web page, and tables of all items",
    ),
    "train": (
        "train.train",
        "train BoxNet from marked micrographs, share examples, choose models",
    ),
    "demo": ("setup.demo", "simulate a small session and process it"),
    "doctor": (
        "setup.doctor",
        "tell what this machine and these settings would do, and what is wrong",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except WarptuiError as error:
        say(f"warptui: {error}")
    except BrokenPipeError:
        # The reader of our output closed the pipe; Python would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        from warptui.engine.project import filesystem

        say(f"warptui: {filesystem.problem_and_advice(error, 'call it again')}")
    except KeyboardInterrupt:
        say("warptui: interrupted")
        return INTERRUPTED
    return WRONG_CALL


def make_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command line, with the options of one command, or of all by default.

    The modules of the others, which may be slow to import, are left alone.
    """
    parser = argparse.ArgumentParser(
        prog="warptui",
        usage="warptui [PROJECT] | warptui VERB [PROJECT] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"warptui {warptui.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (module, words) in VERBS.items():
        if verb in (None, name):
            import_module(f"warptui.commands.{module}").add_parser(verbs, words)
        else:
            new_parser(verbs, name, words)
    return parser


def _dispatch(arguments: list[str]) -> int:
    if not arguments or (arguments[0] not in VERBS and not arguments[0].startswith("-")):
        return _open_app(arguments)
    try:
        call = make_parser(arguments[0]).parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return call.run(call)


def _open_app(arguments: list[str]) -> int:
    project = Path(arguments[0] if arguments else ".")
    if len(arguments) > 1 or not project.is_dir():
        _refuse(arguments, project)
    if not (project / CONFIG_NAME).exists() and _can_show():
        from warptui.screens.setup.screen import FirstRunApp

        page = FirstRunApp(project)
        page.run()
        if page.made is None:
            say("nothing was written")
            return DONE
        project = page.made
    from warptui import client

    running = client.hasten(project)
    if running is None:  # report wrong settings here, before the engine reads them
        from warptui.engine.config import file

        for note in file.load(project).notes:
            say(f"config.toml: {note}")
    from warptui.app import run_app
    from warptui.screens.leaving import leave

    return leave(run_app(project, running))


def _can_show() -> bool:
    """Whether the app can be shown on this terminal."""
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM", "dumb") != "dumb"


def _refuse(arguments: list[str], project: Path) -> NoReturn:
    close = difflib.get_close_matches(arguments[0], VERBS, 1)
    hint = f"did you mean `warptui {close[0]}`?" if close else "see warptui --help"
    what = "is no verb" if project.is_dir() else "is neither a verb nor a folder"
    raise WarptuiError(f"{arguments[0]!r} {what}: {hint}")
