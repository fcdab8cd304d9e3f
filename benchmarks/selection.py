"""A session of many items: limits that change, the start of the engine, its memory, the report.

    python benchmarks/selection.py [N_ITEMS] [--folder build/bench] [--keep PROJECT]

Makes a project of N_ITEMS small movies with their metadata and lists of particles (kept in PROJECT,
where one is given), and measures on an engine in another process, which processes nothing: seconds
from its start until it answers with all items, the first time (it makes its index) and with the
index; its memory; the time from a key that moves a limit until the app in tmux has drawn what that
takes out; the time to choose marked items, and until other programs see the choices; the time from
another limit to the counts that follow from it, as other viewers have them, and the CPU time that
it takes the engine; what a viewer and a report take. Wall times are upper bounds where other work
goes on; CPU times are not. Prints a Markdown table, and writes it to FOLDER/selection.md.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from app import Terminal, terminal_environment
from live_star import HEAD

from warptui.client import Client
from warptui.engine.api.events import Snapshot, StatusChanged
from warptui.engine.config import file
from warptui.engine.errors import EngineError
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model.item import Choice, root_name_of
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.plan import References, make_record
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.stages.registry import STAGES

TICKS = os.sysconf("SC_CLK_TCK")
MOTION, DEFOCUS, PARTICLES = 0.123456, 1.234567, 123456  # in the pattern that items are made from
TEMPLATE = "m000000.mrc"
STEP = (1.00, 0.99)  # motion_max: a step of a key
HALF = (3.0, 0.70)  # and one that takes half of the items out
PAUSES_S = (2.0, 0.6)  # between changes: all rows came, or are still on their way
CHOSEN = 5000  # marked items
ROWS = 10  # particles that the list of each item has
KEYS, REPEAT_S, UNSENT_S = 12, 0.033, 0.45  # presses; of a held key; the engine hears of it later


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("n_items", nargs="?", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=Path("build/bench"))
    parser.add_argument("--keep", type=Path, help="make the project here, or use the one that is")
    given = parser.parse_args()
    temporary = Path(tempfile.mkdtemp(prefix="wb-"))
    project = (given.keep or temporary / "session").absolute()
    environment = terminal_environment(temporary)
    environment["XDG_STATE_HOME"] = str(project.parent / f"{project.name}.state")
    os.environ |= environment
    (temporary / "run").mkdir(mode=0o700)
    try:
        if not (project / "config.toml").exists():
            make_project(project, given.n_items)
        found = measure(project, given.n_items, environment)
    finally:
        shutil.rmtree(temporary)
    table = "\n".join(["| what | measured |", "|---|---|", *(f"| {k} | {v} |" for k, v in found)])
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "selection.md").write_text(table + "\n")
    print(table)
    return 0


def measure(project: Path, n: int, environment: dict[str, str]) -> list[tuple[str, str]]:
    """All numbers, with what they are of."""
    rows = []
    shutil.rmtree(environment["XDG_STATE_HOME"], ignore_errors=True)  # where the index is
    for words in ("first start, no index yet", "start with the index"):
        with Engine(project, environment, n) as engine:
            rows.append((words, f"{engine.start_s:.1f} s, {engine.start_cpu_s:.1f} CPU s"))
    with Engine(project, environment, n) as engine:
        rows.append(("memory after the start", f"{engine.memory_mb():.0f} MB"))
        with Client.connect(project) as client:
            viewer = Viewer(client)
            rows.append(("a viewer has all items", f"{viewer.wait_for_items(n):.2f} s"))
            client.change({"filters": {"motion_max": 10.0}})  # others than those below
            for words, pair, times in (("a step", STEP, 12), ("half", HALF, 6)):
                for pause_s in PAUSES_S:
                    rows += changes(engine, client, viewer, words, pair, times, pause_s)
            rows.append(("memory after these changes", f"{engine.memory_mb():.0f} MB"))
            rows += keys(client, project, environment)
            rows += choices(engine, client, project, n)
        rows.append(("peak of memory", f"{engine.memory_mb('VmHWM'):.0f} MB"))
    began, cpu = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "warptui", "report", str(project), "--csv", "--json"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    now = os.times()
    spent = now.children_user + now.children_system - cpu.children_user - cpu.children_system
    size = (project / "report.html").stat().st_size / 1e3
    told = f"{time.perf_counter() - began:.1f} s, {spent:.1f} CPU s, {size:.0f} kB"
    return [*rows, ("report, CSV and JSON without an engine", told)]


def changes(
    engine: Engine,
    client: Client,
    viewer: Viewer,
    words: str,
    pair: tuple[float, float],
    n: int,
    pause_s: float,
) -> list[tuple[str, str]]:
    """Milliseconds from a change to the counts, in a viewer; CPU time of the engine."""
    waits, calls = [], []
    begin = engine.cpu_s()
    for number in range(n):
        limit = pair[number % 2]
        time.sleep(pause_s)
        viewer.expect(limit)
        began = time.perf_counter()
        client.change({"filters": {"motion_max": limit}})
        calls.append(time.perf_counter() - began)
        waits.append(viewer.wait(began))
    time.sleep(1.0)
    cpu = (engine.cpu_s() - begin) / n
    ms = [f"{1e3 * statistics.median(found):.0f}" for found in (waits, calls)]
    ends = " and ".join(f"{end:g}" for end in pair)
    what = f"another limit, every {pause_s:g} s ({words}: {ends} Å/frame)"
    told = f"counts in another viewer after {ms[0]} ms, answered after {ms[1]} ms"
    return [(what, f"{told}; engine {1e3 * cpu:.0f} CPU ms with the rows that follow")]


def choices(engine: Engine, client: Client, project: Path, n: int) -> list[tuple[str, str]]:
    """Seconds of choosing marked items, and of another request meanwhile."""
    names = [row.name for row in client.items()][:CHOSEN]
    calls, others, longest = [], [], 0.0
    journal = ProjectPaths(project).choices
    with Client.connect(project) as other:
        for choice in (Choice.EXCLUDE, Choice.AUTO) * 2:
            began = time.perf_counter()
            asking = threading.Thread(target=client.choose, args=(names, choice))
            asking.start()
            while asking.is_alive():
                asked = time.perf_counter()
                other.status()
                others.append(time.perf_counter() - asked)
                time.sleep(0.005)
            calls.append(time.perf_counter() - began)
        cpu = engine.cpu_s()
        while journal.read_bytes():
            asked = time.perf_counter()
            other.queue(10)
            longest = max(longest, time.perf_counter() - asked)
            if time.perf_counter() > began + 600:
                raise SystemExit("the choices do not reach the metadata files")
            time.sleep(0.1)
    spent, cpu = time.perf_counter() - began, (engine.cpu_s() - cpu) / len(names)
    said = f"answered after {1e3 * statistics.median(calls):.0f} ms"
    status = f"another viewer's status meanwhile after {1e3 * max(others):.0f} ms at most"
    files = f"in all metadata files after {spent:.0f} s, {1e3 * cpu:.1f} CPU ms an item"
    queue = f"another viewer's queue meanwhile after {1e3 * longest:.0f} ms at most"
    return [
        (f"choosing {len(names):,} items of {n:,}", f"{said}; {status}"),
        ("their choices reach the files that other programs read", f"{files}; {queue}"),
    ]


def keys(client: Client, project: Path, environment: dict[str, str]) -> list[tuple[str, str]]:
    """Milliseconds from a key that moves a limit until all that it changes is drawn in the app.

    The engine hears of a limit when the key rests, so that what is seen before is the app's own.
    """
    client.change({"filters": {"motion_max": 1.5}})
    rows = []
    with Terminal(project, environment, 120, 40) as terminal:
        terminal.wait_for(b"detach")
        until = time.monotonic() + 60
        while counts_seen(terminal.screen())[0] != client.status().choices["selected"]:
            if time.monotonic() > until:
                raise SystemExit(f"the items do not appear:\n{terminal.screen()}")
            time.sleep(0.5)
        terminal.send("\t")  # the first strip: motion
        time.sleep(1.0)
        for what, held, times in (("a press", 1, KEYS), ("a held key", 10, 6)):
            took = []
            for number in range(times):
                pressed = "{}"[number % 2] * held
                took.append(terminal.settled(pressed, REPEAT_S, UNSENT_S))
                seen = counts_seen(terminal.screen())
                time.sleep(2.5)
                told = client.status()
                if seen != (told.choices["selected"], told.choices["filtered"]):
                    raise SystemExit(f"the app counted {seen}, the engine {told.choices}")
            spread = f"{1e3 * min(took):.0f} to {1e3 * max(took):.0f}"
            rows.append(
                (f"{what} in the app: counts drawn", f"{1e3 * statistics.median(took):.0f} ms "
                 f"(of {times}: {spread})")
            )  # fmt: skip
    return rows


def counts_seen(screen: str) -> tuple[int, int]:
    """Selected and filtered items, as the overview tells."""
    found = [re.search(rf"([\d,]+) {word}", screen) for word in ("selected", "filtered")]
    selected, filtered = (0 if one is None else int(one[1].replace(",", "")) for one in found)
    return selected, filtered


class Engine:
    """An engine in a process of its own, measured from its start on."""

    def __init__(self, project: Path, environment: dict[str, str], n: int) -> None:
        self._project, self._environment, self._n = project, environment, n

    def __enter__(self) -> Engine:
        gc.collect()
        began = time.perf_counter()
        command = [sys.executable, "-m", "warptui", "engine", str(self._project)]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                with Client.connect(self._project) as client:
                    status = client.status()
                    if sum(status.counts.values()) == self._n:
                        break
            except EngineError:
                pass
            if self._process.poll() is not None:
                raise SystemExit(f"the engine ended with {self._process.returncode}")
            time.sleep(0.05)
        self.start_s, self.start_cpu_s = time.perf_counter() - began, self.cpu_s()
        time.sleep(3.0)  # what it does after it has answered is not to be in other numbers
        if status.counts["done"] != self._n:
            raise SystemExit(f"not all items are in accord with the settings: {status.counts}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def cpu_s(self) -> float:
        """Seconds of CPU of the engine itself, without its workers."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, key: str = "VmRSS") -> float:
        """Of the engine itself, without its workers."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) / 1024
        return float("nan")


class Viewer:
    """Reads what the engine says, as the app does."""

    def __init__(self, client: Client) -> None:
        self._limit, self._seen = 0.0, threading.Event()
        self._at, self._items = 0.0, 0
        self._began = time.perf_counter()
        self._has_items = threading.Event()
        self._client = client
        threading.Thread(target=self._read, daemon=True).start()

    def expect(self, limit: float) -> None:
        """The change to wait for."""
        self._limit = limit
        self._seen.clear()

    def wait(self, began: float) -> float:
        """Seconds until the counts by that limit came."""
        if not self._seen.wait(20):
            raise SystemExit("no counts came")
        return self._at - began

    def wait_for_items(self, n: int) -> float:
        """Seconds until all items were there."""
        if not self._has_items.wait(60) or self._items != n:
            raise SystemExit(f"{self._items} items came")
        return self._at - self._began

    def _read(self) -> None:
        for _, event in self._client.events():
            if isinstance(event, StatusChanged):
                self._note(event.status)
            elif isinstance(event, Snapshot) and not self._has_items.is_set():
                self._items, self._at = len(event.rows), time.perf_counter()
                self._has_items.set()

    def _note(self, status: EngineStatus) -> None:
        if status.filters.get("motion_max") == self._limit and not self._seen.is_set():
            self._at = time.perf_counter()
            self._seen.set()


def make_project(project: Path, n: int) -> None:
    """Small movies with metadata that is in accord with the settings, none of it in the index."""
    print(f"making {n:,} items in {project}", file=sys.stderr, flush=True)
    movies = project / "movies"
    movies.mkdir(parents=True)
    lists = project / "particles"
    lists.mkdir()
    text = (
        '[input]\nfolder = "movies"\npattern = ["*.mrc"]\npixel_size = 1.0\ndose_per_frame = 1.0\n'
    )
    (project / "config.toml").write_text(text)
    rng = np.random.default_rng(1)
    write_mrc(movies / TEMPLATE, rng.normal(30, 5, (3, 32, 32)).astype(np.float32), 1.0)
    pattern = _metadata(project, movies / TEMPLATE)
    content = (movies / TEMPLATE).read_bytes()
    drift = 0.7 * np.exp(0.4 * rng.normal(size=n))
    defocus = rng.uniform(0.8, 2.2, n)
    for number in range(n):
        name = f"m{number:06}.mrc"
        (movies / name).write_bytes(content)
        stored = pattern.replace(root_name_of(TEMPLATE), root_name_of(name))
        stored = stored.replace(f"{MOTION}", f"{drift[number]:.6f}")
        stored = stored.replace(f"{DEFOCUS}", f"{defocus[number]:.6f}")
        stored = stored.replace(f"{PARTICLES}", f"{100 + number % 200}")
        stored = stored.replace('sequence":1,', f'sequence":{number + 1},')
        (project / f"{root_name_of(name)}.xml").write_text(stored)
        rows = (
            f"{k:06}@particles/{root_name_of(name)}_boxnet.mrcs {k}.5 {k}.5 average/{name} 0.98 "
            f"{15000 + k}.0 14800.0 31.25 0.0 3.75 1\n"
            for k in range(1, ROWS + 1)
        )
        (lists / f"{root_name_of(name)}_boxnet.star").write_text(f"{HEAD}{''.join(rows)}\n")


def _metadata(project: Path, movie: Path) -> str:
    """What is stored of one item, with lists as long as those of a real movie."""
    settings = file.read_config(project)
    store = Store(ProjectPaths(project))
    mark = store.cached_fingerprint(movie)
    item = StoredItem(movie.name, 1, raw_path=str(movie), fingerprints={"frames": mark})
    curve = [round(0.001 * number, 4) for number in range(250)]
    results: dict[str, dict[str, Any]] = {
        "motion": {
            "early_motion": MOTION, "total_motion": 12.3, "shift_error": 0.3, "confidence": 0.98,
            "n_frames": 40, "track_yx_angstrom": [[0.1, 0.2]] * 40, "local_grid": [5, 5, 5],
            "local_x_angstrom": [0.1] * 125, "local_y_angstrom": [0.1] * 125,
        },
        "average": {"mean_electrons": 30.0, "pixel_size": 1.0, "shape_yx": [32, 32]},
        "ctf": {
            "defocus_um": DEFOCUS, "astigmatism_um": 0.04, "astigmatism_angle_deg": 30.0,
            "phase_shift_deg": 0.0, "resolution": 3.9, "quality": 0.8, "confidence": 0.99,
            "ice_ring": 1.1, "grid": [5, 5, 1], "grid_defocus_um": [1.2] * 25,
            "curve_k": curve, "curve_measured": curve, "curve_simulated": curve,
            "curve_scale": curve, "curve_quality": curve,
        },
        "picking": {
            "n_particles": PARTICLES, "mask_percent": 2.0, "mean_score": 0.99, "suffix": "boxnet",
        },
        "particles": {
            "n_particles": PARTICLES, "suffix": "boxnet", "picks_hash": "1", "box_size_px": 256,
            "star_path": f"particles/{movie.stem}_boxnet.star",
        },
    }  # fmt: skip
    references = References()
    for stage in STAGES:
        if stage.name in results:
            record = make_record(
                stage.name, item, settings, references, mark, result=results[stage.name],
                finished_at=1.7e9, seconds=3.0, device="cpu", program_version="0",
            )  # fmt: skip
            item = item.with_record(replace(record, sections=dict(record.sections)))
    store.save(item)
    store.close()
    path = ProjectPaths(project).metadata(root_name_of(movie.name))
    text = path.read_text()
    path.unlink()
    return text


if __name__ == "__main__":
    sys.exit(main())
