"""`train --models`, `--use-model`, `--discard`: the BoxNet models that picking can use."""

from __future__ import annotations

from pathlib import Path

from warptui.client import running
from warptui.commands.output import DONE, print_json, print_table, say
from warptui.commands.train.project import Locked
from warptui.engine.config import file
from warptui.engine.model import codec
from warptui.engine.model.training import ModelInfo
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.picking import use_model


def show_models(project: Path, *, as_json: bool) -> int:
    """Print all models, and trainings that did not end."""
    client = running(project)
    if client is not None:
        with client:
            found = client.models()
    else:
        from warptui.engine.training import models
        from warptui.engine.training import request as order

        used = order.used_model(file.read_config(project))
        found = models.list_models(ProjectPaths(project.resolve()), used)
    if as_json:
        print_json([codec.encode(info) for info in found])
        return DONE
    print_table([["", "model", "state", "F1", "micrographs", "from"], *map(_model_line, found)])
    for info in found:
        if info.verdict or info.problem:
            say(f"{info.name}: {info.problem or info.verdict}")
    return DONE


def use(project: Path, name: str) -> int:
    """Use a model for picking from now on."""
    client = running(project)
    if client is not None:
        with client:
            client.use_model(name)
    else:
        from warptui.engine.training.models import check_usable

        check_usable(ProjectPaths(project.resolve()), name)
        file.write_config(project, use_model(name))
    say(f"picking.model = {name}: what was picked with another model is outdated now")
    return DONE


def discard(project: Path, name: str) -> int:
    """Remove a model that was trained in this project."""
    client = running(project)
    if client is not None:
        with client:
            client.discard_model(name)
    else:
        from warptui.engine.training import models
        from warptui.engine.training import request as order

        paths = ProjectPaths(project.resolve())
        with Locked(paths):
            models.discard(paths, name, order.used_model(file.read_config(project)))
    say(f"{name} is gone")
    return DONE


def _model_line(info: ModelInfo) -> list[str]:
    return [
        "*" if info.used else "",
        info.name,
        info.state,
        "-" if info.f1 is None else f"{info.f1:.3f}",
        str(info.n_examples or "-"),
        "comes with warptui" if info.bundled else info.start_from,
    ]
