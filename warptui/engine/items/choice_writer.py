"""The thread that puts the user's choices into the metadata files."""

from __future__ import annotations

import logging
import threading
import time

from warptui.engine.errors import OutputError
from warptui.engine.project.store import Store
from warptui.engine.worker.fault_injection import crash_point

log = logging.getLogger(__name__)

RETRY_S = 5.0  # after a file that could not be written
LOOK_S = 0.5  # between looks at whether the engine ends
QUIET_S = 0.5  # after the last choice: viewers are answered first
LAST_S = 2.0  # at the end; what is not written then, the next engine writes


class ChoiceWriter:
    """Writes what `Store.choose` stored, one item after the other, until it is closed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._deadline = float("inf")  # monotonic
        self._closing = threading.Event()
        self._complained: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="choices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what can be written in a moment, then end."""
        self._deadline = time.monotonic() + LAST_S
        self._closing.set()
        self._thread.join(LAST_S + 1.0)

    def _run(self) -> None:
        while True:
            self._store.choices.wait(0.0 if self._closing.is_set() else LOOK_S)
            if len(self._store.choices):
                complete = self._write()
                if not complete and not self._closing.is_set():
                    self._closing.wait(RETRY_S)
            if self._closing.is_set():
                return

    def _write(self) -> bool:
        """Write all choices; whether that succeeded."""
        complete = True
        for root_name in self._store.choices.items():
            self._wait_for_quiet()
            if time.monotonic() > self._deadline:
                return False
            try:
                self._store.apply_choice(root_name)
                self._complained.discard(root_name)
            except OutputError as problem:
                self._store.choices.forget(root_name)
                log.warning("the choice cannot be kept: %s", problem)
            except OSError as problem:
                complete = False
                if root_name not in self._complained:
                    self._complained.add(root_name)
                    log.warning("%s: the choice waits to be written: %s", root_name, problem)
            crash_point("choices.applying")
        if complete:
            crash_point("choices.applied")
            self._store.choices.empty()
        return complete

    def _wait_for_quiet(self) -> None:
        """Leave the processor to the threads that answer and show what a person is choosing."""
        while (left := QUIET_S - self._store.choices.age_s()) > 0:
            if self._closing.wait(left):
                return
