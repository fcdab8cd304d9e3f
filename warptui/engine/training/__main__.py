"""The training process: reads a task as a line of JSON on stdin, prints its status to stdout.

``{"cancel": true}`` and ``{"keep_best": true}`` may follow; at the end of stdin the process writes
a checkpoint and ends, so that it never outlives its parent process. Stderr is the log.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from warptui.engine.training.task import Control

NICE = 5  # below the app and the engine
GRACE_S = 30.0  # for a checkpoint after stdin closed; then the process ends anyway


def main() -> int:
    """Carry out one training."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGHUP):  # the parent process decides when to end
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with the status lines
    line = sys.stdin.buffer.readline()
    if not line:
        return 1

    from warptui.engine.errors import Cancelled, WarptuiError
    from warptui.engine.model import codec
    from warptui.engine.model.training import TrainingStatus
    from warptui.engine.project.filesystem import UNWRITABLE
    from warptui.engine.training import folder
    from warptui.engine.training.run import Course
    from warptui.engine.training.task import Control, Task

    def tell(status: TrainingStatus) -> None:
        try:
            output.write(json.dumps(codec.encode(status)).encode() + b"\n")
            output.flush()
        except OSError:
            control.stop = True

    control = Control()
    task = Task.from_json(json.loads(line))
    threading.Thread(target=_listen, args=(sys.stdin.buffer, control), daemon=True).start()
    course = Course(task, tell, control)
    try:
        with _alone(course.paths.training(task.request.model)):
            course.run()
        return 0
    except BlockingIOError:
        message = f"{task.request.model} is still being trained by another process"
        tell(replace(course.status, phase="failed", message=message))
        return 1
    except Cancelled as problem:
        phase, message = "cancelled", str(problem)
        if control.stop:
            phase = course.status.phase  # interrupted, not cancelled by the user
    except WarptuiError as problem:
        phase, message = "failed", str(problem)
    except OSError as problem:
        why = UNWRITABLE.get(problem.errno or 0, problem.strerror or str(problem))
        phase, message = "failed", f"{why}: {problem.filename or task.project}"
    except Exception as problem:  # noqa: BLE001 - whatever it is becomes a sentence and a log
        traceback.print_exc()
        phase, message = "failed", f"{type(problem).__name__}: {problem}"
    paths = course.paths
    ended = replace(
        course.status,
        phase=phase,
        message=message,
        seconds_left=None,
        resumable=folder.can_resume(paths, task.request.model),
    )
    try:
        folder.write_status(paths.training(task.request.model), ended)
    except OSError as problem:
        print(f"the status could not be written: {problem}", file=sys.stderr)
    tell(ended)
    return 1


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock the folder for this process; raises BlockingIOError if another process trains there."""
    from warptui.engine.training.folder import LOCK

    path.mkdir(parents=True, exist_ok=True)
    with (path / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _listen(source: BinaryIO, control: Control) -> None:
    for line in source:
        wanted = json.loads(line)
        if wanted.get("keep_best"):
            control.keep_best = True
        if wanted.get("cancel") or wanted.get("keep_best"):
            control.cancel = True
    control.stop = True
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    # The listening thread may be inside a read: skip the interpreter's tear-down.
    code = main()
    sys.stderr.flush()
    os._exit(code)
