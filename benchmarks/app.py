"""The app in a real tmux, on an engine that talks, in numbers.

    python benchmarks/app.py [N_ITEMS ...] [--size 120x40] [--folder build/bench]

Starts an engine that only pretends to process (tests/screens/served_engine.py) behind the real
socket in a process of its own, then the app in tmux, as a user has it, and looks at what tmux
sends to the terminal: seconds from the start to the frame and to the items; milliseconds from a
key to the cells that it changes; bytes, repaints and CPU a second while nothing happens and while
the engine talks; memory. Prints a Markdown table, and writes it to FOLDER/app.md.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import random
import select
import shlex
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PRESSES = 20
WATCH_S = 8.0
BURST_S = 0.2  # output with shorter pauses is one repaint
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("n_items", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("build/bench"))
    given = parser.parse_args()
    columns, lines = (int(part) for part in given.size.split("x"))
    rows = [measure(n_items, columns, lines, given.starts) for n_items in given.n_items]
    table = markdown(rows, given.size)
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "app.md").write_text(table)
    print(table)
    return 0


def measure(n_items: int, columns: int, lines: int, starts: int) -> dict[str, float]:
    """All numbers for one session."""
    found: dict[str, float] = {"items": n_items}
    with project_folder() as (project, environment):
        with engine(project, n_items, environment, speak=False):
            frames, items, cpu = [], [], []
            for _ in range(starts):
                with Terminal(project, environment, columns, lines) as terminal:
                    frames.append(terminal.wait_for(b"detach"))
                    items.append(terminal.wait_for(b"Data_"))
                    cpu.append(terminal.cpu())
            found["frame_s"], found["first_items_s"] = map(statistics.median, (frames, items))
            found["start_cpu_s"] = statistics.median(cpu)
            with Terminal(project, environment, columns, lines) as terminal:
                terminal.wait_for(b"Data_")
                time.sleep(3.0)
                found |= {f"idle_{key}": value for key, value in terminal.watch().items()}
        with (
            engine(project, n_items, environment, speak=True),
            Terminal(project, environment, columns, lines) as terminal,
        ):
            terminal.wait_for(b"Data_")
            time.sleep(3.0)
            found |= {f"busy_{key}": value for key, value in terminal.watch().items()}
            found["key_ms"], found["key_95_ms"] = keys(terminal, "j", PRESSES)
            found["item_key_ms"], found["item_key_95_ms"] = item_keys(terminal, PRESSES)
            found["filter_ms"], _ = filter_keys(terminal, PRESSES)
            found |= terminal.memory()
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def keys(terminal: Terminal, key: str, presses: int) -> tuple[float, float]:
    """Milliseconds until the cursor is seen on the next item: median, 95 %."""
    terminal.send("g")
    time.sleep(1.0)
    took = []
    for number in range(1, presses + 1):
        terminal.rest()
        took.append(terminal.press(key, name(number)))
    return summarise(took)


def item_keys(terminal: Terminal, presses: int) -> tuple[float, float]:
    """The same from item to item on the item screen, until the next one's name stands there."""
    terminal.send("g")
    time.sleep(0.5)
    terminal.send("\r")
    time.sleep(1.5)
    took = []
    for number in range(1, presses + 1):
        terminal.rest(0.5)
        took.append(terminal.press("\x1b[C", name(number)))
    terminal.send("1")
    time.sleep(0.5)
    return summarise(took)


def filter_keys(terminal: Terminal, presses: int) -> tuple[float, float]:
    """The same for a letter of a filter on texts, until the number of items found stands there."""
    terminal.send("/")
    time.sleep(0.5)
    terminal.send("_")
    time.sleep(0.5)
    took = []
    for number in range(presses):
        terminal.rest()
        took.append(terminal.press("1" if number % 2 == 0 else "\x7f", b"/1"))
    return summarise(took)


def name(number: int) -> bytes:
    return f"Data_{number:04d}".encode()


def summarise(seconds: list[float]) -> tuple[float, float]:
    """Median and 95 % in ms."""
    ordered = sorted(1e3 * value for value in seconds)
    return statistics.median(ordered), ordered[int(0.95 * len(ordered))]


