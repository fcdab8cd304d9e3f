"""A stored motion result as paths to draw. NumPy only; no maths beyond splines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from warptui.screens.widgets.pictures.spline import evaluate_natural_spline


@dataclass(frozen=True)
class Motion:
    """How the specimen moved, in Å from where it was in the first frame.

    Stored shifts are those to *apply* to a frame; the specimen moved the other way.
    """

    path_yx: np.ndarray  # (frame, 2) at the image centre
    places_yx: np.ndarray  # (track, 2) fractions of the image, 0..1
    tracks_yx: np.ndarray  # (track, frame, 2)
    local: bool  # tracks differ from place to place
    grid_yx: tuple[int, int] = (1, 1)  # places in y and x
    known: bool = True  # False: the stage found no signal and applied no motion


def read_motion(result: dict[str, Any]) -> Motion | None:
    """The paths of a motion result; None when it has no track."""
    shifts = np.asarray(result.get("track_yx_angstrom") or [], dtype=float).reshape(-1, 2)
    n_frames = len(shifts)
    if not n_frames:
        return None
    n_x, n_y, n_time = (int(n) for n in result.get("local_grid") or (1, 1, 1))
    local_x = np.asarray(result.get("local_x_angstrom") or [], dtype=float)
    local_y = np.asarray(result.get("local_y_angstrom") or [], dtype=float)
    n_nodes = n_x * n_y * n_time
    path = shifts[:1] - shifts
    known = bool(path.any()) or result.get("early_motion") is not None
    if n_x * n_y == 1 or len(local_x) != n_nodes or len(local_y) != n_nodes:
        return Motion(path, np.array([[0.5, 0.5]]), path[None], local=False, known=known)
    nodes = np.stack([local_y, local_x], axis=-1).reshape(n_time, n_y * n_x, 2)
    local = evaluate_natural_spline(nodes, n_frames).transpose(1, 0, 2)
    common = np.asarray(result.get("global_yx_angstrom") or [], dtype=float).reshape(-1, 2)
    common = evaluate_natural_spline(common, n_frames) if len(common) else shifts
    tracks = common[None] + local
    tracks = tracks[:, :1] - tracks
    y, x = np.meshgrid(_edge_to_edge(n_y), _edge_to_edge(n_x), indexing="ij")
    return Motion(path, np.stack([y.ravel(), x.ravel()], axis=-1), tracks, True, (n_y, n_x))


def _edge_to_edge(n: int) -> np.ndarray:
    return np.linspace(0, 1, n) if n > 1 else np.array([0.5])


def local_motion(motion: Motion, n: int = 33) -> np.ndarray:
    """(n, n) RMS over the frames, Å, of how far a place moves away from the mean of all places.

    Between the places it is interpolated as the stored grids are.
    """
    strays = motion.tracks_yx - motion.tracks_yx.mean(axis=0)
    rms = np.sqrt((strays**2).sum(axis=2).mean(axis=1)).reshape(motion.grid_yx)
    fine = evaluate_natural_spline(evaluate_natural_spline(rms, n).T, n).T
    return np.clip(fine, 0, None)


def speeds(motion: Motion) -> tuple[np.ndarray, tuple[str, ...]]:
    """(row, frame - 1) Å per frame and names of the rows: the whole image first, then places in it.

    Places are listed from the top of the screen, where the last row of the image is.
    """
    whole = np.linalg.norm(np.diff(motion.path_yx, axis=0), axis=1)
    if not motion.local:
        return whole[None], ("whole",)
    steps = np.linalg.norm(np.diff(motion.tracks_yx, axis=1), axis=2)
    n_y, n_x = motion.grid_yx
    rows = steps.reshape(n_y, n_x, -1).mean(axis=1)[::-1]
    names = [""] * n_y
    names[0], names[-1] = "top", "bottom"
    if n_y % 2 and n_y > 2:
        names[n_y // 2] = "middle"
    return np.concatenate([whole[None], rows]), ("whole", *names)


def magnification(motion: Motion, extent_angstrom: float) -> int:
    """Magnification (1, 2, 5, 10 ...) that makes the longest track a tenth of the image."""
    length = float(np.ptp(motion.tracks_yx, axis=1).max())
    if length <= 0 or extent_angstrom <= 0:
        return 1
    wanted = 0.1 * extent_angstrom / length
    if wanted <= 1:
        return 1
    decade = 10 ** int(np.log10(wanted))
    return max(step * decade for step in (1, 2, 5) if step * decade <= wanted)
