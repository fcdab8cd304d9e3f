"""`doctor`: what this machine and these settings would do, and what is wrong."""

from __future__ import annotations

import argparse
import json
import locale
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import warptui
from warptui.commands import offline
from warptui.commands.output import DONE, WRONG_CALL, print_json
from warptui.commands.parsing import Parsers, add_json, add_project, new_parser
from warptui.commands.setup.init import first_movie, look_at
from warptui.engine.config import file
from warptui.engine.config.settings import Config
from warptui.engine.errors import SettingsError, WarptuiError
from warptui.engine.formats import boxnet_model
from warptui.engine.project import filesystem, paths
from warptui.engine.stages.movie.picking import settings_of
from warptui.engine.worker import devices

PROBE_TIMEOUT_S = 120.0
LOW_DISK_BYTES = 20e9
# In a process of its own: a broken CUDA can hang or kill a process that uses it.
PROBE = """
import json, torch
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": []}
for index in range(torch.cuda.device_count()):
    properties = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    works = float(torch.ones(8, device=f"cuda:{index}").sum()) == 8
    found["gpus"].append({"name": properties.name, "free": free, "total": total, "works": works})
print(json.dumps(found))
"""
GLYPHS = {
    "half blocks": "▀▄█▌▐",
    "quadrants": "▖▗▘▙▚▛▜▝▞▟",
    "braille": "⠁⠃⠇⡇⣇⣧⣷⣿",
    "lines": "─│┌┐└┘├┤",
    "symbols": "●○✓✗▲▼ÅµσΔ°²",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    text: str
    problem: bool = False


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "doctor", words, run)
    add_json(parser)
    add_project(parser)


def run(call: argparse.Namespace) -> int:
    """Look at this machine and these settings."""
    return doctor(call.project, as_json=call.json)


def doctor(project: Path, *, as_json: bool) -> int:
    """Print what was found; 2 if something is wrong with it."""
    findings = [*machine(), *terminal(), *settings(project)]
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = "!" if finding.problem else " "
            first, *rest = finding.text.splitlines() or [""]
            print(f"{mark} {finding.name.ljust(width)}  {first}")
            for line in rest:
                print(f"  {'':{width}}  {line}")
        if sys.stdout.isatty():
            from warptui.commands.setup.card import print_card

            print_card()
    return WRONG_CALL if any(finding.problem for finding in findings) else DONE


def machine() -> list[Finding]:
    """Python, torch, GPUs, cores, memory."""
    here = sys.version_info
    found = [
        Finding("warptui", f"{warptui.__version__} in {Path(warptui.__file__).parent}"),
        Finding(
            "python",
            f"{platform.python_version()} ({sys.executable}) on {platform.platform()}",
            problem=here < (3, 11),
        ),
    ]
    found += probe_torch()
    found.append(Finding("cores", str(devices.cpu_count())))
    memory = _memory()
    if memory is not None:
        total, free = memory
        text = f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB free"
        found.append(Finding("memory", text, problem=free < 2.5e9))
    return found


