"""What BoxNet learns from: micrographs at 8 Å/px with a label for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PIXEL_SIZE = 8.0  # Å/px
SURE = 4.0  # certainty of what people say for certain (0 = it teaches nothing, 1 = as usual)
MATCHING_SHARE = 0.5  # of the diameter: a pick within it of a particle is that particle


@dataclass(frozen=True)
class Example:
    """One micrograph, all (y, x)."""

    name: str
    image: np.ndarray  # float32, normalised as the network sees it
    labels: np.ndarray  # uint8: 0 background, 1 particle, 2 artifact
    certainty: np.ndarray  # float32: how much a pixel counts
    centres_yx_px: np.ndarray  # (n, 2) float32: the particles that a picker should find
    diameters_angstrom: np.ndarray  # (n,) float32
    species: str = ""
    source: str = "micrograph"  # or "simulated"

    @property
    def n_particles(self) -> int:
        """Particles that are marked."""
        return len(self.centres_yx_px)

    @property
    def diameter_angstrom(self) -> float:
        """Of a usual particle; 0 where there are none."""
        return float(np.median(self.diameters_angstrom)) if self.n_particles else 0.0

    def cropped(self, largest_px: int) -> Example:
        """The middle, at most ``largest_px`` wide and high."""
        ny, nx = self.image.shape
        top, left = max((ny - largest_px) // 2, 0), max((nx - largest_px) // 2, 0)
        if top == left == 0:
            return self
        rows, columns = slice(top, top + largest_px), slice(left, left + largest_px)
        centres = self.centres_yx_px - np.array([top, left], np.float32)
        image = np.ascontiguousarray(self.image[rows, columns])
        inside = ((centres >= -0.5) & (centres < np.array(image.shape) - 0.5)).all(axis=1)
        return Example(
            self.name,
            image,
            np.ascontiguousarray(self.labels[rows, columns]),
            np.ascontiguousarray(self.certainty[rows, columns]),
            centres[inside],
            self.diameters_angstrom[inside],
            self.species,
            self.source,
        )


@dataclass(frozen=True)
class Tally:
    """Counts of what was found and what is there, of picks and of pixels. They add up."""

    found: int = 0  # picks
    there: int = 0  # particles
    right: int = 0  # picks that are particles
    pixels: float = 0.0  # weighted by their certainty
    right_pixels: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.found + other.found,
            self.there + other.there,
            self.right + other.right,
            self.pixels + other.pixels,
            self.right_pixels + other.right_pixels,
        )

    @property
    def f1(self) -> float | None:
        """2 right / (found + there); None where there is nothing to find and nothing was."""
        total = self.found + self.there
        return 2 * self.right / total if total else None

    def to_json(self) -> dict[str, float | None]:
        """precision, recall, f1 and accuracy; None where a share is of nothing."""
        shares = {
            "precision": self.right / self.found if self.found else None,
            "recall": self.right / self.there if self.there else None,
            "f1": self.f1,
            "accuracy": self.right_pixels / self.pixels if self.pixels else None,
        }
        return {key: None if value is None else round(value, 4) for key, value in shares.items()}


def total(tallies: Sequence[Tally]) -> Tally:
    """Their sum."""
    return sum(tallies, Tally())


def count_matches(picks: np.ndarray, truth: np.ndarray, limits: np.ndarray) -> int:
    """Most pairs of a pick (n, 2) and a particle (m, 2) within its ``limits`` (m,), one to one."""
    import scipy.optimize

    if not len(picks) or not len(truth):
        return 0
    distances = np.linalg.norm(picks[:, None] - truth[None], axis=2)
    near = distances <= limits[None]
    rows, columns = near.any(axis=1), near.any(axis=0)
    if not rows.any():
        return 0
    far = 1e6
    costs = np.where(near, distances, far)[np.ix_(rows, columns)]
    pairs = scipy.optimize.linear_sum_assignment(costs)
    return int((costs[pairs] < far).sum())
