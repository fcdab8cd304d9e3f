"""`status`: show the engine and the items; ``--json`` writes them for programs."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from warptui.client import running
from warptui.commands import offline
from warptui.commands.output import DONE, one_line, print_json, print_table, say
from warptui.commands.parsing import Parsers, add_json, add_project, new_parser
from warptui.engine.config import file
from warptui.engine.model import codec
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.summary import Summary


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "status", words, run)
    add_json(parser)
    add_project(parser)
    parser.add_argument("--items", action="store_true", help="one record per item")


def run(call: argparse.Namespace) -> int:
    """Print the state of a project, from its engine or, where none runs, from disk."""
    items: bool = call.items
    for note in file.load(call.project).notes:
        say(f"config.toml: {note}")
    found, rows = read(call.project, items=items)
    if call.json:
        record: dict[str, Any] = codec.encode(found)
        if items:
            record["items"] = [codec.encode(row) for row in rows]
        print_json(record)
        return DONE
    for line in lines(found):
        print(line)
    if items:
        print()
        print_table(table(rows, found.summaries))
    return DONE


def read(project: Path, *, items: bool) -> tuple[EngineStatus, list[ItemRow]]:
    """The engine's status and, on request, its items."""
    client = running(project)
    if client is None:
        loaded, problem = offline.load_table(project)
        rows = [loaded.row(entry) for entry in loaded.entries.values()] if items else []
        return offline.status(project, loaded, problem), rows
    with client:
        return client.status(), list(client.items()) if items else []


def lines(status: EngineStatus) -> list[str]:
    """The status as lines of text."""
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    choices = status.choices
    where = f" (process {status.pid} on {status.host})" if status.pid else ""
    found = [
        f"engine    {status.state}{where}",
        f"project   {status.project}",
        f"input     {status.input_folder}{f', {status.watch_mode}' if status.watch_mode else ''}",
        f"items     {counts or 'none'}",
        f"selected  {choices.get('selected', 0)}"
        f" ({choices.get('include', 0)} included, {choices.get('exclude', 0)} excluded by hand,"
        f" {choices.get('filtered', 0)} filtered)",
        *([f"picks     {_picks(choices)}"] if _picks(choices) else []),
        *(f"limit     {key} {value:g}" for key, value in status.filters.items()),
    ]
    if status.rate_per_hour is not None:
        found.append(f"rate      {status.rate_per_hour:.0f} per hour")
    if status.newest_age_s is not None:
        found.append(f"newest    {one_line(status.newest_name)}, {status.newest_age_s:.0f} s ago")
    if status.disk_free_bytes is not None:
        left = status.disk_hours_left
        hours = f", enough for {left:.0f} hours" if left is not None else ""
        found.append(f"disk      {status.disk_free_bytes / 1e9:.1f} GB free{hours}")
    for device in status.devices:
        item = device.get("item") or "idle"
        found.append(f"device    {device.get('slot', device.get('device'))}: {one_line(str(item))}")
    for export in status.exports:
        reason = f": {one_line(export.reason)}" if export.reason else ""
        rows = f"{export.rows} rows, " if export.state == "done" else ""
        found.append(f"export    {one_line(export.path)}, {rows}{export.state}{reason}")
    for notice in status.notices:
        at = time.strftime("%m-%d %H:%M", time.localtime(notice.at))
        found.append(f"notice    {at} {one_line(notice.text)}")
    if status.message:
        found.append(f"message   {one_line(status.message)}")
    return found


def _picks(choices: dict[str, int]) -> str:
    """The number of particles and of edits by hand; empty where there is nothing to report."""
    texts: list[str] = []
    if "particles" in choices:
        texts.append(f"{choices['particles']} particles in selected items")
    names = {"edited": "edited by hand", "examples": "training examples", "held-out": "held out"}
    texts += [f"{choices[key]} {name}" for key, name in names.items() if choices.get(key)]
    return ", ".join(texts) if len(texts) > 1 or choices.get("particles") else ""


def table(rows: list[ItemRow], summaries: tuple[Summary, ...]) -> list[list[str]]:
    """A table of the items with every summary value; unknown numbers are dashes."""
    heads = [f"{entry.label} ({entry.unit})" if entry.unit else entry.label for entry in summaries]
    found = [["name", "state", "choice", *heads, "reason"]]
    for row in rows:
        values = [_number(row.summary.get(entry.key), entry.digits) for entry in summaries]
        cells = [value.rjust(len(head)) for value, head in zip(values, heads, strict=True)]
        found.append(
            [one_line(row.name), str(row.state), str(row.choice), *cells, one_line(row.reason)]
        )
    return found


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
