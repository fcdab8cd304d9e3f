"""`export micrographs`: a RELION list of the selected items."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

from warptui.commands.export import optics_groups
from warptui.commands.items import status
from warptui.commands.output import DONE, SOME_FAILED, one_line, print_json, say
from warptui.engine.config import file
from warptui.engine.errors import WarptuiError
from warptui.engine.exporters.base import MICROGRAPHS, by_settings, grouping_of, summary, target_of
from warptui.engine.exporters.micrographs import NO_CTF, SIZE_UNKNOWN, Options, export_micrographs
from warptui.engine.exporting.records import ExportRecords, export_id, reason_of
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.item import State
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store


def export(call: argparse.Namespace) -> int:
    """Write a RELION list of the selected items; 1 if the list had to leave some out."""
    project, output, as_json = call.project, call.output, call.json
    settings = file.read_config(project)
    _, rows = status.read(project, items=True)
    selected = sorted((row for row in rows if row.selected), key=lambda row: row.sequence)
    paths = ProjectPaths(project.resolve())
    asked = optics_groups.asked_for(call, ExportRequest(kind=MICROGRAPHS.name))
    grouping = grouping_of(by_settings(asked, settings.export), paths)
    options = Options(call.absolute, call.without_ctf, call.float32, grouping=grouping)
    store = Store(paths)
    try:
        loaded = [store.load(row.name) for row in selected]
    finally:
        store.close()
    items: list[StoredItem] = [item for item in loaded if item is not None]
    given = str(output.absolute()) if output else ""
    target = target_of(ExportRequest(kind=MICROGRAPHS.name, path=given), paths)
    on_terminal = sys.stderr.isatty()

    def progress(done: int) -> None:
        if on_terminal and (done % 50 == 0 or done == len(items)):
            end = "\n" if done == len(items) else ""
            print(f"\r{done}/{len(items)}", end=end, file=sys.stderr, flush=True)

    record = Export(
        export_id(target), MICROGRAPHS.name, str(target), "running", time.time(), 0, len(items),
        writer="command line",
    )  # fmt: skip
    records = ExportRecords(paths)
    with records.writing(record):
        ended = replace(record, state="failed", reason="interrupted")
        try:
            found = export_micrographs(
                items, paths, target, settings.optics.model_dump(), options, progress
            )
            reason = summary(found) if found.exported else "nothing was written"
            state = "done" if found.exported else "failed"
            ended = replace(record, state=state, rows=len(found.exported), reason=reason)
        except (WarptuiError, OSError) as problem:
            ended = replace(record, state="failed", reason=reason_of(problem))
            raise
        finally:
            records.say(replace(ended, at=time.time()))
    n_outdated = sum(row.state is State.OUTDATED for row in selected)
    if as_json:
        counts = {"selected": len(selected), "outdated": n_outdated}
        groups = optics_groups.without_points(found.groups)
        print_json(found.to_json() | counts | {"groups": groups})
    if found.exported:
        say(f"{len(found.exported)} of {len(selected)} selected micrographs: {target}")
    else:
        say(f"nothing was written: of {len(rows)} items {len(selected)} are selected")
    for line in optics_groups.table(found.groups):
        say(line)
    if message := found.groups.get("summary"):
        say(message)
    if n_outdated:
        say(f"{n_outdated} of them are outdated: processed with other settings than the present")
    if found.size_unknown:
        say(
            f"{len(found.size_unknown)} without motion for polishing, because "
            f"{SIZE_UNKNOWN}: {found.size_unknown[0]} first; put the movies back and export again"
        )
    if found.without_ctf:
        say(
            f"{len(found.without_ctf)} left out because {NO_CTF}; --without-ctf exports all, "
            "without columns about the CTF"
        )
    for name, reason in found.left_out.items():
        say(f"left out: {one_line(name)}: {reason}")
    return SOME_FAILED if found.left_out or not found.exported else DONE
