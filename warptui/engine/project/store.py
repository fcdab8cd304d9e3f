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
import shutil
import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from warptui.engine.errors import CorruptError, InputError, OutputError
from warptui.engine.formats.warp import xml
from warptui.engine.formats.writing import replacing
from warptui.engine.model.item import MOVIE, root_name_of
from warptui.engine.model.stored import Failure, StageRecord, StoredItem
from warptui.engine.project import item_xml, paths
from warptui.engine.project.choices import ChoiceJournal
from warptui.engine.project.index import Index, Stamp
from warptui.engine.project.paths import ProjectPaths

__all__ = ["Failure", "StageRecord", "Store", "StoredItem", "fingerprint"]

FINGERPRINT_BYTES = 256 * 1024  # hashed at either end of a raw file
KEPT_DOCUMENTS = 8  # of items that were written last: those that are worked on
READERS = 8  # threads that read metadata files: network file systems answer slowly
BATCH = 50  # files that a thread reads at a time


class _Document(NamedTuple):
    """A metadata file as it was written last."""

    stamp: Stamp
    data: bytes
    root: ElementTree.Element
    item: StoredItem


class Store:
    """The metadata of one project folder. Thread-safe; one writer per project."""

    def __init__(self, project: ProjectPaths) -> None:
        self._project = project
        self._lock = threading.RLock()
        self._index = Index(paths.index_path(project.root))
        self._raw: dict[str, tuple[Stamp, Any]] | None = None
        self._documents: OrderedDict[str, _Document] = OrderedDict()
        self.choices = ChoiceJournal(project.choices)

    def load_all(self) -> dict[str, StoredItem]:
        """All items that warptui has stored, by name, abridged (`StoredItem.abridged`).

        Files that Warp alone wrote name no raw file, so they are not listed here: `load` finds
        them when the raw file is there.
        """
        with self._lock:
            indexed = self._index.read_all("metadata", _unpacked)
            found: dict[str, Stamp] = {}
            with os.scandir(self._project.root) as entries:
                for entry in entries:
                    if _is_metadata_name(entry.name):
                        file_stat = entry.stat()
                        if stat.S_ISREG(file_stat.st_mode):
                            found[entry.name] = Stamp.of(file_stat)
            self._index.delete("metadata", indexed.keys() - found.keys())
            items: list[StoredItem | None] = []
            stale = []
            for name, stamp in found.items():
                row = indexed.get(name)
                if row is not None and row[0] == stamp:
                    items.append(row[1])
                else:
                    stale.append(name)
            items += self._refresh(stale, found)
            return self._with_choices({item.name: item for item in items if item is not None})

    def load(self, name: str) -> StoredItem | None:
        """Everything stored about the item ``name``; None if there is nothing.

        It waits for no other thread: files are replaced whole.
        """
        root_name = root_name_of(name)
        item, chosen = self._read(root_name), self.choices.get(root_name)
        if item is None:
            return chosen and replace(chosen, name=name)
        return replace(item, name=name, choice=chosen.choice if chosen else item.choice)

    def choose(self, items: Sequence[StoredItem]) -> None:
        """Store the choices of these items with one write. Their metadata files follow later.

        `load` and `load_all` heed them from now on, also in another process; `apply_choice` and
        `save` put them into the metadata files.

        Raises
        ------
        OSError
            If they cannot be written; nothing is changed then.
        """
        self.choices.record(items)

    def apply_choice(self, root_name: str) -> None:
        """Put the choice that was stored for an item into its metadata file.

        Raises
        ------
        OutputError, OSError
            If the file cannot be written; the previous version is intact.
        """
        with self._lock:
            chosen = self.choices.get(root_name)
            if chosen is None:
                return
            path = self._project.metadata(root_name)
            old = _read_bytes(path)
            data = None if old is None else item_xml.with_choice(old, chosen.choice)
            item = None if data is None else _scanned(data, root_name)
            if data is None or item is None:  # no file yet, a damaged one, or one of Warp's
                self.save(self._chosen(self._decode(root_name, old), chosen))
                return
            if data != old:
                self._replace(path, data, self._project.metadata_backup(root_name))
                self._index.write("metadata", [(path.name, Stamp.of(path.stat()), _packed(item))])
            self.choices.settle(root_name, chosen.choice)

    @staticmethod
    def _chosen(found: StoredItem | None, chosen: StoredItem) -> StoredItem:
        if found is None:
            return chosen
        return replace(
            found,
            name=chosen.name,
            sequence=found.sequence or chosen.sequence,
            raw_path=found.raw_path or chosen.raw_path,
            choice=chosen.choice,
        )

    def _with_choices(self, items: dict[str, StoredItem]) -> dict[str, StoredItem]:
        """The items with the choices that their metadata files lack still."""
        for chosen in self.choices.items().values():
            items[chosen.name] = self._chosen(items.get(chosen.name), chosen)
        return items

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
        if item.kind != MOVIE:
            raise OutputError(f"{item.name}: metadata of a {item.kind} cannot be written")
        root_name = root_name_of(item.name)
        path = self._project.metadata(root_name)
        with self._lock:
            known = self._documents.pop(root_name, None)
            if known is not None and known.stamp == _stamp(path):
                old, root, before, readable = known.data, known.root, known.item, True
            else:
                old = _read_bytes(path)
                root, before, readable = self._base(root_name, old)
            item = _completed(item, before)
            item = replace(item, problem=item_xml.processed_by(root, item))
            item_xml.write_item(root, item, self._project.root)
            data = xml.to_bytes(root)
            if data != old:
                keep = (
                    self._project.metadata_backup if readable else self._project.metadata_unreadable
                )
                self._replace(path, data, None if old is None else keep(root_name))
                stamp = Stamp.of(path.stat())
                self._index.write("metadata", [(path.name, stamp, _packed(item))])
                self._keep_document(root_name, _Document(stamp, data, root, item))
            self.choices.settle(root_name, item.choice)
        return item

    def _keep_document(self, root_name: str, document: _Document) -> None:
        """Keep the document in memory: the next stage of the job saves without reading the file."""
        self._documents[root_name] = document
        if len(self._documents) > KEPT_DOCUMENTS:
            self._documents.popitem(last=False)

    @staticmethod
    def _replace(path: Path, data: bytes, backup: Path | None) -> None:
        """Write a file beside ``path``, synced; what was there becomes ``backup``."""
        with replacing(path) as temporary:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if backup is not None:
                _link(path, backup)

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

    def _refresh(self, names: list[str], stamps: dict[str, Stamp]) -> list[StoredItem | None]:
        """Parse metadata files and put them into the index."""
        items: list[StoredItem | None] = []
        batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
        with ThreadPoolExecutor(READERS) as readers:
            # rounds: the readers are faster than the parser, and files and rows wait in memory
            for first in range(0, len(batches), 2 * READERS):
                some = batches[first : first + 2 * READERS]
                rows: list[tuple[str, Stamp, Any]] = []
                for batch, datas in zip(some, readers.map(self._read_batch, some), strict=True):
                    for name, data in zip(batch, datas, strict=True):
                        item = self._listed(Path(name).stem, data)
                        values = None
                        if item is not None:
                            values = _packed(item)
                            item = _with_shared_settings(item, values)
                        rows.append((name, stamps[name], values))
                        items.append(item)
                self._index.write("metadata", rows)
        return items

    def _listed(self, root_name: str, data: bytes | None) -> StoredItem | None:
        """The item in a file's bytes, abridged; None if it names no raw file or another's."""
        item = _scanned(data or b"", root_name) or self._decode(root_name, data)
        if item is None or item.name == root_name or root_name_of(item.name) != root_name:
            return None
        return item.abridged()

    def _read_batch(self, names: list[str]) -> list[bytes | None]:
        return [_read_bytes(self._project.root / name) for name in names]

    def _read(self, root_name: str) -> StoredItem | None:
        return self._decode(root_name, _read_bytes(self._project.metadata(root_name)))

    def _decode(self, root_name: str, data: bytes | None) -> StoredItem | None:
        """The item in a file's bytes, or in its backup; None for no file and for tilt series."""
        if data is None:
            return None
        try:
            return item_xml.read_item(xml.parse(data), root_name)
        except CorruptError as error:
            problem = f"{root_name}.xml: {error}"
        item = StoredItem(root_name, 0, problem=problem)
        backup = _read_bytes(self._project.metadata_backup(root_name))
        if backup is not None:
            try:
                saved = item_xml.read_item(xml.parse(backup), root_name)
            except CorruptError as error:
                item = replace(item, problem=f"{problem}; its backup: {error}")
            else:
                item = replace(saved or item, problem=f"{problem}; its backup is used")
        return replace(item, choice=item_xml.salvage_choice(data) or item.choice)

    def _base(
        self, root_name: str, data: bytes | None
    ) -> tuple[ElementTree.Element, StoredItem | None, bool]:
        """Document to write into, the item in it, and whether the present file is readable."""
        if data is None:
            return xml.new_movie(), None, False
        try:
            root = xml.parse(data)
            before = item_xml.read_item(root, root_name)
            if before is not None:
                return root, before, True
        except CorruptError:
            pass  # the backup may help, see below
        before = self._decode(root_name, data)
        for source in (data, _read_bytes(self._project.metadata_backup(root_name))):
            if source is None:
                continue
            try:
                root = xml.parse(source)
            except CorruptError:
                continue  # `before` says so in its problem
            if root.tag != "Movie":
                raise OutputError(
                    f"{root_name}.xml is metadata of a {root.tag}, not of a movie: rename the movie"
                )
            readable = source is data and _is_readable(root, root_name)
            return root, before, readable
        return xml.new_movie(), before, False


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


