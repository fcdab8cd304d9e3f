"""A child process that is sent lines and answers with lines.

Workers, trainings, extraction for exports and the user's commands are all started, read, stopped
and accounted for here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

TAIL_LINES = 40
TAIL_BYTES = 100_000
MAX_LOG_BYTES = 5_000_000
ANSWERS_OPTION = "--answers"  # of a program that answers on a descriptor of its own
# Freed pages stay with the process: large buffers come without page faults again.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "8589934592", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
# OpenMP threads that wait by spinning take the cores from threads that have work: with a second
# busy process on two cores the motion of a movie took 38 s instead of 2.7 s.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def python_module(name: str) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-m", name]


def compute_environment(threads: int) -> dict[str, str]:
    """Environment variables of a process that computes with this many threads."""
    return MALLOC | WAITING | dict.fromkeys(THREAD_VARIABLES, str(threads))


class LogFile:
    """The file that a child process writes its log to.

    All processes of one kind append to the same file; `tail` reads what the present one wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def mark(self) -> None:
        """Remember the end of the file, before a new process appends to it."""
        self._start = self.path.stat().st_size if self.path.exists() else 0

    def tail(self) -> str:
        """The last lines since `mark`; empty if the file cannot be read."""
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._start, end - TAIL_BYTES) if self._start <= end else 0)
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def open(self) -> BinaryIO:
        """The file to append to, the null device where the disk is full; marks its end."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > MAX_LOG_BYTES:
                self.path.replace(self.path.with_suffix(".old.log"))
            file = self.path.open("ab")
        except OSError:
            return Path(os.devnull).open("ab")
        self._start = file.tell()
        return file


class ChildProcess:
    """One process in a session of its own: a Ctrl-C in the terminal does not reach it.

    Parameters
    ----------
    command
        Program and arguments.
    on_line
        Called in the reading thread with each whole line that the process answers.
    on_exit
        Called in the reading thread with the exit status, after the last line.
    answers
        Where the process answers: on ``stdout``, on ``stderr``, or on an own ``descriptor``, whose
        number is added to the command as ``--answers``.
    log
        Gets what the process prints elsewhere. None discards its stdout and leaves its stderr with
        that of this process.
    longest_line
        Bytes; longer lines arrive in pieces, and so does an unfinished last one. 0 means that
        lines may have any length, and that an unfinished one is dropped.

    Raises
    ------
    OSError
        If the system cannot start the process.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_line: Callable[[bytes], None],
        on_exit: Callable[[int], None] = lambda returncode: None,
        answers: Literal["stdout", "stderr", "descriptor"] = "stdout",
        log: LogFile | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | str = "/",
        longest_line: int = 0,
        name: str = "child process",
    ) -> None:
        self._on_line, self._on_exit, self._longest_line = on_line, on_exit, longest_line
        ours, theirs = os.pipe()
        try:
            self._process = _start(command, theirs, answers, log, environment or {}, cwd)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, args=(ours,), name=name, daemon=True)
        self._reader.start()

    @property
    def returncode(self) -> int | None:
        """The exit status; None while the process runs."""
        return self._process.poll()

    def send(self, record: Mapping[str, Any]) -> None:
        """Write one line of JSON; the exit of a process that has ended is reported separately."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(record).encode() + b"\n")
            self._process.stdin.flush()

    def close_input(self) -> None:
        """End the process's input, which asks each of our programs to end."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process, and those that it started, immediately."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit status once the process ends; None if it still runs after ``timeout_s``."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float) -> None:
        """Ask the process to end, and kill it if it runs after ``grace_s`` seconds."""
        self.close_input()
        if self.wait(max(0.0, grace_s)) is None:
            self.kill()
            self._process.wait()

    def read_rest(self, timeout_s: float) -> None:
        """Wait for the last lines; another process may hold the pipe open for longer."""
        self._reader.join(timeout_s)

    def _read(self, answers: int) -> None:
        limit = self._longest_line or -1
        with os.fdopen(answers, "rb") as lines:
            for line in iter(lambda: lines.readline(limit), b""):
                if self._longest_line or line.endswith(b"\n"):
                    self._on_line(line)
        self._on_exit(self._process.wait())


def stop_all(children: Sequence[ChildProcess], grace_s: float) -> None:
    """Stop processes as `ChildProcess.stop` does, all within the same ``grace_s`` seconds."""
    for child in children:
        child.close_input()
    deadline = time.monotonic() + grace_s
    for child in children:
        child.stop(deadline - time.monotonic())


def describe_exit(returncode: int) -> str:
    """The end of a process in words: the signal's name, or its exit status."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        number = signal.Signals(-returncode)
    except ValueError:
        return f"died of signal {-returncode}"
    hint = ", perhaps for lack of memory" if number is signal.SIGKILL else ""
    return f"died of {number.name} ({signal.strsignal(number)}{hint})"


def _start(
    command: Sequence[str],
    answers: int,
    kind: Literal["stdout", "stderr", "descriptor"],
    log: LogFile | None,
    environment: Mapping[str, str],
    cwd: Path | str,
) -> subprocess.Popen[bytes]:
    own = kind == "descriptor"
    if own:
        command = [*command, ANSWERS_OPTION, str(answers)]
    with log.open() if log is not None else Path(os.devnull).open("ab") as output:
        errors = None if log is None else output
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=answers if kind == "stdout" else output,
            stderr=answers if kind == "stderr" else errors,
            pass_fds=(answers,) if own else (),
            env=os.environ | environment,
            cwd=cwd,
            start_new_session=True,
        )