class Terminal:
    """A terminal with a tmux in it with the app in it; what tmux writes is read and timed."""

    def __init__(
        self, project: Path, environment: dict[str, str], columns: int, lines: int
    ) -> None:
        self._socket = f"bench-{os.getpid()}-{time.monotonic_ns()}"
        self._environment = environment
        command = shlex.join([sys.executable, "-m", "warptui", str(project)])
        config = project / "tmux.conf"
        config.write_text(
            'set -g status off\nset -g default-terminal "screen-256color"\nset -g escape-time 10\n'
        )
        arguments = ["tmux", "-u", "-L", self._socket, "-f", str(config)]
        arguments += ["new-session", "-x", str(columns), "-y", str(lines), f"exec {command}"]
        self.began = time.perf_counter()
        self._process, self._master = pty.fork()
        if not self._process:
            os.execvpe("tmux", arguments, environment)
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self._chunks: list[tuple[float, bytes]] = []
        self._more = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._tmux("kill-server")
        os.waitpid(self._process, 0)
        os.close(self._master)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def _read(self) -> None:
        while not self._ended:
            readable, _, _ = select.select([self._master], [], [], 0.1)
            if not readable:
                continue
            try:
                chunk = os.read(self._master, 1 << 16)
            except OSError:
                return
            with self._more:
                self._chunks.append((time.perf_counter(), chunk))
                self._more.notify_all()

    def send(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, expected: bytes, timeout_s: float = 30.0) -> float:
        """Seconds from the start of the app until ``expected`` was written to the terminal."""
        return self._wait(0, expected, timeout_s) - self.began

    def press(self, key: str, expected: bytes) -> float:
        """Seconds from a key until ``expected`` was written to the terminal."""
        with self._more:
            first = len(self._chunks)
        began = time.perf_counter()
        self.send(key)
        return self._wait(first, expected, 10.0) - began

    def settled(self, keys: str, pause_s: float, watch_s: float) -> float:
        """Seconds from the last of these keys until the last that is written in ``watch_s``."""
        for key in keys[:-1]:
            self.send(key)
            time.sleep(pause_s)
        with self._more:
            first = len(self._chunks)
        began = time.perf_counter()
        self.send(keys[-1])
        time.sleep(watch_s)
        with self._more:
            chunks = self._chunks[first:]
        return chunks[-1][0] - began if chunks else float("nan")

    def screen(self) -> str:
        """What is seen now."""
        return self._tmux("capture-pane", "-p")

    def rest(self, least_s: float = 0.12) -> None:
        """Let the screen come to rest, at no fixed phase of the engine's talking."""
        time.sleep(least_s + 0.13 * random.random())

    def _wait(self, first: int, expected: bytes, timeout_s: float) -> float:
        deadline = time.perf_counter() + timeout_s
        with self._more:
            while True:
                seen = b""
                for at, chunk in self._chunks[first:]:
                    seen += chunk
                    if expected in seen:
                        return at
                if not self._more.wait(deadline - time.perf_counter()):
                    raise TimeoutError(f"{expected!r} did not appear; last was {seen[-2000:]!r}")

    def watch(self) -> dict[str, float]:
        """Bytes and repaints a second, and CPU in percent of one core, without a key."""
        with self._more:
            first = len(self._chunks)
        cpu, began = self.cpu(), time.perf_counter()
        written = self._written()
        time.sleep(WATCH_S)
        took = time.perf_counter() - began
        with self._more:
            chunks = self._chunks[first:]
        repaints = 0
        last = -1.0
        for at, _ in chunks:
            repaints += at - last > BURST_S
            last = at
        return {
            "bytes_per_s": sum(len(chunk) for _, chunk in chunks) / took,
            "app_bytes_per_s": (self._written() - written) / took,
            "repaints_per_s": repaints / took,
            "cpu_percent": 100 * (self.cpu() - cpu) / took,
        }

    def _app(self) -> int:
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def cpu(self) -> float:
        """Seconds of processor time that the app has used."""
        fields = Path(f"/proc/{self._app()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _written(self) -> int:
        lines = Path(f"/proc/{self._app()}/io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("wchar")).split()[1])

    def memory(self) -> dict[str, float]:
        """MB: resident now and at most, and not shared with others."""
        status = Path(f"/proc/{self._app()}/status").read_text().splitlines()
        found = {line.split(":")[0]: line.split()[1] for line in status if line.startswith("Vm")}
        rollup = Path(f"/proc/{self._app()}/smaps_rollup").read_text().splitlines()
        own = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
        return {
            "rss_mb": int(found["VmRSS"]) / 1e3,
            "peak_mb": int(found["VmHWM"]) / 1e3,
            "own_mb": own / 1e3,
        }


def terminal_environment(folder: Path) -> dict[str, str]:
    """As of a user who logged in, with everything that is kept below ``folder``."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "TMUX", "TEXTUAL", "COLORTERM", "SSH_"))
    }
    return environment | {
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "",  # a user has compiled modules
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TMUX_TMPDIR": str(folder),
    }


@contextmanager
def project_folder() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder for the project and its sockets, and the environment to run in."""
    folder = Path(tempfile.mkdtemp(prefix="wb-"))
    environment = terminal_environment(folder)
    (folder / "run").mkdir(mode=0o700)
    (folder / "apoferritin").mkdir()
    try:
        yield folder / "apoferritin", environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def engine(
    project: Path, n_items: int, environment: dict[str, str], *, speak: bool
) -> Iterator[None]:
    """The pretended engine as a process of its own."""
    command = [sys.executable, "-m", "tests.screens.served_engine", str(project), str(n_items)]
    process = subprocess.Popen(
        command + ["--speak"] * speak,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the pretended engine does not start")
        time.sleep(1.0)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


COLUMNS = {
    "items": ("items", "{:,.0f}"),
    "frame_s": ("start to frame s", "{:.2f}"),
    "first_items_s": ("start to items s", "{:.2f}"),
    "start_cpu_s": ("of CPU s", "{:.2f}"),
    "key_ms": ("key to paint ms", "{:.0f}"),
    "key_95_ms": ("(95 %)", "{:.0f}"),
    "item_key_ms": ("next item ms", "{:.0f}"),
    "filter_ms": ("filter key ms", "{:.0f}"),
    "idle_bytes_per_s": ("idle B/s", "{:.0f}"),
    "idle_cpu_percent": ("idle CPU %", "{:.1f}"),
    "busy_bytes_per_s": ("busy kB/s", "{:.1f}"),
    "busy_repaints_per_s": ("busy repaints/s", "{:.1f}"),
    "busy_cpu_percent": ("busy CPU %", "{:.0f}"),
    "rss_mb": ("MB", "{:.0f}"),
    "peak_mb": ("at most MB", "{:.0f}"),
}


def markdown(rows: list[dict[str, float]], size: str) -> str:
    """The table for docs/science/benchmarks.md."""
    lines = [f"{date.today()}, {size}, {os.cpu_count()} cores, tmux, screen-256color", ""]
    lines.append("| " + " | ".join(title for title, _ in COLUMNS.values()) + " |")
    lines.append("|" + "---|" * len(COLUMNS))
    for row in rows:
        cells = []
        for key, (title, form) in COLUMNS.items():
            value = row[key] / 1e3 if "kB" in title else row[key]
            cells.append(form.format(value))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