def probe_torch(command: tuple[str, ...] = (sys.executable, "-c", PROBE)) -> list[Finding]:
    """What torch says about itself and the GPUs, asked in a process of its own."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return [Finding("torch", f"did not answer within {PROBE_TIMEOUT_S:.0f} s", problem=True)]
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-3:])
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        return [Finding("torch", f"cannot be used ({how})\n{tail}", problem=True)]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    found = [Finding("torch", f"{answer['torch']}, CUDA {answer['cuda'] or 'not built in'}")]
    for index, gpu in enumerate(answer["gpus"]):
        text = f"{gpu['name']}, {gpu['free'] / 1e9:.1f} of {gpu['total'] / 1e9:.1f} GB free"
        found.append(Finding(f"cuda:{index}", text, problem=not gpu["works"]))
    return found if answer["gpus"] else [*found, Finding("gpus", "none: the CPU does the work")]


def terminal() -> list[Finding]:
    """Colours and glyphs: what the app can draw with here."""
    environment = os.environ
    size = shutil.get_terminal_size((0, 0))
    from warptui.commands.setup import card  # imports Textual, which other commands need not

    encoding = sys.stdout.encoding or "unknown"
    is_utf8 = "utf" in encoding.lower()
    small = sys.stdout.isatty() and (size.columns < 80 or size.lines < 24)
    where = f"{size.columns}x{size.lines}" if sys.stdout.isatty() else "output is no terminal"
    found = [
        Finding(
            "terminal",
            f"TERM={environment.get('TERM', '')}, {where}, {card.colour_words()}"
            + ("; the app wants 80x24" if small else ""),
            problem=small,
        ),
        Finding(
            "encoding",
            f"{encoding}, locale {locale.setlocale(locale.LC_CTYPE)}"
            + ("" if is_utf8 else "; only ASCII is drawn: set LANG=C.UTF-8"),
            problem=not is_utf8,
        ),
    ]
    rows = "\n".join(f"{name:<12} {glyphs}" for name, glyphs in GLYPHS.items())
    text = f"the app draws with: {card.app_drawing()}"
    if is_utf8:
        text += f"; each row should be even and free of boxes:\n{rows}"
    return [*found, Finding("glyphs", text)]


def settings(project: Path) -> list[Finding]:
    """config.toml, folders, gain reference, disk."""
    try:
        loaded = file.load(project)
    except SettingsError as error:
        absent = not (project / paths.CONFIG_NAME).exists()
        return [Finding("settings", str(error), problem=not absent), *_disk(project)]
    text = "\n".join(["config.toml is right", *loaded.notes])
    return [
        Finding("settings", text),
        *_input(loaded.config),
        *_model(project, loaded.config),
        *_devices(loaded.config),
        *_disk(project),
    ]


def _model(project: Path, config_: Config) -> list[Finding]:
    """The network that picks, and those that could."""
    picking = settings_of(config_)
    if not picking.enabled:
        return []
    try:
        path = boxnet_model.find_model(picking.model, project)
        found = boxnet_model.read_boxnet(path)
    except WarptuiError as error:
        return [Finding("picking.model", str(error), problem=True)]
    lines = [
        f"{picking.model}: {path}",
        f"width {found.width}, SHA-256 {boxnet_model.short_hash(found.hash)}",
    ]
    lines += [f"{key}: {found.card[key]}" for key in ("date", "state") if found.card.get(key)]
    others = [name for name in boxnet_model.model_names(project) if name != picking.model]
    if others:
        lines.append(f"others: {', '.join(others)}")
    return [Finding("picking.model", "\n".join(lines))]


def _input(config_: Config) -> list[Finding]:
    given = config_.input
    folder = Path(given.folder)
    kind = filesystem.filesystem_type(folder) if folder.is_dir() else ""
    try:
        movies = list(offline.find_movies(given))
    except SettingsError as error:
        return [Finding("input", str(error), problem=True)]
    watch = "polled" if filesystem.is_remote(kind) else "inotify and polled"
    text = f"{folder} ({kind or 'unknown file system'}): {watch} every {given.poll_seconds:g} s"
    found = [Finding("input", f"{text}; {len(movies)} movies there")]
    movie = first_movie(given)
    facts = look_at(movie, folder)
    if movie is not None:
        known = facts.values.get("input", {})
        for key, sense in (
            ("pixel_size", "nothing can be processed"),
            ("dose_per_frame", "no dose weighting"),
        ):
            value = getattr(given, key) or known.get(key)
            text = f"{value:g}" if value else f"unknown: {sense}; set input.{key}"
            found.append(Finding(key, text, problem=not value and key == "pixel_size"))
        found.append(Finding("first movie", "\n".join(facts.notes)))
    return [*found, *_references(config_, movie)]


def _references(config_: Config, movie: Path | None) -> list[Finding]:
    from warptui.engine.formats.camera.defects import read_defects
    from warptui.engine.formats.camera.gain import read_gain
    from warptui.engine.formats.movie import open_movie

    given = config_.input
    if movie is None or not (given.gain or given.defects):
        return [Finding("gain", given.gain or "none: frames are taken as corrected already")]
    found = []
    try:
        with open_movie(
            movie,
            eer_frames_per_group=given.eer_frames_per_group,
            eer_upsampling=given.eer_upsampling,
        ) as reader:
            shape_yx, movie_format = reader.shape_yx, reader.format
    except (WarptuiError, OSError) as error:
        return [Finding("gain", f"not checked: {movie.name} cannot be read ({error})")]
    orientation = {
        "flip_x": given.gain_flip_x,
        "flip_y": given.gain_flip_y,
        "transpose": given.gain_transpose,
    }
    for name, path in (("gain", given.gain), ("defects", given.defects)):
        if not path:
            continue
        try:
            if name == "gain":
                read_gain(Path(path), shape_yx=shape_yx, movie_format=movie_format, **orientation)
            else:
                read_defects(Path(path), shape_yx=shape_yx, **orientation)
            found.append(Finding(name, f"{path}: fits {movie.name}"))
        except (WarptuiError, OSError) as error:
            found.append(Finding(name, f"{path}: {error}", problem=True))
    return found


def _devices(config_: Config) -> list[Finding]:
    slots, note = devices.plan_slots(config_.compute)
    text = ", ".join(f"{slot.name} ({slot.threads} threads)" for slot in slots)
    return [Finding("workers", f"{text}{f'; {note}' if note else ''}", problem=bool(note))]


def _disk(project: Path) -> list[Finding]:
    folder = next(path for path in (project, *project.absolute().parents) if path.is_dir())
    free = filesystem.free_bytes(folder)
    writable = os.access(folder, os.W_OK)
    kind = filesystem.filesystem_type(folder) or "unknown file system"
    text = f"{folder.absolute()} ({kind}): "
    text += f"{free / 1e9:.1f} GB free" if free is not None else "free space unknown"
    text += "" if writable else "; not writable for you"
    low = free is not None and free < LOW_DISK_BYTES
    return [Finding("disk", text + ("; that is little" if low else ""), problem=not writable)]


def _memory() -> tuple[int, int] | None:
    """Total and available bytes; None where the system does not tell."""
    try:
        table = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in table.splitlines()}
    return sizes["MemTotal"], sizes.get("MemAvailable", sizes["MemFree"])
