"""Projections of many particles at coarse pixel size, to draw simulated micrographs from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from warptui.engine.simulation.density import Particle
from warptui.engine.simulation.projection import euler_matrix, project

_THREADS = 2


@dataclass(frozen=True)
class Species:
    """One kind of particle as projected potentials at one pixel size."""

    name: str
    mass_kda: float
    diameter_angstrom: float  # of the homogeneous sphere with its radius of gyration
    views: np.ndarray  # (n, size, size) float16, V Å, centre at pixel size // 2 plus the offset
    offsets_yx_px: np.ndarray  # (n, 2) within half a pixel


def make_species(
    particle: Particle, n_views: int, pixel_size: float, rng: np.random.Generator
) -> Species:
    """``n_views`` projections from random directions with random offsets within a pixel."""
    angles = np.column_stack(
        [
            rng.uniform(-180, 180, n_views),
            np.degrees(np.arccos(rng.uniform(-1, 1, n_views))),
            rng.uniform(-180, 180, n_views),
        ]
    )
    offsets = rng.uniform(-0.5, 0.5, (n_views, 2))
    views = np.stack(
        [
            project(particle, euler_matrix(*angle), (offset[0], offset[1]), pixel_size)
            for angle, offset in zip(angles, offsets, strict=True)
        ]
    )
    return Species(
        particle.name,
        particle.mass_kda,
        sphere_diameter_angstrom(particle),
        views.astype(np.float16),
        offsets.astype(np.float32),
    )


def make_all_species(
    particles: Sequence[Particle], n_views: int, pixel_size: float, seed: int
) -> tuple[Species, ...]:
    """`make_species` of all ``particles``; every one has its own stream of random numbers."""
    streams = [np.random.default_rng([seed, index]) for index in range(len(particles))]
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(
            pool.map(
                lambda pair: make_species(pair[0], n_views, pixel_size, pair[1]),
                zip(particles, streams, strict=True),
            )
        )


def sphere_diameter_angstrom(particle: Particle) -> float:
    """Diameter of the homogeneous sphere whose radius of gyration is the particle's."""
    weights = particle.solvent / particle.solvent.sum()
    squared = float((weights * (particle.xyz_angstrom**2).sum(axis=1)).sum())
    return 2 * float(np.sqrt(5 / 3 * squared))
