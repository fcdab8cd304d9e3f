"""The process that extracts particles for an export: it has torch, and ends with the export."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Callable
from typing import Any

from warptui.engine.execution.child_process import ChildProcess, describe_exit, python_module

LOOK_S = 0.2  # between looks whether the export must stop


class ExtractionProcess:
    """Answers one task at a time; starts with the first and again after it died.

    ``stop`` is called a few times a second while a task runs, and raises when the export must end.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._process: ChildProcess | None = None
        self._answers: queue.SimpleQueue[bytes | int] = queue.SimpleQueue()  # lines, exit status

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """The answer to a task (see `warptui.engine.worker.extraction`).

        Raises
        ------
        OSError
            If the system cannot start the process.
        """
        process = self._process = self._process or self._start()
        process.send(task)
        answer = self._wait()
        if isinstance(answer, bytes):
            return json.loads(answer)
        self._process = None
        process.close_input()
        return {"problem": f"the process that cuts {describe_exit(answer)}"}

    def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.close_input()

    def _wait(self) -> bytes | int:
        while True:
            try:
                return self._answers.get(timeout=LOOK_S)
            except queue.Empty:
                self._stop()

    def _start(self) -> ChildProcess:
        answers = self._answers = queue.SimpleQueue()  # no answer of a dead one arrives here
        return ChildProcess(
            [*python_module("warptui.engine.worker.extraction"), str(os.getpid())],
            on_line=answers.put,
            on_exit=answers.put,
            name="extraction",
        )
