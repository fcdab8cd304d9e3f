"""`train --from-scratch`: a new network from simulated micrographs."""

from __future__ import annotations

import argparse

from warptui.commands.output import DONE, SOME_FAILED, say
from warptui.commands.train.options import output_of, settings_of
from warptui.engine.errors import TrainingError


def train(call: argparse.Namespace) -> int:
    """Train a network on simulated micrographs; 1 if it was interrupted."""
    from warptui.engine.config.sections import ComputeSettings
    from warptui.engine.worker.devices import cpu_count, plan_slots

    if not call.data:
        raise TrainingError("--from-scratch needs --data FOLDER: models of particles, or bundles")
    device = call.device or plan_slots(ComputeSettings())[0][0].device
    output = output_of(call, "from-scratch")
    if output.suffix != ".safetensors":
        raise TrainingError(f"{output}: expected the name of a .safetensors file")

    import torch

    from warptui.engine.training import scratch

    if device == "cpu":
        torch.set_num_threads(cpu_count())
    settings = settings_of(call)
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
    """Ctrl-C ends the training after the present step, with a checkpoint."""

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
