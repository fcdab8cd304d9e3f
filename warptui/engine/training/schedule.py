"""Measurements during training: on which parts of the examples, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.training.example import Example, Tally
from warptui.engine.training.loop import Schedule
from warptui.engine.training.scores import Rule, measure

_MEASURED_PX = 512  # side of the measured part of a micrograph
_MEASURED = 3  # measured micrographs of each kind
_MEASURING_SHARE = 0.2  # share of the time spent on measurements
_MOST_MEASUREMENTS, _FEWEST_MEASUREMENTS = 40, 8


@dataclass(frozen=True)
class Scores:
    """Scores of one network on the watched examples."""

    old: Tally
    new: Tally
    held_out: Tally | None

    @property
    def worth(self) -> float | None:
        """F1 by which the best network is chosen; None without a held-out set."""
        return None if self.held_out is None else self.held_out.f1


class Watched:
    """The parts of the examples on which the network is measured repeatedly."""

    def __init__(
        self, old: Sequence[Example], new: Sequence[Example], held_out: Sequence[Example]
    ) -> None:
        self.old = old
        self.new = [example.cropped(_MEASURED_PX) for example in new[:_MEASURED]]
        self.held_out = [example.cropped(_MEASURED_PX) for example in held_out[: 2 * _MEASURED]]
        everything = [*self.old, *self.new, *self.held_out]
        self.n_windows = sum(max(1.0, example.image.size / 192**2) for example in everything)

    def measure(self, net: BoxNet, rule: Rule, device: torch.device) -> Scores:
        """Measure a network on the watched parts."""
        held_out = measure(net, self.held_out, rule, device) if self.held_out else None
        old, new = (measure(net, part, rule, device) for part in (self.old, self.new))
        return Scores(old, new, held_out)


def interval(schedule: Schedule, measuring_s: float, step_s: float) -> int:
    """Steps between measurements, so that measurements take a small part of the time."""
    fewest = schedule.n_steps / _MOST_MEASUREMENTS
    most = schedule.n_steps / _FEWEST_MEASUREMENTS
    affordable = measuring_s / _MEASURING_SHARE / max(step_s, 1e-6)
    return max(1, round(min(max(affordable, fewest), max(most, fewest))))
