"""Exports as the engine runs them: in the background, one at a time for each list."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from warptui.engine.errors import ExportError, OutputError
from warptui.engine.exporters.base import MICROGRAPHS, Outcome, kind_of, target_of
from warptui.engine.exporting.jobs import Exports
from warptui.engine.exporting.records import INTERRUPTED, ExportRecords, export_id
from warptui.engine.model import codec
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths

REQUEST = ExportRequest()
NAMES = [f"m{number}.mrc" for number in range(20)]


def load(name: str) -> StoredItem:
    return StoredItem(name, 1)


def kind(write) -> object:
    return replace(MICROGRAPHS, write=write)


def listed(items: Iterable[StoredItem], project, target: Path, *_) -> Outcome:
    names = [item.name for item in items]
    target.write_text("\n".join(names))
    return Outcome(len(names), "2 left out: no CTF was found")


def ended(exports: Exports) -> Export:
    deadline = time.monotonic() + 90
    while any(record.state == "running" for record in exports.look()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return exports.look()[0]


@pytest.fixture
def project(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


def test_a_list_is_written_and_remembered_beyond_the_engine(project: ProjectPaths) -> None:
    exports = Exports(project, load)
    target = project.root / "list.star"
    number = exports.begin(kind(listed), REQUEST, target, NAMES, {})
    record = ended(exports)
    assert (record.id, record.state, record.rows, record.total) == (number, "done", 20, 20)
    assert record.reason == "2 left out: no CTF was found" and record.name == "list.star"
    assert target.read_text().split() == NAMES
    exports.close()
    assert Exports(project, load).look() == (record,)


def test_the_same_list_is_written_by_one_at_a_time(project: ProjectPaths) -> None:
    go_on = threading.Event()

    def slow(items, project, target, *_) -> Outcome:
        go_on.wait(180)
        return listed(items, project, target)

    exports, target = Exports(project, load), project.root / "list.star"
    exports.begin(kind(slow), REQUEST, target, NAMES, {})
    for other in (exports, Exports(project, load)):  # another program has a lock of its own
        with pytest.raises(ExportError, match=r"list\.star is being written by the engine"):
            other.begin(kind(listed), REQUEST, target, NAMES, {})
    exports.begin(kind(listed), REQUEST, project.root / "other.star", NAMES, {})
    go_on.set()
    ended(exports)
    exports.begin(kind(listed), REQUEST, target, NAMES, {})
    assert ended(exports).state == "done"


def test_what_is_cancelled_leaves_the_list_as_it_was(project: ProjectPaths) -> None:
    begun = threading.Event()

    def slow_load(name: str) -> StoredItem:
        begun.set()
        time.sleep(0.05)
        return load(name)

    target = project.root / "list.star"
    target.write_text("before")
    exports = Exports(project, slow_load)
    number = exports.begin(kind(listed), REQUEST, target, NAMES, {})
    assert begun.wait(180)
    exports.cancel(number)
    record = ended(exports)
    assert (record.state, record.reason) == ("cancelled", "cancelled by the user")
    assert target.read_text() == "before"
    with pytest.raises(KeyError):
        exports.cancel(number)
    number = exports.begin(kind(listed), REQUEST, target, NAMES, {})
    exports.close()
    assert Exports(project, load).look()[0].reason == "the engine ended"


def test_what_fails_says_why(project: ProjectPaths) -> None:
    def fails(*_) -> Outcome:
        raise OutputError("no room")

    def mistaken(*_) -> Outcome:
        raise ZeroDivisionError

    exports = Exports(project, load)
    for write, said in ((fails, "no room"), (mistaken, "ZeroDivisionError")):
        exports.begin(kind(write), REQUEST, project.root / "list.star", NAMES, {})
        record = ended(exports)
        assert record.state == "failed" and said in record.reason
    with pytest.raises(ExportError, match="no item"):
        exports.begin(kind(listed), REQUEST, project.root / "list.star", [], {})


def test_what_a_program_that_died_was_writing_is_told_as_interrupted(
    project: ProjectPaths,
) -> None:
    path = project.root / "list.star"
    record = Export(export_id(path), "micrographs", str(path), "running", 5.0, 3, 20)
    ExportRecords(project).say(record)
    (project.exports / "half.json").write_text('{"id": ')
    (found,) = ExportRecords(project).all()
    assert (found.state, found.reason) == ("failed", INTERRUPTED)
    with ExportRecords(project).writing(record):  # it lives
        (found,) = ExportRecords(project).all()
        assert found.state == "running"


def test_old_records_are_forgotten(project: ProjectPaths) -> None:
    records = ExportRecords(project)
    for number in range(60):
        records.say(Export(str(number), "micrographs", f"/x/{number}.star", "done", float(number)))
    assert [record.id for record in records.all()] == [str(n) for n in range(59, 9, -1)]
    assert len(list(project.exports.glob("*.json"))) == 50


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("config.toml", "must end with .star"),
        ("motion/a.star", "motion"),
        ("folder.star", "is a f"),
    ],
)
def test_a_list_never_lies_where_it_would_do_harm(
    project: ProjectPaths, path: str, said: str
) -> None:
    (project.root / "folder.star").mkdir()
    with pytest.raises(ExportError, match=said):
        target_of(ExportRequest(path=path), project)
    assert target_of(REQUEST, project) == project.root / "micrographs.star"
    assert target_of(ExportRequest(path="/d/l.star"), project) == Path("/d/l.star")
    with pytest.raises(ExportError, match="micrographs"):
        kind_of(ExportRequest(kind="movies"))


def test_a_request_survives_the_way_to_the_engine() -> None:
    request = ExportRequest(items="named", names=("a", "b"), switches=("float32",), absolute=True)
    assert codec.decode(ExportRequest, json.loads(json.dumps(codec.encode(request)))) == request
