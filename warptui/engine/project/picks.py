"""Candidates, picks and masks of an item in the project folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.formats.array import write_array
from warptui.engine.formats.star.picks import Candidates, model_suffix, write_picks
from warptui.engine.formats.tiff.writing import write_tiff_movie
from warptui.engine.formats.writing import write_text
from warptui.engine.model.edits import Chosen
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.picking import (
    CANDIDATES,
    CANDIDATES_KEY,
    FALSE_POSITIVES,
    MASK_PREVIEW,
    PICKS,
)


def write_candidates(
    project: ProjectPaths, root_name: str, found: Candidates, key: Mapping[str, Any]
) -> None:
    """Keep ``found``, for the app and for another choice from them; ``key`` says what it is of.

    The key is written last: what a crash left half-written is never taken for whole.
    """
    key_path = project.product(CANDIDATES_KEY, root_name)
    key_path.unlink(missing_ok=True)
    write_array(
        project.product(CANDIDATES, root_name), found.table.astype(np.float32).reshape(-1, 4)
    )
    write_array(project.product(MASK_PREVIEW, root_name), found.mask.astype(np.uint8))
    write_text(key_path, json.dumps(dict(key)) + "\n")


def read_candidates(
    project: ProjectPaths, root_name: str, key: Mapping[str, Any] | None = None
) -> Candidates | None:
    """What `write_candidates` kept, if it is there, whole and of this very ``key`` (None = any)."""
    try:
        key_path = project.product(CANDIDATES_KEY, root_name)
        stored_key = json.loads(key_path.read_text(encoding="utf-8"))
        if key is not None and stored_key != dict(key):
            return None
        table = np.load(project.product(CANDIDATES, root_name), allow_pickle=False)
        mask = np.load(project.product(MASK_PREVIEW, root_name), allow_pickle=False)
    except (OSError, ValueError, EOFError):  # gone or damaged: it can be made again
        return None
    if table.ndim != 2 or table.shape[1] != 4 or mask.ndim != 2 or not np.isfinite(table).all():
        return None
    return Candidates(table, mask)


def write_chosen(
    project: ProjectPaths,
    root_name: str,
    model: str,
    chosen: Chosen,
    pixel_size: float,
    micrograph: str,
) -> Path:
    """Write the picks, and those removed by hand where there are any; the path of the picks."""
    suffix = model_suffix(model)
    path = project.product(PICKS, root_name, suffix)
    write_picks(path, chosen.positions_yx_angstrom / pixel_size, chosen.scores, micrograph)
    wrong = project.product(FALSE_POSITIVES, root_name, suffix)
    if len(chosen.removed_scores):
        places = chosen.removed_yx_angstrom / pixel_size
        write_picks(wrong, places, chosen.removed_scores, micrograph)
    else:
        wrong.unlink(missing_ok=True)
    return path


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask (y, x) at 8 Å/px as Warp has it: 0 and 1 as floats, rows flipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tiff_movie(path, [mask.astype(np.float32)], pixel_size=8.0)
