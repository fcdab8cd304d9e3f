"""Read a project without an engine: its stored items, and the files that wait for processing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from warptui.engine.config.file import read_config
from warptui.engine.config.sections import InputSettings
from warptui.engine.errors import SettingsError
from warptui.engine.exporting.records import ExportRecords
from warptui.engine.items.picks import read_edit_states
from warptui.engine.items.table import ItemTable
from warptui.engine.model.status import EngineStatus
from warptui.engine.planning.references import ReferenceFiles
from warptui.engine.planning.target import Target, visible_summaries
from warptui.engine.project.filesystem import free_bytes
from warptui.engine.project.paths import CONFIG_NAME, ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.project.temporary_files import PRODUCT_FOLDERS
from warptui.engine.watching.scanner import Patterns, never_movies
from warptui.engine.worker.loading import load_stages


def find_movies(settings: InputSettings) -> Iterator[Path]:
    """Movie files of the input folder, in alphabetical order.

    Raises
    ------
    SettingsError
        If the folder cannot be read.
    """
    folder = Path(settings.folder)
    patterns = Patterns(settings.pattern, never_movies((settings.gain, settings.defects), folder))
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        raise SettingsError(
            f"input.folder = {settings.folder!r}: expected a folder that can be read "
            f"({problem.strerror})"
        ) from problem
    is_project = (folder / CONFIG_NAME).exists()
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        if not is_folder and patterns.match(entry.name):
            if Path(entry.path).resolve() not in patterns.never:
                yield Path(entry.path)
        elif is_folder and settings.recursive and not entry.name.startswith("."):
            if is_project and entry.name in PRODUCT_FOLDERS:
                continue
            yield from find_movies(settings.model_copy(update={"folder": entry.path}))


def load_table(project: Path) -> tuple[ItemTable, str]:
    """All items of a project as an engine would see them now, and what is wrong with references."""
    config = read_config(project)
    project_paths = ProjectPaths(project.resolve())
    references, problem = ReferenceFiles(project, config).look()
    table = ItemTable(project_paths, Target.of(config, references, load_stages()))
    store = Store(project_paths)
    try:
        table.adopt(store.load_all().values())
        table.edit_states = read_edit_states(project_paths)
        movies = list(find_movies(config.input))
        there = set(movies)
        for entry in table.entries.values():
            entry.present = entry.path in there
        for path in movies:
            entry = table.arrive(path, at_start=True)
            if entry.undecided:
                entry = table.take_over(entry, store.cached_fingerprint(path)) or entry
            entry.present = True
            if not entry.stored.records:
                entry.stored = store.load(entry.name) or entry.stored
    finally:
        store.close()
    for entry in table.entries.values():
        table.judge(entry)
    return table, problem


def status(project: Path, table: ItemTable, problem: str) -> EngineStatus:
    """What an engine's status would be, had it just stopped."""
    counts, choices = table.counts()
    return EngineStatus(
        state="no engine",
        project=str(project.resolve()),
        input_folder=table.target.config.input.folder,
        counts=counts,
        choices=choices,
        disk_free_bytes=free_bytes(project),
        message=problem,
        summaries=visible_summaries(table.target),
        filters=table.target.config.filters.limits(),
        astigmatism=table.session_astigmatism(),
        exports=ExportRecords(ProjectPaths(project.resolve())).all(),
    )
