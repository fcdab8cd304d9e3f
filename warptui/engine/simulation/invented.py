"""Invented particles, for shapes and sizes beyond the available atomic models.

A network that has seen twenty proteins learns those twenty. Invented ones are domains that touch,
repeated by a symmetry, some with nucleic acid or a hollow, of any mass; at BoxNet's 8 Å/px
nothing finer than that shows.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from warptui.engine.simulation.density import (
    DALTONS_PER_HEAVY_ATOM,
    POTENTIAL_PER_HEAVY_ATOM,
    SOLVENT_PER_HEAVY_ATOM,
    Particle,
)
from warptui.engine.simulation.projection import euler_matrix, rotation_z

NAME = "invented"
LIGHTEST_KDA, HEAVIEST_KDA = 60.0, 5000.0
_ATOMS_PER_BEAD = 6.0
_BEAD_B_FACTOR = 8 * np.pi**2 * 3.0**2  # Å²: the σ of a bead that is 5 Å wide, both in a row
_VOLUME_PER_ATOM = 17.0  # Å³
_NUCLEIC_SHARE = 0.15  # of the particles hold nucleic acid
_NUCLEIC_POTENTIAL = 1.6  # of protein's, above the ice that is displaced
_SYMMETRIES = (("C", 1), ("C", 2), ("C", 3), ("C", 4), ("C", 5), ("C", 7), ("C", 12),
               ("D", 2), ("D", 3), ("D", 4), ("D", 6), ("D", 7))  # fmt: skip
_SYMMETRY_SHARES = (0.36, 0.16, 0.08, 0.06, 0.04, 0.04, 0.02, 0.08, 0.06, 0.04, 0.03, 0.03)
_TOUCH = 0.8  # of the sum of two radii: domains that touch overlap a little
_PLACES = 8  # tried for a domain at most: more make a particle rounder
_SAMPLE = 250  # beads of a unit that its copies are kept away from
_SHARED = 0.04  # of a unit's beads may lie nearer to a copy than
_CONTACT_ANGSTROM = 6.0


def invent_particle(seed: int) -> Particle:
    """A particle of a mass between `LIGHTEST_KDA` and `HEAVIEST_KDA`; ``seed`` decides all."""
    rng = np.random.default_rng([seed, 7])
    mass_kda = float(np.exp(rng.uniform(np.log(LIGHTEST_KDA), np.log(HEAVIEST_KDA))))
    family, fold = _SYMMETRIES[rng.choice(len(_SYMMETRIES), p=_SYMMETRY_SHARES)]
    copies = _copies(family, fold)
    n_atoms = mass_kda * 1e3 / DALTONS_PER_HEAVY_ATOM / len(copies)
    unit, potential = _unit(n_atoms, rng)
    if len(copies) > 1:
        unit = unit + _place_of_unit(unit, copies, family, rng)
    xyz = np.concatenate([unit @ copy.T for copy in copies])
    potential = np.tile(potential, len(copies))
    xyz -= np.average(xyz, axis=0, weights=potential)
    atoms = n_atoms * len(copies) / len(xyz)
    return Particle(
        NAME,
        xyz.astype(np.float32),
        (potential * POTENTIAL_PER_HEAVY_ATOM * atoms).astype(np.float32),
        np.full(len(xyz), SOLVENT_PER_HEAVY_ATOM * atoms, np.float32),
        b_factor=_BEAD_B_FACTOR,
        solvent_b_factor=_BEAD_B_FACTOR,
    )


def _unit(n_atoms: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Beads (n, 3) in Å of one asymmetric unit and each one's potential relative to protein."""
    n_domains = int(rng.integers(1, 9))
    shares = rng.dirichlet(np.full(n_domains, 2.5))
    nucleic = int(rng.integers(n_domains)) if rng.random() < _NUCLEIC_SHARE else -1
    centres: list[np.ndarray] = []
    radii: list[float] = []
    beads, potentials = [], []
    for index, share in enumerate(shares):
        volume = share * n_atoms * _VOLUME_PER_ATOM
        radius = float(np.cbrt(3 * volume / (4 * np.pi)))
        centre = np.zeros(3)
        if centres:
            centre = _beside(centres, radii, radius, rng)
        stretch = np.exp(rng.normal(0, 0.25, 3))
        stretch /= np.cbrt(stretch.prod())
        hollow = rng.uniform(0.3, 0.7) if rng.random() < 0.1 else 0.0
        n_beads = max(12, int(share * n_atoms / _ATOMS_PER_BEAD))
        reach = rng.uniform(hollow**3, 1, n_beads) ** (1 / 3)
        cloud = np.stack([_direction(rng) for _ in range(n_beads)]) * reach[:, None]
        swollen = radius / np.cbrt(1 - hollow**3)
        turn = euler_matrix(*rng.uniform(0, 360, 3))
        beads.append(centre + cloud * swollen * stretch @ turn)
        potentials.append(np.full(n_beads, _NUCLEIC_POTENTIAL if index == nucleic else 1.0))
        centres.append(centre)
        radii.append(radius)
    return np.concatenate(beads), np.concatenate(potentials)


def _beside(
    centres: list[np.ndarray], radii: list[float], radius: float, rng: np.random.Generator
) -> np.ndarray:
    """A place (3,) for one more domain: of some that touch another, the most compact one."""
    middle = np.mean(centres, axis=0)
    places = []
    for _ in range(int(rng.integers(1, _PLACES))):
        other = int(rng.integers(len(centres)))
        places.append(centres[other] + _direction(rng) * _TOUCH * (radius + radii[other]))
    return min(places, key=lambda place: float(((place - middle) ** 2).sum()))


def _place_of_unit(
    unit: np.ndarray, copies: list[np.ndarray], family: str, rng: np.random.Generator
) -> np.ndarray:
    """Where a unit lies (3,): as near to the axis as its copies let it."""
    reach = float(np.sqrt((unit**2).sum(axis=1).max()))
    way = np.array([1.0, 0.0, rng.uniform(0.3, 1.0) if family == "D" else 0.0])
    sample = unit[rng.choice(len(unit), min(len(unit), _SAMPLE), replace=False)]
    inner, outer = 0.0, 8 * reach
    while outer - inner > 1.0:
        middle = (inner + outer) / 2
        placed = sample + middle * way
        others = np.concatenate([placed @ copy.T for copy in copies[1:]])
        nearest = cKDTree(others).query(placed)[0]
        # as much as two units may share at their border without being one
        crowded = np.quantile(nearest, _SHARED) < _CONTACT_ANGSTROM
        inner, outer = (middle, outer) if crowded else (inner, middle)
    return outer * way


def _copies(family: str, fold: int) -> list[np.ndarray]:
    turns = [rotation_z(2 * np.pi * index / fold) for index in range(fold)]
    if family == "D":
        flip = np.diag([1.0, -1.0, -1.0])
        turns += [turn @ flip for turn in turns]
    return turns


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
