"""The engines of which the contract is checked, and the types of what they answer."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pretend_project import Engine, until
from pydantic import TypeAdapter

from tests.screens.fake_engine import FakeEngine, synthetic_notices
from tests.screens.served_engine import ServedEngine
from warptui.client import Client
from warptui.engine.api.server import Server
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow

KINDS = ("fake", "served fake", "real")
UNKNOWN_NAME = "unknown.mrc"  # no item is called so
CHECKED: set[str] = set()


def verb(*names: str) -> Callable[[Any], Any]:
    """Marks a test as that of these calls of `engine.api.verbs`."""
    CHECKED.update(names)
    return lambda test: test


@dataclass(frozen=True)
class Device:
    """A slot as `EngineStatus.devices` has it."""

    slot: str
    device: str
    item: str
    stage: str
    trial: bool
    fraction: float
    seconds: int
    pid: int
    problem: str


@dataclass(frozen=True)
class Run:
    """A run of a stage as `ItemDetail.history` has it."""

    stage: str
    version: int
    finished_at: float
    device: str
    seconds: float
    program_version: str


@dataclass(frozen=True)
class Preview:
    """What `preview` answers."""

    problems: dict[str, str]
    outdated: dict[str, int]
    n_items: int
    n_restored: int
    seconds: float | None


@dataclass(frozen=True)
class ExportPreview:
    """What `preview_export` answers."""

    kinds: list[dict[str, Any]]
    n: int
    rows: list[list[str]]
    path: str
    exists: bool
    problem: str
    groups: dict[str, Any]


@dataclass(frozen=True)
class TrainingPreview:
    """What `preview_training` answers."""

    problem: str
    notes: list[str]
    model: str
    start_from: str
    n_examples: int
    n_particles: int
    n_held_out: int
    n_steps: int
    seconds: float | None
    device: str


@dataclass
class Subject:
    """An engine with at least three items that are done, and one that failed."""

    kind: str
    engine: Any  # with the methods of `warptui.client.Client`
    done: list[str] = field(default_factory=list)
    failed: str = ""
    viewer: Callable[[], Any] = lambda: None  # another connection

    def row(self, name: str) -> ItemRow:
        """One row, in the list of all."""
        return next(row for row in self.engine.items() if row.name == name)

    def until_row(self, name: str, holds: Callable[[ItemRow], bool]) -> ItemRow:
        """Wait for a row of which something holds."""
        until(lambda: holds(self.row(name)))
        return self.row(name)


@pytest.fixture(scope="module", params=KINDS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """One engine of each kind for all tests, which leave it as they found it."""
    yield from made(request.param)


def made(kind: str) -> Iterator[Subject]:
    folder = Path(tempfile.mkdtemp(prefix="wc", dir="/tmp"))  # sockets have short paths
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(name, str(folder / name))
        yield from _MAKERS[kind](folder)
    shutil.rmtree(folder)


def _fake(folder: Path) -> Iterator[Subject]:
    engine = FakeEngine(300, state="paused", notices=synthetic_notices())
    engine.examples = []
    yield _described(Subject("fake", engine, viewer=lambda: engine))
    engine.close()


def _served_fake(folder: Path) -> Iterator[Subject]:
    project = folder / "project"
    project.mkdir()
    (project / "config.toml").write_text("[input]\npixel_size = 1.0\n")
    engine = ServedEngine(project, 300, state="paused", notices=synthetic_notices())
    engine.examples = []
    server = Server(engine)
    with Client.connect(project) as client:
        yield _described(Subject("served fake", client, viewer=lambda: Client.connect(project)))
    engine.stop()
    server.close()


def _real(folder: Path) -> Iterator[Subject]:
    engine = Engine(folder, folder / "XDG_RUNTIME_DIR")
    for name in ("a.mrc", "b.mrc", "c.mrc", "corrupt.mrc"):
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, 3)
    engine.wait_for("corrupt.mrc", State.FAILED)
    engine.client.pause()
    yield _described(Subject("real", engine.client, viewer=lambda: Client.connect(engine.project)))
    engine.end()


_MAKERS = {"fake": _fake, "served fake": _served_fake, "real": _real}


def _described(subject: Subject) -> Subject:
    rows = subject.engine.items()
    subject.done = [row.name for row in rows if row.state is State.DONE and row.selected]
    subject.failed = next(row.name for row in rows if row.state is State.FAILED)
    return subject


def conforms(kind: Any, record: Any) -> Any:
    """The record, if its JSON is strictly of this type and has every key of it."""
    adapter = TypeAdapter(kind)
    given = adapter.validate_json(json.dumps(record), strict=True)
    again = json.loads(adapter.dump_json(given))
    assert again == json.loads(json.dumps(record))
    return given
