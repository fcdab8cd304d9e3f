"""Turns a user's training request into a task for the training process, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warptui.engine.config.sections import TrainingSettings
from warptui.engine.config.settings import Config
from warptui.engine.errors import InputError, TrainingError
from warptui.engine.formats.boxnet_model import find_model, read_boxnet
from warptui.engine.model.training import TrainingExample, TrainingRequest
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.picking import settings_of
from warptui.engine.training import folder
from warptui.engine.training.labels import LEARN, Marked, Rules, describe, find_marked
from warptui.engine.training.models import new_name
from warptui.engine.training.task import Task

_WINDOW_PX2 = 256**2
_PIXEL_SIZE = 8.0
# Cost of a window, forward and backward, at width 8: a rough guess until it is measured
_CPU_SECONDS, _GPU_SECONDS = 0.6, 0.004


def settings_for(config: Config, request: TrainingRequest) -> TrainingSettings:
    """The settings in [training] with the changes of the request.

    Raises
    ------
    TrainingError
        If a value is not allowed.
    """
    try:
        return TrainingSettings(**{**config.training.model_dump(), **request.settings})
    except ValidationError as problem:
        first = problem.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise TrainingError(f"training.{key} = {first['input']!r}: {first['msg']}") from problem


def rules_for(config: Config) -> Rules:
    """The rules in [picking] by which candidates become picks."""
    picking = settings_of(config).model_dump()
    return Rules(**{key: picking[key] for key in Rules.__dataclass_fields__})


def used_model(config: Config) -> str:
    """Path of the model in picking.model."""
    return settings_of(config).model


def make_task(
    paths: ProjectPaths,
    config: Config,
    items: Mapping[str, str],
    request: TrainingRequest,
    device: str,
    threads: int,
) -> Task:
    """The complete task for the training process; writes nothing.

    Raises
    ------
    TrainingError, InputError
        With a message to the user, if the training cannot begin.
    """
    if request.resume:
        return _resumed(paths, request, device, threads)
    settings = settings_for(config, request)
    start = request.start_from or used_model(config)
    read_boxnet(find_model(start, paths.root))
    name = new_name(paths, request.model or settings.new_model, start)
    request = replace(request, model=name, start_from=start)
    task = Task(
        str(paths.root),
        request,
        settings.model_dump(mode="json"),
        asdict(rules_for(config)),
        dict(items),
        device,
        threads,
    )
    rules = rules_for(config)
    found = find_marked(paths, items, request, settings.held_out_percent, rules)
    plan = describe(found, rules, {})
    if problem := _problem(plan):
        raise TrainingError(problem)
    return task


def preview(
    paths: ProjectPaths,
    config: Config,
    items: Mapping[str, str],
    request: TrainingRequest,
    device: str,
    threads: int,
) -> dict[str, Any]:
    """A preview of a training; see `Session.preview_training`."""
    plan: dict[str, Any] = {
        "problem": "", "notes": [], "model": "", "start_from": "", "n_examples": 0,
        "n_particles": 0, "n_held_out": 0, "n_steps": 0, "seconds": None, "device": device,
    }  # fmt: skip
    try:
        settings = settings_for(config, request)
        start = request.start_from or used_model(config)
        plan["start_from"] = start
        width = read_boxnet(find_model(start, paths.root)).width
        plan["model"] = new_name(paths, request.model or settings.new_model, start)
        rules = rules_for(config)
        found = find_marked(paths, items, request, settings.held_out_percent, rules)
        examples = describe(found, rules, {})
    except (TrainingError, InputError) as problem:
        return {**plan, "problem": str(problem)}
    usable = [example for example in examples if not example.problem]
    learned = [example for example in usable if example.role == LEARN]
    names = {example.name for example in learned}
    windows = sum(_windows(one) for one in found if one.name in names)
    windows *= settings.epochs / (1 - settings.corpus_percent / 100)
    plan |= {
        "problem": _problem(examples),
        "notes": [f"{e.name} is left out: {e.problem}" for e in examples if e.problem],
        "n_examples": len(learned),
        "n_particles": sum(example.n_particles for example in learned),
        "n_held_out": len(usable) - len(learned),
        "n_steps": max(1, round(windows / settings.batch)),
        "seconds": round(windows * _window_seconds(device, threads, width)),
    }
    if learned and len(usable) == len(learned):
        plan["notes"].append(
            "no micrograph is held out: it will be unknown whether the new network is better"
        )
    return plan


def examples_of(
    paths: ProjectPaths, config: Config, items: Mapping[str, str]
) -> list[TrainingExample]:
    """The marked micrographs, each as training would use it now."""
    request = TrainingRequest()
    rules = rules_for(config)
    found = find_marked(paths, items, request, config.training.held_out_percent, rules)
    return describe(found, rules, folder.seen_examples(paths))


def _problem(examples: list[TrainingExample]) -> str:
    """Why no micrograph can be learned from; "" if at least one can."""
    if not examples:
        return (
            "there are no examples: mark micrographs for training on the item screen (E), or name "
            "them"
        )
    if any(example.role == LEARN and not example.problem for example in examples):
        return ""
    problems = [f"{e.name}: {e.problem}" for e in examples if e.problem]
    if not problems:
        return "all marked micrographs are held out: mark at least one to learn from"
    return "there are no examples: " + "; ".join(problems[:3])


def _resumed(paths: ProjectPaths, request: TrainingRequest, device: str, threads: int) -> Task:
    if not request.model or not folder.can_resume(paths, request.model):
        known = [name for name in folder.trainings(paths) if folder.can_resume(paths, name)]
        raise TrainingError(
            f"{request.model or 'no name'}: no training to continue; interrupted trainings: "
            f"{', '.join(known) or 'none'}"
        )
    record = folder.read_json(paths.training(request.model) / folder.TASK)
    if "request" not in record:
        raise TrainingError(f"{request.model}: {folder.TASK} is damaged; begin again")
    task = Task.from_json(record)
    asked = replace(task.request, resume=True, use=request.use)
    return replace(task, request=asked, device=device, threads=threads, project=str(paths.root))


def _windows(marked: Marked) -> float:
    """Number of windows that cover the micrograph."""
    from warptui.engine.formats.mrc import read_shape_and_pixel_size

    (ny, nx), pixel_size = read_shape_and_pixel_size(Path(marked.average_path))
    return max(1.0, ny * nx * (pixel_size / _PIXEL_SIZE) ** 2 / _WINDOW_PX2)


def _window_seconds(device: str, threads: int, width: int) -> float:
    if device.startswith("cuda"):
        return _GPU_SECONDS * max(1.0, (width / 8) ** 1.5)
    return _CPU_SECONDS * (width / 8) ** 1.7 / max(threads, 1)
