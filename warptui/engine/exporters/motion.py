"""A movie's motion as RELION's Bayesian polishing reads it.

Shifts per frame in pixels of the raw movie, and the local motion as a polynomial: along x and y
each, 18 coefficients of (1, x, x², y, y², x y) times (z, z², z³), where x and y are fractions of
the image's sides from its middle and z counts frames from the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.errors import WarptuiError
from warptui.engine.formats.camera.gain import read_gain
from warptui.engine.formats.movie import open_movie
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.star.tables import Pairs, Table, Value, is_writable, write_star
from warptui.engine.model.item import root_name_of
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.motion import STAGE as MOTION_STAGE

LATTICE = 9  # rows and columns of places at which the local motion is compared
GLOBAL_ONLY, POLYNOMIAL = 0, 1  # RELION's versions of a motion model


class MotionExport:
    """Writes ``motion/NAME.star`` for items whose motion is known and whose movie exists."""

    def __init__(self, project: ProjectPaths, shown: Callable[[Path], str]) -> None:
        self._project, self._shown = project, shown
        self._gains: dict[str, str] = {}
        self.size_unknown: list[str] = []  # items whose movie, and so its frame size, is gone

    def write(self, item: StoredItem, optics: Mapping[str, float]) -> tuple[str, float]:
        """The motion file's path as the list states it, and the local model's RMS error in px.

        "" if the motion is unknown or cannot be expressed: polishing then leaves the movie out.
        """
        record = MOTION_STAGE.record(item)
        movie = self._shown(Path(item.raw_path)) if item.raw_path else ""
        if record is None or not record.result.get("track_yx_angstrom") or not is_writable(movie):
            return "", 0.0
        result, given = record.result, record.sections.get("input", {})
        binning = float(given.get("binning", 1.0))
        pixel_size = float(result["pixel_size"]) / binning
        movie_format = "eer" if Path(item.raw_path).suffix.lower() == ".eer" else ""
        shape_yx = raw_shape(Path(item.raw_path), given, result)
        if shape_yx is None:
            self.size_unknown.append(item.name)
            return "", 0.0
        n_frames = int(result["n_frames"])
        whole, local = shifts_px(result, pixel_size)
        model, residual = None, 0.0
        if local is not None:
            whole, model, residual = fit_polynomial(whole, local)
        general: dict[str, Value] = {
            "rlnImageSizeX": shape_yx[1],
            "rlnImageSizeY": shape_yx[0],
            "rlnImageSizeZ": n_frames,
            "rlnMicrographMovieName": movie,
        }
        gain = self._gain(given, shape_yx, movie_format)
        if gain:
            general["rlnMicrographGainName"] = gain
        general |= {
            "rlnMicrographBinning": binning,
            "rlnMicrographOriginalPixelSize": pixel_size,
            "rlnMicrographDoseRate": float(result.get("dose_per_frame") or 0.0),
            "rlnMicrographPreExposure": float(given.get("pre_exposure", 0.0)),
            "rlnVoltage": float(optics["voltage"]),
            "rlnMicrographStartFrame": 1,
            "rlnMotionModelVersion": GLOBAL_ONLY if model is None else POLYNOMIAL,
        }
        if movie_format == "eer":
            general["rlnEERGrouping"] = int(given.get("eer_frames_per_group", 32))
            general["rlnEERUpsampling"] = int(given.get("eer_upsampling", 1))
        shifts = [[frame, float(x), float(y)] for frame, (y, x) in enumerate(whole, 1)]
        labels = ("rlnMicrographFrameNumber", "rlnMicrographShiftX", "rlnMicrographShiftY")
        blocks: list[Pairs | Table] = [
            Pairs("general", general),
            Table("global_shift", labels, shifts),
        ]
        if model is not None:
            rows = [[index, float(value)] for index, value in enumerate(model)]
            labels = ("rlnMotionModelCoeffsIdx", "rlnMotionModelCoeff")
            blocks.append(Table("local_motion_model", labels, rows))
        path = self._project.motion(root_name_of(item.name))
        write_star(path, blocks)
        return self._shown(path), residual

    def _gain(self, given: Mapping[str, Any], shape_yx: tuple[int, int], movie_format: str) -> str:
        """Path of the gain reference, oriented as RELION needs it; "" = no gain reference."""
        path = Path(given.get("gain") or "")
        turns = {key: bool(given.get(f"gain_{key}")) for key in ("flip_x", "flip_y", "transpose")}
        divided = movie_format == "eer" and path.suffix.lower() != ".gain"
        readable = path.suffix.lower() in (".mrc", ".tif", ".tiff", ".gain")
        if not given.get("gain"):
            return ""
        if readable and not divided and not any(turns.values()):
            return self._shown(path)
        identity = f"{path} {given.get('gain_hash')} {turns} {shape_yx} {movie_format}"
        if identity not in self._gains:
            gain = read_gain(path, shape_yx=shape_yx, movie_format=movie_format, **turns)
            digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
            written = self._project.motion(f"gain_{digest}").with_suffix(".mrc")
            written.parent.mkdir(parents=True, exist_ok=True)
            write_mrc(written, 1 / gain if divided else gain, 0.0)
            self._gains[identity] = self._shown(written)
        return self._gains[identity]


def shifts_px(result: Mapping[str, Any], pixel_size: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Shifts in raw px: ``(frame, yx)`` of whole frames, ``(frame, y, x, yx)`` local.

    Local shifts are added to the whole-frame shifts on a lattice from edge to edge; None if all
    are 0.
    """
    time = np.linspace(0, 1, int(result["n_frames"]))
    nodes = np.asarray(result.get("global_yx_angstrom") or [(0.0, 0.0)], dtype=float)
    whole = _natural(nodes, time) / pixel_size
    if not result.get("local_used"):
        return whole, None
    n_x, n_y, n_t = result["local_grid"]
    place = np.linspace(0, 1, LATTICE)
    along = []
    for key in ("local_y_angstrom", "local_x_angstrom"):
        grid = np.asarray(result[key], dtype=float).reshape(n_t, n_y, n_x)
        grid = _natural(grid, time)
        grid = np.moveaxis(_natural(np.moveaxis(grid, 1, 0), place), 0, 1)
        along.append(np.moveaxis(_natural(np.moveaxis(grid, 2, 0), place), 0, 2))
    return whole, np.stack(along, axis=-1) / pixel_size


