"""The live list of particles at size: how soon it is on disk, what it takes, who can read it.

    python -m benchmarks.live_star [--items 20000] [--particles 100] [--reads 10000]

Writes a STAR file for each of the items, as extraction leaves them, and has the engine's live list
made from them: at first, after a filter took a third of the items away, and when it gives them
back. Readers in processes of their own parse the list while it is written again and again. What
is measured is the wall clock of each change, the CPU time of this process, and its memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from pathlib import Path

from warptui.engine.config.sections import ExportSettings
from warptui.engine.exporters.rows import Source
from warptui.engine.exporting.live import LiveListWriter
from warptui.engine.formats.star.rows import split_star
from warptui.engine.project.paths import ProjectPaths

HEAD = """# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographOriginalPixelSize #3
_rlnMicrographPixelSize #4
_rlnVoltage #5
_rlnSphericalAberration #6
_rlnAmplitudeContrast #7
_rlnImagePixelSize #8
_rlnImageSize #9
_rlnImageDimensionality #10
opticsGroup1 1 0.834000 0.834000 300.000000 2.700000 0.070000 1.668000 256 2


# version 30001

data_particles

loop_
_rlnImageName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnMicrographName #4
_rlnAutopickFigureOfMerit #5
_rlnDefocusU #6
_rlnDefocusV #7
_rlnDefocusAngle #8
_rlnPhaseShift #9
_rlnCtfMaxResolution #10
_rlnOpticsGroup #11
"""


def write_items(project: Path, n_items: int, n_particles: int) -> dict[str, Source]:
    """STAR files as those of extraction, by the names of their items."""
    (project / "particles").mkdir(parents=True)
    sources = {}
    for number in range(n_items):
        root = f"FoilHole_24015407_Data_24016401_{number:06d}_fractions"
        path = f"particles/{root}_boxnet.star"
        rows = "".join(
            f"{k:06d}@particles/{root}_boxnet.mrcs {37.123 * k:.3f} {17.311 * k:.3f} "
            f"average/{root}.mrc 0.9870 {15000 + k:.1f} {14800 + k:.1f} 31.25 0.00 3.75 1\n"
            for k in range(1, n_particles + 1)
        )
        (project / path).write_text(f"{HEAD}{rows}\n")
        sources[f"{root}.tiff"] = Source(f"{root}.tiff", number, "1", path)
    return sources


def read(path: str, n: int, most: int, end: float, problems: object) -> None:
    """Parse the list again and again: first and last rows in full, and count the lines."""
    found = 0
    while found < n and time.monotonic() < end:
        with Path(path).open("rb") as file:
            data = file.read()
        rows = data.count(b"average/")
        table = data[: data.index(b"_rlnOpticsGroup #11") + 20]
        last = data[data.rindex(b"\n", 0, len(data) - 2) + 1 :].split()
        split = split_star(table + b" ".join([*last]) + b"\n", path)
        if not data.endswith(b"\n\n") or len(last) != 11 or split.n != 1 or rows % most:
            problems.put(f"{rows} rows, last: {last}")
        found += 1
    problems.put(found)


def peak_mb() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20000)
    parser.add_argument("--particles", type=int, default=100)
    parser.add_argument("--reads", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=300.0, help="for the readers at most")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="live_star_"))
    try:
        measure(folder, options)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """The changes one after the other."""
    sources = write_items(folder, options.items, options.particles)
    project, settings = ProjectPaths(folder), ExportSettings()
    print(f"{options.items:,} items, {options.items * options.particles:,} particles")
    print(f"before: {peak_mb():.0f} MB")
    live = LiveListWriter(project, "boxnet", settings, lambda name: None)

    def told(what: str, changes: dict, n: int) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        live.update(changes)
        handed = time.perf_counter() - began
        while not live.look() or live.look()[0].rows != n * options.particles:
            time.sleep(0.02)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"{what:34} {seconds:6.2f} s to disk  {cpu:6.2f} s CPU  caller waits "
            f"{1e3 * handed:5.1f} ms  {peak_mb():4.0f} MB"
        )

    names = list(sources)
    third = names[::3]
    told("all, never seen", dict(sources), len(names))
    told("a third filtered out", dict.fromkeys(third), len(names) - len(third))
    told("back again", {name: sources[name] for name in third}, len(names))
    told("one item excluded", {names[5]: None}, len(names) - 1)
    live.close()
    print(f"the list: {project.live_list('boxnet').stat().st_size / 2**20:.0f} MiB")
    live = LiveListWriter(project, "boxnet", settings, lambda name: None)
    told("an engine starts again", dict(sources), len(names))
    live.close()
    concurrent(project, sources, options)


def concurrent(project: ProjectPaths, sources: dict[str, Source], options) -> None:
    """Readers while a smaller list is rewritten as often as it can be."""
    few = dict(list(sources.items())[: min(500, len(sources))])
    settings = ExportSettings(live_seconds=0.2)
    live = LiveListWriter(project, "reading", settings, lambda name: None)
    live.update(few)
    path = project.live_list("reading")
    while not path.exists():
        time.sleep(0.02)
    problems = multiprocessing.Queue()
    end = time.monotonic() + options.seconds
    parts = [options.reads // 2, options.reads - options.reads // 2]
    readers = [
        multiprocessing.Process(target=read, args=(str(path), n, options.particles, end, problems))
        for n in parts
    ]
    for reader in readers:
        reader.start()
    names, versions, stamp = list(few), 0, 0
    while any(reader.is_alive() for reader in readers):
        name = names[versions % len(names)]
        live.update({name: None if versions % 2 else few[name]})
        time.sleep(0.05)
        if (now := path.stat().st_mtime_ns) != stamp:
            stamp, versions = now, versions + 1
    live.close()
    said = [problems.get() for _ in range(problems.qsize())]
    wrong = [one for one in said if isinstance(one, str)]
    reads = sum(one for one in said if isinstance(one, int))
    print(f"{reads:,} reads of {versions:,} versions: {len(wrong)} that could not be parsed")
    for one in wrong[:5]:
        print(one)


if __name__ == "__main__":
    main()
