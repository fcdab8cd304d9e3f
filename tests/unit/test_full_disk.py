"""Disks that are full in the middle of a file: nothing half, nothing left over, and what to do."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.item_stars import stored_item, write_item
from warptui import client
from warptui.engine.api import server
from warptui.engine.config.sections import ExportSettings
from warptui.engine.exporters import base as kinds
from warptui.engine.exporters.merging import write_gathered
from warptui.engine.exporters.row_cache import Spool
from warptui.engine.exporting.jobs import Exports
from warptui.engine.exporting.live import LiveListWriter
from warptui.engine.exporting.records import ExportRecords
from warptui.engine.formats.mrc import StackWriter, write_mrc
from warptui.engine.formats.star.rows import Head, Rows
from warptui.engine.formats.writing import TEMPORARY_SUFFIX, naming, replacing, write_text
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.lock import ProjectLock
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store

HEAD = Head(("rlnImageName", "rlnCoordinateX"), (("rlnVoltage", "300.0"),))
N = 1000  # rows of an item


@contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """No file grows beyond that: the system takes what fits and then refuses, as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def full(*_: object, **__: object) -> None:
    """What the system says: no file is named."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def body() -> bytes:
    return "".join(f"{k:06d}@particles/m.mrcs {k}.000\n" for k in range(N)).encode()


def particles_item(project: Path, number: int) -> StoredItem:
    """An item whose particles were cut out."""
    source = write_item(project, number, N)
    told = {"suffix": "net"}
    return stored_item(
        source.name, number, picking=told, particles={**told, "star_path": source.path}
    )


def ended(exports: Exports) -> Export:
    until(lambda: all(record.state != "running" for record in exports.look()))
    return exports.look()[0]


def export(project: ProjectPaths, target: Path, stored: StoredItem) -> Export:
    """A list of particles as the engine writes it."""
    exports = Exports(project, lambda name: stored)
    asked = ExportRequest(kind="particles")
    optics = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}
    exports.begin(kinds.PARTICLES, asked, target, [stored.name], optics)
    return ended(exports)


@pytest.fixture
def project(tmp_path: Path) -> ProjectPaths:
    (tmp_path / "project").mkdir()
    return ProjectPaths(tmp_path / "project")


def test_a_list_of_which_only_a_part_fits_is_not_put_into_place(tmp_path: Path) -> None:
    spool, target = Spool(tmp_path / "rows"), tmp_path / "list.star"
    spool.put([("m", "", Rows(HEAD, N, body()))])
    target.write_text("before")
    whole = tmp_path / "whole.star"
    write_gathered(whole, spool, ["m"], like=HEAD)
    for room in (whole.stat().st_size - 1, len(body()), 10):
        with room_for(room), pytest.raises(OSError, match=r"large.*'.*/list\.star'$") as told:
            write_gathered(target, spool, ["m"], like=HEAD, durable=False)
        assert told.value.filename == str(target)
        assert target.read_text() == "before"
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "list.star", "rows", "whole.star",
        ]  # fmt: skip
    with room_for(whole.stat().st_size):
        write_gathered(target, spool, ["m"], like=HEAD)
    assert target.read_bytes() == whole.read_bytes()
    spool.close()


def test_a_live_list_of_which_only_a_part_fits_stays_and_follows_when_there_is_room(
    project: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warptui.engine.exporting.live.RETRY_S", 0.1)
    monkeypatch.setattr("warptui.engine.exporting.live.SHARE", 1.0)
    live = LiveListWriter(
        project, "net", ExportSettings(live_seconds=0.2, last_items=1), lambda name: None
    )
    first, second = (write_item(project.root, number, N) for number in (1, 2))
    live.update({first.name: first})
    until(lambda: live.look() and live.look()[0].rows == N)
    path = project.live_list("net")
    before = path.read_bytes()
    with room_for(2 * project.live_rows("net").stat().st_size + 100):  # not for the list
        live.update({second.name: second})
        until(lambda: live.look()[0].state == "failed" or live.look()[0].rows > N)
        assert path.read_bytes() == before and live.look()[0].rows == N
        assert str(path) in live.look()[0].reason
    until(lambda: live.look()[0].state == "live" and live.look()[0].rows == 2 * N)
    assert path.read_bytes().count(b"@particles/") == 2 * N
    monkeypatch.setattr("warptui.engine.exporting.live.write_gathered", full)
    live.update({first.name: None})
    until(lambda: live.look()[0].state == "failed")
    assert "make room: the list is written again every 0.1 s" in live.look()[0].reason
    live.close()


def test_rows_of_which_only_a_part_fits_take_up_no_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "rows")
    spool.put([("m", "", Rows(HEAD, N, body()))])
    size = (tmp_path / "rows").stat().st_size
    with room_for(size + 500), pytest.raises(OSError, match=r"large.*rows'$"):
        spool.put([("n", "", Rows(HEAD, N, body()))])
    assert (tmp_path / "rows").stat().st_size == size and spool.items.keys() == {"m"}
    assert spool.read("m") == body()
    spool.close()


@pytest.mark.parametrize("side", [8, 64], ids=["refused when it is complete", "refused before"])
def test_of_a_stack_that_does_not_fit_nothing_is_left(tmp_path: Path, side: int) -> None:
    images = np.random.default_rng(1).normal(size=(4, side, side)).astype(np.float32)
    with (
        room_for(1500),
        pytest.raises(OSError, match=r"large.*/a\.mrcs'$"),
        StackWriter(tmp_path / "a.mrcs", (side, side), 1.0) as writer,
    ):
        writer.add(images)
        writer.complete()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x"),
        lambda path: write_mrc(path, np.eye(8, dtype=np.float32), 1.0),
    ],
    ids=["text", "image"],
)
def test_what_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "x.mrc"
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*/x\.mrc'$"):
            write(path)
    with pytest.raises(FileNotFoundError) as told, replacing(path):
        pass  # nothing was written that could replace it
    assert told.value.filename == str(path) and told.value.filename2 is None
    assert not list(tmp_path.iterdir())


def test_an_export_says_what_to_do_and_ends_well_when_there_is_room(
    project: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, target = particles_item(project.root, 1), project.root / "x" / "list.star"
    with monkeypatch.context() as broken:
        broken.setattr("warptui.engine.exporters.row_cache._write_all", full)
        record = export(project, target, stored)
    assert (record.state, record.rows) == ("failed", 0)
    assert record.reason == f"{target}: disk full: make room, then export again"
    assert not list(target.parent.iterdir())
    assert export(project, target, stored).state == "done"
    assert [path.name for path in target.parent.iterdir()] == ["list.star"]


def test_when_the_project_has_no_room_lists_are_written_elsewhere(
    project: ProjectPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, target = particles_item(project.root, 1), tmp_path / "elsewhere" / "list.star"
    assert export(project, target, stored).state == "done"
    before = target.read_bytes()
    target.unlink()
    real = write_text

    def write(path: Path, text: str) -> None:
        full() if path.is_relative_to(project.root) else real(path, text)

    monkeypatch.setattr("warptui.engine.exporting.records.write_text", write)
    assert export(project, target, stored).state == "done"
    assert target.read_bytes() == before
    assert not ExportRecords(project).all()  # what was said before is not so any more
    assert not [path for path in project.exports.iterdir() if path.suffix != ".lock"]


def test_a_project_that_cannot_be_held_for_want_of_room_is_left_as_it_was(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(OSError, match=r"large.*engine\.lock'$"):
        ProjectLock(tmp_path / "engine.lock", lambda reason: None)
    assert [path.name for path in tmp_path.iterdir()] == ["engine.gate"]


def test_a_request_that_has_no_room_is_refused_in_plain_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def call(**_: object) -> None:
        with naming(Path("/p/a.xml")):
            full()

    service = SimpleNamespace(choose=call)
    asked = {"id": 7, "call": "choose", "args": {"names": ["a.mrc"], "choice": "exclude"}}
    answer = server.answer(service, asked)
    said = "/p/a.xml: disk full: make room, then try again"
    assert answer == {"id": 7, "error": {"type": "EngineError", "message": said}}
    assert not caplog.records


def test_an_engine_whose_log_has_no_room_for_a_word_is_spoken_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "engine.log"
    log.touch()
    assert client._obituary(log, 0, "ended with 1").endswith(f"of {log}:\nit wrote nothing")
    monkeypatch.setattr(os, "fsync", full)
    said = client._obituary(log, 0, "ended with 1")
    assert said.endswith(f":\n{log}: disk full: make room, then start it again")
    assert [path.name for path in tmp_path.iterdir()] == ["engine.log"]


def test_a_copy_of_metadata_that_does_not_fit_leaves_nothing(
    project: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(project)
    store.save(StoredItem("a.mrc", 1, raw_path="/x/a.mrc"))

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    def half(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        full()

    before = project.metadata("a").read_bytes()
    monkeypatch.setattr(Path, "hardlink_to", no_links)
    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(OSError, match="No space"):
        store.save(StoredItem("a.mrc", 1, raw_path="/y/a.mrc"))
    assert project.metadata("a").read_bytes() == before
    assert not list(project.root.rglob(f"*{TEMPORARY_SUFFIX}"))
    store.close()
