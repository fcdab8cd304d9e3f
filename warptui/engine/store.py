"""The truth on disk: one metadata file per item, in Warp's XML with one `<Warptui>` element.

That element holds what Warp has no room for: each stage's exact settings and result as JSON, the
fingerprint of the raw file, failures, history. Only the engine's session writes here; whatever
Warp, WarpTools or M wrote into a file is kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import warptui
from warptui.engine import paths
from warptui.engine.errors import CorruptError, InputError, OutputError
from warptui.engine.formats import warp_movie, warp_xml
from warptui.engine.index import Index, Stamp
from warptui.engine.items import Choice
from warptui.engine.paths import ProjectPaths
from warptui.engine.records import Failure, StageRecord, StoredItem, short_values

__all__ = ["Failure", "StageRecord", "Store", "StoredItem", "fingerprint"]

FORMAT = 1  # of the <Warptui> element
FINGERPRINT_BYTES = 256 * 1024  # hashed at either end of a raw file
READERS = 8  # threads that read metadata files: network file systems answer slowly
BATCH = 50  # files that a thread reads at a time

_UNSELECTED = {None: Choice.AUTO, False: Choice.INCLUDE, True: Choice.EXCLUDE}
_BY_CHOICE = {choice: unselected for unselected, choice in _UNSELECTED.items()}


class Store:
    """The metadata of one project folder. Thread-safe; one writer per project."""

    def __init__(self, project: ProjectPaths) -> None:
        self._project = project
        self._lock = threading.RLock()
        self._index = Index(paths.index_path(project.root))
        self._raw: dict[str, tuple[Stamp, Any]] | None = None

    def load_all(self) -> dict[str, StoredItem]:
        """All items that warptui has stored, by name, abridged (`StoredItem.abridged`).

        Files that Warp alone wrote name no raw file, so they are not listed here: `load` finds
        them when the raw file is there.
        """
        with self._lock:
            indexed = self._index.read_all("metadata")
            found: dict[str, Stamp] = {}
            with os.scandir(self._project.root) as entries:
                for entry in entries:
                    if _is_metadata_name(entry.name):
                        file_stat = entry.stat()
                        if stat.S_ISREG(file_stat.st_mode):
                            found[entry.name] = Stamp.of(file_stat)
            self._index.delete("metadata", indexed.keys() - found.keys())
            values: dict[str, Any] = {}
            stale = []
            for name, stamp in found.items():
                row = indexed.get(name)
                if row is not None and row[0] == stamp:
                    values[name] = row[1]
                else:
                    stale.append(name)
            values.update(self._refresh(stale, found))
            items = [_unpacked(value) for value in values.values() if value]
            return {item.name: item for item in items}

    def load(self, name: str) -> StoredItem | None:
        """Everything stored about the item ``name``; None if there is nothing."""
        with self._lock:
            item = self._read(paths.root_name(name))
        return None if item is None else replace(item, name=name)

    def save(self, item: StoredItem) -> StoredItem:
        """Write the item's metadata file; the previous version becomes its backup.

        Returns what was written: abridged results are completed from the file that is there, and
        a record whose result is gone with that file is left out, so that its stage runs again.

        Raises
        ------
        OutputError
            If a result holds numbers that are not finite.
        OSError
            If the file cannot be written; the previous version is intact.
        """
        root_name = paths.root_name(item.name)
        path = self._project.metadata(root_name)
        with self._lock:
            old = _read_bytes(path)
            root, before, readable = self._base(root_name, old)
            item = _completed(item, before)
            item = replace(item, problem=_foreign(root, item))
            _write_item(root, item, self._project)
            data = warp_xml.to_bytes(root)
            if data == old:
                return item
            temporary = paths.temporary(path)
            try:
                with temporary.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if old is not None:
                    keep = (
                        self._project.metadata_backup
                        if readable
                        else self._project.metadata_unreadable
                    )
                    _link(path, keep(root_name))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            stamp = Stamp.of(path.stat())
            self._index.write("metadata", [(path.name, stamp, _packed(item))])
        return item

    @staticmethod
    def fingerprint(path: Path) -> str:
        """See `fingerprint`."""
        return fingerprint(path)

    def cached_fingerprint(self, path: Path) -> str:
        """As `fingerprint`, but reads the file only if its size, times or inode changed."""
        stamp = Stamp.of(path.stat())
        with self._lock:
            if self._raw is None:
                self._raw = self._index.read_all("raw")
            row = self._raw.get(str(path))
        if row is not None and row[0] == stamp:
            return row[1]
        found = fingerprint(path)
        with self._lock:
            self._raw[str(path)] = (stamp, found)
            self._index.write("raw", [(str(path), stamp, found)])
        return found

    def close(self) -> None:
        """Close the index; the store must not be used afterwards."""
        with self._lock:
            self._index.close()

    def _refresh(self, names: list[str], stamps: dict[str, Stamp]) -> dict[str, Any]:
        """Parse metadata files and put them into the index."""
        values: dict[str, Any] = {}
        batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
        with ThreadPoolExecutor(READERS) as readers:
            contents = readers.map(self._read_batch, batches)
            for batch, datas in zip(batches, contents, strict=True):
                for name, data in zip(batch, datas, strict=True):
                    item = self._listed(Path(name).stem, data)
                    values[name] = None if item is None else _packed(item)
        self._index.write("metadata", [(name, stamps[name], values[name]) for name in names])
        return values

    def _listed(self, root_name: str, data: bytes | None) -> StoredItem | None:
        """The item in a file's bytes, abridged; None if it names no raw file or another's."""
        try:
            found = warp_xml.scan(data or b"", "Warptui")
            item = _read_item(*found, root_name, abridged=True) if found else None
        except CorruptError:
            item = None  # its backup may help
        if item is None or not (item.records or item.history):  # Warp may have processed it
            item = self._decode(root_name, data)
        if item is None or item.name == root_name or paths.root_name(item.name) != root_name:
            return None
        return item

    def _read_batch(self, names: list[str]) -> list[bytes | None]:
        return [_read_bytes(self._project.root / name) for name in names]

    def _read(self, root_name: str) -> StoredItem | None:
        return self._decode(root_name, _read_bytes(self._project.metadata(root_name)))

    def _decode(self, root_name: str, data: bytes | None) -> StoredItem | None:
        """The item in a file's bytes, or in its backup; None for no file and for tilt series."""
        if data is None:
            return None
        try:
            return _read_document(warp_xml.parse(data), root_name)
        except CorruptError as error:
            problem = f"{root_name}.xml: {error}"
        item = StoredItem(root_name, 0, problem=problem)
        backup = _read_bytes(self._project.metadata_backup(root_name))
        if backup is not None:
            try:
                saved = _read_document(warp_xml.parse(backup), root_name)
            except CorruptError as error:
                item = replace(item, problem=f"{problem}; its backup: {error}")
            else:
                item = replace(saved or item, problem=f"{problem}; its backup is used")
        return replace(item, choice=_salvaged_choice(data) or item.choice)

    def _base(
        self, root_name: str, data: bytes | None
    ) -> tuple[ElementTree.Element, StoredItem | None, bool]:
        """Document to write into, the item in it, and whether the present file is readable."""
        if data is None:
            return warp_xml.new_movie(), None, False
        before = self._decode(root_name, data)
        for source in (data, _read_bytes(self._project.metadata_backup(root_name))):
            if source is None:
                continue
            try:
                root = warp_xml.parse(source)
            except CorruptError:
                continue  # `before` says so in its problem
            if root.tag != "Movie":
                raise OutputError(
                    f"{root_name}.xml is metadata of a {root.tag}, not of a movie: rename the movie"
                )
            readable = source is data and _is_readable(root, root_name)
            return root, before, readable
        return warp_xml.new_movie(), before, False


