"""The prior of motion, whose amplitudes each movie's evidence chooses.

Motion is a Gaussian process on the nodes of the paper's grids: a drift that is fast at
first and calms down, small steps from frame to frame, and a local field that is smooth in
space. How strong each part is in a movie is chosen by the marginal likelihood (evidence)
of that movie, so that a local model that explains nothing but noise gets amplitude zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class MotionPrior(NamedTuple):
    """Amplitudes in Å; times as fractions of the movie; lengths as fractions of its short edge."""

    drift: float  # smooth global drift
    jitter: float  # global step from frame to frame
    local: float  # local field
    local_length: float = 0.7
    drift_time: float = 0.7  # correlation in units of log time
    local_time: float = 1.2


START = MotionPrior(drift=10.0, jitter=0.2, local=2.5)
CHOICES: dict[str, tuple[float, ...]] = {
    "drift": (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    "jitter": (0.0, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
    "local": (0.0, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 20.0),
    "local_length": (0.18, 0.25, 0.35, 0.5, 0.7, 1.4),
    "drift_time": (0.35, 0.7, 1.4),
    "local_time": (0.6, 1.2, 2.4),
}


class Roots(NamedTuple):
    """Unit-amplitude factors of the prior covariance: K = sum of amplitude² R Rᵀ."""

    drift: Tensor  # (node, rank)
    walk: Tensor
    local: Tensor  # (node, 0) where there is no local grid

    def amplitudes(self, prior: MotionPrior) -> Tensor:
        """``(rank,)`` by which ``prior`` scales the columns of all three."""
        values = torch.tensor([prior.drift, prior.jitter, prior.local], dtype=torch.float64)
        return values.repeat_interleave(torch.tensor([part.shape[1] for part in self]))

    def scaled(self, prior: MotionPrior) -> Tensor:
        """``(node, rank)`` R with the amplitudes of ``prior``, without the columns of zeros."""
        scale = self.amplitudes(prior)
        used = scale.nonzero()[:, 0]
        return torch.cat(self, 1)[:, used] * scale[used]


class PriorFamily:
    """The priors of one movie's grids, for any choice of amplitudes and lengths.

    Parameters
    ----------
    n_frames, n_global
        Frames, and temporal nodes of the global track.
    local_xyt
        Nodes of the local grid; (0, 0, 0) = no local grid.
    shape_yx
        Size of the image; only its aspect matters.
    """

    def __init__(
        self,
        n_frames: int,
        n_global: int,
        local_xyt: tuple[int, int, int] = (0, 0, 0),
        shape_yx: tuple[int, int] = (1, 1),
    ) -> None:
        self.n_frames = n_frames
        self.n_global = n_global
        self.local_xyt = local_xyt
        short = min(shape_yx)
        self._edges = (shape_yx[0] / short, shape_yx[1] / short)
        self._cache: dict[tuple[float, float, float], Roots] = {}

    def roots(self, prior: MotionPrior) -> Roots:
        """Factors for the lengths and times of ``prior``."""
        key = (prior.drift_time, prior.local_time, prior.local_length)
        if key not in self._cache:
            self._cache[key] = self._make(prior)
        return self._cache[key]

    def _make(self, prior: MotionPrior) -> Roots:
        n_x, n_y, n_t = self.local_xyt
        last = max(self.n_frames - 1, 0)
        frame = torch.linspace(0, last, self.n_global, dtype=torch.float64)
        drift = _root(_smooth_in_log_time(frame, self.n_frames, prior.drift_time))
        # A random walk: independent steps of unit size from frame to frame.
        walk = torch.ones(self.n_global, self.n_global, dtype=torch.float64).tril()[:, 1:]
        walk = walk * math.sqrt(last / max(self.n_global - 1, 1))
        n_local = n_x * n_y * n_t
        local = torch.zeros(0, 0, dtype=torch.float64)
        if n_local:
            frame = torch.linspace(0, last, n_t, dtype=torch.float64)
            y = torch.linspace(0, self._edges[0], n_y, dtype=torch.float64)
            x = torch.linspace(0, self._edges[1], n_x, dtype=torch.float64)
            time = _root(_smooth_in_log_time(frame, self.n_frames, prior.local_time))
            space_y = _root(torch.exp(-0.5 * ((y[:, None] - y) / prior.local_length) ** 2))
            space_x = _root(torch.exp(-0.5 * ((x[:, None] - x) / prior.local_length) ** 2))
            local = torch.kron(time, torch.kron(space_y, space_x))
        below = torch.zeros(n_local, 1, dtype=torch.float64)
        return Roots(
            torch.cat([drift, below.expand(-1, drift.shape[1])]),
            torch.cat([walk, below.expand(-1, walk.shape[1])]),
            torch.cat([torch.zeros(self.n_global, local.shape[1], dtype=torch.float64), local]),
        )

    def choose(
        self, information: Tensor, score: Tensor, start: MotionPrior, names: tuple[str, ...]
    ) -> tuple[MotionPrior, Posterior]:
        """Prior with the largest evidence: each of ``names`` climbs its `CHOICES` in turn."""
        data = _Data(self, information, score)
        best, evidence = start, data.log_evidence(start)
        for _ in range(4):
            before = best
            for name in names:
                choices = CHOICES[name]
                for direction in (-1, 1):
                    at = choices.index(getattr(best, name)) + direction
                    while 0 <= at < len(choices):
                        candidate = best._replace(**{name: choices[at]})
                        attempt = data.log_evidence(candidate)
                        if attempt <= evidence + 1e-6:
                            break
                        best, evidence = candidate, attempt
                        at += direction
            if best == before:
                break
        return best, data.posterior(best)

    def solve(self, prior: MotionPrior, information: Tensor, score: Tensor) -> Posterior:
        """Posterior of the nodes under a quadratic log-likelihood.

        Parameters
        ----------
        information
            ``(node, node)`` information of the data about one axis, 1/Å².
        score
            ``(node, 2)`` gradient of the log-likelihood at nodes = 0.
        """
        return _Data(self, information, score).posterior(prior)


class _Data:
    """A quadratic log-likelihood, to evaluate under many priors.

    Amplitudes only scale the rows and columns of Rᵀ J R, which is made once for all priors of
    the same lengths and times.
    """

    def __init__(self, family: PriorFamily, information: Tensor, score: Tensor) -> None:
        self._family = family
        self._information, self._score = information, score
        self._seen: dict[tuple[float, float, float], tuple[Tensor, Tensor]] = {}
        self._tried: dict[MotionPrior, float] = {}

    def log_evidence(self, prior: MotionPrior) -> float:
        """Of the data, up to a constant that is the same for all priors."""
        if prior not in self._tried:
            self._tried[prior] = self._factorise(prior)[2]
        return self._tried[prior]

    def posterior(self, prior: MotionPrior) -> Posterior:
        """Nodes, their covariance and the evidence under ``prior``."""
        factor, projected, evidence = self._factorise(prior)
        root = self._family.roots(prior).scaled(prior)
        whitened = torch.linalg.solve_triangular(factor, root.T, upper=False)  # (rank, node)
        return Posterior(whitened.T @ projected, whitened, evidence)

    def _factorise(self, prior: MotionPrior) -> tuple[Tensor, Tensor, float]:
        """Cholesky factor of 1 + Rᵀ J R, whitened Rᵀ score, and the log evidence."""
        key = prior[3:]
        roots = self._family.roots(prior)
        if key not in self._seen:
            unit = torch.cat(roots, 1)
            self._seen[key] = (unit.T @ self._information @ unit, unit.T @ self._score)
        square, score = self._seen[key]
        scale = roots.amplitudes(prior)
        used = scale.nonzero()[:, 0]
        if len(used) < len(scale):
            scale, square, score = scale[used], square[used[:, None], used], score[used]
        inner = scale[:, None] * square * scale
        inner.diagonal().add_(1)
        factor = torch.linalg.cholesky(inner)
        projected = torch.linalg.solve_triangular(factor, scale[:, None] * score, upper=False)
        # two axes share the covariance: twice half the log determinant
        evidence = 0.5 * projected.square().sum() - 2 * factor.diagonal().log().sum()
        return factor, projected, float(evidence)


def _root(covariance: Tensor) -> Tensor:
    """R with R Rᵀ = ``covariance``, without the directions that hardly vary."""
    values, vectors = torch.linalg.eigh(covariance)
    used = values > 1e-6 * values[-1]
    return vectors[:, used] * values[used].sqrt()


def _smooth_in_log_time(frame: Tensor, n_frames: int, length: float) -> Tensor:
    """Squared-exponential correlation in u = log(1 + frame / scale): fast first, then slow."""
    scale = max(1.0, n_frames / 16)
    u = torch.log1p(frame / scale)
    return torch.exp(-0.5 * ((u[:, None] - u[None, :]) / length) ** 2)


class Posterior(NamedTuple):
    """Nodes given the data; both axes share the covariance ``whitened.T @ whitened``."""

    nodes: Tensor  # (node, 2) y, x in Å
    whitened: Tensor  # (rank, node)
    log_evidence: float


def centred_error(weights: Tensor, posterior: Posterior) -> float:
    """RMS error in Å of the shift vectors ``weights @ nodes`` less their mean over frames.

    ``weights`` ``(patch, frame, node)``; the two axes add up.
    """
    centred = weights - weights.mean(1, keepdim=True)
    variance = (centred @ posterior.whitened.T).square().sum(-1).mean()
    return float((2 * variance).sqrt())
