"""One item as a document: Warp's elements, and our `<Warptui>` element with what Warp lacks.

The user's choice is Warp's ``UnselectManual``. Records are JSON texts, the long lists of a result
apart, so that thousands of items can be listed without them.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import warptui
from warptui.engine.errors import CorruptError, OutputError
from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Element
from warptui.engine.model.item import FRAMES, Choice
from warptui.engine.model.stored import StoredItem, short_values
from warptui.engine.stages.registry import STAGES
from warptui.engine.stages.warp.results import set_results

FORMAT = 1  # of the <Warptui> element

_UNSELECTED = {None: Choice.AUTO, False: Choice.INCLUDE, True: Choice.EXCLUDE}
_BY_CHOICE = {choice: unselected for unselected, choice in _UNSELECTED.items()}


def scan_item(data: bytes, root_name: str) -> StoredItem | None:
    """The item in a file's bytes, abridged and fast; None if only `read_item` can decide.

    Raises
    ------
    CorruptError
        If the document or our part of it is damaged.
    """
    found = xml.scan(data, "Warptui")
    if found is None:
        return None
    item = _read(*found, root_name, abridged=True)
    return item if item.records or item.history else None  # else Warp may have processed it


def read_item(root: Element, root_name: str) -> StoredItem | None:
    """The item in a document; None if it is no movie's.

    Raises
    ------
    CorruptError
        If our part of it cannot be understood.
    """
    if root.tag != "Movie":
        return None
    item = _read(root, root.find("Warptui"), root_name)
    return replace(item, problem=processed_by(root, item))


def write_item(root: Element, item: StoredItem, project_folder: Path) -> None:
    """Put everything about ``item`` into a document, beside what others wrote into it.

    Raises
    ------
    OutputError
        If a result holds numbers that are not finite.
    """
    xml.set_unselect_manual(root, _BY_CHOICE[item.choice])
    if item.raw_path:
        folder = Path(item.raw_path).parent
        root.set("DataDirectory", "" if folder == project_folder else xml.format_value(str(folder)))
    old = root.find("Warptui")
    texts: list[tuple[str, dict[str, str], Any]] = [("ItemRecord", {}, _item_values(item))]
    for stage, record in item.records.items():
        short = short_values(record.result)
        values = {key: value for key, value in record.to_json().items() if key != "abridged"}
        texts.append(("StageRecord", {"Stage": stage}, {**values, "result": short}))
        lists = {key: value for key, value in record.result.items() if key not in short}
        texts.append(("StageLists", {"Stage": stage}, lists))
    if item.failure is not None:
        texts.append(("FailureRecord", {}, vars(item.failure)))
    texts.append(("HistoryRecord", {}, list(item.history)))
    element = Element("Warptui", {"Format": str(FORMAT), "Version": warptui.__version__})
    for tag, attributes, value in texts:
        ElementTree.SubElement(element, tag, attributes).text = _json(value, item.name)
    set_results(root, item, STAGES, _same_records(old, element))
    known = {"ItemRecord", "StageRecord", "StageLists", "FailureRecord", "HistoryRecord"}
    element.extend([child for child in old if child.tag not in known] if old is not None else [])
    xml.place(root, element)


def _same_records(old: Element | None, new: Element) -> set[str]:
    """Stages whose records are equal in both: Warp's elements for them stay."""
    before = (
        {_stage(child): child.text for child in old.iterfind("StageRecord")}
        if old is not None
        else {}
    )
    return {
        _stage(child)
        for child in new.iterfind("StageRecord")
        if before.get(_stage(child)) == child.text
    }


def _stage(element: Element) -> str:
    return element.get("Stage", "")


def processed_by(root: Element, item: StoredItem) -> str:
    """The remark on an item that only Warp has processed; "" for all others."""
    if item.records or item.history or not xml.is_processed(root):
        return ""
    return "processed by Warp, not by warptui"


def with_choice(data: bytes, choice: Choice) -> bytes | None:
    """A document of ours with another choice; None where only `write_item` can put it in."""
    if b"<Warptui" not in data:
        return None  # Warp's alone: it is to name its raw file from now on
    return xml.with_unselect_manual(data, _BY_CHOICE[choice])


def salvage_choice(data: bytes) -> Choice | None:
    """The user's choice in a damaged document: it is near its start."""
    found = re.search(rb'UnselectManual="(True|False)"', data[:8192], re.IGNORECASE)
    return None if found is None else _UNSELECTED[found.group(1).lower() == b"true"]


def _read(
    root: Element,
    element: Element | None,
    root_name: str,
    *,
    abridged: bool = False,
) -> StoredItem:
    choice = _UNSELECTED[xml.read_unselect_manual(root)]
    if element is None:
        return StoredItem(root_name, 0, choice)
    found = element.get("Format", "")
    if found != str(FORMAT):
        raise CorruptError(
            f"written by another version of warptui (format {found!r}, this one knows {FORMAT})"
        )
    return replace(_from_element(element, abridged=abridged), choice=choice)


def _from_element(element: Element, *, abridged: bool) -> StoredItem:
    try:
        values = json.loads(element.findtext("ItemRecord", ""))
        values["records"] = {
            child.attrib["Stage"]: json.loads(child.text or "")
            for child in element.iterfind("StageRecord")
        }
        for record in values["records"].values():
            record["abridged"] = abridged
        for child in () if abridged else element.iterfind("StageLists"):
            record = values["records"][child.attrib["Stage"]]
            record["result"].update(json.loads(child.text or ""))
        values["history"] = json.loads(element.findtext("HistoryRecord", "[]"))
        values["failure"] = json.loads(element.findtext("FailureRecord", "null"))
        return StoredItem.from_json(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"the <Warptui> element is damaged ({error!r})") from error


def _item_values(item: StoredItem) -> dict[str, Any]:
    others = {role: text for role, text in item.fingerprints.items() if role != FRAMES}
    return {
        "name": item.name,
        "sequence": item.sequence,
        "raw_path": item.raw_path,
        "fingerprint": item.fingerprint,
        **({"fingerprints": others} if others else {}),
        **({"square": item.square} if item.square else {}),
    }


def _json(value: Any, name: str) -> str:
    """JSON in plain ASCII, which XML holds unchanged and which gives back every float exactly."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise OutputError(f"{name}: a result is not finite; nothing was stored") from error
