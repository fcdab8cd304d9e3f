"""What an export would write, shown before it is begun."""

from __future__ import annotations

from typing import Any

from warptui.engine.core.core import Core
from warptui.engine.errors import ExportError
from warptui.engine.exporters.base import by_settings, described, first_rows, grouping_of, target_of
from warptui.engine.exporters.optics_groups.beam_shifts import Gathering, number_as_they_come
from warptui.engine.model.exports import ExportRequest

ROWS = 5
ITEMS = 50  # that are looked at for the rows
GROUPED = 1000  # items whose beam shifts are read for the groups


def preview_export(core: Core, request: ExportRequest) -> dict[str, Any]:
    """``n`` items, the first ``rows``, the ``path``, whether it ``exists``, and the ``problem``.

    ``kinds`` are all that could be requested, ``groups`` the optics groups by beam shift. Files are
    read in the thread of the caller. Raises KeyError for unknown names.
    """
    names = core.ask(lambda: core.exports.names(request))
    export = core.settings.config.export
    shown: dict[str, Any] = {
        "kinds": [], "n": len(names), "rows": [], "path": "", "exists": False,
        "problem": "", "groups": {},
    }  # fmt: skip
    shown["kinds"] = described(export.optics_groups)
    try:
        target = target_of(request, core.paths)
        shown |= {"path": str(target), "exists": target.exists()}
        shown["rows"] = first_rows(names, core.store.load, core.paths, request, ROWS, ITEMS)
        shown["groups"] = _groups(core, by_settings(request, export), names)
    except (ExportError, OSError) as problem:
        shown["problem"] = str(problem)
    return shown


def _groups(core: Core, request: ExportRequest, names: list[str]) -> dict[str, Any]:
    """The optics groups by beam shift, of the first items; {} where there is one group."""
    grouping = grouping_of(request, core.paths)
    if grouping is None:
        return {}
    some = names[:GROUPED]
    paths, shifts = core.ask(lambda: core.exports.paths_and_shifts(some))
    known = shifts if shifts.folder == grouping.folder else None
    gathering = Gathering(grouping, known)
    for name, path in paths.items():
        gathering.take(name, path)
    groups = gathering.account(number_as_they_come(gathering.labels()))
    if len(some) < len(names):
        account = groups["summary"]
        groups["summary"] = f"of the first {len(some):,} items: {account}"
    return groups
