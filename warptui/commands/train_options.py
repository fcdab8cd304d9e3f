"""The options of `train`, and what each of them does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from warptui.commands.output import DONE, SOME_FAILED, say
from warptui.engine.errors import TrainingError
from warptui.engine.model.training import TrainingRequest

# option, key of [training], type
SETTINGS = (
    ("--epochs", "epochs", int),
    ("--batch", "batch", int),
    ("--optimiser", "optimiser", str),
    ("--first-rate", "first_rate", float),
    ("--last-rate", "last_rate", float),
    ("--corpus-percent", "corpus_percent", float),
    ("--held-out-percent", "held_out_percent", float),
)


def add_options(command: argparse.ArgumentParser) -> None:
    """All of them, in groups."""
    command.add_argument("--json", action="store_true", help="print data as JSON")
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
    """Do what the options say."""
    from warptui.commands import train

    if call.from_scratch:
        return _from_scratch(call)
    if call.list is not None:
        return train.show_species(call.list, as_json=call.json)
    if call.merge:
        return train.merge(call.merge, _output(call, "merge"), as_json=call.json)
    if call.models:
        return train.show_models(call.project, as_json=call.json)
    if call.use_model:
        return train.use(call.project, call.use_model)
    if call.discard:
        return train.discard(call.project, call.discard)
    if call.cancel:
        return train.cancel(call.project, keep_best=call.keep_best)
    request = TrainingRequest(
        model=call.resume or call.name,
        start_from=call.start_from,
        items=train.find_items(call.project, call.items),
        held_out=train.find_items(call.project, call.held_out),
        positions=str(call.picks.resolve()) if call.picks else "",
        settings=_settings(call),
        resume=bool(call.resume),
        use=call.use,
    )
    if call.bundle:
        origin = {key: getattr(call, key) for key in ("species", "contributor", "licence")}
        origin["source"] = call.source
        return train.bundle(call.project, call.bundle, request, origin, as_json=call.json)
    return train.train(call.project, request, as_json=call.json)


def _settings(call: argparse.Namespace) -> dict[str, Any]:
    given = {key: getattr(call, key) for _, key, _ in SETTINGS}
    return {key: value for key, value in given.items() if value is not None}


def _output(call: argparse.Namespace, option: str) -> Path:
    if call.output is None:
        raise TrainingError(f"--{option} needs --output FILE: where the result goes")
    return call.output


def _from_scratch(call: argparse.Namespace) -> int:
    from warptui.engine.config.sections import ComputeSettings
    from warptui.engine.worker.devices import cpu_count, plan_slots

    if not call.data:
        raise TrainingError("--from-scratch needs --data FOLDER: models of particles, or bundles")
    device = call.device or plan_slots(ComputeSettings())[0][0].device
    output = _output(call, "from-scratch")
    if output.suffix != ".safetensors":
        raise TrainingError(f"{output}: expected the name of a .safetensors file")

    import torch

    from warptui.engine.training import scratch

    if device == "cpu":
        torch.set_num_threads(cpu_count())
    settings = _settings(call)
    plan = scratch.Plan(
        tuple(call.data),
        output,
        n_scenes=call.scenes,
        n_invented=call.invented,
        n_epochs=settings.get("epochs", scratch.Plan.n_epochs),
        width=call.width,
        batch=settings.get("batch", scratch.Plan.batch),
        first_rate=settings.get("first_rate", scratch.Plan.first_rate),
        last_rate=settings.get("last_rate", scratch.Plan.last_rate),
        optimiser=settings.get("optimiser", scratch.Plan.optimiser),
        averaging=call.averaging,
    )
    stop = _StopOnInterrupt()
    with stop:
        tally = scratch.train(plan, torch.device(device), say, lambda: stop.asked)
    if tally is None:
        say(f"stopped; the same command goes on from {plan.folder}")
        return SOME_FAILED
    say(f"{output}: validation {tally.to_json()}")
    return DONE


class _StopOnInterrupt:
    """Ctrl-C ends the loop after the present step, with a checkpoint."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> None:
        import signal

        self._before = signal.signal(signal.SIGINT, self._ask)

    def __exit__(self, *_: object) -> None:
        import signal

        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
