"""A program in a real tmux: keys go in, the screen is read."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
WAIT_S = 120.0
# Of the caller's terminal, which must not reach into the one of the test.
FOREIGN = (
    "TMUX", "TERM", "COLORTERM", "COLUMNS", "LINES", "LANG", "LC_", "NO_COLOR", "SSH_", "TEXTUAL",
    "MALLOC_",
)  # fmt: skip


def environment(**given: str) -> dict[str, str]:
    """What a fresh login would have, and what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    paths = [str(REPOSITORY), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "LANG": "C.UTF-8", **given}


class Terminal:
    """A tmux server of its own with one window; use it as a context manager."""

    def __init__(self, columns: int = 120, lines: int = 40, *, utf8: bool = True) -> None:
        self._socket = f"warptui-test-{os.getpid()}-{time.monotonic_ns()}"
        self._options = ["-u"] if utf8 else []
        self._size = ["-x", str(columns), "-y", str(lines)]

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def run(self, *command: str, variables: dict[str, str]) -> None:
        """Start a program; ``variables`` is its whole environment."""
        settings = "".join(f"{name}={shlex.quote(value)} " for name, value in variables.items())
        # not tmux's own remain-on-exit: tmux 3.3 misses some ends on a busy machine
        ending = 'status=$?; echo; echo "exit status $status"; sleep 1000'
        line = f"env -i {settings}{shlex.join(command)}; {ending}"
        if not self._tmux("list-sessions"):
            self._tmux("-f", "/dev/null", "new-session", "-d", *self._size, "sleep 1000")
            self._tmux("set", "-g", "status", "off")
        self._tmux("respawn-pane", "-k", line)

    def keys(self, *keys: str) -> None:
        """Press keys, named as tmux does."""
        self._tmux("send-keys", *keys)

    def text(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def history(self) -> str:
        """The same with what scrolled away."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-200")

    def codes(self) -> str:
        """The same with its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait(self, *expected: str | re.Pattern[str], timeout_s: float = WAIT_S) -> str:
        """Return the screen once all of ``expected`` is on it."""

        def there() -> bool:
            seen = self.text()
            return all(
                found in seen if isinstance(found, str) else found.search(seen) is not None
                for found in expected
            )

        self.until(there, f"{expected} to appear", timeout_s)
        return self.text()

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
        """Wait until ``condition`` holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what}; there is\n{self.text()}"
            time.sleep(0.1)

    def settle(self, quiet_s: float = 0.6) -> None:
        """Wait until the screen stays as it is for a moment, but for numbers that go on."""
        before, since = "", time.monotonic()
        deadline = since + WAIT_S
        while time.monotonic() < min(deadline, since + quiet_s):
            now = re.sub(r"\d", "", self.text())
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.1)

    def status(self) -> int | None:
        """Exit status of the program; None while it runs."""
        ended = re.search(r"^exit status (\d+)$", self.history(), re.MULTILINE)
        return int(ended[1]) if ended else None

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", *self._options, "-L", self._socket, *arguments],
            capture_output=True,
            env=environment(TERM="xterm-256color"),
            timeout=90,
            check=False,
        )
        return done.stdout.decode(errors="replace").rstrip("\n")
