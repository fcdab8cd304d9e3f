"""Corrects picking probabilities for the abundance of particles in a micrograph.

A network answers as if every micrograph were as crowded as its training set: in empty ice it takes
some grain for particles, in crowded ice it misses faint particles. The abundance is found from the
network's answers (expectation maximisation of a changed prior: Saerens, Latinne & Decaestecker
2002, Neural Computation 14, 21) and changes the odds of particles within limits.
"""

from __future__ import annotations

import math

from torch import Tensor

from warptui.engine.ops.picking.picks import ARTIFACT, PARTICLE

USUAL = 0.03  # share of a scene's pixels that are a particle's mark, in what networks learn from
# A mark is half as wide as its particle, and discs cover at most 0.907 of a plane: where answers
# say as much already, as those of a network in its first steps may, no more are to be found.
LEAST, MOST = 1e-6, 0.907 * 0.5**2
ROUNDS = 30
# The network has seen each pixel's surroundings: part of what they say is in its answers already.
SHARE = 0.5
LOWEST, HIGHEST = -0.8, 0.5  # by which logits are changed at most


def find_abundance(particle: Tensor) -> float:
    """Share of particles among pixels, of their probabilities (n,) where `USUAL` was expected."""
    odds = (particle / (1 - particle)).double()
    share = USUAL
    for _ in range(ROUNDS):
        ratio = share / (1 - share) / (USUAL / (1 - USUAL))
        share = float((odds * ratio / (1 + odds * ratio)).mean())
        share = min(max(share, LEAST), MOST)
    return share


def adapt_to_abundance(probabilities: Tensor, sharpness: float) -> Tensor:
    """Probabilities (3, y, x) of a whole micrograph, with odds of particles as its crowd suggests.

    ``sharpness`` is the network's: what its logits were multiplied by.
    """
    logits = probabilities.clamp_min(1e-30).log()
    plain = (logits / sharpness).softmax(dim=0)
    particle = plain[PARTICLE][plain[ARTIFACT] < 0.5].clamp(1e-6, 1 - 1e-6)
    if not len(particle):
        return probabilities
    # probabilities grow at most by the factor of their odds: their mean stays below MOST
    room = math.log(MOST / float(particle.double().mean()))
    change = SHARE * math.log(find_abundance(particle) / USUAL)
    change = min(max(change, LOWEST), HIGHEST, max(room, 0.0))
    logits[PARTICLE] += sharpness * change
    return logits.softmax(dim=0)
