"""Ripples of Thon rings by the specimen's own spectrum, which no smooth envelope follows.

Particles of one kind have a form factor that oscillates with k, with full amplitude and a period
of one over their size. The form factor is equal in every patch and direction, so that no spread
between them shows it, and at low frequencies it bends the first rings: a phase shift, which is
the extrapolated phase of the rings at k = 0, was wrong by several times its error. Here the form
factor is a nuisance: ripples of the rings and of the background below them, of which only the
expected size is known.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.ctf.ring_model import Envelope, Rings, Thon, hat_weights

RIPPLE = 0.5  # of the envelope, expected of a specimen's spectrum; that of a sine's square is 0.7
PACE = 0.005  # 1/Å between nodes: half a ripple of a particle of 100 Å
FINEST = 1 / 7  # 1/Å; beyond, what is within particles has no shape of its own


class Ripples(NamedTuple):
    """Columns of the nuisance, and what they take from products of templates."""

    weighted: Tensor  # (node, all bins) float32 stripped columns times weights
    inverse: Tensor  # (node, node) float64
    cost: float  # of the log-likelihood, for being able to follow anything

    def along(self, values: Tensor) -> Tensor:
        """``(n, node)`` products with ``(n, sample, sector, bin)`` stripped templates."""
        return (values.flatten(1) @ self.weighted.T).to(torch.float64).cpu()

    def taken(self, first: Tensor, second: Tensor) -> Tensor:
        """``(n, m)`` part of the weighted products that ripples explain, of `along` of both."""
        return first @ self.inverse @ second.T


def expect_ripples(thon: Thon, wave: Tensor, envelope: Envelope, redundancy: float) -> Ripples:
    """Ripples of rings that are like ``wave`` (-cos 2γ) under ``envelope``."""
    k = thon.geometry.k
    last = min(float(k[-1]), FINEST)
    n = max(2, math.ceil((last - float(k[0])) / PACE) + 1)
    nodes = hat_weights(n, (k - k[0]) / (last - float(k[0])))
    shapes = (nodes * envelope.values.to(nodes)[:, None]).to(wave)
    columns = thon.strip_each((1 + wave) * shapes.T[:, None, None, :])
    weighted = (columns * thon.weight).flatten(1)
    products = (weighted @ columns.flatten(1).T).to(torch.float64).cpu()
    expected = redundancy / RIPPLE**2 * torch.eye(n, dtype=torch.float64)
    freedom = float(torch.logdet(products + expected) - torch.logdet(expected))
    return Ripples(weighted, torch.linalg.inv(products + expected), 0.5 * freedom)


def without_ripples(rings: Rings, thon: Thon, wave: Tensor, ripples: Ripples) -> Rings:
    """The equations of an envelope less what ripples explain."""
    columns = thon.strip_each(wave * rings.nodes.T.to(wave)[:, None, None, :])
    along = ripples.along(columns)
    data = ripples.along(thon.data[None])
    return rings._replace(
        normal=rings.normal - ripples.taken(along, along),
        right=rings.right - ripples.taken(along, data)[:, 0],
    )
