"""From BoxNet's probabilities to particle positions and a mask of what is no specimen.

(Paper, *Particle picking with a residual neural net*, last paragraph.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

BACKGROUND, PARTICLE, ARTIFACT = 0, 1, 2
ARTIFACT_PROBABILITY = 0.1
SMALLEST_ARTIFACT_PX = 20
_SMALLEST_PARTICLE_PX = 2
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])


@dataclass(frozen=True)
class Picks:
    """Particle positions, best first."""

    centres_yx_px: np.ndarray  # (n, 2) float64
    scores: np.ndarray  # (n,) float32: the highest probability within the component
    areas_px: np.ndarray  # (n,) int: of the component

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: np.ndarray) -> Picks:
        """Those that ``chosen`` (mask or indices) selects."""
        return Picks(self.centres_yx_px[chosen], self.scores[chosen], self.areas_px[chosen])


def find_artifacts(probabilities: np.ndarray) -> np.ndarray:
    """(y, x) bool from (3, y, x): contamination, support, empty holes; specks left out."""
    mask = probabilities[ARTIFACT] >= ARTIFACT_PROBABILITY
    labels, count = _connected(mask)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    return (areas >= SMALLEST_ARTIFACT_PX)[labels]


def find_components(probabilities: np.ndarray) -> Picks:
    """Connected pixels that are most likely particle, (3, y, x) -> one position each."""
    score = probabilities[PARTICLE]
    inside = probabilities.argmax(axis=0) == PARTICLE
    labels, count = _connected(inside)
    if count == 0:
        return Picks(np.zeros((0, 2)), np.zeros(0, np.float32), np.zeros(0, int))
    index = np.arange(1, count + 1)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    centres = np.array(scipy.ndimage.center_of_mass(score, labels, index))
    highest = np.asarray(scipy.ndimage.maximum(score, labels, index), np.float32)
    order = np.lexsort((centres[:, 1], centres[:, 0], -highest))
    found = Picks(centres[order], highest[order], areas[order])
    return found.take(found.areas_px >= _SMALLEST_PARTICLE_PX)


def _connected(inside: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of the components that pixels belong to, 0 outside; how many there are."""
    labels = np.zeros(inside.shape, np.int32)
    count = scipy.ndimage.label(inside, _CROSS, output=labels)
    assert isinstance(count, int)
    return labels, count
