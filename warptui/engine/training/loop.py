"""The training loop of BoxNet.

Old and new examples in every step, random windows of them, momentum (paper, *Initial training of
BoxNet* and *Retraining of BoxNet*). All random numbers come from one generator, whose state is in
the checkpoint: an interrupted training continues with the same result as an uninterrupted one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from warptui.engine.errors import TrainingError
from warptui.engine.nets.boxnet import WINDOW_PX, BoxNet
from warptui.engine.ops.picking.augmentation import draw_window
from warptui.engine.ops.picking.learning import (
    FIRST_RATE,
    LAST_RATE,
    MOMENTUM,
    WEIGHT_DECAY,
    learning_rate,
    segmentation_loss,
)
from warptui.engine.training.example import Example
from warptui.engine.training.scores import autocast

_STEEPEST = 1.0  # largest norm of a gradient: one odd window must not undo a thousand good ones
_LOSS_MEMORY = 30  # steps over which the displayed loss is averaged
_DAMAGE_MARKS = ("out of memory", "can't allocate memory")


@dataclass(frozen=True)
class Schedule:
    """Length, batch size and learning rates of a training."""

    n_steps: int
    batch: int = 8
    first_rate: float = FIRST_RATE
    last_rate: float = LAST_RATE
    old_share: float = 0.5  # share of the windows that come from the curated set
    optimiser: str = "momentum"  # or "adamw"
    averaging: float = 0.99  # decay of the running average of the weights; 0 = no averaging
    window_px: int = WINDOW_PX
    seed: int = 1


@dataclass
class Learner:
    """A network in training, with the state that a later continuation needs."""

    net: BoxNet
    schedule: Schedule
    device: torch.device
    new: Sequence[Example]
    old: Sequence[Example] = ()
    step: int = 0
    batch: int = 0
    loss: float | None = None
    say: Callable[[str], None] = field(default=lambda text: None)

    def __post_init__(self) -> None:
        self.batch = self.batch or self.schedule.batch
        self.net = _placed(self.net, self.device).train()
        self.average = copy.deepcopy(self.net).eval() if self.schedule.averaging else None
        self._optimiser = _make_optimiser(self.net, self.schedule)
        self._generator = torch.Generator().manual_seed(self.schedule.seed)
        self._new = [_tensors(example) for example in self.new]
        self._old = [_tensors(example) for example in self.old]
        if not self._new:
            raise TrainingError("there are no examples to learn from")

    @property
    def result(self) -> BoxNet:
        """The network for picking, with weights averaged over the last steps."""
        return self.average if self.average is not None else self.net

    def advance(self) -> float:
        """Do one step and return its loss; if memory runs out, use smaller batches from now on.

        Raises
        ------
        TrainingError
            If not even one window fits into the memory, or the loss is not finite.
        """
        schedule = self.schedule
        rate = learning_rate(self.step, schedule.n_steps, schedule.first_rate, schedule.last_rate)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        before = self._generator.get_state()
        while True:
            try:
                loss = self._learn()
                break
            except (MemoryError, RuntimeError) as problem:
                if not is_memory(problem):
                    raise
                self._halve_batch(problem)
                self._generator.set_state(before)
        if loss != loss or loss == float("inf"):
            raise TrainingError(
                f"the loss is {loss} at step {self.step}: the learning rate is too high "
                f"(training.first_rate = {schedule.first_rate:g})"
            )
        memory = min(self.step + 1, _LOSS_MEMORY)
        self.loss = loss if self.loss is None else self.loss + (loss - self.loss) / memory
        self._average_weights()
        self.step += 1
        return loss

    def state(self) -> dict[str, Any]:
        """The state of the training, for `restore`."""
        return {
            "net": self.net.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator.get_state(),
            "step": self.step,
            "batch": self.batch,
            "loss": self.loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self.net.load_state_dict(state["net"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._generator.set_state(state["generator"])
        self.step, self.batch, self.loss = state["step"], state["batch"], state["loss"]

    def _learn(self) -> float:
        images, labels, certainty = self._draw_batch()
        with autocast(self.device):
            logits = self.net(images)
        loss = segmentation_loss(logits.float(), labels, certainty)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), _STEEPEST)
        value = float(loss.detach())
        if value == value:
            self._optimiser.step()
        return value

    def _draw_batch(self) -> tuple[Tensor, Tensor, Tensor]:
        windows = list(self._draw(self.batch))
        images = torch.stack([window[0] for window in windows])[:, None]
        if self.device.type == "cuda":
            images = images.to(self.device).contiguous(memory_format=torch.channels_last)
        labels = torch.stack([window[1] for window in windows]).to(self.device)
        return images, labels, torch.stack([window[2] for window in windows]).to(self.device)

    def _draw(self, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Draw windows of old and new examples in proportion, also for batches of one window."""
        share = self.schedule.old_share if self._old else 0.0
        for i in range(self.step * count, (self.step + 1) * count):
            is_old = int((i + 1) * share) > int(i * share)
            pool = self._old if is_old else self._new
            index = int(torch.randint(len(pool), (1,), generator=self._generator))
            yield draw_window(*pool[index], self.schedule.window_px, self._generator)

    def _halve_batch(self, problem: BaseException) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch == 1:
            raise TrainingError(
                f"not enough memory on {self.device} for a batch of one window; free some, or "
                "start from a narrower network"
            ) from problem
        self.batch //= 2
        self.say(f"memory ran out: batches of {self.batch} windows from now on")

    def _average_weights(self) -> None:
        if self.average is None:
            return
        # young averages forget faster, so that they do not hold on to the weights at the start
        keep = min(self.schedule.averaging, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            pairs = zip(
                self.average.state_dict().values(), self.net.state_dict().values(), strict=True
            )
            for kept, now in pairs:
                if kept.is_floating_point():
                    kept.lerp_(now, 1 - keep)
                else:
                    kept.copy_(now)


def steps_of(n_epochs: int, examples: Sequence[Example], schedule: Schedule) -> int:
    """Number of steps in ``n_epochs`` epochs."""
    return max(1, round(n_epochs * windows_of(examples, schedule) / schedule.batch))


def windows_of(examples: Sequence[Example], schedule: Schedule) -> float:
    """Windows of one epoch: enough to cover the new examples, plus the share of old examples."""
    area = schedule.window_px**2
    new = sum(max(1.0, example.image.size / area) for example in examples)
    return new / (1 - schedule.old_share)


def is_memory(problem: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    message = str(problem).lower()
    is_cuda = isinstance(problem, torch.OutOfMemoryError)
    return is_cuda or isinstance(problem, MemoryError) or any(m in message for m in _DAMAGE_MARKS)


def _placed(net: BoxNet, device: torch.device) -> BoxNet:
    net = net.to(device)
    if device.type == "cuda":  # on CPUs torch 2.13 crashes with it in the backward pass
        net = net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return net


def _make_optimiser(net: BoxNet, schedule: Schedule) -> torch.optim.Optimizer:
    match schedule.optimiser:
        case "momentum":
            return torch.optim.SGD(
                net.parameters(),
                lr=schedule.first_rate,
                momentum=MOMENTUM,
                weight_decay=WEIGHT_DECAY,
            )
        case "adamw":
            return torch.optim.AdamW(
                net.parameters(), lr=schedule.first_rate, weight_decay=100 * WEIGHT_DECAY
            )
    raise TrainingError(f"optimiser {schedule.optimiser!r}: expected momentum or adamw")


def _tensors(example: Example) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(example.image),
        torch.from_numpy(example.labels),
        torch.from_numpy(example.certainty),
    )
