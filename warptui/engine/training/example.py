"""Training examples of BoxNet: micrographs at 8 Å/px with a label for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PIXEL_SIZE = 8.0  # Å/px
SURE = 4.0  # certainty of labels set by hand (0 = not used in training, 1 = usual)
MATCHING_SHARE = 0.5  # of the diameter: largest distance of a pick from the particle it matches


@dataclass(frozen=True)
class Example:
    """One labelled micrograph; all arrays are (y, x)."""

    name: str
    image: np.ndarray  # float32, normalised for the network
    labels: np.ndarray  # uint8: 0 background, 1 particle, 2 artifact
    certainty: np.ndarray  # float32: weight of a pixel in training
    centres_yx_px: np.ndarray  # (n, 2) float32: particles that a picker should find
    diameters_angstrom: np.ndarray  # (n,) float32
    species: str = ""
    source: str = "micrograph"  # or "simulated"

    @property
    def n_particles(self) -> int:
        """Number of labelled particles."""
        return len(self.centres_yx_px)

    @property
    def diameter_angstrom(self) -> float:
        """Median diameter of the particles in Å; 0 without particles."""
        return float(np.median(self.diameters_angstrom)) if self.n_particles else 0.0

    def cropped(self, largest_px: int) -> Example:
        """The central part of the example, at most ``largest_px`` wide and high."""
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
    """Counts of true and found particles and pixels, for precision and recall; they add up."""

    found: int = 0  # picks
    there: int = 0  # number of particles
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
        """F1 score, 2 right / (found + there); None without any particle and any pick."""
        total = self.found + self.there
        return 2 * self.right / total if total else None

    def to_json(self) -> dict[str, float | None]:
        """Precision, recall, F1 and accuracy as a dict; None where the denominator is 0."""
        shares = {
            "precision": self.right / self.found if self.found else None,
            "recall": self.right / self.there if self.there else None,
            "f1": self.f1,
            "accuracy": self.right_pixels / self.pixels if self.pixels else None,
        }
        return {key: None if value is None else round(value, 4) for key, value in shares.items()}


def total(tallies: Sequence[Tally]) -> Tally:
    """The sum of two counts."""
    return sum(tallies, Tally())


def count_matches(picks: np.ndarray, truth: np.ndarray, limits: np.ndarray) -> int:
    """Match picks (n, 2) and particles (m, 2) one to one, within ``limits`` (m,) of particles."""
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
