"""What is true of a simulated movie, in the keys and conventions of the shared truth files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RectBivariateSpline

from warptui.engine import paths

CONVENTIONS = {
    "pixels": "0-based, (0,0) is the centre of the first pixel of the MRC array; x is the fast "
    "axis; TIFF files hold the same array with rows flipped, EER do not",
    "displacement": "px, x then y, indexed [frame][y][x]; a point at p in frame 0 is at "
    "p + global[f] + local(p)[f] in frame f (means over the exposures of the frames)",
    "defocus": "Angstrom, positive underfocus, mean of U and V; U at astig_angle degrees from +x "
    "towards +y; phase in degrees",
    "coordinates": "particle x, y are positions in frame 0",
    "tilt": "the axis is tilt_axis_deg from +y, turning from +x towards +y: defocus grows along "
    "(cos, sin)(tilt_axis_deg) by tan(tilt_deg)",
    "defects": "hot_pixels and dead_pixels are [y, x]",
    "orientations": "RELION's: the reference seen through the ZYZ matrix of rot, tilt, psi",
}


@dataclass(frozen=True)
class Truth:
    """The record that is written as JSON, and the displacement field that it describes."""

    record: dict[str, Any]

    @property
    def pixel_size(self) -> float:
        """Å/px."""
        return float(self.record["pixel_size"])

    @property
    def n_frames(self) -> int:
        """Frames (EER: groups)."""
        return int(self.record["shape"]["frames"])

    @property
    def shape_yx(self) -> tuple[int, int]:
        """px."""
        return int(self.record["shape"]["ny"]), int(self.record["shape"]["nx"])

    def global_shifts(self) -> np.ndarray:
        """(frame, 2) xy px."""
        return np.array(self.record["global_shifts"], dtype=np.float64)

    def local(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(frame, n, 2) xy px at positions x, y (n,): cubic splines through the nodes."""
        local = self.record["local"]
        xs, ys = np.array(local["xs"]), np.array(local["ys"])
        nodes = np.array(local["displacement"], dtype=np.float64)
        out = np.empty((len(nodes), len(x), 2))
        for frame, field in enumerate(nodes):
            for axis in (0, 1):
                spline = RectBivariateSpline(ys, xs, field[..., axis], s=0)
                out[frame, :, axis] = spline(y, x, grid=False)
        return out

    def displacement(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(frame, n, 2) xy px, global and local, of points that are at x, y (n,) in frame 0."""
        return self.global_shifts()[:, None] + self.local(x, y)


def read_truth(path: Path) -> Truth:
    """The truth beside a simulated movie."""
    return Truth(json.loads(path.read_text()))


def write_truth(path: Path, truth: Truth) -> None:
    """Write JSON, atomically."""
    temporary = paths.temporary(path)
    with temporary.open("w") as out:
        json.dump(truth.record, out)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
