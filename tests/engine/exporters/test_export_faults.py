"""Faults while particles are cut out for an export: nothing half, nothing lost, plain words."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from tests.item_stars import stored_item, write_item
from tests.processing import write_stack
from warptui.engine.errors import ExportError
from warptui.engine.exporters import base as kinds
from warptui.engine.exporting.jobs import Exports
from warptui.engine.exporting.records import ExportRecords
from warptui.engine.formats.writing import TEMPORARY_SUFFIX
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.worker import extraction

OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}
NAMES = ["a.mrc", "bb.mrc", "ccc.mrc"]
N, BOX, SIZE = 20, 96, 200
STOPS = "particles.opened:stop"  # see `fault_injection`
BYTES = 1024 + 4 * N * BOX**2  # of a stack
Found = TypeVar("Found")
SCRIPT = """
import pickle, sys
from warptui.engine.execution.extraction import ExtractionProcess
from warptui.engine.exporters import base as kinds
kinds.PARTICLES.write(*pickle.load(sys.stdin.buffer), lambda done: None, ExtractionProcess)
"""


def item(project: ProjectPaths, name: str) -> StoredItem:
    """An item with a movie of noise, as if it had been processed."""
    path = project.root / name
    if not path.exists():
        frames = np.random.default_rng(len(name)).normal(10, 1, (3, SIZE, SIZE))
        write_stack(path, frames.astype(np.float32), 3.0, "float32")
    average = {
        "pixel_size": 3.0, "shape_yx": (SIZE, SIZE), "average_path": f"average/{name}",
        "n_frames": 3,
    }  # fmt: skip
    found = stored_item(name, 1, average=average, picking={"suffix": "net"})
    picking = replace(found.records["picking"], settings={"diameter_angstrom": 45.0})
    records = {**found.records, "picking": picking}
    return replace(found, raw_path=str(path), records=records)


def request(project: ProjectPaths, path: str = "out/parts.star") -> ExportRequest:
    """Particles of a list of another program, cut out."""
    places = project.root / "c.star"
    rows = [f"{name} {60 + 3 * k}.0 {70 + 2 * k}.5" for name in NAMES for k in range(N)]
    head = "data_\n\nloop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n"
    if not places.exists():
        places.write_text(head + "\n".join(rows) + "\n\n")
    given = {"coordinates": "c.star", "coordinates_pixel_size": "3.0", "box_size_px": str(BOX)}
    return ExportRequest(kind="particles", path=path, given=given)


def begin(exports: Exports, project: ProjectPaths, names: list[str], path: str = "out/parts.star"):
    """Export them, as the engine does."""
    asked = request(project, path)
    target = kinds.target_of(asked, project)
    return exports.begin(kinds.PARTICLES, asked, target, names, OPTICS)


def until(found: Callable[[], Found], seconds: float = 90.0) -> Found:
    """What ``found`` returns once it is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return value


def half(folder: Path) -> list[Path]:
    """What is being written."""
    return sorted(folder.glob(f".*{TEMPORARY_SUFFIX}"))


def hold(folder: Path, name: str) -> int:
    """The number of the process that cuts, once it has stopped at the start of this item's stack.

    It stops by itself, see `STOPS`: however busy the machine is, nothing of the stack is cut yet.
    """
    while True:
        (part,) = until(lambda: [path for path in half(folder) if state(cutter(path)) == "T"])
        pid = cutter(part)
        if part.name.startswith(f".{name}"):
            return pid
        os.kill(pid, signal.SIGCONT)


def cutter(part: Path) -> int:
    """The process that writes this file."""
    return int(part.name.split(".")[-2])


