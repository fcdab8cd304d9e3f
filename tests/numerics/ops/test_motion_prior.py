"""The prior's posterior and evidence are those of Gaussians written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from warptui.engine.ops.common.splines import grid_weights, spline_weights
from warptui.engine.ops.motion.prior import (
    CHOICES,
    START,
    MotionPrior,
    PriorFamily,
    centred_error,
)

N_FRAMES = 6
LOCAL = (2, 3, 2)
N_NODES = N_FRAMES + 12
AMPLITUDES = st.sampled_from([0.1, 0.5, 2.0, 10.0])


@pytest.fixture(scope="module")
def family() -> PriorFamily:
    return PriorFamily(N_FRAMES, N_FRAMES, LOCAL, (300, 200))


def covariance_of(family: PriorFamily, prior: MotionPrior) -> np.ndarray:
    roots = family.roots(prior)
    amplitudes = (prior.drift, prior.jitter, prior.local)
    parts = [a**2 * (r @ r.T).numpy() for a, r in zip(amplitudes, roots, strict=True)]
    return np.sum(parts, axis=0)


def random_data(seed: int, n_rows: int = 30) -> tuple[np.ndarray, np.ndarray, float]:
    """Linear measurements ``rows @ nodes + noise`` of both axes, and the noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, N_NODES)), rng.normal(0, 3, (n_rows, 2)), 1.7


