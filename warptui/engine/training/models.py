"""Lists, names and removes models, and reports the status of a project's trainings."""

from __future__ import annotations

import re
import shutil
from functools import lru_cache
from pathlib import Path

from warptui.engine.errors import InputError, TrainingError
from warptui.engine.formats.boxnet_model import (
    SUFFIX,
    BoxNetFile,
    bundled_folder,
    find_model,
    read_boxnet,
)
from warptui.engine.model.training import ModelInfo, TrainingStatus
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.training import folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_NUMBER = re.compile(r"_\d+$")


def list_models(paths: ProjectPaths, used: str, running: str = "") -> list[ModelInfo]:
    """All models: those of the project, newest first, then the bundled ones.

    ``used`` is the value of picking.model, ``running`` the model that is being trained now.
    """
    found: list[ModelInfo] = []
    statuses = folder.trainings(paths)
    names = {path.stem for path in paths.models.glob(f"*{SUFFIX}")}
    for name in names | set(statuses):
        if name in names:
            found.append(_describe(paths.model(name), used == name))
        elif name in statuses:
            found.append(_unfinished(paths, statuses[name], name == running))
    found.sort(key=lambda info: (-info.made_at, info.name))
    for path in sorted(bundled_folder().glob(f"*{SUFFIX}")):
        if path.stem not in names:
            found.append(_describe(path, used == path.stem, bundled=True))
    if used not in {info.name for info in found}:  # a path
        try:
            found.insert(0, _describe(find_model(used, paths.root), True, name=used))
        except InputError as problem:
            found.insert(0, ModelInfo(used, "damaged", used=True, problem=str(problem)))
    return found


def new_name(paths: ProjectPaths, wanted: str, start_from: str) -> str:
    """Name for a new model: ``wanted``, or the next free name after the starting model's.

    Raises
    ------
    TrainingError
        If ``wanted`` is not valid as a file name, or taken.
    """
    bundled = {path.stem for path in bundled_folder().glob(f"*{SUFFIX}")}
    if not wanted:
        base = _NUMBER.sub("", Path(start_from).stem) or "boxnet"
        taken = {path.stem for path in paths.models.glob(f"*{SUFFIX}")} | bundled
        taken |= {path.name for path in paths.models.glob("*/")}
        number = 1
        while f"{base}_{number}" in taken:
            number += 1
        return f"{base}_{number}"
    if not _NAME.fullmatch(wanted) or wanted.endswith(SUFFIX):
        raise TrainingError(
            f"{wanted!r} is no name for a model: letters, digits, '.', '_', '+' and '-', 64 at most"
        )
    if wanted in bundled:
        raise TrainingError(f"{wanted} is the name of a model that comes with the program")
    if paths.model(wanted).exists():
        raise TrainingError(
            f"there is a model {wanted} already: choose another name, or discard it first"
        )
    return wanted


def discard(paths: ProjectPaths, name: str, used: str, running: str = "") -> None:
    """Remove a model that was trained in this project, with its training.

    Raises
    ------
    TrainingError
        If the model is in use, comes with the program, is being trained, or does not exist.
    """
    if name == running:
        raise TrainingError(f"{name} is being trained: cancel that first")
    path, own = paths.model(name), paths.training(name)
    if not _NAME.fullmatch(name) or not (path.exists() or own.is_dir()):
        where = "comes with the program" if (bundled_folder() / path.name).exists() else "is no"
        raise TrainingError(f"{name} {where}{' model of this project' if where == 'is no' else ''}")
    if used == name:
        raise TrainingError(f"{name} is in use: pick with another model first")
    path.unlink(missing_ok=True)
    if own.is_dir():
        shutil.rmtree(own)


def check_usable(paths: ProjectPaths, name: str) -> None:
    """Raise InputError if this model cannot be used for picking."""
    read_boxnet(find_model(name, paths.root))


def last_training(paths: ProjectPaths) -> TrainingStatus | None:
    """Status of the project's last training; marked as interrupted if its process is gone."""
    statuses = folder.trainings(paths)
    if not statuses:
        return None
    name, status = list(statuses.items())[-1]
    return interrupted(paths, name, status) if status.active else status


def interrupted(paths: ProjectPaths, name: str, status: TrainingStatus) -> TrainingStatus:
    """The status of a training whose process is gone, with what the user can do."""
    from dataclasses import replace

    resumable = folder.can_resume(paths, name)
    where = f" at step {status.step} of {status.n_steps}" if status.step else ""
    then = "it can continue from its last checkpoint" if resumable else "begin it again"
    message = f"training of {name} was interrupted{where}: {then}; the model before stays in use"
    return replace(status, phase="failed", message=message, seconds_left=None, resumable=resumable)


def _describe(path: Path, used: bool, *, bundled: bool = False, name: str = "") -> ModelInfo:
    name = name or path.stem
    try:
        found = path.stat()
        stored = _read(path, found.st_mtime_ns, found.st_size)
    except (InputError, OSError) as problem:
        return ModelInfo(name, "damaged", bundled=bundled, used=used, problem=str(problem))
    card = stored.card
    after = card.get("held_out_after") or {}
    return ModelInfo(
        name,
        "ready",
        bundled=bundled,
        used=used,
        hash=stored.hash,
        width=stored.width,
        made_at=float(card.get("made_at") or (0.0 if bundled else found.st_mtime)),
        start_from=str(card.get("start_from", "")),
        n_examples=int(card.get("n_examples") or 0),
        n_particles=int(card.get("n_particles") or 0),
        f1=after.get("f1"),
        verdict=str(card.get("verdict", "")),
    )


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int, size: int) -> BoxNetFile:
    """A model's card, width and hash, read again only when its file changes."""
    stored = read_boxnet(path)
    return BoxNetFile({}, stored.width, stored.card, stored.hash)


def _unfinished(paths: ProjectPaths, status: TrainingStatus, is_running: bool) -> ModelInfo:
    state = "training" if is_running else status.phase
    if status.active and not is_running:
        state, status = "interrupted", interrupted(paths, status.model, status)
    return ModelInfo(
        status.model,
        state,
        made_at=folder_time(paths, status.model),
        start_from=status.start_from,
        n_examples=status.n_examples,
        n_particles=status.n_particles,
        problem="" if is_running else status.message,
    )


def folder_time(paths: ProjectPaths, name: str) -> float:
    """Unix time when a training last wrote its status."""
    try:
        return (paths.training(name) / folder.STATUS).stat().st_mtime
    except OSError:
        return 0.0