def fit_polynomial(whole: np.ndarray, local: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit RELION's polynomial model to the local motion.

    RELION's model is zero in the first frame. Our local shift in the first frame, a distortion
    that all frames share, is left out except for its mean, which the whole-frame shifts take.

    Returns
    -------
    tuple
        The whole-frame shifts, the 36 coefficients, and the RMS error in px.
    """
    n_frames = len(local)
    first = local[:1]
    mean = first.mean(axis=(1, 2))
    wanted = (local - first).reshape(n_frames, -1, 2)
    place = np.linspace(-0.5, 0.5, LATTICE)
    y, x = (part.ravel() for part in np.meshgrid(place, place, indexing="ij"))
    z = np.arange(n_frames, dtype=float)
    in_time = np.stack([z, z**2, z**3])
    in_space = np.stack([np.ones_like(x), x, x**2, y, y**2, x * y])
    design = np.einsum("it,jp->tpji", in_time, in_space).reshape(n_frames * len(x), 18)
    scale = np.abs(design).max(axis=0)
    scale[scale == 0] = 1.0
    found = [
        np.linalg.lstsq(design / scale, wanted[..., axis].ravel(), rcond=1e-10)[0] / scale
        for axis in (1, 0)
    ]
    left = [
        wanted[..., axis].ravel() - design @ found[number] for number, axis in enumerate((1, 0))
    ]
    residual = float(np.sqrt(np.mean(np.square(left).sum(axis=0))))
    return whole + mean, np.concatenate(found), residual


def _natural(nodes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Natural cubic spline through ``nodes`` (node, ...), evaluated at positions in 0..1."""
    from scipy.interpolate import CubicSpline  # slow to import

    if len(nodes) == 1:
        return np.repeat(nodes, len(at), axis=0)
    if len(nodes) == 2:
        return nodes[0] + np.multiply.outer(at, nodes[1] - nodes[0])
    return CubicSpline(np.linspace(0, 1, len(nodes)), nodes, bc_type="natural")(at)


def raw_shape(
    path: Path, given: Mapping[str, Any], result: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Size of the raw frames, from the item's record or else from the movie; None = unknown.

    The raw size cannot be computed from a binned size, which was rounded.
    """
    ny, nx = result.get("raw_shape_yx") or (0, 0)
    if not ny and float(given.get("binning", 1.0)) == 1.0:
        ny, nx = result.get("shape_yx") or (0, 0)
    if ny and nx:
        return int(ny), int(nx)
    try:
        with open_movie(
            path,
            eer_frames_per_group=int(given.get("eer_frames_per_group", 32)),
            eer_upsampling=int(given.get("eer_upsampling", 1)),
        ) as movie:
            return movie.shape_yx
    except (WarptuiError, OSError):
        return None
