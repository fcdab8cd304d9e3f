"""`train --bundle`, `--merge`, `--list`: training data to share with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from warptui.commands.output import DONE, one_line, print_json, print_table, say
from warptui.commands.train.project import root_names
from warptui.engine.config import file
from warptui.engine.errors import TrainingError
from warptui.engine.model.training import TrainingRequest
from warptui.engine.project.paths import ProjectPaths


def bundle(
    project: Path, target: Path, request: TrainingRequest, origin: dict[str, str], *, as_json: bool
) -> int:
    """Pack the marked micrographs into one file, which others can train with."""
    from warptui.engine.training import request as order
    from warptui.engine.training.example_making import make_bundle

    if not origin["species"]:
        raise TrainingError("--species is missing: the name of what was picked")
    if not origin["contributor"] or not origin["licence"]:
        raise TrainingError(
            "--contributor and --licence are missing: whose examples these are, and under which "
            "licence (such as CC0-1.0) others may use them"
        )
    settings = file.read_config(project)
    paths = ProjectPaths(project.resolve())
    summary, notes = make_bundle(
        paths,
        root_names(project),
        request,
        order.rules_for(settings),
        target,
        train_masks=settings.training.train_masks,
        **origin,
    )
    for note in notes:
        say(note)
    if as_json:
        print_json({"path": str(target), **summary})
    say(f"{target}: {summary['micrographs']} micrographs, {summary['particles']} particles")
    return DONE


def merge(files: list[Path], target: Path, *, as_json: bool) -> int:
    """Merge bundles into one file."""
    from warptui.engine.training.bundle import merge as merge_bundles

    n_examples, n_doubles = merge_bundles(files, target)
    if as_json:
        print_json({"path": str(target), "examples": n_examples, "doubles": n_doubles})
    left_out = f", {n_doubles} that were there twice left out" if n_doubles else ""
    say(f"{target}: {n_examples} micrographs{left_out}")
    return DONE


def show_species(files: list[Path], *, as_json: bool) -> int:
    """Print the species in the curated set, or in bundles."""
    from warptui.engine.training.bundle import read_manifest, species_of
    from warptui.engine.training.corpus import corpus_path

    examples: list[dict[str, Any]] = []
    for path in files or [corpus_path()]:
        examples += read_manifest(path)["examples"]
    found = species_of({"examples": examples})
    if as_json:
        print_json(found)
        return DONE
    heads = ["species", "micrographs", "source", "contributor", "licence"]
    print_table(
        [
            heads,
            *(
                [
                    one_line(entry["species"]),
                    str(entry["micrographs"]),
                    *(one_line(", ".join(entry[key])) for key in heads[2:]),
                ]
                for entry in found
            ),
        ]
    )
    return DONE
