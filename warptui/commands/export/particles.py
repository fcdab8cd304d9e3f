"""`export particles`: write a list of particles; cut them out where the options ask for that."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from warptui.commands.export import optics_groups
from warptui.commands.items import status
from warptui.commands.output import DONE, SOME_FAILED, print_json, say
from warptui.engine.config import file
from warptui.engine.errors import ExportError, WarptuiError
from warptui.engine.execution.extraction import ExtractionProcess
from warptui.engine.exporters.base import PARTICLES, by_settings, target_of
from warptui.engine.exporting.records import ExportRecords, export_id, reason_of
from warptui.engine.model import codec
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.item import State
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store


def request_of(call: argparse.Namespace) -> ExportRequest:
    """The request that the options describe."""
    typed = {
        "coordinates": call.coordinates,
        "coordinates_pixel_size": call.coordinates_pixel_size,
        "box_size_px": call.box,
        "pixel_size": call.pixel_size,
    }
    request = ExportRequest(
        kind=PARTICLES.name,
        items="done" if call.done else "selected",
        path=str(call.output.absolute()) if call.output else "",
        absolute=call.absolute,
        switches=("relion30",) if call.relion30 else (),
        given={name: str(value) for name, value in typed.items() if value},
    )
    return optics_groups.asked_for(call, request)


def export(call: argparse.Namespace) -> int:
    """Write the list; 1 if items or particles were left out."""
    project, request = call.project, request_of(call)
    settings = file.read_config(project)
    request = by_settings(request, settings.export)
    paths = ProjectPaths(project.resolve())
    target = target_of(request, paths)
    _, rows = status.read(project, items=True)
    done = request.items == "done"
    wanted = [row for row in rows if (row.state is State.DONE if done else row.selected)]
    names = [row.name for row in sorted(wanted, key=lambda row: row.sequence)]
    if not names:
        raise ExportError(f"nothing was written: of {len(rows)} items none is as asked for")
    record = Export(
        export_id(target), PARTICLES.name, str(target), "running", time.time(), 0, len(names),
        writer="command line",
    )  # fmt: skip
    records, store = ExportRecords(paths), Store(paths)
    try:
        with records.writing(record):
            ended = replace(record, state="failed", reason="interrupted: it goes on when repeated")
            try:
                made = PARTICLES.write(
                    _items(store, names), paths, target, settings.optics.model_dump(), request,
                    _progress(len(names)), ExtractionProcess,
                )  # fmt: skip
                state = "done" if made.rows else "failed"
                ended = replace(record, state=state, rows=made.rows, reason=made.reason)
            except (WarptuiError, OSError) as problem:
                ended = replace(record, state="failed", reason=reason_of(problem))
                raise
            finally:
                ended = replace(ended, at=time.time())
                records.say(ended)
    finally:
        store.close()
    if call.json:
        print_json(codec.encode(ended) | {"groups": optics_groups.without_points(made.groups)})
    if made.rows:
        say(f"{made.rows:,} particles of {len(names):,} items: {target}")
    for line in optics_groups.table(made.groups):
        say(line)
    if made.reason:
        say(made.reason)
    about_groups = made.groups.get("summary", "")  # about groups, which leave nothing out
    return SOME_FAILED if made.reason != about_groups or not made.rows else DONE


def _items(store: Store, names: list[str]) -> Iterator[StoredItem]:
    for number, name in enumerate(names, 1):
        yield store.load(name) or StoredItem(name, number)  # items without results are listed, too


def _progress(total: int):
    on_terminal = sys.stderr.isatty()

    def tell(done: int) -> None:
        if on_terminal:
            end = "\n" if done == total else ""
            print(f"\r{done}/{total}", end=end, file=sys.stderr, flush=True)

    return tell
