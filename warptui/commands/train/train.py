"""The options of `train`, and the function that carries each of them out."""

from __future__ import annotations

import argparse
from pathlib import Path

from warptui.commands.parsing import Parsers, add_json, add_project, new_parser
from warptui.commands.train.options import SETTINGS, output_of, settings_of
from warptui.engine.model.training import TrainingRequest


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options, in groups."""
    command = new_parser(verbs, "train", words, run)
    add_project(command)
    add_json(command)
    add = command.add_argument
    add("--name", default="", metavar="MODEL", help="of the new model (default: the next free one)")
    add("--from", dest="start_from", default="", metavar="MODEL",
        help="where it starts (default: picking.model)")  # fmt: skip
    add("--items", nargs="+", default=[], metavar="NAME",
        help="learn from these (names or patterns) instead of those that are marked")  # fmt: skip
    add("--held-out", nargs="+", default=[], metavar="NAME", help="only measure on these")
    add("--picks", type=Path, metavar="FOLDER",
        help="take particles from STAR files NAME*.star in it instead of picks")  # fmt: skip
    for option, key, kind in SETTINGS:
        add(option, type=kind, metavar="VALUE", help=f"instead of training.{key}")
    add("--use", action="store_true", help="pick with the new model when it is done")
    add("--resume", metavar="MODEL", help="go on with an interrupted training")
    other = command.add_argument_group("models")
    add = other.add_argument
    add("--models", action="store_true", help="list them, and what is known of each")
    add("--use-model", metavar="MODEL", help="pick with it from now on")
    add("--discard", metavar="MODEL", help="remove one that was trained here")
    add("--cancel", action="store_true", help="end the training of the engine that runs")
    add("--keep-best", action="store_true", help="with --cancel: the best so far is the model")
    shared = command.add_argument_group("examples to share")
    add = shared.add_argument
    add("--bundle", type=Path, metavar="FILE", help="pack the marked micrographs into FILE")
    for option, words in (
        ("--species", "what was picked"),
        ("--contributor", "whose data they are"),
        ("--licence", "such as CC0-1.0"),
        ("--source", "such as an EMPIAR entry"),
    ):
        add(option, default="", metavar="TEXT", help=f"with --bundle: {words}")
    add("--merge", type=Path, nargs="+", metavar="FILE", help="put bundles together into --output")
    add("--list", type=Path, nargs="*", metavar="FILE",
        help="species in these bundles, or in the curated set")  # fmt: skip
    scratch = command.add_argument_group("from scratch")
    add = scratch.add_argument
    add("--from-scratch", action="store_true", help="a new network from simulated micrographs")
    add("--data", type=Path, nargs="+", metavar="FOLDER",
        help="of PDB, mmCIF or MRC models and of bundles")  # fmt: skip
    add("--output", type=Path, metavar="FILE", help="where the network or the bundle goes")
    add("--width", type=int, default=32, metavar="N", help="channels (default 32, the paper's)")
    add("--scenes", type=int, default=1600, metavar="N", help="to simulate (default 1600)")
    add("--invented", type=int, default=60, metavar="N",
        help="particles that do not exist, besides those of --data (default 60)")  # fmt: skip
    add("--averaging", type=float, default=0.0, metavar="SHARE",
        help="weights averaged over the last steps, such as 0.999 (default 0: none)")  # fmt: skip
    add("--device", default="", help="cpu, cuda:0, ... (default: the first GPU, else the CPU)")


def run(call: argparse.Namespace) -> int:
    """Carry out what the options ask for."""
    from warptui.commands.train import bundles, models, scratch, training

    if call.from_scratch:
        return scratch.train(call)
    if call.list is not None:
        return bundles.show_species(call.list, as_json=call.json)
    if call.merge:
        return bundles.merge(call.merge, output_of(call, "merge"), as_json=call.json)
    if call.models:
        return models.show_models(call.project, as_json=call.json)
    if call.use_model:
        return models.use(call.project, call.use_model)
    if call.discard:
        return models.discard(call.project, call.discard)
    if call.cancel:
        return training.cancel(call.project, keep_best=call.keep_best)
    request = TrainingRequest(
        model=call.resume or call.name,
        start_from=call.start_from,
        items=training.find_items(call.project, call.items),
        held_out=training.find_items(call.project, call.held_out),
        positions=str(call.picks.resolve()) if call.picks else "",
        settings=settings_of(call),
        resume=bool(call.resume),
        use=call.use,
    )
    if call.bundle:
        origin = {key: getattr(call, key) for key in ("species", "contributor", "licence")}
        origin["source"] = call.source
        return bundles.bundle(call.project, call.bundle, request, origin, as_json=call.json)
    return training.train(call.project, request, as_json=call.json)
