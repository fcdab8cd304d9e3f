"""The engine seen from another process: the methods of `engine.session.Session` over its socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import warptui
from warptui.engine.api import events, protocol
from warptui.engine.api.events import Event
from warptui.engine.errors import EngineError, OtherVersionError
from warptui.engine.formats.writing import temporary
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest
from warptui.engine.project import filesystem
from warptui.engine.project.paths import ProjectPaths, socket_path
from warptui.engine.training.folder import read_metrics, read_report

if TYPE_CHECKING:  # pydantic takes 0.2 s to import, which a start of the app can do without
    from warptui.engine.config.settings import Changes
    from warptui.engine.model.item_columns import Columns

CALL_TIMEOUT_S = 60.0
BUFFER = 1 << 20  # each read costs a turn with the interpreter, while the app is busy elsewhere
LAUNCH_TIMEOUT_S = 30.0
CATCHING_UP_S = 0.5  # a snapshot that takes longer is told of, this often
LOG_TAIL_LINES = 15


class Client:
    """A connection to the engine that runs on a project. Safe to use from several threads."""

    def __init__(self, project: Path) -> None:
        self.project = project.resolve()
        self._ids = 0
        self._turn = threading.Lock()
        self._subscriptions: set[_Connection] = set()
        self._ahead: _Connection | None = None
        self._calls = _Connection(self.project)
        self.hello: dict[str, Any] = self._calls.hello  # protocol, version, pid, host, project

    @classmethod
    def connect(cls, project: Path) -> Client:
        """Connect to the running engine.

        Raises
        ------
        OtherVersionError
            When one answers that speaks another protocol.
        EngineError
            When none answers.
        """
        return cls(project)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the engine goes on. Ends the iterators of `events`."""
        self._calls.close()
        for connection in list(self._subscriptions):
            connection.close()

    def status(self) -> EngineStatus:
        """The engine in one record."""
        return EngineStatus.from_json(self._call("status"))

    def items(self) -> list[ItemRow]:
        """All items in order of arrival."""
        return list(protocol.decode_rows(self._call("items")))

    def item(self, name: str) -> ItemDetail:
        """Everything about one item. Raises KeyError when the engine does not know it."""
        return ItemDetail.from_json(self._call("item", name=name))

    def start(self) -> None:
        """Process what is queued, now and later."""
        self._call("start")

    def pause(self) -> None:
        """Start no further item; those that run are finished."""
        self._call("pause")

    def stop(self) -> None:
        """End the engine: renames in flight are finished and metadata is flushed."""
        self._call("stop")

    def override(self, names: Sequence[str], choice: Choice) -> None:
        """Set the user's choice for items."""
        self._call("override", names=list(names), choice=str(choice))

    def retry(self, names: Sequence[str]) -> None:
        """Forget the failures of items and queue them again."""
        self._call("retry", names=list(names))

    def reprocess(self, names: Sequence[str]) -> None:
        """Run all stages of items again, also where nothing changed."""
        self._call("reprocess", names=list(names))

    def cancel(self, names: Sequence[str]) -> None:
        """Stop what runs or waits of items; they count as failed until they are retried."""
        self._call("cancel", names=list(names))

    def edit(self, name: str, edits: dict[str, Any]) -> None:
        """Store all edits of an item's picks (see `engine.edits.Edits`); its picks follow.

        Raises ItemError when they make no sense or cannot be stored.
        """
        self._call("edit", name=name, edits=edits)

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Somebody saw these notices: no viewer shows them any more."""
        self._call("acknowledge", ids=list(ids))

    def queue(self, limit: int = 1000) -> list[tuple[str, str]]:
        """Names of the items that are next, in the order in which they will run, and why."""
        return [(name, why) for name, why in self._call("queue", limit=limit)]

    def reload(self) -> None:
        """Read config.toml again. Raises SettingsError, keeping the old settings, when wrong."""
        self._call("reload")

    def change(self, changes: Changes) -> None:
        """Change settings, in config.toml and at once; None takes a key out of the file.

        Raises SettingsError, changing nothing, when a value or the file is wrong.
        """
        self._call("change", changes=changes)

    def preview(self, changes: Changes) -> dict[str, Any]:
        """What `change` would do: problems by key, items outdated per stage, n_items, seconds."""
        return self._call("preview", changes=changes)

    def preview_export(self, request: ExportRequest) -> dict[str, Any]:
        """What `export` would do: n items, the first rows, path, exists, problem; all kinds."""
        return self._call("preview_export", request=request.to_json())

    def export(self, request: ExportRequest) -> str:
        """Write a list for another program; its id at once, and the status tells the rest.

        Raises ExportError when it cannot be written as asked, KeyError for unknown names.
        """
        return self._call("export", request=request.to_json())

    def cancel_export(self, number: str) -> None:
        """Stop writing a list. Raises KeyError when none of this id runs."""
        self._call("cancel_export", id=number)

    def optics_groups(self) -> dict[str, Any]:
        """The optics groups of the live list by beam shift; {} where they are not made so."""
        return self._call("optics_groups")

    def try_settings(self, name: str, changes: Changes) -> Trial:
        """What one stage makes of one item with changed settings; nothing of it is stored.

        It takes as long as the stage, and until a worker is free. Other calls go on meanwhile.
        """
        connection = _Connection(self.project)
        connection.wait_for_ever()
        self._subscriptions.add(connection)
        try:
            args = {"name": name, "changes": changes}
            connection.send({"id": 0, "call": "try_settings", "args": args})
            answer = connection.receive()
        finally:
            self._subscriptions.discard(connection)
            connection.close()
        if answer is None:
            raise EngineError(f"the engine of {self.project} went away; start it again")
        if "error" in answer:
            protocol.raise_error(answer["error"])
        return Trial.from_json(answer["ok"])

    def drop_trial(self, name: str) -> None:
        """Stop the trials of an item."""
        self._call("drop_trial", name=name)

    def training_examples(self) -> list[TrainingExample]:
        """The micrographs that are marked for training, or for measuring a training."""
        return [TrainingExample.from_json(entry) for entry in self._call("training_examples")]

    def preview_training(self, request: TrainingRequest) -> dict[str, Any]:
        """What `train` would do: see `Session.preview_training`."""
        return self._call("preview_training", request=request.to_json())

    def train(self, request: TrainingRequest) -> str:
        """Train BoxNet from the marked micrographs; the new model's name at once.

        The status tells the rest. Raises TrainingError, in plain words, when it cannot be.
        """
        return self._call("train", request=request.to_json())

    def cancel_training(self, *, keep_best: bool = False) -> None:
        """End the training that runs; with ``keep_best`` what is best so far becomes the model."""
        self._call("cancel_training", keep_best=keep_best)

    def models(self) -> list[ModelInfo]:
        """The models that can be picked with, and trainings that did not end; bundled ones last."""
        return [ModelInfo.from_json(entry) for entry in self._call("models")]

    def use_model(self, name: str) -> None:
        """Pick with this model from now on; what was picked with another becomes outdated."""
        self._call("use_model", name=name)

    def discard_model(self, name: str) -> None:
        """Remove a model that was trained here, and all that is known of its training."""
        self._call("discard_model", name=name)

    def training_metrics(self, name: str) -> list[dict[str, Any]]:
        """The measurements of a training so far, read from disk; none where there are none.

        Each has ``step``, ``epoch``, ``loss``, ``time`` and, as ``precision``, ``recall``, ``f1``
        and ``accuracy`` or None: ``old_on_old``, ``new_on_old``, ``old_on_new``, ``new_on_new``,
        ``held_out`` and ``held_out_old`` (the network from which it started).
        """
        return read_metrics(ProjectPaths(self.project).training_metrics(name))

    def training_report(self, name: str) -> dict[str, Any]:
        """What came of a training; empty while it is not known.

        ``item`` is the held-out micrograph of ``before`` and ``after``, paths of (n, 3) arrays of
        y and x in Å and score; ``truth`` one of (n, 2), where people marked them.
        """
        return read_report(ProjectPaths(self.project).training_report(name))

    def config(self) -> dict[str, Any]:
        """The engine's current settings as JSON values."""
        return self._call("config")

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Numbered events later than ``after``, as they happen; a `Snapshot` first for 0.

        Ends when the engine stops on request or this client is closed. A snapshot that takes long
        is told of by `CatchingUp`, with no number of its own.

        Raises
        ------
        EngineError
            When the engine went away without saying good-bye.
        """
        if after == 0 and self._ahead is not None:
            connection, self._ahead = self._ahead, None
        else:
            connection = self._subscribe(after)
        try:
            connection.wait_for_ever()
            parts: list[Columns] = []
            told = 0.0
            while (message := connection.receive()) is not None:
                if "bye" in message:
                    return
                if "part" in message:
                    told = told if parts else time.monotonic()
                    parts.append(protocol.decode_rows(message["part"]))
                    if time.monotonic() > told + CATCHING_UP_S:
                        told = time.monotonic()
                        yield after, events.CatchingUp(sum(map(len, parts)))
                if "snapshot" in message:
                    yield protocol.decode_snapshot(parts, message["snapshot"])
                    parts = []
                for sequence, record in message.get("events", ()):
                    yield sequence, events.decode(record)
            if not connection.closed:
                raise EngineError(f"the engine of {self.project} went away; start it again")
        finally:
            self._subscriptions.discard(connection)
            connection.close()

    def subscribe_ahead(self) -> None:
        """Let the engine prepare its snapshot now; `events` will take it up."""
        self._ahead = self._subscribe(0)

    def _subscribe(self, after: int) -> _Connection:
        connection = _Connection(self.project)
        self._subscriptions.add(connection)
        connection.send({"id": 0, "call": "subscribe", "args": {"after": after}})
        return connection

    def _call(self, call: str, /, **args: Any) -> Any:
        with self._turn:
            self._ids += 1
            self._calls.send({"id": self._ids, "call": call, "args": args})
            answer = self._calls.receive()
            while answer is not None and answer.get("id") != self._ids:
                answer = self._calls.receive()
        if answer is None:
            raise EngineError(f"the engine of {self.project} went away during '{call}'")
        if "error" in answer:
            protocol.raise_error(answer["error"])
        return answer["ok"]


class _Connection:
    """One socket to the engine, after its hello."""

    def __init__(self, project: Path) -> None:
        self.closed = False
        self._project = project
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CALL_TIMEOUT_S)
        try:
            self._socket.connect(str(find_socket(project)))
        except OSError as problem:
            self._socket.close()
            said = problem.strerror or problem
            raise EngineError(f"no engine runs on {project} ({said})") from problem
        self._reader = self._socket.makefile("rb", BUFFER)
        greeting = self.receive() or {}
        self.hello: dict[str, Any] = greeting.get("hello", {})
        if self.hello.get("protocol") != protocol.PROTOCOL:
            self.close()
            if not self.hello:
                raise EngineError(
                    f"the engine of {project} is just ending, or has too many viewers"
                )
            raise OtherVersionError(project, self.hello, warptui.__version__, protocol.PROTOCOL)

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(protocol.line(message))
        except OSError as problem:
            raise EngineError(f"the engine of {self._project} went away ({problem})") from problem

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        try:
            line = self._reader.readline()
        except TimeoutError as problem:
            raise EngineError(f"the engine of {self._project} does not answer") from problem
        except (OSError, ValueError):  # closed under our feet
            return None
        return protocol.message(line) if line.endswith(b"\n") else None

    def wait_for_ever(self) -> None:
        """A quiet engine is no fault of a subscription."""
        self._socket.settimeout(None)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a reader in another thread
        except OSError:
            self.closed = True  # the other side was faster
        self._reader.close()
        self._socket.close()


def find_socket(project: Path) -> Path:
    """Where the engine of ``project`` listens.

    It may have been started in a session with another XDG_RUNTIME_DIR (a cluster job, cron): the
    usual places are tried too, where they belong to this user.
    """
    expected = socket_path(project)
    user = os.getuid()
    for folder in (f"/run/user/{user}/warptui", f"/tmp/warptui-{user}"):
        other = Path(folder) / expected.name
        if not expected.exists() and other.exists() and other.parent.stat().st_uid == user:
            return other
    return expected


def hasten(project: Path) -> Client | None:
    """A client of the engine that runs, which prepares its snapshot from now on; None without."""
    try:
        client = Client.connect(project)
        client.subscribe_ahead()
    except EngineError:
        return None
    return client


def running(project: Path) -> Client | None:
    """A client of the engine of ``project``; None when none answers.

    Raises
    ------
    OtherVersionError
        When one answers that speaks another protocol: nothing may be done in its stead.
    """
    try:
        return Client.connect(project)
    except OtherVersionError:
        raise
    except EngineError:
        return None


def attach(project: Path) -> Client:
    """Connect to the engine of ``project``, starting a detached one when none runs."""
    client = running(project)
    if client is None:
        launch_engine(project)
        client = Client.connect(project)
    return client


def end_engine(project: Path) -> None:
    """End the engine of ``project`` whatever language it speaks, and wait until it is gone.

    Raises
    ------
    EngineError
        When it runs on another host, or cannot be ended; the message says which and why.
    """
    from warptui.engine.project import lock

    lock.end_holder(ProjectPaths(project.resolve()).lock)


def launch_engine(project: Path, timeout_s: float = LAUNCH_TIMEOUT_S) -> None:
    """Start a detached engine on ``project`` and wait until it answers.

    It survives this process and its terminal. Connect with `Client.connect` afterwards.

    Raises
    ------
    EngineError
        With the end of its log, when it dies or does not answer in time.
    OtherVersionError
        When one answers that speaks another protocol; none is started beside it.
    """
    project = project.resolve()
    found = running(project)
    if found is not None:
        found.close()
        return
    log = ProjectPaths(project).log
    log.parent.mkdir(parents=True, exist_ok=True)
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "warptui", "engine", str(project)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    # reaps the child whenever it ends, so that it never stays as a zombie of a long-lived app
    threading.Thread(target=process.wait, daemon=True).start()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            Client.connect(project).close()
            return
        except OtherVersionError:
            process.terminate()  # it may not take the project once that other engine has ended
            raise
        except EngineError:
            code = process.returncode
            if code is not None:
                raise EngineError(_obituary(log, before, f"ended with {code}")) from None
            time.sleep(0.05)
    raise EngineError(_obituary(log, before, f"did not answer within {timeout_s:.0f} s"))


def _obituary(log: Path, start: int, what: str) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    said = "\n".join(lines) or _why_silent(log)
    return f"the engine {what}; the end of {log}:\n{said}"


def _why_silent(log: Path) -> str:
    """A log without a word: the disk may be too full for it."""
    problem = filesystem.try_writing(temporary(log))
    if problem is None:
        return "it wrote nothing"
    problem.filename = str(log)
    return filesystem.advised(problem, "start it again")