def _scanned(data: bytes, root_name: str) -> StoredItem | None:
    """Read the abridged item from a metadata file's bytes without parsing them as XML.

    None where only the parsed document can show the item.
    """
    try:
        return item_xml.scan_item(data, root_name)
    except CorruptError:
        return None  # its backup may help


def _packed(item: StoredItem) -> dict[str, Any]:
    """Row of the index. Settings are texts, because thousands of items have the very same ones."""
    values = item.abridged().to_json()
    for stage, record in values["records"].items():
        record["key"] = item.records[stage].key  # to calculate 100,000 takes a second
        for key in ("settings", "sections"):
            record[key] = json.dumps(record[key])
    return values


def _unpacked(values: dict[str, Any] | None) -> StoredItem | None:
    if not values:
        return None  # of a file that names no raw file
    for record in values["records"].values():
        for key in ("settings", "sections"):
            record[key] = _shared(record[key])
    item = StoredItem.from_json(values)
    for stage, record in item.records.items():
        vars(record)["key"] = values["records"][stage]["key"]
    return item


def _with_shared_settings(item: StoredItem, packed: dict[str, Any]) -> StoredItem:
    """The item as `_unpacked` makes it of ``packed``, which was made of it: in half the time."""
    records = {}
    for stage, record in item.records.items():
        texts = packed["records"][stage]
        records[stage] = shared = replace(
            record, settings=_shared(texts["settings"]), sections=_shared(texts["sections"])
        )
        vars(shared)["key"] = texts["key"]
    return replace(item, records=records)


@functools.lru_cache(maxsize=1024)
def _shared(text: str) -> Any:
    return json.loads(text)


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
        item_xml.read_item(root, root_name)
    except CorruptError:
        return False
    return True


def _is_metadata_name(name: str) -> bool:
    return name.endswith(".xml") and not name.startswith(".")


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _stamp(path: Path) -> Stamp | None:
    """None where there is no file."""
    try:
        return Stamp.of(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _link(path: Path, backup: Path) -> None:
    """Make ``backup`` the present version of ``path``, atomically and without copying."""
    backup.parent.mkdir(parents=True, exist_ok=True)
    with replacing(backup) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(path)
        except OSError:  # no hard links on this file system
            shutil.copyfile(path, temporary)
