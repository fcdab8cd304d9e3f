"""Global and local motion together (paper: *Motion model*).

Total shift = global track + local grid, both linear in their nodes. Patches of the movie
are compared in Fourier space; the nodes are found by Fisher scoring under the Gaussian
process prior of `motion_prior`, whose amplitudes the movie chooses, and polished with
L-BFGS on the exact cost. A local field that the data do not ask for gets amplitude zero.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange, repeat
from torch import Tensor

from warptui.engine.ops.common.patches import PatchGrid
from warptui.engine.ops.common.splines import grid_weights, spline_weights
from warptui.engine.ops.motion import prior as motion_prior
from warptui.engine.ops.motion.coherence import Coherence
from warptui.engine.ops.motion.data_term import Comparison
from warptui.engine.ops.motion.prior import MotionPrior

CONVERGED = 0.05  # Å; L-BFGS does the rest
POLISH_ITERATIONS = 2


class Model(NamedTuple):
    """How nodes become shifts of patches and frames."""

    track: Tensor  # (frame, global node) weights
    local: Tensor  # (patch, frame, local node) weights
    areas: Tensor  # (patch,) weight of each patch's information, mean 1

    def shifts(self, nodes: Tensor) -> Tensor:
        """``(node, 2)`` nodes, global first, to ``(patch, frame, 2)`` shifts."""
        n_global = self.track.shape[1]
        return self.track @ nodes[:n_global] + torch.einsum(
            "ptn,nc->ptc", self.local, nodes[n_global:]
        )

    def pull_back(self, score: Tensor) -> Tensor:
        """Gradient by shifts ``(patch, frame, 2)`` to gradient by nodes ``(node, 2)``."""
        return torch.cat(
            [self.track.T @ score.sum(0), torch.einsum("ptn,ptc->nc", self.local, score)]
        )

    def information(self, frames: Tensor) -> Tensor:
        """``(frame, frame)`` information of one patch to ``(node, node)`` of the model."""
        right = torch.einsum("tu,pum->ptm", frames, self.local) * self.areas[:, None, None]
        local = torch.einsum("ptn,ptm->nm", self.local, right)
        cross = self.track.T @ right.sum(0)
        own = self.track.T @ frames @ self.track * self.areas.sum()
        return torch.cat([torch.cat([own, cross], 1), torch.cat([cross.T, local], 1)])


class Field(NamedTuple):
    """Fitted nodes of the motion model, with prior, evidence and error.

    Without local motion (``prior.local`` is 0) the global nodes are those of the start.
    """

    global_nodes: Tensor  # (node, 2) y, x to apply, Å
    local_nodes: Tensor  # (node, 2), x fastest, then y, then time
    prior: MotionPrior
    evidence_gain: float  # log evidence over that of the same model without local motion
    error: float  # estimated RMS error of the shift vectors, Å; NaN without local motion
    n_evaluations: int


def make_model(
    grid: PatchGrid,
    shape_yx: tuple[int, int],
    n_frames: int,
    n_global: int,
    local_xyt: tuple[int, int, int],
) -> Model:
    """Weights of the nodes at the patches' centres and the frames' times."""
    time = torch.linspace(0, 1, n_frames, dtype=torch.float64)
    centres = grid.centres_yx.cpu()
    y, x = centres[:, 0] / (shape_yx[0] - 1), centres[:, 1] / (shape_yx[1] - 1)
    n_patches = len(centres)
    local = grid_weights(
        local_xyt,
        repeat(x, "patch -> (patch frame)", frame=n_frames),
        repeat(y, "patch -> (patch frame)", frame=n_frames),
        repeat(time, "frame -> (patch frame)", patch=n_patches),
    )
    areas = grid.areas.cpu().to(torch.float64)
    return Model(
        spline_weights(n_global, time),
        rearrange(local, "(patch frame) node -> patch frame node", patch=n_patches),
        areas / areas.mean(),
    )


def fit_field(
    comparison: Comparison,
    model: Model,
    applied_yx: Tensor,
    start_nodes: Tensor,
    prior: MotionPrior,
    *,
    shape_yx: tuple[int, int],
    local_xyt: tuple[int, int, int],
    max_rounds: int = 8,
) -> Field:
    """Most probable nodes of the global and the local grid.

    Parameters
    ----------
    comparison
        The patches, cut from frames to which ``applied_yx`` ``(frame, 2)`` was applied.
    start_nodes
        ``(global node, 2)`` of the global track; the local grid starts at zero.
    shape_yx
        Size of the image in px, for the aspect of the prior.
    """
    n_frames, n_global = model.track.shape
    n_local = model.local.shape[2]
    nodes = torch.cat([start_nodes, torch.zeros(n_local, 2, dtype=torch.float64)])
    prior = prior._replace(local=1.2)

    family = motion_prior.PriorFamily(n_frames, n_global, local_xyt, shape_yx)
    names = ("local", "local_length", "local_time", "drift", "jitter")
    evaluations = 1
    silent = torch.zeros_like(comparison.extra)
    shifts = model.shifts(nodes)
    coherence = comparison.coherence(comparison.evaluate(shifts - applied_yx, silent))
    gain = 0.0
    posterior = family.solve(
        prior, torch.zeros(len(nodes), len(nodes), dtype=torch.float64), torch.zeros_like(nodes)
    )
    for _ in range(max_rounds):
        likelihood = comparison.likelihood(coherence)
        agreement = comparison.evaluate(shifts - applied_yx, likelihood)
        evaluations += 1
        information = model.information(comparison.information(coherence).cpu())
        score = model.pull_back(agreement.score.cpu()) + information @ nodes
        prior, posterior = family.choose(information, score, prior, names)
        without = family.solve(prior._replace(local=0.0), information, score)
        gain = posterior.log_evidence - without.log_evidence
        nodes = posterior.nodes
        new = model.shifts(nodes)
        change = float((new - shifts).square().sum(-1).mean().sqrt())
        shifts = new
        coherence = comparison.coherence(agreement)
        if change < CONVERGED:
            break
    if prior.local > 0:
        # Far from the truth the quadratic picture misleads, and patches that hold little may
        # be torn apart: the exact likelihood has the last word.
        likelihood = comparison.likelihood(coherence)
        still = torch.cat([start_nodes, torch.zeros(n_local, 2, dtype=torch.float64)])
        without, found = (
            comparison.evaluate(model.shifts(each) - applied_yx, likelihood).value.sum()
            for each in (still, nodes)
        )
        evaluations += 2
        if found <= without:
            prior, gain = prior._replace(local=0.0), 0.0
    if prior.local == 0:
        nothing = torch.zeros(n_local, 2, dtype=torch.float64)
        return Field(start_nodes, nothing, prior, gain, float("nan"), evaluations)
    root = family.roots(prior).scaled(prior)
    nodes, more = _polish(comparison, model, applied_yx, nodes, root, coherence)
    everywhere = torch.cat([model.track.expand(len(model.local), -1, -1), model.local], 2)
    return Field(
        nodes[:n_global],
        nodes[n_global:],
        prior,
        gain,
        motion_prior.centred_error(everywhere, posterior),
        evaluations + more,
    )


def _polish(
    comparison: Comparison,
    model: Model,
    applied_yx: Tensor,
    nodes: Tensor,
    root: Tensor,
    coherence: Coherence,
) -> tuple[Tensor, int]:
    """L-BFGS on the exact cost and prior, in coordinates where both are about round."""
    likelihood = comparison.likelihood(coherence)
    information = model.information(comparison.information(coherence).cpu())
    identity = torch.eye(root.shape[1], dtype=root.dtype)
    factor = torch.linalg.cholesky(identity + root.T @ information @ root)
    inverse = torch.linalg.solve_triangular(factor.T, identity, upper=True)
    latent = torch.linalg.lstsq(root, nodes, driver="gelsd").solution  # nodes = root @ latent
    step = torch.zeros_like(latent, requires_grad=True)
    calls = 0

    def cost() -> Tensor:
        nonlocal calls
        calls += 1
        with torch.no_grad():
            here = latent + inverse @ step
            agreement = comparison.evaluate(model.shifts(root @ here) - applied_yx, likelihood)
            gradient = root.T @ model.pull_back(agreement.score.cpu()) - here
            step.grad = -(inverse.T @ gradient)
            return 0.5 * here.square().sum() - agreement.value.sum().cpu()

    optimiser = torch.optim.LBFGS(
        [step],
        lr=1.0,
        max_iter=POLISH_ITERATIONS,
        history_size=6,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-3,
    )
    optimiser.step(cost)
    return root @ (latent + inverse @ step.detach()), calls
