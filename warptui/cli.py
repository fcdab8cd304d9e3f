"""The command line: verbs, options, exit statuses. Everything slow is imported where it is used."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import warptui
from warptui.commands.output import DONE, WRONG_CALL, say
from warptui.engine.errors import WarptuiError
from warptui.engine.model.item import Choice
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
VERBS = {
    "init": "write a commented config.toml",
    "engine": "run the engine in the foreground (systemd, tmux, a cluster job)",
    "start": "start a detached engine, or let it process again",
    "stop": "end the engine",
    "pause": "start no further items",
    "resume": "go on after pause",
    "run": "process everything that needs it, then return",
    "status": "print the state of engine and items",
    "select": "include or exclude items by hand",
    "export": "write lists of what is selected, for RELION and others",
    "report": "write a report of the session as a web page, and tables of all items",
    "train": "train BoxNet from marked micrographs, share examples, choose models",
    "demo": "simulate a small session and process it",
    "doctor": "tell what this machine and these settings would do, and what is wrong",
}
# The options of `init` that are settings: section, key, type, metavar.
INIT_OPTIONS = (
    ("input", "pixel_size", float, "Å"),
    ("input", "dose_per_frame", float, "E/Å²"),
    ("input", "pre_exposure", float, "E/Å²"),
    ("input", "binning", float, "FACTOR"),
    ("input", "gain", str, "FILE"),
    ("input", "defects", str, "FILE"),
    ("input", "eer_frames_per_group", int, "N"),
    ("input", "eer_upsampling", int, "1|2"),
    ("optics", "voltage", float, "KV"),
    ("optics", "cs", float, "MM"),
    ("optics", "amplitude_contrast", float, "FRACTION"),
    ("picking", "diameter_angstrom", float, "Å"),
    ("picking", "model", str, "NAME|FILE"),
)
INIT_FLAGS = ("recursive", "gain_flip_x", "gain_flip_y", "gain_transpose")


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
        # Whoever read our output had enough; Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        from warptui.engine.project import filesystem

        say(f"warptui: {filesystem.advised(error, 'call it again')}")
    except KeyboardInterrupt:
        say("warptui: interrupted")
        return INTERRUPTED
    return WRONG_CALL


def make_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
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
    for verb, words in VERBS.items():
        command = verbs.add_parser(
            verb, prog=f"warptui {verb}", help=words, description=_sentence(words)
        )
        _add_arguments(verb, command)
    return parser


def _add_arguments(verb: str, command: argparse.ArgumentParser) -> None:
    if verb in ("init", "run", "status", "select", "export", "demo", "doctor"):
        command.add_argument("--json", action="store_true", help="print data as JSON")
    if verb == "demo":
        command.add_argument("project", nargs="?", default="demo", metavar="PROJECT", type=Path)
        command.add_argument("--movies", type=_count, default=8, help="how many (default 8)")
        command.add_argument("--delay", type=float, default=4.0, help="s between them (default 4)")
        command.add_argument(
            "--no-app", action="store_true", help="a progress bar even where the app could be shown"
        )
        return
    if verb == "select":
        command.add_argument("project", metavar="PROJECT", type=Path)
        command.add_argument("names", nargs="+", metavar="NAME", help="a name or a pattern")
        choice = command.add_mutually_exclusive_group(required=True)
        for option, value in (("include", Choice.INCLUDE), ("exclude", Choice.EXCLUDE)):
            choice.add_argument(
                f"--{option}", dest="choice", action="store_const", const=value,
                help=f"{option} these whatever the filters say",
            )  # fmt: skip
        choice.add_argument(
            "--auto", dest="choice", action="store_const", const=Choice.AUTO,
            help="leave them to the filters again",
        )  # fmt: skip
        return
    if verb == "export":
        command.add_argument(
            "what", choices=("micrographs", "particles"), metavar="micrographs|particles"
        )
    command.add_argument("project", nargs="?", default=".", metavar="PROJECT", type=Path)
    if verb == "export":
        _add_export_options(command)
        _add_particle_options(command)
    if verb == "train":
        from warptui.commands import train_options

        train_options.add_options(command)
    if verb == "report":
        command.add_argument(
            "--output", type=Path, metavar="FILE", help="the page (default: PROJECT/report.html)"
        )
        for kind in ("csv", "json"):
            words = f"also all items with every value as {kind.upper()}, beside the page"
            command.add_argument(f"--{kind}", action="store_true", help=words)
    if verb == "status":
        command.add_argument("--items", action="store_true", help="one record per item")
    if verb == "init":
        command.add_argument(
            "--input", type=Path, metavar="DIR", help="where the movies are (default: PROJECT)"
        )
        command.add_argument(
            "--dry-run", action="store_true", help="tell what would be written, and write nothing"
        )
        command.add_argument("--pattern", nargs="+", metavar="GLOB", help='such as "*.tif"')
        for _, key, kind, metavar in INIT_OPTIONS:
            command.add_argument(f"--{key.replace('_', '-')}", type=kind, metavar=metavar)
        for key in INIT_FLAGS:
            command.add_argument(f"--{key.replace('_', '-')}", action="store_true")


def _add_export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the list (default: PROJECT/micrographs.star, PROJECT/export_particles.star)",
    )
    command.add_argument(
        "--absolute", action="store_true",
        help="absolute paths; without it RELION must run in the project folder",
    )  # fmt: skip
    command.add_argument(
        "--without-ctf", action="store_true",
        help="also items without a CTF, and no columns about it: RELION shall estimate it",
    )  # fmt: skip
    command.add_argument(
        "--float32", action="store_true",
        help="list float32 copies, made once in average/float32: RELION 3.1 reads no float16",
    )  # fmt: skip
    group = command.add_argument_group("optics groups", "without these as [export] has them")
    group.add_argument(
        "--optics-groups", choices=("one", "beam_shift"), help="one, or by the beam's position"
    )
    group.add_argument(
        "--beam-shift-folder", metavar="DIR",
        help="where EPU's XML or SerialEM's mdoc files are, if not beside the movies",
    )  # fmt: skip
    group.add_argument(
        "--beam-shift-distance", metavar="N",
        help="positions nearer than this are one (default: found from the images)",
    )  # fmt: skip


def _add_particle_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("particles")
    group.add_argument(
        "--done", action="store_true", help="of all that are done, not only of what is selected"
    )
    group.add_argument(
        "--coordinates", metavar="STAR", help="another program's places instead of our picks"
    )
    group.add_argument(
        "--coordinates-pixel-size", metavar="Å",
        help="of its coordinates, Å/px (default: as it tells, else that of the averages)",
    )  # fmt: skip
    group.add_argument("--box", metavar="PX", help="cut particles out with this box")
    group.add_argument("--pixel-size", metavar="Å", help="cut them out at this pixel size")
    group.add_argument(
        "--relion30", action="store_true", help="one table without optics groups, for RELION 3.0"
    )


def _dispatch(arguments: list[str]) -> int:
    if not arguments or (arguments[0] not in VERBS and not arguments[0].startswith("-")):
        return _open_app(arguments)
    try:
        call = make_parser().parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return _run_verb(call)


def _run_verb(call: argparse.Namespace) -> int:
    match call.verb:
        case "init":
            from warptui.commands import create

            folder = call.input or call.project
            return create.init(
                call.project, folder, _given(call), as_json=call.json, dry_run=call.dry_run
            )
        case "engine" | "start" | "stop" | "pause" | "resume":
            from warptui.commands import steer

            return getattr(steer, call.verb)(call.project)
        case "select":
            from warptui.commands import steer

            return steer.select(call.project, call.names, call.choice, as_json=call.json)
        case "run":
            from warptui.commands import process

            return process.run(call.project, as_json=call.json)
        case "status":
            from warptui.commands import report

            return report.status(call.project, items=call.items, as_json=call.json)
        case "export":
            if call.what == "particles":
                from warptui.commands import export_particles

                return export_particles.run(call)
            from warptui.commands import export

            return export.micrographs(call)
        case "report":
            from warptui.commands import session_report

            return session_report.session_report(
                call.project, call.output, as_csv=call.csv, as_json=call.json
            )
        case "train":
            from warptui.commands import train_options

            return train_options.run(call)
        case "demo":
            from warptui.commands import demo

            show_app = sys.stdout.isatty() and not (call.no_app or call.json)
            return demo.demo(
                call.project, n_movies=call.movies, delay_s=call.delay, show_app=show_app,
                as_json=call.json,
            )  # fmt: skip
        case "doctor":
            from warptui.commands import doctor

            return doctor.doctor(call.project, as_json=call.json)
    raise AssertionError(f"verb {call.verb!r} is not dispatched")


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
    if running is None:  # the engine will read the settings: what is wrong is better told here
        from warptui.engine.config import file

        for note in file.load(project).notes:
            say(f"config.toml: {note}")
    from warptui.app import run_app
    from warptui.screens.leaving import leave

    return leave(run_app(project, running))


def _can_show() -> bool:
    """Whether a page can be shown here."""
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM", "dumb") != "dumb"


def _refuse(arguments: list[str], project: Path) -> NoReturn:
    close = difflib.get_close_matches(arguments[0], VERBS, 1)
    hint = f"did you mean `warptui {close[0]}`?" if close else "see warptui --help"
    what = "is no verb" if project.is_dir() else "is neither a verb nor a folder"
    raise WarptuiError(f"{arguments[0]!r} {what}: {hint}")


def _given(call: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Settings that the user gave on the command line of `init`, by section."""
    given: dict[str, dict[str, Any]] = {"input": {}, "optics": {}, "picking": {}}
    for section, key, _, _ in INIT_OPTIONS:
        if getattr(call, key) is not None:
            given[section][key] = getattr(call, key)
    given["input"] |= {key: True for key in INIT_FLAGS if getattr(call, key)}
    if call.pattern:
        given["input"]["pattern"] = call.pattern
    return given


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return value


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."
