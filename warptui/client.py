"""A client of the engine in another process: sends `engine.api.verbs` over its socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import warptui
from warptui.engine.api import events, protocol
from warptui.engine.api.events import Event
from warptui.engine.api.verbs import EngineVerbs, Verb, sends
from warptui.engine.errors import EngineError, OtherVersionError
from warptui.engine.formats.writing import temporary
from warptui.engine.project import filesystem
from warptui.engine.project.paths import ProjectPaths, socket_path
from warptui.engine.training.folder import read_metrics, read_report

if TYPE_CHECKING:  # NumPy, which the command line can do without
    from warptui.engine.model.item_columns import Columns

CALL_TIMEOUT_S = 60.0
BUFFER = 1 << 20  # each read waits for the interpreter lock while the app is busy in another thread
LAUNCH_TIMEOUT_S = 30.0
CATCHING_UP_S = 0.5  # seconds between events that report the progress of a slow snapshot
LOG_TAIL_LINES = 15


@sends(EngineVerbs)
class Client(EngineVerbs):
    """A connection to the engine that runs on a project. Threads may share it.

    Its verbs (`status`, `choose`, `train` ...) are the methods of `EngineVerbs`, each of which is
    sent to the engine and returns its answer.
    """

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
            When the engine that answers speaks another protocol.
        EngineError
            When no engine answers.
        """
        return cls(project)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and end the iterators of `events`; the engine keeps running."""
        self._calls.close()
        for connection in list(self._subscriptions):
            connection.close()

    def send(self, verb: Verb, arguments: dict[str, Any]) -> Any:
        """Send a verb to the engine, and return its answer as JSON values.

        Raises
        ------
        EngineError
            When the engine is gone or does not answer in time. Other errors are the engine's.
        """
        if verb.unlimited:
            return self._send_alone(verb, arguments)
        with self._turn:
            self._ids += 1
            self._calls.send({"id": self._ids, "call": verb.name, "args": arguments})
            answer = self._calls.receive()
            while answer is not None and answer.get("id") != self._ids:
                answer = self._calls.receive()
        return self._answered(verb, answer)

    def _send_alone(self, verb: Verb, arguments: dict[str, Any]) -> Any:
        """Send a verb over a connection of its own, without a time limit; other calls go on."""
        connection = _Connection(self.project)
        connection.wait_for_ever()
        self._subscriptions.add(connection)
        try:
            connection.send({"id": 0, "call": verb.name, "args": arguments})
            answer = connection.receive()
        finally:
            self._subscriptions.discard(connection)
            connection.close()
        return self._answered(verb, answer)

    def _answered(self, verb: Verb, answer: dict[str, Any] | None) -> Any:
        if answer is None:
            raise EngineError(f"the engine of {self.project} went away during '{verb.name}'")
        if "error" in answer:
            protocol.raise_error(answer["error"])
        return answer["ok"]

    def training_metrics(self, name: str) -> list[dict[str, Any]]:
        """The measurements of a training so far, read from disk; empty without a file.

        Each has ``step``, ``epoch``, ``loss``, ``time`` and, as ``precision``, ``recall``, ``f1``
        and ``accuracy`` or None: ``old_on_old``, ``new_on_old``, ``old_on_new``, ``new_on_new``,
        ``held_out`` and ``held_out_old`` (the network from which it started).
        """
        return read_metrics(ProjectPaths(self.project).training_metrics(name))

    def training_report(self, name: str) -> dict[str, Any]:
        """The result of a training; empty until it is known.

        ``item`` is the held-out micrograph of ``before`` and ``after``, paths of (n, 3) arrays of
        y and x in Å and score; ``truth`` one of (n, 2), where people marked them.
        """
        return read_report(ProjectPaths(self.project).training_report(name))

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield numbered events later than ``after`` as they happen; a `Snapshot` first for 0.

        Ends when the engine stops on request or this client is closed. While a snapshot
        arrives slowly, `CatchingUp` events come, which have no number of their own.

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
            shown_at = 0.0
            while (message := connection.receive()) is not None:
                if "bye" in message:
                    return
                if "part" in message:
                    shown_at = shown_at if parts else time.monotonic()
                    parts.append(protocol.decode_part(message["part"]))
                    if time.monotonic() > shown_at + CATCHING_UP_S:
                        shown_at = time.monotonic()
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
        """Have the engine prepare its snapshot now, for the next call of `events`."""
        self._ahead = self._subscribe(0)

    def _subscribe(self, after: int) -> _Connection:
        connection = _Connection(self.project)
        self._subscriptions.add(connection)
        connection.send({"id": 0, "call": protocol.SUBSCRIBE, "args": {"after": after}})
        return connection


class _Connection:
    """One socket to the engine, after both sides have sent their hello."""

    def __init__(self, project: Path) -> None:
        self.closed = False
        self._project = project
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CALL_TIMEOUT_S)
        try:
            self._socket.connect(str(find_socket(project)))
        except OSError as problem:
            self._socket.close()
            reason = problem.strerror or problem
            raise EngineError(f"no engine runs on {project} ({reason})") from problem
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
        """The next message; None when the connection has ended."""
        try:
            line = self._reader.readline()
        except TimeoutError as problem:
            raise EngineError(f"the engine of {self._project} does not answer") from problem
        except (OSError, ValueError):  # another thread closed the socket
            return None
        return protocol.message(line) if line.endswith(b"\n") else None

    def wait_for_ever(self) -> None:
        """Remove the time limit: a subscription may stay quiet for hours."""
        self._socket.settimeout(None)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        except OSError:
            self.closed = True  # the other side closed first
        self._reader.close()
        self._socket.close()


def find_socket(project: Path) -> Path:
    """The socket on which the engine of ``project`` listens.

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
    """Connect and have the engine prepare its snapshot now; None when no engine runs."""
    try:
        client = Client.connect(project)
        client.subscribe_ahead()
    except EngineError:
        return None
    return client


def running(project: Path) -> Client | None:
    """A client of the engine of ``project``; None when no engine answers.

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
    """Connect to the engine of ``project``; start a detached one when none runs."""
    client = running(project)
    if client is None:
        launch_engine(project)
        client = Client.connect(project)
    return client


def end_engine(project: Path) -> None:
    """End the engine of ``project``, whatever its protocol, and wait until it is gone.

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
    # collects the child's exit status, so that no zombie stays in a long-lived app
    threading.Thread(target=process.wait, daemon=True).start()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            Client.connect(project).close()
            return
        except OtherVersionError:
            process.terminate()  # it may take the project only after that other engine has ended
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
    last_lines = "\n".join(lines) or _why_silent(log)
    return f"the engine {what}; the end of {log}:\n{last_lines}"


def _why_silent(log: Path) -> str:
    """Why the log is empty: the disk may be too full for it."""
    problem = filesystem.try_writing(temporary(log))
    if problem is None:
        return "it wrote nothing"
    problem.filename = str(log)
    return filesystem.problem_and_advice(problem, "start it again")
