"""Trainings of BoxNet: requests, status, examples, models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingRequest:
    """A request to train a network from marked micrographs."""

    model: str = ""  # the new one's name; empty = training.new_model, or the next free name
    start_from: str = ""  # empty = picking.model
    items: tuple[str, ...] = ()  # examples; empty = the items that are marked for training
    held_out: tuple[str, ...] = ()  # empty = those marked so, else a part of the examples
    positions: str = ""  # a folder of STAR files, NAME*.star, that take the place of the picks
    settings: dict[str, Any] = field(default_factory=dict)  # of [training], for this run alone
    resume: bool = False  # continue the interrupted training of ``model``
    use: bool = False  # pick with it as soon as it is done


@dataclass(frozen=True)
class TrainingStatus:
    """The training that runs, or the last one that did."""

    model: str  # the new one's name
    phase: str  # "examples" "baseline" "running" "measuring" "done" "failed" "cancelled"
    step: int = 0
    n_steps: int = 0
    epoch: float = 0.0
    n_epochs: int = 0
    seconds: float = 0.0  # since it began
    seconds_left: float | None = None
    n_examples: int = 0  # micrographs to learn from
    n_particles: int = 0  # marked on them
    n_held_out: int = 0  # micrographs to measure on alone
    loss: float | None = None
    device: str = ""
    start_from: str = ""
    message: str = ""  # in plain words: what it does, or why it ended
    verdict: str = ""
    used: bool = False  # picking.model is this one
    resumable: bool = False  # it stopped half-way and can go on

    @property
    def active(self) -> bool:
        """Whether it runs now."""
        return self.phase in ("examples", "baseline", "running", "measuring")


@dataclass(frozen=True)
class TrainingExample:
    """A micrograph that is marked for training, as the list of examples shows it."""

    name: str  # of the item
    role: str  # "examples" or "held-out"
    n_particles: int = 0
    n_uncertain: int = 0  # areas that shall count nothing
    n_false: int = 0  # picks that were removed by hand: certainly background
    masked: bool = False  # contamination is learned from its mask
    seen_by: str = ""  # the last model that learned from these very marks; empty = new
    problem: str = ""  # why nothing can be learned from it


@dataclass(frozen=True)
class ModelInfo:
    """A BoxNet model that could be picked with, or one whose training did not end."""

    name: str
    state: str  # "ready", "interrupted", "failed", "cancelled", "training", "damaged"
    bundled: bool = False  # comes with the program
    used: bool = False  # picking.model is this one
    hash: str = ""  # SHA-256 of its file
    width: int = 0
    made_at: float = 0.0  # Unix time; 0 = not known
    start_from: str = ""
    n_examples: int = 0
    n_particles: int = 0
    f1: float | None = None  # on held-out micrographs; None = not known
    verdict: str = ""
    problem: str = ""
