"""Trains BoxNet from random weights, on simulated micrographs and on bundles of real ones.

(Paper, *Initial training of BoxNet*: 9 of 10 micrographs to learn from, 800 epochs, momentum,
learning rate from 1e-2 to 1e-5.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import warptui
from warptui.engine.errors import TrainingError
from warptui.engine.formats.boxnet_model import write_boxnet
from warptui.engine.formats.writing import write_text
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.simulation.invented import invent_particle
from warptui.engine.training.bundle import (
    SUFFIX,
    Entry,
    Origin,
    content_hash,
    read_bundle,
    read_manifest,
    write_bundle,
)
from warptui.engine.training.corpus import SEED, make_scenes, read_models
from warptui.engine.training.example import Example, Tally
from warptui.engine.training.files import (
    append_line,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from warptui.engine.training.folder import CHECKPOINT, read_json
from warptui.engine.training.loop import Learner, Schedule
from warptui.engine.training.scores import Rule, measure

SCENE_PX = 512
VALIDATED_EVERY = 10  # every so many-th micrograph is held out for validation
MIN_SCORE = 0.5  # lowest score of a pick in validation
_VALIDATED = 24  # held-out micrographs that are measured repeatedly
_MEASUREMENTS = 200
_SAVED_S = 120.0
_SHOWN_EVERY_S = 2.0
_SCENES = f"scenes{SUFFIX}"


@dataclass(frozen=True)
class Plan:
    """Data and options of a training from random weights."""

    data: tuple[Path, ...]  # folders of atomic models, atomic models, and bundles
    output: Path
    n_scenes: int = 1600
    n_invented: int = 60  # additional invented particles, for more shapes than the models have
    n_epochs: int = 800
    width: int = 32
    batch: int = 8
    first_rate: float = 1e-2
    last_rate: float = 1e-5
    optimiser: str = "momentum"
    averaging: float = 0.0
    scene_px: int = SCENE_PX
    n_views: int = 250
    seed: int = 1
    window_px: int = 256

    @property
    def folder(self) -> Path:
        """The folder of scenes, checkpoint and metrics."""
        return self.output.with_suffix("")


def train(
    plan: Plan,
    device: torch.device,
    tell: Callable[[str], None],
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Tally | None:
    """Train a network; returns its scores on the held-out set, or None if stopped before the end.

    Continues from the checkpoint in the plan's folder, if one exists. One epoch is one window of
    every micrograph.

    Raises
    ------
    TrainingError, InputError
        If there are no examples to learn from, or a file is damaged.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    examples, species = _examples(plan, tell)
    validated = examples[VALIDATED_EVERY - 1 :: VALIDATED_EVERY]
    learned = [e for i, e in enumerate(examples) if i % VALIDATED_EVERY != VALIDATED_EVERY - 1]
    n_steps = max(1, round(plan.n_epochs * len(learned) / plan.batch))
    schedule = Schedule(
        n_steps,
        plan.batch,
        plan.first_rate,
        plan.last_rate,
        old_share=0.0,
        optimiser=plan.optimiser,
        averaging=plan.averaging,
        window_px=plan.window_px,
        seed=plan.seed,
    )
    torch.manual_seed(plan.seed)
    learner = Learner(BoxNet(plan.width), schedule, device, learned, say=tell)
    checkpoint = plan.folder / CHECKPOINT
    made_by = vars(schedule) | {"width": plan.width, "n_examples": len(learned)}
    if checkpoint.exists():
        state = read_checkpoint(checkpoint)
        if state.get("plan") != made_by:
            raise TrainingError(
                f"{checkpoint} is of another training than this command describes: give it its "
                "options again to go on with it, remove it, or choose another --output"
            )
        learner.restore(state["learner"])
        tell(f"going on from step {learner.step}")
    tell(f"{len(learned)} micrographs to learn from, {len(validated)} to validate, {n_steps} steps")
    rule = Rule(MIN_SCORE)
    every = max(1, n_steps // _MEASUREMENTS)
    begun, first = time.monotonic(), learner.step
    shown_at = saved_at = begun
    while learner.step < n_steps:
        learner.advance()
        now = time.monotonic()
        if now - shown_at > _SHOWN_EVERY_S:
            shown_at = now
            per_step = (now - begun) / (learner.step - first)
            left = (n_steps - learner.step) * per_step
            tell(_line(learner, n_steps, left))
        stop = asked_to_stop()
        if learner.step % every == 0:
            tally = measure(learner.result, validated[:_VALIDATED], rule, device)
            record = {"step": learner.step, "loss": round(learner.loss or 0.0, 5)}
            record |= {"validation": tally.to_json(), "time": round(time.time(), 1)}
            append_line(plan.folder / "metrics.jsonl", record)
        if stop or now - saved_at > _SAVED_S or learner.step == n_steps:
            saved_at = now
            if problem := write_checkpoint(
                checkpoint, {"plan": made_by, "learner": learner.state()}
            ):
                tell(problem)
        if stop:
            return None
    tally = measure(learner.result, validated, rule, device)
    _write(plan, learner, tally, species, len(learned), len(validated))
    return tally


def _examples(plan: Plan, tell: Callable[[str], None]) -> tuple[list[Example], list[str]]:
    """Simulated examples, made once and kept, then examples of bundles; and all species."""
    bundles = [path for path in plan.data if path.suffix == SUFFIX]
    folders = [path for path in plan.data if path.suffix != SUFFIX]
    for folder in folders:
        if not folder.exists():
            raise TrainingError(f"{folder} is not there")
        bundles += sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    entries = [entry for path in bundles for entry in read_bundle(path)]
    simulated = _simulated(plan, folders, tell, needed=not entries)
    examples = [*simulated, *(entry.example for entry in entries)]
    species = {name for e in examples for name in e.species.split(" + ") if name}
    return examples, sorted(species)


def _simulated(
    plan: Plan, folders: Sequence[Path], tell: Callable[[str], None], *, needed: bool
) -> list[Example]:
    path = plan.folder / _SCENES
    record = {
        "scenes": plan.n_scenes,
        "size": plan.scene_px,
        "views": plan.n_views,
        "seed": SEED,
        "invented": plan.n_invented,
        "data": sorted(str(folder.resolve()) for folder in folders),
    }
    note = path.with_suffix(".json")
    if path.exists() and read_json(note) == record:
        return [entry.example for entry in read_bundle(path)]
    try:
        particles = read_models(folders) if folders else []
    except TrainingError:
        if needed:
            raise
        particles = []
    if not particles or not plan.n_scenes:
        return []
    tell(
        f"simulating {plan.n_scenes} micrographs of {len(particles)} species and "
        f"{plan.n_invented} invented ones"
    )
    particles += [invent_particle(SEED + number) for number in range(plan.n_invented)]
    shown_at = time.monotonic()

    def on_progress(fraction: float) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at > _SHOWN_EVERY_S:
            shown_at = time.monotonic()
            tell(f"simulating: {fraction:.0%}")

    made = make_scenes(
        particles, plan.n_scenes, plan.scene_px, n_views=plan.n_views, on_progress=on_progress
    )
    entries = [Entry(example, Origin("", "", 8.0, "simulated")) for example in made]
    write_bundle(path, entries)
    write_text(note, json.dumps(record))
    return [entry.example for entry in read_bundle(path)]


def _write(
    plan: Plan, learner: Learner, tally: Tally, species: list[str], n_learned: int, n_validated: int
) -> None:
    scenes = plan.folder / _SCENES
    card = {
        "name": plan.output.stem,
        "start_from": "",
        "made_at": round(time.time()),
        "program": f"warptui {warptui.__version__}",
        "species": species,
        "n_examples": n_learned,
        "n_validated": n_validated,
        "simulated": content_hash(read_manifest(scenes)["examples"]) if scenes.exists() else "",
        "schedule": vars(learner.schedule) | {"batch": learner.batch},
        "validation": tally.to_json(),
        "validation_min_score": MIN_SCORE,
    }
    write_boxnet(plan.output, weights_of(learner.result), plan.width, card)
    text = json.dumps(card, indent=1) + "\n"
    write_text(plan.folder / "report.json", text)


def _line(learner: Learner, n_steps: int, left_s: float) -> str:
    minutes = round(left_s / 60)
    loss = "-" if learner.loss is None else f"{learner.loss:.3f}"
    left = f"{minutes // 60} h {minutes % 60:02d} min left"
    return f"step {learner.step}/{n_steps} · loss {loss} · {left}"
