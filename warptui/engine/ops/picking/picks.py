"""Turns BoxNet's probabilities into particle positions and a mask of contamination.

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
# A mark is a disc, so a waist means that two of them have run together.
_ROUNDING_PX = 0.4  # σ that evens the steps of a disc's edge
_LEVEL_PX = 0.25  # how finely the depths are gone through
_WAIST_SHARE = 0.1  # of the larger disc's depth: what both are deeper than the waist


@dataclass(frozen=True)
class Picks:
    """Particle positions, best first."""

    centres_yx_px: np.ndarray  # (n, 2) float64
    scores: np.ndarray  # (n,) float32: the highest probability within the component
    areas_px: np.ndarray  # (n,) int: of the component

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: np.ndarray) -> Picks:
        """The picks that ``chosen`` (mask or indices) selects."""
        return Picks(self.centres_yx_px[chosen], self.scores[chosen], self.areas_px[chosen])


def find_artifacts(probabilities: np.ndarray) -> np.ndarray:
    """(y, x) bool from (3, y, x): contamination, support, empty holes; specks left out."""
    mask = probabilities[ARTIFACT] >= ARTIFACT_PROBABILITY
    labels, count = _connected(mask)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    return (areas >= SMALLEST_ARTIFACT_PX)[labels]


def find_components(probabilities: np.ndarray) -> Picks:
    """Find one position for every disc of pixels that are most likely particle, (3, y, x).

    In the paper, connected pixels are one particle. In crowded ice discs touch: they are separated
    at their waist. The visible rest of a particle whose centre is beyond the edge is not picked.
    """
    score = probabilities[PARTICLE]
    labels = _discs(probabilities.argmax(axis=0) == PARTICLE)
    areas = np.bincount(labels.ravel())
    areas[_centred_beyond(labels)] = 0
    index = np.flatnonzero(areas[1:]) + 1
    if not len(index):
        return Picks(np.zeros((0, 2)), np.zeros(0, np.float32), np.zeros(0, int))
    areas = areas[index]
    centres = np.array(scipy.ndimage.center_of_mass(score, labels, index))
    highest = np.asarray(scipy.ndimage.maximum(score, labels, index), np.float32)
    order = np.lexsort((centres[:, 1], centres[:, 0], -highest))
    found = Picks(centres[order], highest[order], areas[order])
    return found.take(found.areas_px >= _SMALLEST_PARTICLE_PX)


def _discs(inside: np.ndarray) -> np.ndarray:
    """Numbers of the discs that pixels belong to, (y, x); 0 outside."""
    labels, count = _connected(inside)
    if not count:
        return labels
    outside = np.pad(~inside, 1, constant_values=True)
    depth = np.asarray(scipy.ndimage.distance_transform_edt(~outside))[1:-1, 1:-1]
    depth = scipy.ndimage.gaussian_filter(depth, _ROUNDING_PX) * inside
    for level in np.arange(_LEVEL_PX, depth.max(), _LEVEL_PX):
        cores, n_cores = _connected((depth > level) & (labels > 0))
        pixels = np.nonzero(cores)
        deepest, whose = np.zeros(n_cores + 1), np.zeros(n_cores + 1, int)
        np.maximum.at(deepest, cores[pixels], depth[pixels])
        whose[cores[pixels]] = labels[pixels]  # all of a core lies in one disc
        largest = np.zeros(count + 1)
        np.maximum.at(largest, whose, deepest)
        deep = deepest >= level + _WAIST_SHARE * largest[whose]
        parted = np.bincount(whose[deep], minlength=count + 1) > 1
        if parted.any():
            numbers = np.where(deep & parted[whose], count + np.arange(n_cores + 1), 0)
            labels = np.where(parted[labels], numbers[cores], labels)
            count += n_cores
    # what was waist goes to the nearest disc
    rows, columns = np.asarray(
        scipy.ndimage.distance_transform_edt(
            labels == 0, return_distances=False, return_indices=True
        )
    )
    return np.where(inside, labels[rows, columns], 0)


def _centred_beyond(labels: np.ndarray) -> np.ndarray:
    """Labels of the discs whose centre lies outside of the image: the edge cuts off more than half.

    What is left then is wider along the edge than twice its depth.
    """
    beyond = []
    for number, place in enumerate(scipy.ndimage.find_objects(labels), start=1):
        if place is None:
            continue
        sides = list(zip(place, labels.shape, strict=True))
        extents = [side.stop - side.start for side in place]
        for (side, size), depth, width in zip(sides, extents, extents[::-1], strict=True):
            if (side.start == 0 or side.stop == size) and 2 * depth < width:
                beyond.append(number)
    return np.array(sorted(set(beyond)), int)


def _connected(inside: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of the components that pixels belong to, 0 outside; how many there are."""
    labels = np.zeros(inside.shape, np.int32)
    count = scipy.ndimage.label(inside, _CROSS, output=labels)
    assert isinstance(count, int)
    return labels, count
