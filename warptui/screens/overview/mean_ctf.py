"""The mean |CTF| of all good items by frequency: shows which frequencies their defoci cover.

The engine's formula in NumPy, which tests compare with. Items of nearly the same defocus and phase
shift are one, so that many cost no more than some. Pure: no Textual here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from warptui.screens.item.deconvolution import wavelength_angstrom
from warptui.screens.link.mirror import Mirror
from warptui.screens.stages.ctf import DEFOCUS, PHASE_SHIFT

BEST_ANGSTROM = 2.6  # the highest frequency that is plotted
FREQUENCIES = np.linspace(0, 1 / BEST_ANGSTROM, 160)  # 1/Å
_STEPS = (20.0, math.radians(2.0))  # Å and rad, at least, within which items are taken as one
_MOST_CELLS = 1 << 16  # cells of the grid in which such items are looked for
_MOST_GROUPS = 1024


def mean_ctf(mirror: Mirror, kept: np.ndarray, optics: dict[str, Any]) -> np.ndarray | None:
    """(frequency,) the mean |CTF| of the items in ``kept`` at `FREQUENCIES`.

    None where there is no such item with a CTF, or the microscope is not known.
    """
    defocus = mirror.values(DEFOCUS)[kept]
    phase_shift = mirror.values(PHASE_SHIFT)[kept]
    known = np.isfinite(defocus) & np.isfinite(phase_shift)
    if not known.any() or not {"voltage", "cs", "amplitude_contrast"} <= optics.keys():
        return None
    return mean_abs_ctf(1e4 * defocus[known], np.radians(phase_shift[known]), optics)


def mean_abs_ctf(
    defocus: np.ndarray, phase_shift: np.ndarray, optics: dict[str, Any]
) -> np.ndarray:
    """(frequency,) of one or more defoci in Å (mean of u and v) and phase shifts in rad."""
    means, weights = _groups(defocus, phase_shift)
    wavelength = wavelength_angstrom(float(optics["voltage"]))
    quartic = float(optics["cs"]) * 1e7 * wavelength**2
    k2 = FREQUENCIES**2
    start = math.asin(float(optics["amplitude_contrast"]))
    slope = math.pi * wavelength * k2
    fixed = (start - 0.5 * slope * quartic * k2).astype(np.float32)
    phase = np.multiply.outer(means[0].astype(np.float32), slope.astype(np.float32))
    phase += fixed
    phase += means[1].astype(np.float32)[:, None]
    np.abs(np.sin(phase, out=phase), out=phase)
    return (weights.astype(np.float32) @ phase).astype(float)


def _groups(defocus: np.ndarray, phase_shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2, group) means of items with similar values, and the share of each group.

    Around the mean of a group errors are of second order, and the steps grow only until there are
    few enough groups.
    """
    values = (defocus, phase_shift)
    steps = list(_STEPS)
    least = [float(part.min()) for part in values]
    spans = [float(part.max()) - low for part, low in zip(values, least, strict=True)]
    while True:
        n_cells = [int(span / step) + 1 for span, step in zip(spans, steps, strict=True)]
        if n_cells[0] * n_cells[1] <= _MOST_CELLS:
            cells = ((defocus - least[0]) / steps[0]).astype(np.intp) * n_cells[1]
            if n_cells[1] > 1:
                cells += ((phase_shift - least[1]) / steps[1]).astype(np.intp)
            counts = np.bincount(cells)
            used = np.flatnonzero(counts)
            if len(used) <= _MOST_GROUPS:
                break
        steps = [2 * step for step in steps]
    means = np.array([np.bincount(cells, weights=part)[used] / counts[used] for part in values])
    return means, counts[used] / len(defocus)
