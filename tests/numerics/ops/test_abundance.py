"""A micrograph's crowd is found from a network's answers, and doubtful ones are judged by it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from warptui.engine.ops.picking.crowding import (
    HIGHEST,
    LOWEST,
    MOST,
    USUAL,
    adapt_to_abundance,
    find_abundance,
)


def answers(share: float, seed: int, n: int = 40_000, apart: float = 3.0) -> Tensor:
    """Right probabilities of ``n`` pixels, ``share`` of them particles, for who expects `USUAL`."""
    generator = torch.Generator().manual_seed(seed)
    is_particle = torch.rand(n, generator=generator) < share
    seen = torch.randn(n, generator=generator) + apart * is_particle
    return torch.sigmoid(apart * seen - apart**2 / 2 + math.log(USUAL / (1 - USUAL)))


def micrograph(share: float, seed: int) -> Tensor:
    particle = answers(share, seed).reshape(200, 200)
    artifact = 0.02 * (1 - particle)
    return torch.stack((1 - particle - artifact, particle, artifact))


def odds(probabilities: Tensor) -> Tensor:
    p = probabilities[1].double()
    return (p / (1 - p)).log()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.003, 0.01, 0.03, 0.1, 0.2])
def test_the_share_of_particles_is_found(share: float, seed: int) -> None:
    spread = math.sqrt(share / 40_000)
    assert find_abundance(answers(share, seed)) == pytest.approx(share, abs=5 * spread)


def test_of_nothing_nothing_is_found() -> None:
    assert find_abundance(answers(0.0, 5)) < 5e-4


@pytest.mark.parametrize("sharpness", [1.0, 5.0])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.03, 0.2])
def test_odds_change_within_limits_and_by_the_crowd(share: float, sharpness: float) -> None:
    given = (micrograph(share, 7).log() * sharpness).softmax(dim=0)
    adapted = adapt_to_abundance(given, sharpness)
    torch.testing.assert_close(adapted.sum(0), torch.ones(200, 200))
    change = odds(adapted) - odds(given)
    # beyond, float32 has no digits left of 1 - p
    sure = (odds(given).abs() < 10) & (odds(adapted).abs() < 10)
    assert float(change[sure].max() - change[sure].min()) < 0.02
    wanted = 0.5 * math.log(max(share, 1e-6) / USUAL)
    wanted = sharpness * min(max(wanted, LOWEST), HIGHEST)
    assert float(change[sure].mean()) == pytest.approx(wanted, abs=0.1 * sharpness)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.2, 0.22])
def test_no_crowd_becomes_denser_than_particles_can_lie(share: float) -> None:
    given = torch.tensor([0.98 - share, share, 0.02])[:, None, None].expand(3, 20, 30)
    adapted = adapt_to_abundance(given, 1.0)
    change = float((odds(adapted) - odds(given)).mean())
    assert 0 < change < HIGHEST + 1e-4
    assert float(adapted[1].mean()) < MOST + 1e-4


def test_answers_of_a_network_that_cannot_tell_stay() -> None:
    given = torch.tensor([0.6, 0.38, 0.02])[:, None, None].expand(3, 20, 30)
    torch.testing.assert_close(adapt_to_abundance(given, 1.0), given)


def test_a_micrograph_that_is_all_artifact_stays_so() -> None:
    given = torch.tensor([0.0005, 0.0005, 0.999])[:, None, None].expand(3, 20, 30)
    assert torch.equal(adapt_to_abundance(given, 5.0), given)
