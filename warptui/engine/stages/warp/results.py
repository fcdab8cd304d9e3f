"""Results of the stages in Warp's terms, so that Warp, WarpTools and M go on from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from warptui.engine.formats.warp.xml import Element
from warptui.engine.model.stored import StoredItem
from warptui.engine.stages.base import Stage


def set_results(
    root: Element, item: StoredItem, stages: Sequence[Stage], unchanged: Collection[str] = ()
) -> None:
    """Write the records of ``item`` into the document ``root``, by the stages' own functions.

    Elements of stages that are ``unchanged`` since they were written stay as they are: another
    program may have refined them.
    """
    for stage in stages:
        record = item.records.get(stage.name)
        if stage.xml is None or record is None:
            continue
        if not {stage.name, *stage.xml.reads} <= set(unchanged):
            stage.xml.write(root, record, item.records)