def fingerprint(path: Path) -> str:
    """Names a raw file's content by its size and a hash of its first and last parts.

    Raises
    ------
    InputError
        If it is no regular file.
    OSError
        If it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not block
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path.name}: not a regular file")
        content = hashlib.sha1(file.read(FINGERPRINT_BYTES), usedforsecurity=False)
        if found.st_size > 2 * FINGERPRINT_BYTES:
            file.seek(-FINGERPRINT_BYTES, os.SEEK_END)
        content.update(file.read(FINGERPRINT_BYTES))
    return f"{found.st_size}:{content.hexdigest()}"


def _read_document(root: ElementTree.Element, root_name: str) -> StoredItem | None:
    """The item in a document; None if it is no movie's. Raises CorruptError as `_read_item`."""
    if root.tag != "Movie":
        return None
    item = _read_item(root, root.find("Warptui"), root_name)
    return replace(item, problem=_foreign(root, item))


def _read_item(
    root: ElementTree.Element,
    element: ElementTree.Element | None,
    root_name: str,
    *,
    abridged: bool = False,
) -> StoredItem:
    """The item from a document's root attributes and its <Warptui> element.

    Raises
    ------
    CorruptError
        If the element cannot be understood.
    """
    choice = _UNSELECTED[warp_xml.read_unselect_manual(root)]
    if element is None:
        return StoredItem(root_name, 0, choice)
    found = element.get("Format", "")
    if found != str(FORMAT):
        raise CorruptError(
            f"written by another version of warptui (format {found!r}, this one knows {FORMAT})"
        )
    return replace(_from_element(element, abridged=abridged), choice=choice)


