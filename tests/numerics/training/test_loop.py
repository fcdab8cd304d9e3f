"""The loop learns, goes on as if it had not been interrupted, and bears little memory."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from training_project import make_example

from warptui.engine.errors import TrainingError
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.training import loop
from warptui.engine.training.loop import Learner, Schedule, steps_of
from warptui.engine.training.scores import Rule, measure

CPU = torch.device("cpu")


def make_learner(**changes: object) -> Learner:
    torch.manual_seed(0)
    given = {"n_steps": 6, "batch": 2, "window_px": 32, "old_share": 0.5, **changes}
    new, old = [make_example(1), make_example(2)], [make_example(3)]
    return Learner(BoxNet(1), Schedule(**given), CPU, new, old)  # type: ignore[arg-type]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been() -> None:
    whole = make_learner()
    losses = [whole.advance() for _ in range(6)]
    part = make_learner()
    assert [part.advance() for _ in range(3)] == losses[:3]
    memory = io.BytesIO()
    torch.save(part.state(), memory)
    memory.seek(0)
    rest = make_learner()
    rest.restore(torch.load(memory, weights_only=True))
    assert [rest.advance() for _ in range(3)] == pytest.approx(losses[3:], rel=1e-5)
    pairs = zip(whole.result.state_dict().values(), rest.result.state_dict().values(), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


def test_without_memory_the_batch_is_halved_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    learner = make_learner(batch=8)
    learner.say = said.append
    real = learner.net.forward

    def forward(images: torch.Tensor) -> torch.Tensor:
        if len(images) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you...")
        return real(images)

    monkeypatch.setattr(learner.net, "forward", forward)
    learner.advance()
    assert learner.batch == 2
    assert said[-1] == "memory ran out: batches of 2 windows from now on"
    assert learner.step == 1


def test_not_even_one_window_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner(batch=2)

    def forward(images: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(learner.net, "forward", forward)
    with pytest.raises(TrainingError, match="not enough memory"):
        learner.advance()


def test_a_loss_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner()
    forward: Callable[[torch.Tensor], torch.Tensor] = learner.net.forward
    monkeypatch.setattr(learner.net, "forward", lambda images: forward(images) * float("nan"))
    with pytest.raises(TrainingError, match="learning rate is too high"):
        learner.advance()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 20), (0.25, 10)])
def test_old_examples_have_their_share(
    monkeypatch: pytest.MonkeyPatch, share: float, expected: int
) -> None:
    learner = make_learner(batch=1, old_share=share)
    drawn = []
    monkeypatch.setattr(loop, "draw_window", lambda image, *_: drawn.append(image) or (image,) * 3)
    for learner.step in range(40):
        list(learner._draw(1))
    old = learner._old[0][0]
    assert sum(image is old for image in drawn) == expected


def test_an_epoch_covers_the_new_examples_once() -> None:
    examples = [make_example(1, size=96), make_example(2, size=512)]
    schedule = Schedule(1, batch=8, old_share=0.5)
    # one window and four, and as many old ones
    assert steps_of(100, examples, schedule) == round(100 * (1 + 4) * 2 / 8)


@pytest.mark.slow
def test_a_narrow_network_learns_to_find_blobs() -> None:
    learned = [make_example(seed, n=40, size=256) for seed in range(3)]
    held_out = [make_example(seed, n=40, size=256) for seed in (98, 99)]
    torch.manual_seed(0)
    net = BoxNet(1)
    with torch.no_grad():
        assert net.label.bias is not None
        net.label.bias[2] = -5.0  # there are no artifacts to learn of
    rule = Rule(0.5)
    before = measure(net, held_out, rule, CPU).f1 or 0.0
    schedule = Schedule(
        30, 4, 1e-2, 1e-3, old_share=0.0, optimiser="adamw", averaging=0.9, window_px=64
    )
    learner = Learner(net, schedule, CPU, learned)
    for _ in range(schedule.n_steps):
        learner.advance()
    after = measure(learner.result, held_out, rule, CPU).f1 or 0.0
    assert before < 0.3 and after > 0.8
