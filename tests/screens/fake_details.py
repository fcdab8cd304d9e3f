"""Everything that would be stored of a made-up item, and its picture on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.screens.fake_ctf import ctf_result
from tests.screens.fake_picking import (
    MASK_CENTRE,
    RADIUS,
    mask_radius,
    picking_result,
    places,
)
from tests.screens.fake_picking import SETTINGS as PICKING
from warptui.engine.model.edits import Edits
from warptui.engine.model.item import root_name_of
from warptui.engine.model.row import ItemRow
from warptui.engine.model.stored import StageRecord, StoredItem

N_FRAMES, SHAPE_YX, PIXEL_SIZE = 40, [4092, 5760], 0.834


def stored_in_full(stored: StoredItem, row: ItemRow, edits: Edits) -> StoredItem:
    """The item with the results that lists leave out, and the history of its last run."""
    if not stored.records:
        return stored
    results = {
        "motion": _motion(row),
        "average": _average(row),
        "ctf": ctf_result(row),
        "picking": picking_result(row, edits),
    }
    records = {
        name: replace(record, result={**record.result, **results.get(name, {})})
        for name, record in stored.records.items()
    }
    picking = records["picking"]
    records["picking"] = replace(picking, settings={**picking.settings, **PICKING})
    history = (
        _run(records["motion"], row.finished_at - 2),
        _run(records["average"], row.finished_at),
    )
    return replace(stored, records=records, history=history)


def _run(record: StageRecord, finished_at: float) -> dict[str, Any]:
    return {
        "stage": record.stage,
        "version": record.version,
        "finished_at": finished_at,
        "device": record.device,
        "seconds": record.seconds,
        "program_version": record.program_version,
    }


def _motion(row: ItemRow) -> dict[str, Any]:
    """Tracks of a specimen that drifts and domes."""
    n, time = N_FRAMES, np.linspace(0, 1, N_FRAMES)
    random = np.random.default_rng(row.sequence)
    angle = random.uniform(0, 2 * np.pi)
    drift = 14 * (1 - np.exp(-4 * time))
    track = np.stack([drift * np.sin(angle), drift * np.cos(angle) + np.sin(6 * time)], axis=1)
    track -= track.mean(axis=0)
    grid_y, grid_x = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5), indexing="ij")
    bend = np.array([-0.5, 0.1, 0.4])[:, None, None]
    local_x, local_y = 6 * bend * grid_x * grid_y**2, 6 * bend * grid_y
    return {
        "n_frames": n,
        "pixel_size": PIXEL_SIZE,
        "shape_yx": SHAPE_YX,
        "dose_per_frame": 1.03,
        "track_yx_angstrom": track.tolist(),
        "global_yx_angstrom": track[::3].tolist(),
        "local_grid": [5, 5, 3],
        "local_x_angstrom": local_x.ravel().tolist(),
        "local_y_angstrom": local_y.ravel().tolist(),
        "local_used": True,
        "notes": [],
    }


def _average(row: ItemRow) -> dict[str, Any]:
    return {
        "pixel_size": PIXEL_SIZE,
        "shape_yx": SHAPE_YX,
        "n_frames": N_FRAMES,
        "dose": 41.2,
        "average_path": f"average/{root_name_of(row.name)}.mrc",
        "notes": [],
    }


def preview(folder: Path, seed: int, shape: tuple[int, int] = (364, 512)) -> Path:
    """A picture of ring-shaped particles in noise, written once."""
    path = folder / f"preview_{seed}.npy"
    if path.exists():
        return path
    random = np.random.default_rng(seed)
    image = random.normal(0, 1.0, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    found, scores = places(seed)
    for (cy, cx), score in zip(found, scores, strict=True):
        window = np.s_[max(0, int(cy) - 12) : int(cy) + 13, max(0, int(cx) - 12) : int(cx) + 13]
        radius = np.hypot(y[window] - cy, x[window] - cx)
        image[window] -= 3.3 * score**4 * np.exp(-(((radius - RADIUS) / 1.8) ** 2))
    if size := mask_radius(seed):
        distance = np.hypot(y - MASK_CENTRE[0], x - MASK_CENTRE[1])
        image -= 2.4 * np.exp(-((distance / size) ** 4))
    image = (image + np.roll(image, 1, 0) + np.roll(image, 1, 1)) / 2
    low, high = np.percentile(image, [1, 99])
    np.save(path, np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8))
    return path
