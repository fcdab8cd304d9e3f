"""`report`: a page about a data collection and, for programs, tables of its items."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from warptui.commands.items.status import read
from warptui.commands.output import DONE, say
from warptui.commands.parsing import Parsers, add_project, new_parser
from warptui.engine.config import file
from warptui.engine.config.settings import Config
from warptui.engine.errors import ExportError
from warptui.engine.exporters.report import Facts, write_csv, write_json, write_page
from warptui.engine.model.item_columns import Columns
from warptui.engine.project.paths import ProjectPaths

PAGE = "report.html"


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "report", words, run)
    add_project(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the page (default: PROJECT/report.html)"
    )
    for kind in ("csv", "json"):
        words = f"also all items with every value as {kind.upper()}, beside the page"
        parser.add_argument(f"--{kind}", action="store_true", help=words)


def run(call: argparse.Namespace) -> int:
    """Write the page and, on request, tables of all items beside it."""
    project, output = call.project, call.output
    settings = file.read_config(project)
    status, rows = read(project, items=True)
    project_paths = ProjectPaths(project.resolve())
    target = (output or project_paths.root / PAGE).absolute()
    if target.is_dir() or target.suffix.lower() not in (".html", ".htm"):
        raise ExportError(f"{target}: expected the name of a page, such as {PAGE}")
    facts = Facts(
        project_paths,
        Columns(sorted(rows, key=lambda row: row.sequence)),
        status,
        settings.to_json(),
        Config().to_json(),
        time.time(),
    )
    written = [(target, write_page)]
    written += [(target.with_suffix(".csv"), write_csv)] if call.csv else []
    written += [(target.with_suffix(".json"), write_json)] if call.json else []
    for path, write in written:
        write(facts, path)
        say(f"{len(rows):,} items: {path}")
    return DONE