def state(pid: int) -> str:
    """One letter, as the system has it: T = stopped; Z if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def gone(pid: int) -> bool:
    """Whether the process has ended."""
    return state(pid) == "Z"


def whole(project: ProjectPaths, name: str) -> bytes:
    """The stack of an item as it is when nothing disturbs: cut in this process."""
    folder = project.root / "undisturbed"
    stored = item(project, name)
    config = {"picking": {"diameter_angstrom": 45.0}, "particles": {"box_size_px": BOX}}
    asked = request(project)
    places = kinds.particles._wanted(stored, project, kinds.particles.places_of(asked, project))
    task = {
        "project": str(project.root), "raw_path": stored.raw_path, "folder": str(folder),
        "places": places, "config": {**config, "optics": OPTICS},
        "results": {stage: record.result for stage, record in stored.records.items()},
    }  # fmt: skip
    extraction.cut_item(json.loads(json.dumps(task)), lambda done: None)
    return (folder / name).with_suffix(".mrcs").read_bytes()


@pytest.fixture
def project(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


@pytest.mark.slow
def test_exports_that_were_disturbed_go_on_where_they_stood(
    project: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPTUI_CRASH_AT", STOPS)
    folder, target = project.root / "out/parts", project.root / "out/parts.star"
    target.parent.mkdir()
    target.write_text("before")
    stored = {name: item(project, name) for name in NAMES}
    exports = Exports(project, stored.get)

    # a movie goes while it is cut, then there is no room
    begin(exports, project, ["gone.mrc", *NAMES])
    pid = hold(folder, "a.mrcs")
    (project.root / "a.mrc").rename(project.root / "away")
    os.kill(pid, signal.SIGCONT)
    assert hold(folder, "bb.mrcs") == pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (BYTES // 2, BYTES // 2))
    os.kill(pid, signal.SIGCONT)
    until(lambda: exports.look()[0].state == "failed")
    said = exports.look()[0].reason
    assert said == (
        f"{folder}: larger than the file size limit; extracted particles stay: "
        "export again to continue"
    )
    assert not list(folder.iterdir()) and target.read_text() == "before"

    # it is cancelled while the process that cuts hangs
    number = begin(exports, project, ["gone.mrc", *NAMES])
    pid = hold(folder, "ccc.mrcs")
    with pytest.raises(ExportError, match="is being written by the engine since"):
        begin(exports, project, NAMES)
    exports.cancel(number)
    until(lambda: exports.look()[0].state == "cancelled")
    assert gone(pid) and target.read_text() == "before"
    assert sorted(path.name for path in folder.iterdir()) == ["bb.mrcs", "bb.star"]
    assert not list(project.exports.glob("*rows*"))
    (project.root / "away").rename(project.root / "a.mrc")
    before = (folder / "bb.mrcs").stat().st_mtime_ns

    # the program is killed
    asked = request(project)
    killed = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE)
    assert killed.stdin is not None
    pickle.dump((list(stored.values()), project, target, OPTICS, asked), killed.stdin)
    killed.stdin.close()
    pid = hold(folder, "ccc.mrcs")
    killed.kill()
    killed.wait()
    until(lambda: gone(pid), 5.0)  # it does not outlive who began it
    assert half(folder) and not (folder / "ccc.mrcs").exists()
    assert target.read_text() == "before"

    monkeypatch.delenv("WARPTUI_CRASH_AT")
    begin(exports, project, ["gone.mrc", *NAMES])
    until(lambda: exports.look()[0].state == "done")
    record = exports.look()[0]
    assert (record.rows, record.reason) == (3 * N, "gone.mrc left out: it has no average")
    assert (folder / "bb.mrcs").stat().st_mtime_ns == before and not half(folder)
    for name in NAMES:
        assert (folder / name).with_suffix(".mrcs").read_bytes() == whole(project, name)


def test_what_a_killed_program_left_half_is_removed_when_it_is_told_of(
    project: ProjectPaths,
) -> None:
    target = project.root / "out/parts.star"
    part = target.with_suffix("") / f".a.mrcs.1{TEMPORARY_SUFFIX}"
    part.parent.mkdir(parents=True)
    for kind, stays in (("micrographs", True), ("particles", False)):
        part.touch()
        record = Export("1", kind, str(target), "running", 5.0)
        project.exports.mkdir(parents=True, exist_ok=True)
        (project.exports / "1.json").write_text(json.dumps(asdict(record)))
        (found,) = ExportRecords(project).all()
        assert found.state == "failed" and part.exists() == stays


def test_exports_at_once_do_not_touch_each_other(project: ProjectPaths) -> None:
    source = write_item(project.root, 1, 3)
    suffix = {"suffix": "net"}
    stored = stored_item(
        source.name, 1, picking=suffix, particles={**suffix, "star_path": source.path}
    )
    both = threading.Barrier(2)

    def load(name: str) -> StoredItem:
        both.wait(180)
        return stored

    exports, asked = Exports(project, load), ExportRequest(kind="particles")
    targets = [project.root / folder / "list.star" for folder in ("one", "two")]
    for target in targets:
        exports.begin(kinds.PARTICLES, asked, target, ["a", "b", "c"], OPTICS)
    until(lambda: all(record.state != "running" for record in exports.look()))
    assert [record.state for record in exports.look()] == ["done", "done"]
    assert targets[0].read_bytes() == targets[1].read_bytes()
    assert not list(project.exports.glob("*rows*"))


def test_a_folder_that_cannot_be_written_to_is_told_of(project: ProjectPaths) -> None:
    exports = Exports(project, lambda name: item(project, name))
    (project.root / "file").touch()
    for path, said in (("file/parts.star", "Not a directory"), ("/proc/x/parts.star", "No such")):
        begin(exports, project, ["a.mrc"], path)
        until(lambda: exports.look()[0].state == "failed")
        reason = exports.look()[0].reason
        assert said in reason and "Errno" not in reason and str(Path(path).parent) in reason
