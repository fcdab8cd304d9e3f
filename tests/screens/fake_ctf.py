"""CTF results that exist only in memory, with pictures of their spectra on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.items.selection import Spread
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import Astigmatism
from warptui.screens.item.deconvolution import Lens, ctf

PIXEL, RANGE, WINDOW = 0.834, (30.0, 4.0), 512
REACH = 1.1 / RANGE[1]  # 1/Å, half of the picture's width
OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}


def ctf_values(number: int) -> dict[str, float | None]:
    """Summary values of the ctf stage; where the ice is empty there are none."""
    random = np.random.default_rng(number + 10_000)
    values: dict[str, float | None] = {
        "defocus_um": float(1.4 + 0.5 * np.sin(number / 7) + random.normal(0, 0.1)),
        **_astigmatism(number),
        "phase_shift_deg": 0.0,
        "resolution": float(4.0 + random.gamma(1.5, 0.4)),
        "confidence": float(np.clip(random.normal(0.95, 0.03), 0.6, 1)),
        "ice_ring": float(1 + random.gamma(1, 0.2)),
        "astigmatism_sigma": None,  # see `session_astigmatism`
        "quality": float(np.clip(random.normal(0.7, 0.12), 0, 1)),
    }
    if number % 283 == 241:
        values |= dict.fromkeys(values) | {"confidence": 0.08, "quality": 0.03}
    return {f"ctf.{key}": value for key, value in values.items()}


def _astigmatism(number: int) -> dict[str, float | None]:
    """A stigmator that is not quite set, and a few items that are worse."""
    random = np.random.default_rng(number + 20_000)
    wide = 6 if number % 97 == 45 else 1
    x, y = np.array([0.008, 0.022]) + wide * random.normal(0, 0.009, 2)
    angle = float(np.degrees(np.arctan2(y, x)) / 2 % 180)
    return {"astigmatism_um": float(np.hypot(x, y)), "astigmatism_angle_deg": angle}


def session_astigmatism(rows: list[ItemRow]) -> tuple[list[ItemRow], Astigmatism | None]:
    """The rows with their distances from the mean, and what they are measured by."""
    keys = ("ctf.astigmatism_um", "ctf.astigmatism_angle_deg")
    found = [tuple(row.summary.get(key) for key in keys) for row in rows]
    spread = Spread.of((um, deg) for um, deg in found if um is not None and deg is not None)
    judged = []
    for row, pair in zip(rows, found, strict=True):
        if pair[0] is not None:
            values = row.summary | {"ctf.astigmatism_sigma": spread.distance(*pair)}
            row = replace(row, summary=values)
        judged.append(row)
    return judged, Astigmatism(*spread.mean_xy, spread.unit) if spread.n else None


def lens_of_row(row: ItemRow) -> Lens:
    """The lens that made the row's values."""
    defocus = row.summary.get("ctf.defocus_um") or 1.4
    return Lens(**OPTICS, defocus_um=defocus, astigmatism_um=0.06, astigmatism_angle_deg=35.0)


def ctf_result(row: ItemRow) -> dict[str, Any]:
    """What the stage would have stored of a row."""
    known = row.summary.get("ctf.defocus_um") is not None
    random = np.random.default_rng(row.sequence)
    k = np.arange(WINDOW // 2) / (WINDOW * PIXEL)
    fit = ctf(lens_of_row(row), np.zeros_like(k), k) ** 2 * np.exp(-60 * k**2)
    measured = fit * known + random.normal(0, 0.02 + 0.3 * k, k.shape) + 0.4 * np.exp(-60 * k)
    quality = np.clip(1.02 - (k / 0.27) ** 6 + random.normal(0, 0.02, k.shape), -0.2, 1)
    values = {key.partition(".")[2]: v for key, v in row.summary.items() if key[:4] == "ctf."}
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    surface = (values.get("defocus_um") or 0.0) + 0.03 * x + 0.015 * y + 0.01 * x * y
    return {
        **values,
        "astigmatism_um": 0.06 if known else None,
        "astigmatism_angle_deg": 35.0 if known else None,
        "confidence": 0.93 if known else 0.08,
        "defocus_error_um": 0.0021 if known else None,
        "score": 0.81 if known else None,
        "model": "grid",
        "tilt_deg": None,
        "tilt_axis_deg": None,
        "grid": [5, 5, 1],
        "grid_defocus_um": surface.ravel().tolist() if known else [],
        "grid_phase_shift_deg": [0.0],
        "pixel_size": PIXEL,
        "window_px": WINDOW,
        "fit_range_angstrom": list(RANGE),
        "curve_k": k.tolist(),
        "curve_measured": measured.tolist(),
        "curve_simulated": fit.tolist() if known else [],
        "curve_quality": quality.tolist() if known else [],
        "notes": [] if known else ["no rings that any defocus explains"],
    }


def spectrum(folder: Path, row: ItemRow, size: int = 236) -> Path:
    """The model on the left of the measured spectrum, written once."""
    path = folder / f"spectrum_{row.sequence}.npy"
    if path.exists():
        return path
    known = row.summary.get("ctf.defocus_um") is not None
    random = np.random.default_rng(row.sequence)
    k = np.linspace(-REACH, REACH, size, endpoint=False)
    ky, kx = k[:, None], k[None, :]
    rings = ctf(lens_of_row(row), ky, kx) ** 2 - 0.5
    k2 = kx**2 + ky**2
    seen = known * rings * np.exp(-40 * k2) + random.normal(0, 0.35, rings.shape)
    if known:
        inside = (k2 > 1 / RANGE[0] ** 2) & (k2 < 1 / RANGE[1] ** 2)
        seen[:, : size // 2] = np.where(inside, 1.8 * rings, 0)[:, : size // 2]
    np.save(path, np.clip(128 + 90 * seen, 0, 255).astype(np.uint8))
    return path
