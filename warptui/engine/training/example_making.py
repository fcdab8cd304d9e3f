"""Makes training examples from the micrographs that the user marked for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from warptui.engine.errors import InputError, TrainingError
from warptui.engine.formats.mrc import read_mrc, read_shape_and_pixel_size
from warptui.engine.model.edits import Spot
from warptui.engine.model.training import TrainingRequest
from warptui.engine.ops.picking.segmentation import coarsen, normalise
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.simulation.scene import paint
from warptui.engine.training.bundle import Entry, Origin, write_bundle
from warptui.engine.training.example import SURE, Example
from warptui.engine.training.labels import Marked, Rules, find_marked, mask_of, particles_of


def make_example(marked: Marked, rules: Rules, *, train_masks: bool, species: str = "") -> Example:
    """Make a training example: the micrograph at 8 Å/px with labels from its picks and marks.

    Particles become discs, as in BoxNet's output; a pick that was removed by hand becomes certain
    background; uncertain areas have weight 0; masked areas become artifact.

    Raises
    ------
    TrainingError
        If the average is missing, damaged, or has values that are not finite.
    """
    average, pixel_size = _read_average(marked)
    coarse = coarsen(average - average.mean(), pixel_size)
    image = normalise(-coarse if rules.invert_contrast else coarse).numpy()
    # Cropping a Fourier transform keeps the first pixel's centre where it is.
    scale_yx = np.array(coarse.shape) / np.array(average.shape) / pixel_size  # px per Å
    centres = particles_of(marked, rules) * scale_yx
    inside = ((centres >= 0) & (centres <= np.array(image.shape) - 1)).all(axis=1)
    centres = centres[inside]
    edits = marked.edits
    mask = mask_of(marked) if train_masks and edits.train_mask else None
    diameters = np.full(len(centres), rules.diameter_angstrom, np.float32)
    radius = rules.diameter_angstrom / 2
    labels, certainty = paint(
        image.shape,
        centres,
        diameters,
        np.ones(len(centres), bool),
        artifact=_fitted(mask, image.shape),
        doubtful=_areas(edits.uncertain, image.shape, scale_yx, radius),
    )
    for spots, spread in ((edits.removed, radius), (edits.certain, radius)):
        sure = _areas(spots, image.shape, scale_yx, spread)
        certainty[sure & (certainty > 0)] = SURE
    return Example(
        marked.name,
        image.astype(np.float32),
        labels,
        certainty,
        centres.astype(np.float32),
        diameters,
        species,
    )


def make_bundle(
    paths: ProjectPaths,
    items: Mapping[str, str],
    request: TrainingRequest,
    rules: Rules,
    target: Path,
    *,
    train_masks: bool,
    species: str,
    contributor: str,
    licence: str,
    source: str = "",
) -> tuple[dict[str, Any], list[str]]:
    """Write the marked micrographs as a bundle; returns its content, and what was left out and why.

    Raises
    ------
    TrainingError
        If none of the marked micrographs can be used.
    """
    entries, notes = [], []
    for marked in find_marked(paths, items, request, 0.0):
        if marked.problem:
            notes.append(f"{marked.name} is left out: {marked.problem}")
            continue
        try:
            example = make_example(marked, rules, train_masks=train_masks, species=species)
            _, pixel_size = read_shape_and_pixel_size(Path(marked.average_path))
        except TrainingError as problem:
            notes.append(f"left out: {problem}")
            continue
        entries.append(Entry(example, Origin(contributor, licence, pixel_size, source)))
    if not entries:
        why = "; ".join(notes) or "mark micrographs for training on the item screen (E)"
        raise TrainingError(f"there are no examples to bundle: {why}")
    digest = write_bundle(target, entries)
    particles = sum(entry.example.n_particles for entry in entries)
    return {"micrographs": len(entries), "particles": particles, "sha256": digest}, notes


def _read_average(marked: Marked) -> tuple[torch.Tensor, float]:
    path = Path(marked.average_path)
    try:
        array, pixel_size = read_mrc(path)
    except FileNotFoundError as problem:
        raise TrainingError(
            f"{marked.name}: its average {path} is gone; process the item again (P), or take "
            "its mark away"
        ) from problem
    except (OSError, InputError) as problem:
        raise TrainingError(f"{marked.name}: its average cannot be read: {problem}") from problem
    if array.ndim != 2 or not pixel_size:
        raise TrainingError(f"{marked.name}: {path} is no average with a pixel size")
    image = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    if not bool(torch.isfinite(image).all()):
        raise TrainingError(
            f"{marked.name}: its average has values that are not finite; process the item again "
            "(P), or take its mark away"
        )
    if float(image.max()) == float(image.min()):
        raise TrainingError(f"{marked.name}: its average is {float(image.max()):g} everywhere")
    return image, pixel_size


def _areas(
    spots: Sequence[Spot], shape_yx: tuple[int, ...], scale_yx: np.ndarray, radius_angstrom: float
) -> np.ndarray:
    """(y, x) bool: True within any of the discs."""
    inside = np.zeros(shape_yx, bool)
    grid = np.ogrid[: shape_yx[0], : shape_yx[1]]
    for spot in spots:
        y, x = spot.y_angstrom * scale_yx[0], spot.x_angstrom * scale_yx[1]
        radius = (spot.radius_angstrom or radius_angstrom) * float(scale_yx.mean())
        inside |= np.hypot(grid[0] - y, grid[1] - x) <= radius
    return inside


def _fitted(mask: np.ndarray | None, shape_yx: tuple[int, ...]) -> np.ndarray:
    """Resample the mask to the grid of the image, whose average may have another pixel size."""
    if mask is None:
        return np.zeros(shape_yx, bool)
    rows, columns = (
        np.minimum(np.arange(n) * old // n, old - 1)
        for n, old in zip(shape_yx, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]
