"""Everything about one item: what is in memory, completed from the disk in any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from warptui.engine.errors import InputError
from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.edits import NO_EDITS
from warptui.engine.model.row import ItemRow
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.edits_file import read_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import Product


@dataclass(frozen=True)
class KnownDetail:
    """What the thread that owns the items contributes; making it reads no file."""

    row: ItemRow
    stored: StoredItem  # abridged
    root_name: str
    raw_path: str
    outdated: dict[str, str]  # per stage: why it must run
    has_edits: bool
    products: tuple[Product, ...]  # whose paths are shown while the files exist


def read_detail(
    known: KnownDetail, project: ProjectPaths, load: Callable[[str], StoredItem | None]
) -> ItemDetail:
    """Complete an item's details from its files; waits as long as the disk does.

    ``load`` reads what is stored of an item by its name. Raises OSError when it cannot be read.
    """
    stored = load(known.stored.name) or known.stored
    root_name = known.root_name
    shown = {product.name: project.product(product, root_name) for product in known.products}
    edits, problem = _edits(known, project)
    failure = known.stored.failure
    return ItemDetail(
        row=known.row,
        results={name: record.result for name, record in stored.records.items()},
        settings={
            name: {**record.sections, name: record.settings}
            for name, record in stored.records.items()
        },
        outdated=known.outdated,
        history=stored.history,
        raw_path=known.raw_path,
        edits=edits,
        edits_problem=problem,
        failed_stage=failure.stage if failure else "",
        log_tail=failure.log_tail if failure else "",
        traceback=failure.traceback if failure else "",
        paths={name: str(path) for name, path in shown.items() if path.exists()},
    )


def _edits(known: KnownDetail, project: ProjectPaths) -> tuple[dict[str, Any], str]:
    """The edits of an item's picks, and why they cannot be read."""
    if not known.has_edits:
        return {}, ""
    try:
        found = read_edits(project.edits(known.root_name))
    except (InputError, OSError) as reason:
        return {}, str(reason)
    return (found.model_dump(mode="json") if found != NO_EDITS else {}), ""
