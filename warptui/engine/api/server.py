"""The engine behind a Unix socket, and the engine's main function.

One thread per viewer: there are few, and each may block on its own. What a viewer has not taken
yet is not queued for it (see `warptui.engine.api.event_hub`), so a slow one costs nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import warptui
from warptui.engine.api import events, protocol
from warptui.engine.api.events import Event, Snapshot
from warptui.engine.api.verbs import VERBS, EngineVerbs, Verb
from warptui.engine.config.settings import ReadConfig, WriteConfig
from warptui.engine.errors import EngineError, WarptuiError
from warptui.engine.project import filesystem
from warptui.engine.project.paths import ProjectPaths, socket_path
from warptui.engine.service import Session

log = logging.getLogger(__name__)

SENT_AT_ONCE = 200  # events of a message, so that the first ones do not wait for all others
SEND_TIMEOUT_S = 30.0  # a viewer that takes nothing for so long is dropped
MAX_VIEWERS = 64
GOODBYE_S = 0.8
MAX_LINE = 32 << 20  # of a request: names of 100,000 items
HARD_LIMIT_S = 4.5  # after a signal; then the process ends, whatever hangs


class ServedEngine(EngineVerbs, Protocol):
    """An engine that can be served: `Session`, or that of tests."""

    project: Path
    ended: threading.Event

    def batches(self, after: int = 0) -> Iterator[list[tuple[int, Event]]]:
        """Numbered events later than ``after``, in batches."""
        ...


class Server:
    """Answers viewers until it is closed."""

    def __init__(self, service: ServedEngine, table: Mapping[str, Verb] = VERBS) -> None:
        self._service, self._table = service, table
        self._path = socket_path(service.project)
        self._connections: set[socket.socket] = set()
        self._followers: set[threading.Thread] = set()
        self._socket = _listen(self._path)
        self._inode = self._path.stat().st_ino
        self._thread = threading.Thread(target=self._accept, name="server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more viewers, and let those that follow have their good-bye."""
        with suppress(OSError):  # not that of an engine which took over from us
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        deadline = time.monotonic() + GOODBYE_S
        for follower in list(self._followers):
            follower.join(max(0.0, deadline - time.monotonic()))
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._socket.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError as problem:
                if self._socket.fileno() < 0 or self._service.ended.is_set():
                    return
                log.warning("a viewer could not be accepted: %s", problem)
                if self._service.ended.wait(1.0):  # out of descriptors: viewers will leave
                    return
                continue
            if len(self._connections) >= MAX_VIEWERS:
                connection.close()
                continue
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as requests:
                connection.sendall(protocol.line({"hello": self._hello()}))
                while line := requests.readline(MAX_LINE):
                    request = protocol.message(line)
                    if request.get("call") == protocol.SUBSCRIBE:
                        self._follow(connection, request)
                        return
                    connection.sendall(protocol.line(answer(self._service, request, self._table)))
        except (OSError, ValueError, EngineError) as problem:
            log.debug("a viewer left: %s", problem)
        finally:
            self._connections.discard(connection)
            self._followers.discard(threading.current_thread())

    def _hello(self) -> dict[str, Any]:
        return {
            "protocol": protocol.PROTOCOL,
            "version": warptui.__version__,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "project": str(self._service.project),
        }

    def _follow(self, connection: socket.socket, request: dict[str, Any]) -> None:
        self._followers.add(threading.current_thread())
        connection.settimeout(SEND_TIMEOUT_S)
        after = int((request.get("args") or {}).get("after", 0))
        for batch in self._service.batches(after):
            unsent: list[list[Any]] = []
            for sequence, event in batch:
                if len(unsent) == SENT_AT_ONCE or (unsent and isinstance(event, Snapshot)):
                    connection.sendall(protocol.line({"events": unsent}))
                    unsent = []
                if isinstance(event, Snapshot):
                    for message in protocol.encode_snapshot(sequence, event):
                        connection.sendall(protocol.line(message))
                else:
                    unsent.append([sequence, events.encode(event)])
            connection.sendall(protocol.line({"events": unsent}))
        connection.sendall(protocol.line({"bye": "the engine stopped"}))


def answer(
    service: object, request: dict[str, Any], table: Mapping[str, Verb] = VERBS
) -> dict[str, Any]:
    """Carry out a verb as a viewer asked for it; the message that answers it.

    A verb that is answered first is carried out in a thread of its own.
    """
    call, number = str(request.get("call")), request.get("id")
    try:
        verb = table.get(call)
        if verb is None:
            raise EngineError(f"unknown request {call!r}; known are {', '.join(table)}")
        arguments = verb.decode_arguments(request.get("args") or {})
        method = getattr(service, verb.name)
        if verb.answered_first:
            threading.Thread(target=method, kwargs=arguments, name=verb.name).start()
            return {"id": number, "ok": None}
        return {"id": number, "ok": verb.encode_result(method(**arguments))}
    except Exception as caught:
        problem = _with_advice(caught)
        if not isinstance(problem, WarptuiError | KeyError):
            log.exception("request %s failed", call)
        return {"id": number, "error": protocol.encode_error(problem)}


def _with_advice(problem: Exception) -> Exception:
    """The error that a viewer gets: a full disk is no mistake of the program."""
    if isinstance(problem, OSError) and filesystem.is_full(problem):
        return EngineError(filesystem.problem_and_advice(problem, "try again"))
    return problem


def serve(
    project: Path,
    read_config: ReadConfig,
    write_config: WriteConfig | None = None,
    *,
    prepare: Callable[[Session], None] | None = None,
) -> int:
    """Run the engine of ``project`` in this process until it is asked to stop.

    Call it in the main thread. SIGTERM, SIGHUP and Ctrl-C end it within five seconds. ``prepare``
    is called with the session before the first viewer is let in.

    Raises
    ------
    EngineError
        When another engine holds the project.
    SettingsError
        When the settings are wrong.
    """
    _write_log(ProjectPaths(project.resolve()).log)
    wanted = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        if wanted.is_set():
            os._exit(128 + number)  # asked twice: workers die with their parent
        wanted.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, stop)
    session = Session(project, read_config, write_config)
    if prepare is not None:
        prepare(session)
    server = Server(session)
    while not wanted.is_set() and not session.ended.wait(0.1):
        pass
    alarm = threading.Timer(HARD_LIMIT_S, os._exit, (1,))
    alarm.daemon = True
    alarm.start()
    session.stop()
    server.close()
    alarm.cancel()
    return 1 if session.problem else 0


def _listen(path: Path) -> socket.socket:
    """A listening socket that the user alone can reach.

    Raises
    ------
    EngineError
        When its folder belongs to another user, or the path is too long for a socket.
    """
    folder = path.parent.stat()
    if folder.st_uid != os.getuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise EngineError(
            f"{path.parent} must belong to you alone (mode 0700); remove it, or set XDG_RUNTIME_DIR"
        )
    path.unlink(missing_ok=True)  # of a crashed engine: we hold the project's lock
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as problem:
        listening.close()
        raise EngineError(f"{path}: {problem}; set XDG_RUNTIME_DIR to a short path") from problem
    finally:
        os.umask(before)
    listening.listen(MAX_VIEWERS)
    return listening


def _write_log(path: Path) -> None:
    """Log to the project's file, and to the terminal where there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False  # a full disk must not end us: viewers still get the lines
    root = logging.getLogger("warptui")
    root.setLevel(logging.DEBUG)  # details go to the viewers' live log
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handlers: list[logging.Handler] = [logging.FileHandler(path, delay=True)]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(form)
        handler.setLevel(logging.INFO)
        root.addHandler(handler)
