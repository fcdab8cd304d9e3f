"""Picks that exist only in memory, with candidates and masks on disk that fit the fake pictures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.model.edits import Edits
from warptui.engine.model.row import ItemRow
from warptui.engine.ops.picking.choice import choose

SHAPE, PIXEL = (4092, 5760), 0.834  # of the average
PREVIEW = (364, 512)
DIAMETER, MIN_SCORE = 150.0, 0.95
SETTINGS = {
    "model": "boxnet",
    "diameter_angstrom": DIAMETER,
    "min_score": MIN_SCORE,
    "min_mask_distance_angstrom": 0.0,
    "invert_contrast": False,
}
RADIUS = 7.0  # of a particle's ring, in px of the preview
CELL = 18.0  # px of the preview: particles do not overlap
HASH = "3fa9c1d27b" * 6 + "0c1d"
N_FAINT = 40  # candidates below the threshold
MASK_CENTRE = (240.0, 390.0)  # px of the preview


def mask_radius(number: int) -> float:
    """Of the contamination, in px of the preview; some pictures have none."""
    return (0.0, 30.0, 0.0, 90.0, 0.0, 55.0, 0.0)[number % 7]


@lru_cache
def _free(radius: float) -> np.ndarray:
    """(n, 2) px of the preview: where particles may lie."""
    ny, nx = (int(n // CELL) for n in PREVIEW)
    grid = np.stack(np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij"), -1).reshape(-1, 2)
    middles = (grid + 0.5) * CELL
    return middles[np.hypot(*(middles - MASK_CENTRE).T) > radius + 1.6 * CELL]


def n_particles(number: int) -> int:
    """How many are picked."""
    wanted = int(np.random.default_rng(number + 30_000).poisson(110))
    return min(wanted, len(_free(mask_radius(number))) - N_FAINT)


def places(number: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) px of the preview and (n,) scores: particles, then what might be some."""
    random = np.random.default_rng(number + 30_000)
    random.poisson(110)
    free, n = _free(mask_radius(number)), n_particles(number)
    found = random.permutation(free)[: n + N_FAINT] + random.uniform(-1.8, 1.8, (n + N_FAINT, 2))
    scores = random.uniform(0.955, 0.9999, n), random.uniform(0.42, 0.94, N_FAINT)
    return found, np.concatenate(scores)


def picking_values(number: int) -> dict[str, float | None]:
    """Summary values of the picking stage."""
    area = np.pi * mask_radius(number) ** 2 / np.prod(PREVIEW)
    return {
        "picking.n_particles": float(n_particles(number)),
        "particles.n_particles": float(n_particles(number)),
        "picking.mask_percent": round(100 * float(area), 2),
    }


def candidates(number: int) -> np.ndarray:
    """As the engine stores them."""
    found, scores = places(number)
    px = (found + 0.5) * (SHAPE[1] / PREVIEW[1]) - 0.5
    areas = np.random.default_rng(number).uniform(20, 60, len(found))
    return np.column_stack([px, scores, areas]).astype(np.float32)


def mask(number: int) -> np.ndarray:
    """As the engine stores it for the app, at 8 Å/px."""
    shape = [round(n * PIXEL / 8) for n in SHAPE]
    y, x = np.ogrid[: shape[0], : shape[1]]
    to_preview = PREVIEW[0] / shape[0]
    distance = np.hypot(y * to_preview - MASK_CENTRE[0], x * to_preview - MASK_CENTRE[1])
    return (distance < mask_radius(number)).astype(np.uint8)


def picking_result(row: ItemRow, edits: Edits) -> dict[str, Any]:
    """What the stage would have stored of a row, with a person's edits."""
    own = Edits() if not edits.changes_picks else edits
    table = candidates(row.sequence)
    shape = mask(row.sequence).shape
    mask_pixel = (SHAPE[0] * PIXEL / shape[0], SHAPE[1] * PIXEL / shape[1])
    chosen = choose(
        table,
        mask(row.sequence),
        PIXEL,
        DIAMETER,
        MIN_SCORE,
        0.0,
        own,
        mask_pixel_yx=mask_pixel,
    )
    return {
        "n_particles": len(chosen),
        "mask_percent": picking_values(row.sequence)["picking.mask_percent"],
        "mean_score": round(float(chosen.scores.mean()), 4) if len(chosen) else None,
        "implied_diameter_angstrom": 146.0,
        "n_candidates": len(table),
        "model": "boxnet",
        "model_hash": HASH,
        "mask_pixel_yx": list(mask_pixel),
        "notes": [],
    }


def picking_files(folder: Path, number: int) -> dict[str, str]:
    """Paths of the products, which are written once."""
    made = {}
    for key, make in (("candidates", candidates), ("mask preview", mask)):
        path = folder / f"{key.replace(' ', '_')}_{number}.npy"
        if not path.exists():
            np.save(path, make(number))
        made[key] = str(path)
    return made
