"""One engine per project folder, also across hosts that share the folder.

The lock file names its holder (host, process, boot) and carries a counter that the holder
raises. The counter alone shows whether a holder on another host lives: clocks of two hosts are
never compared. On the same boot of the same host, the process table shows it immediately.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from warptui.engine.errors import EngineError
from warptui.engine.formats.writing import replacing

BEAT_S = 5.0
END_S = 15.0  # an engine ends within five seconds of SIGTERM
STALL_S = 20.0  # a holder on another host whose counter does not change for this long is gone


@dataclass(frozen=True)
class Holder:
    """Who holds a project."""

    host: str
    pid: int
    boot_id: str
    started: str  # of the process, in ticks since boot: a reused pid has another
    beat: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def same_process(self, other: Holder) -> bool:
        """Whether both are one process, whatever their beats."""
        return asdict(self) | {"beat": 0} == asdict(other) | {"beat": 0}

    def lives_here(self) -> bool | None:
        """Whether the process runs on this host; None when only the counter can show it."""
        if self.host != socket.gethostname():
            return None
        if self.boot_id != _boot_id():
            return False
        return self.started == _started(self.pid) != ""


def myself() -> Holder:
    """This process as a holder."""
    return Holder(socket.gethostname(), os.getpid(), _boot_id(), _started(os.getpid()))


def read_holder(lock_path: Path) -> Holder | None:
    """Who the lock file names; None when there is none, or a torn one from a power loss."""
    try:
        return Holder(**json.loads(lock_path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def advances(lock_path: Path, stall_s: float = STALL_S) -> bool:
    """Whether the counter in the lock file moves: then its holder lives, on any host."""
    first = read_holder(lock_path)
    deadline = time.monotonic() + stall_s
    while time.monotonic() < deadline:
        time.sleep(min(0.5, stall_s / 4))
        if read_holder(lock_path) != first:
            return True
    return False


def end_holder(lock_path: Path, timeout_s: float = END_S) -> None:
    """Have the engine that holds a project end, by SIGTERM, and wait until it is gone.

    It works for engines of any version: renames in flight are finished, as on `stop`.

    Raises
    ------
    EngineError
        When it runs on another host, belongs to another user, or does not end.
    """
    holder = read_holder(lock_path)
    if holder is None:
        return
    if holder.lives_here() is None:
        raise EngineError(f"the engine is {holder}: it can be stopped there only, `warptui stop`")
    deadline = time.monotonic() + timeout_s
    asked = False
    while holder.lives_here():
        try:
            if not asked:
                os.kill(holder.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        except PermissionError as problem:
            raise EngineError(f"{holder} belongs to another user, who has to stop it") from problem
        asked = True
        if time.monotonic() > deadline:
            raise EngineError(f"{holder} did not end within {timeout_s:.0f} s")
        time.sleep(0.05)


class ProjectLock:
    """Holds a project for this process until `release`.

    Parameters
    ----------
    lock_path
        The lock file.
    on_lost
        Called from the beating thread, with who took it, when the lock is not ours any more.

    Raises
    ------
    EngineError
        When another engine holds the project; the message says which.
    """

    def __init__(
        self, lock_path: Path, on_lost: Callable[[str], None], *, stall_s: float = STALL_S
    ) -> None:
        self.path = lock_path
        self.taken_from: Holder | None = None  # whose stale lock this was
        self._me = myself()
        self._on_lost = on_lost
        self._ended = threading.Event()
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        self._take(stall_s)
        self._thread = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let the next engine in."""
        self._ended.set()
        self._thread.join()
        found = read_holder(self.path)
        if found is not None and found.same_process(self._me):
            self.path.unlink()

    def _take(self, stall_s: float) -> None:
        found = read_holder(self.path)
        if found is not None and not found.same_process(self._me):
            lives = found.lives_here()
            if lives or (lives is None and advances(self.path, stall_s)):
                raise EngineError(
                    f"{self.path.parent.parent} is held by the engine with process {found.pid} on "
                    f"{found.host}; stop that one first, or open the project there"
                )
            self.taken_from = found
        # Two engines may find the same stale lock together: only one passes this gate at a time,
        # and the second sees the first's fresh lock.
        with (self.path.parent / "engine.gate").open("w") as gate:
            try:
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise EngineError(f"another engine is just starting on {self.path}") from problem
            except OSError:
                time.sleep(0.1)  # a file system without flock: the beat below finds a thief
            now = read_holder(self.path)
            if now is not None and (found is None or not now.same_process(found)):
                raise EngineError(f"process {now.pid} on {now.host} was faster: {self.path}")
            self._write(0)

    def _write(self, beat: int) -> None:
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(asdict(self._me) | {"beat": beat}))

    def _beat(self) -> None:
        beat = 0
        while not self._ended.wait(BEAT_S):
            beat += 1
            try:
                found = read_holder(self.path)
                if found is not None and not found.same_process(self._me):
                    self._on_lost(f"process {found.pid} on {found.host} took over {self.path}")
                    return
                self._write(beat)
            except OSError:
                continue  # full or gone for a while: the next beat tries again


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time of a process in ticks since boot; "" for a process that does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name may contain blanks and brackets
    return "" if fields[0] == "Z" else fields[19]
