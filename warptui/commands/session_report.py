"""`report`: what a session was like, for people and, as tables, for programs."""

from __future__ import annotations

import time
from pathlib import Path

from warptui.commands import report
from warptui.commands.output import DONE, say
from warptui.engine.config import file
from warptui.engine.config.settings import Config
from warptui.engine.errors import ExportError
from warptui.engine.exporters.report import Facts, write_csv, write_json, write_page
from warptui.engine.model.item_columns import Columns
from warptui.engine.project.paths import ProjectPaths

PAGE = "report.html"


def session_report(project: Path, output: Path | None, *, as_csv: bool, as_json: bool) -> int:
    """Write the page and, on request, tables of all items beside it."""
    settings = file.read_config(project)
    status, rows = report.read(project, items=True)
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
    written += [(target.with_suffix(".csv"), write_csv)] if as_csv else []
    written += [(target.with_suffix(".json"), write_json)] if as_json else []
    for path, write in written:
        write(facts, path)
        say(f"{len(rows):,} items: {path}")
    return DONE
