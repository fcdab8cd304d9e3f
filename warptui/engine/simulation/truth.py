"""The truth of a simulated movie, in the keys and conventions of the shared truth files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RectBivariateSpline

from warptui.engine.formats.writing import temporary
from warptui.engine.simulation.camera import Camera
from warptui.engine.simulation.density import Particle
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import Placed, Surface
from warptui.engine.simulation.trajectory import Motion

_NODES = 25  # of the local field and of the surface, per axis

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


def describe(
    settings: MovieSettings,
    motion: Motion,
    surface: Surface,
    particles: Sequence[Placed],
    models: Sequence[Particle],
    camera: Camera,
) -> Truth:
    """The truth about a simulated movie."""
    ny, nx = settings.shape_yx
    xs, ys = np.linspace(0, nx - 1, _NODES), np.linspace(0, ny - 1, _NODES)
    y, x = np.meshgrid(ys, xs, indexing="ij")
    local = np.stack([motion.local(x, y, frame) for frame in range(settings.n_frames)])
    defocus = surface.defocus_angstrom(x, y)
    half = settings.astigmatism_um * 5e3
    nodes = {"xs": _rounded(xs), "ys": _rounded(ys)}
    record = {
        "kind": "movie",
        "movie": settings.name,
        "config": {
            "px": settings.pixel_size,
            "kv": settings.voltage,
            "cs": settings.cs,
            "amp": settings.amplitude_contrast,
            "dose_per_frame": settings.dose_per_frame,
            "pre_dose": settings.pre_exposure,
            "b_factor": settings.b_factor,
            "tilt_deg": settings.tilt_deg,
            "tilt_axis_deg": settings.tilt_axis_deg,
            "ny": ny,
            "nx": nx,
            "frames": settings.n_frames,
            "raw_frames_per_fraction": settings.raw_frames_per_frame,
        },
        "settings": settings.model_dump(),
        "pixel_size": settings.pixel_size,
        "shape": {"ny": ny, "nx": nx, "frames": settings.n_frames},
        "conventions": CONVENTIONS,
        "global_shifts": _rounded(motion.global_shifts()),
        "local": {**nodes, "displacement": _rounded(np.moveaxis(local, 1, -1), 4)},
        "ctf": {
            "defocus_mean": round(float(defocus.mean()), 3),
            "defocus_u": surface.mean_angstrom + half,
            "defocus_v": surface.mean_angstrom - half,
            "astig": 2 * half,
            "angle": settings.astigmatism_angle_deg,
            "phase_deg": settings.phase_shift_deg,
            "tilt_deg": settings.tilt_deg,
            "tilt_axis_deg": settings.tilt_axis_deg,
            "surface": {**nodes, "defocus": _rounded(defocus, 2)},
        },
        "particles": [
            {
                "x": round(one.x, 4),
                "y": round(one.y, 4),
                "defocus": round(one.defocus_angstrom, 2),
                "rot": round(one.rot_deg, 4),
                "tilt": round(one.tilt_deg, 4),
                "psi": round(one.psi_deg, 4),
                "diameter": round(models[one.model].diameter_angstrom, 3),
                "model": models[one.model].name,
            }
            for one in particles
            if 0 <= one.x <= nx - 1 and 0 <= one.y <= ny - 1
        ],
        "mask": None,
        "gain": f"{settings.name}_gain.mrc" if camera.reference is not None else None,
        "hot_pixels": [list(place) for place in camera.hot_yx],
        "dead_pixels": [list(place) for place in camera.dead_yx],
        "dead_rows": list(camera.dead_rows),
        "dead_columns": list(camera.dead_columns),
    }
    return Truth(record)


def _rounded(values: np.ndarray, digits: int = 5) -> list[Any]:
    return np.round(values, digits).tolist()


def read_truth(path: Path) -> Truth:
    """The truth beside a simulated movie."""
    return Truth(json.loads(path.read_text()))


def write_truth(path: Path, truth: Truth) -> None:
    """Write JSON, atomically."""
    part = temporary(path)
    with part.open("w") as out:
        json.dump(truth.record, out)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