def as_likelihood(
    rows: np.ndarray, data: np.ndarray, noise: float
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(rows.T @ rows / noise**2), torch.from_numpy(rows.T @ data / noise**2)


@settings(max_examples=20)
@given(drift=AMPLITUDES, jitter=AMPLITUDES, local=AMPLITUDES, seed=st.integers(0, 100))
def test_the_posterior_is_that_of_joint_gaussians(family, drift, jitter, local, seed):
    prior = MotionPrior(drift, jitter, local)
    rows, data, noise = random_data(seed)
    posterior = family.solve(prior, *as_likelihood(rows, data, noise))
    # nodes and data together are Gaussian: condition one on the other
    k = covariance_of(family, prior)
    of_data = rows @ k @ rows.T + noise**2 * np.eye(len(rows))
    gain = k @ rows.T @ np.linalg.inv(of_data)
    np.testing.assert_allclose(posterior.nodes, gain @ data, atol=1e-6 * drift + 1e-6)
    covariance = (posterior.whitened.T @ posterior.whitened).numpy()
    np.testing.assert_allclose(covariance, k - gain @ rows @ k, atol=1e-6 * k.max())


@settings(max_examples=20)
@given(seed=st.integers(0, 100), first=AMPLITUDES, second=AMPLITUDES)
def test_the_evidence_is_the_density_of_the_data_of_both_axes(family, seed, first, second):
    rows, data, noise = random_data(seed)
    likelihood = as_likelihood(rows, data, noise)

    def density(prior: MotionPrior) -> float:
        k = rows @ covariance_of(family, prior) @ rows.T + noise**2 * np.eye(len(rows))
        return sum(multivariate_normal.logpdf(data[:, axis], cov=k) for axis in (0, 1))

    one = MotionPrior(first, 0.2, second)
    other = MotionPrior(second, 0.8, 0.0)
    ours = (
        family.solve(one, *likelihood).log_evidence - family.solve(other, *likelihood).log_evidence
    )
    assert ours == pytest.approx(density(one) - density(other), rel=1e-6, abs=1e-5)


def test_without_any_amplitude_nothing_moves(family):
    information, score = as_likelihood(*random_data(0))
    posterior = family.solve(MotionPrior(0.0, 0.0, 0.0), information, score)
    assert (posterior.nodes == 0).all()
    assert posterior.log_evidence == 0


@pytest.mark.parametrize("shape", [(400, 400), (400, 900)])
def test_the_prior_varies_smoothly_and_by_its_amplitude(shape):
    family = PriorFamily(20, 20, (5, 5, 3), shape)
    prior = MotionPrior(3.0, 0.0, 2.0)
    k = covariance_of(family, prior)
    np.testing.assert_allclose(np.diag(k)[:20], 9, rtol=1e-3)
    np.testing.assert_allclose(np.diag(k)[20:], 4, rtol=1e-3)
    # a second's drift is like the next, the later the more; neighbours on the grid are alike
    steps = 1 - np.diag(k, 1)[:19] / 9
    assert (np.diff(steps) < 0).all() and (steps > 0).all()
    first, beside, across = k[20, 20], k[20, 21], k[20, 24]
    assert first > beside > across > 0


def test_the_shape_of_the_image_stretches_the_correlation():
    square = covariance_of(PriorFamily(8, 8, (3, 3, 1), (500, 500)), START)[8:, 8:]
    wide = covariance_of(PriorFamily(8, 8, (3, 3, 1), (500, 1000)), START)[8:, 8:]
    assert wide[0, 1] < 0.9 * square[0, 1]  # neighbours in x are twice as far away
    assert wide[0, 3] == pytest.approx(square[0, 3])


@pytest.mark.parametrize("jitter", [0.1, 0.8])
def test_steps_of_the_walk_have_the_size_of_the_jitter(jitter):
    n = 12
    k = covariance_of(PriorFamily(n, n), MotionPrior(0.0, jitter, 0.0))
    steps = np.diff(np.eye(n), axis=0)
    np.testing.assert_allclose(steps @ k @ steps.T, jitter**2 * np.eye(n - 1), atol=1e-9)


def model(family: PriorFamily, n_places: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (place · frame, node) of scattered places, and the information of all of them."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, n_places, generator=generator, dtype=torch.float64)
    time = torch.linspace(0, 1, N_FRAMES, dtype=torch.float64)
    track = spline_weights(N_FRAMES, time).repeat(n_places, 1)
    local = grid_weights(
        LOCAL,
        x.repeat_interleave(N_FRAMES),
        y.repeat_interleave(N_FRAMES),
        time.repeat(n_places),
    )
    weights = torch.cat([track, local], 1)
    frames = torch.eye(N_FRAMES, dtype=torch.float64) - 1 / N_FRAMES
    return weights, torch.block_diag(*[4 * frames] * n_places)  # 0.5 Å a frame and place


def draw(covariance: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    white = torch.randn(len(values), 2, generator=generator, dtype=torch.float64)
    return vectors @ (values.clamp(min=0).sqrt()[:, None] * white)


ALL = ("local", "local_length", "local_time", "drift", "jitter", "drift_time")


def test_on_noise_the_evidence_wants_hardly_any_motion(family):
    weights, information = model(family, 12, seed=0)
    still = 0
    lengths = []
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        score = weights.T @ draw(information, generator)
        prior, posterior = family.choose(weights.T @ information @ weights, score, START, ALL)
        still += prior.local == 0
        lengths.append(float((weights @ posterior.nodes).square().sum(1).mean().sqrt()))
    # two of three at least; where noise looked like motion, it is far below its own 0.5 Å
    assert still >= 20
    assert np.sqrt(np.mean(np.square(lengths))) < 0.15


@pytest.mark.parametrize("truth", [MotionPrior(10.0, 0.4, 5.0), MotionPrior(30.0, 0.1, 1.2)])
def test_amplitudes_are_found_from_the_data(family, truth):
    weights, information = model(family, 25, seed=1)
    covariance = torch.from_numpy(covariance_of(family, truth))
    found = {"drift": [], "local": []}
    for seed in range(12):
        generator = torch.Generator().manual_seed(100 + seed)
        nodes = draw(covariance, generator)
        score = weights.T @ (information @ (weights @ nodes) + draw(information, generator))
        prior, _ = family.choose(weights.T @ information @ weights, score, START, ALL)
        for name, values in found.items():
            values.append(getattr(prior, name))
    for name, values in found.items():
        middle = float(np.median(values))
        # within one step of the choices
        steps = CHOICES[name]
        assert abs(steps.index(middle) - steps.index(getattr(truth, name))) <= 1


def test_the_choice_is_never_worse_than_the_start(family):
    for seed in range(10):
        likelihood = as_likelihood(*random_data(seed))
        prior, posterior = family.choose(*likelihood, START, ALL)
        assert posterior.log_evidence >= family.solve(START, *likelihood).log_evidence
        assert family.solve(prior, *likelihood).log_evidence == posterior.log_evidence


def test_the_expected_error_is_the_spread_of_the_posterior(family):
    weights, information = model(family, 9, seed=2)
    prior = MotionPrior(3.0, 0.2, 1.2)
    covariance = torch.from_numpy(covariance_of(family, prior))
    shaped = weights.reshape(9, N_FRAMES, -1)
    squares, said = [], 0.0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        nodes = draw(covariance, generator)
        score = weights.T @ (information @ (weights @ nodes) + draw(information, generator))
        posterior = family.solve(prior, weights.T @ information @ weights, score)
        wrong = shaped @ (posterior.nodes - nodes)
        squares.append(float((wrong - wrong.mean(1, keepdim=True)).square().sum(-1).mean()))
        said = centred_error(shaped, posterior)
    assert said == pytest.approx(math.sqrt(np.mean(squares)), rel=0.1)
