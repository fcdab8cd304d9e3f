"""A training that looks like one: examples, metrics by step, models, a held-out micrograph."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from warptui.engine.model.row import ItemRow
from warptui.engine.model.training import (
    ModelInfo,
    TrainingExample,
    TrainingRequest,
    TrainingStatus,
)

N_STEPS = 1000
MEASURE_EVERY = 50
N_EPOCHS = 100
SECONDS_PER_STEP = 0.9


def examples(rows: list[ItemRow], n: int = 14) -> list[TrainingExample]:
    """Every 90th item, two of them held out, one of them useless."""
    random = np.random.default_rng(3)
    made = []
    for i, row in enumerate(rows[:: max(1, len(rows) // n)][:n]):
        example = TrainingExample(
            row.name,
            "held-out" if i % 5 == 4 else "examples",
            n_particles=int(random.integers(50, 240)),
            n_uncertain=int(random.integers(0, 5)),
            n_false=int(random.integers(0, 20)),
            masked=i % 3 == 0,
            seen_by="boxnet_1" if i < 4 else "",
        )
        if i == 7:
            example = replace(
                example, n_particles=0, problem="its average is gone: process it again (P)"
            )
        made.append(example)
    return made


def models() -> list[ModelInfo]:
    """An earlier one of good repute, one that was interrupted, and the bundled one."""
    return [
        ModelInfo(
            "boxnet_1", "ready", hash="7c1f0a9e" * 8, width=8, made_at=1_790_000_000.0,
            start_from="boxnet", n_examples=4, n_particles=611, f1=0.931,
            verdict="better on your micrographs: F1 0.931 instead of 0.874 on 2 held-out ones",
        ),
        ModelInfo("boxnet_2", "interrupted", start_from="boxnet_1",
                  problem="it stopped at step 400 of 1000 and can go on"),
        ModelInfo("boxnet", "ready", bundled=True, used=True, hash="a09b31c2" * 8, width=8),
    ]  # fmt: skip


def begun(request: TrainingRequest, found: list[TrainingExample]) -> TrainingStatus:
    """A training right after its start."""
    usable = [example for example in found if not example.problem]
    learnt = [example for example in usable if example.role == "examples"]
    return TrainingStatus(
        request.model or "boxnet_3",
        "examples",
        n_steps=N_STEPS,
        n_epochs=int(request.settings.get("epochs", N_EPOCHS)),
        n_examples=len(learnt),
        n_particles=sum(example.n_particles for example in learnt),
        n_held_out=len(usable) - len(learnt),
        device="cuda:1",
        start_from=request.start_from or "boxnet",
        message="making examples of the marked micrographs; processing waits until it is done",
    )


def at(status: TrainingStatus, step: int) -> TrainingStatus:
    """The same training at a later step; done at the last."""
    step = min(step, N_STEPS)
    seconds = 12 + step * SECONDS_PER_STEP
    now = replace(
        status,
        phase="running",
        step=step,
        epoch=round(status.n_epochs * step / N_STEPS, 1),
        seconds=seconds,
        seconds_left=(N_STEPS - step) * SECONDS_PER_STEP,
        loss=_loss(step),
        message="training; processing waits until it is done",
    )
    if step < N_STEPS:
        return now
    verdict = "better on your micrographs: F1 0.948 instead of 0.874 on 2 held-out ones"
    return replace(now, phase="done", seconds_left=0.0, verdict=verdict,
                   message=f"{now.model} is ready; it is not used until you say so")  # fmt: skip


def metrics(step: int) -> list[dict[str, Any]]:
    """What was measured up to a step."""
    old = {"old_on_old": _score(0.955), "old_on_new": _score(0.871), "held_out_old": _score(0.874)}
    made = []
    for at_step in range(0, min(step, N_STEPS) + 1, MEASURE_EVERY):
        gain = 1 - math.exp(-at_step / 220)
        waver = 0.006 * math.sin(at_step / 37)
        made.append(
            {
                "step": at_step,
                "epoch": round(N_EPOCHS * at_step / N_STEPS, 1),
                "loss": None if at_step == 0 else _loss(at_step),
                "time": 1_790_000_000.0 + at_step * SECONDS_PER_STEP,
                **old,
                "new_on_old": _score(0.955 - 0.004 * gain + waver / 2),
                "new_on_new": _score(0.871 + 0.092 * gain + waver),
                "held_out": _score(0.874 + 0.074 * gain + waver),
            }
        )
    return made


def report(item: str) -> dict[str, Any]:
    """A report whose arrays are in it, as `warptui.client.Client.training_report` has paths."""
    random = np.random.default_rng(11)
    edge = (3300, 4700)
    both = random.uniform(100, edge, (180, 2))
    before = np.concatenate([both, random.uniform(100, edge, (25, 2))])
    after = np.concatenate(
        [both + random.normal(0, 8, both.shape), random.uniform(100, edge, (40, 2))]
    )
    return {
        "item": item,
        "diameter_angstrom": 120.0,
        "n_truth": 214,
        "before": np.column_stack([before, np.full(len(before), 0.97)]).astype(np.float32),
        "after": np.column_stack([after, np.full(len(after), 0.98)]).astype(np.float32),
        "truth": np.concatenate([both, after[180:214]]).astype(np.float32),
        "f1_before": 0.874,
        "f1_after": 0.948,
        "held_out_before": _score(0.874),
        "held_out_after": _score(0.948),
        "n_held_out": 2,
        "chosen_by": "F1 on the held-out micrographs",
    }


def _loss(step: int) -> float:
    return round(0.12 + 0.5 * math.exp(-step / 160) + 0.02 * math.sin(step / 9), 4)


def _score(f1: float) -> dict[str, float]:
    f1 = min(f1, 0.999)
    return {
        "precision": round(f1 + 0.012, 4),
        "recall": round(f1 - 0.012, 4),
        "f1": round(f1, 4),
        "accuracy": round(0.9 + f1 / 12, 4),
    }