def _foreign(root: ElementTree.Element, item: StoredItem) -> str:
    """What to say of an item that Warp alone has processed; "" of all others."""
    if item.records or item.history or not warp_xml.is_processed(root):
        return ""
    return "processed by Warp, not by warptui"


def _from_element(element: ElementTree.Element, *, abridged: bool) -> StoredItem:
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


def _write_item(root: ElementTree.Element, item: StoredItem, project: ProjectPaths) -> None:
    warp_xml.set_unselect_manual(root, _BY_CHOICE[item.choice])
    if item.raw_path:
        folder = Path(item.raw_path).parent
        root.set(
            "DataDirectory", "" if folder == project.root else warp_xml.format_value(str(folder))
        )
    warp_movie.set_results(root, item)
    texts: list[tuple[str, dict[str, str], Any]] = [("ItemRecord", {}, _item_values(item))]
    for stage, record in item.records.items():
        short = short_values(record.result)
        values = {key: value for key, value in vars(record).items() if key != "abridged"}
        texts.append(("StageRecord", {"Stage": stage}, {**values, "result": short}))
        lists = {key: value for key, value in record.result.items() if key not in short}
        texts.append(("StageLists", {"Stage": stage}, lists))
    if item.failure is not None:
        texts.append(("FailureRecord", {}, vars(item.failure)))
    texts.append(("HistoryRecord", {}, list(item.history)))
    element = ElementTree.Element(
        "Warptui", {"Format": str(FORMAT), "Version": warptui.__version__}
    )
    for tag, attributes, value in texts:
        ElementTree.SubElement(element, tag, attributes).text = _json(value, item.name)
    old = root.find("Warptui")
    known = {"ItemRecord", "StageRecord", "StageLists", "FailureRecord", "HistoryRecord"}
    element.extend([child for child in old if child.tag not in known] if old is not None else [])
    warp_xml.place(root, element)


def _packed(item: StoredItem) -> dict[str, Any]:
    """Row of the index. Settings are texts, because thousands of items have the very same ones."""
    values = item.abridged().to_json()
    for record in values["records"].values():
        for key in ("settings", "sections"):
            record[key] = json.dumps(record[key])
    return values


def _unpacked(values: dict[str, Any]) -> StoredItem:
    for record in values["records"].values():
        for key in ("settings", "sections"):
            record[key] = _shared(record[key])
    return StoredItem.from_json(values)


@functools.lru_cache(maxsize=1024)
def _shared(text: str) -> Any:
    return json.loads(text)


def _item_values(item: StoredItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "sequence": item.sequence,
        "raw_path": item.raw_path,
        "fingerprint": item.fingerprint,
    }


def _json(value: Any, name: str) -> str:
    """JSON in plain ASCII, which XML holds unchanged and which gives back every float exactly."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise OutputError(f"{name}: a result is not finite; nothing was stored") from error


def _completed(item: StoredItem, before: StoredItem | None) -> StoredItem:
    """``item`` with the full results of its abridged records, from the file that is there."""
    records = {}
    for stage, record in item.records.items():
        if not record.abridged:
            records[stage] = record
            continue
        full = before.records.get(stage) if before else None
        if full is not None and full.key == record.key:
            records[stage] = full
    return replace(item, records=records)


def _is_readable(root: ElementTree.Element, root_name: str) -> bool:
    try:
        _read_document(root, root_name)
    except CorruptError:
        return False
    return True


def _salvaged_choice(data: bytes) -> Choice | None:
    """The user's choice in a damaged document: it stands near its start."""
    found = re.search(rb'UnselectManual="(True|False)"', data[:8192], re.IGNORECASE)
    return None if found is None else _UNSELECTED[found.group(1).lower() == b"true"]


def _is_metadata_name(name: str) -> bool:
    return name.endswith(".xml") and not name.startswith(".")


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _link(path: Path, backup: Path) -> None:
    """Make ``backup`` the present version of ``path``, atomically and without copying."""
    backup.parent.mkdir(parents=True, exist_ok=True)
    temporary = paths.temporary(backup)
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(path)
    except OSError:  # no hard links on this file system
        shutil.copyfile(path, temporary)
    temporary.replace(backup)
