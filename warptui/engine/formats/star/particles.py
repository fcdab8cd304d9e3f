"""Particles of one micrograph for RELION 3.1: one row per particle, with its local CTF.

Pure numpy: an item's results and the positions of its picks become lines of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from warptui.engine.formats.star.tables import VERSION, is_writable
from warptui.engine.formats.warp.ctf import positive_astigmatism
from warptui.engine.formats.writing import write_text

OPTICS_LABELS = (
    "rlnOpticsGroupName",
    "rlnOpticsGroup",
    "rlnMicrographOriginalPixelSize",
    "rlnMicrographPixelSize",
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
)
IMAGE_LABELS = ("rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality")
PLACE_LABELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnMicrographName", "rlnAutopickFigureOfMerit")
CTF_LABELS = (
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnPhaseShift",
    "rlnCtfMaxResolution",
)
IMAGE, GROUP = "rlnImageName", "rlnOpticsGroup"
MADE_OF = "# images of "
CURVATURE = 6.0  # of a natural spline: y" weighs (a³ - a) / 6


class LocalCtf(NamedTuple):
    """The CTF at each of n places, in RELION's parameters."""

    defocus_u: np.ndarray  # (n,) Å, along the angle
    defocus_v: np.ndarray  # (n,) Å, across
    angle_deg: float  # from x towards y
    phase_shift_deg: float
    max_resolution: float  # Å


class ParticleOptics(NamedTuple):
    """Optics of all particles of a micrograph, in the order of the labels."""

    raw_pixel_size: float  # Å/px
    micrograph_pixel_size: float
    voltage: float  # kV
    cs: float  # mm
    amplitude_contrast: float
    image_pixel_size: float
    box_size_px: int


@dataclass(frozen=True)
class ParticleTable:
    """Rows of a particles table, as text without line ends; the optics group is the last word."""

    labels: tuple[str, ...]
    lines: tuple[str, ...]

    def text(self) -> str:
        """The block as text of a STAR file."""
        heads = "\n".join(f"_{label} #{number}" for number, label in enumerate(self.labels, 1))
        rows = "\n".join(self.lines)
        return f"{VERSION}\n\ndata_particles\n\nloop_\n{heads}\n{rows}\n"


def local_ctf(
    ctf: Mapping[str, Any], shape_yx: Sequence[int], positions_yx_px: np.ndarray
) -> LocalCtf | None:
    """The CTF at places of a micrograph of ``shape_yx``; None if no CTF was found.

    ``ctf`` is the complete result of the CTF stage: an abridged result has no grid. A grid over
    time is averaged.
    """
    if ctf.get("defocus_um") is None:
        return None
    positions = np.asarray(positions_yx_px, np.float64).reshape(-1, 2)
    defocus = np.full(len(positions), float(ctf["defocus_um"]))
    n_x, n_y, n_t = (int(n) for n in ctf.get("grid") or (1, 1, 1))
    nodes = np.asarray(ctf.get("grid_defocus_um") or (), np.float64)
    if nodes.size == n_x * n_y * n_t:
        weights_t = natural_weights(n_t, _times(n_t)).mean(axis=0)
        plane = np.tensordot(weights_t, nodes.reshape(n_t, n_y, n_x), 1)
        weights_y, weights_x = (
            natural_weights(n, positions[:, axis] / max(shape_yx[axis] - 1, 1))
            for axis, n in ((0, n_y), (1, n_x))
        )
        defocus = np.einsum("py,yx,px->p", weights_y, plane, weights_x)
    astigmatism, angle = positive_astigmatism(
        float(ctf.get("astigmatism_um") or 0.0), float(ctf.get("astigmatism_angle_deg") or 0.0)
    )
    phase = float(ctf.get("phase_shift_deg") or 0.0)
    if phases := ctf.get("grid_phase_shift_deg"):
        phase = float((natural_weights(len(phases), _times(len(phases))) @ phases).mean())
    worst = (ctf.get("fit_range_angstrom") or (999.0,))[0]
    half = astigmatism / 2
    return LocalCtf(
        1e4 * (defocus + half),
        1e4 * (defocus - half),
        angle,
        phase,
        float(ctf.get("resolution") or worst),
    )


def particle_rows(
    average: Mapping[str, Any],
    ctf: Mapping[str, Any],
    positions_yx_px: np.ndarray,
    scores: np.ndarray,
    *,
    stack: str = "",
    micrograph: str = "",
    group: int = 1,
) -> ParticleTable:
    """A row for each place, with the CTF there; with ``stack`` also the image's name in it.

    Parameters
    ----------
    average, ctf
        Complete results of these stages. Without a CTF the rows have no CTF columns.
    positions_yx_px
        (n, 2) px of the average, the first pixel's centre at 0, 0.
    stack
        Path of the images, in the order of the positions; "" = without images.
    micrograph
        The micrograph's name in the rows; "" = the path in ``average``.
    """
    positions = np.asarray(positions_yx_px, np.float64).reshape(-1, 2)
    found = local_ctf(ctf, average.get("shape_yx") or (0, 0), positions)
    labels = (*((IMAGE,) if stack else ()), *PLACE_LABELS)
    labels += (*(CTF_LABELS if found else ()), GROUP)
    name = micrograph or str(average.get("average_path", ""))
    lines = []
    for number, ((y, x), score) in enumerate(zip(positions, scores, strict=True), 1):
        line = f"{x:.3f} {y:.3f} {name} {score:.4f}"
        if stack:
            line = f"{number:06d}@{stack} {line}"
        if found is not None:
            line += (
                f" {found.defocus_u[number - 1]:.1f} {found.defocus_v[number - 1]:.1f}"
                f" {found.angle_deg:.2f} {found.phase_shift_deg:.2f} {found.max_resolution:.2f}"
            )
        lines.append(f"{line} {group}")
    return ParticleTable(labels, tuple(lines))


def can_be_named(*paths: str) -> bool:
    """Whether STAR files can hold these paths."""
    return all(is_writable(path) for path in paths)


def write_particles(
    path: Path, table: ParticleTable, optics: ParticleOptics, made_of: str = ""
) -> None:
    """Write one micrograph's particles and their optics group, beside ``path``, then renamed.

    ``made_of`` names what the images were made from: see `images_made_of`.
    """
    values = (
        "opticsGroup1",
        "1",
        *(f"{value:.6f}" for value in optics[:-1]),
        str(optics.box_size_px),
        "2",
    )
    labels = (*OPTICS_LABELS, *IMAGE_LABELS)
    group = ParticleTable(labels, (" ".join(values),)).text()
    group = group.replace("data_particles", "data_optics", 1)
    write_text(path, f"{MADE_OF}{made_of}\n\n{group}\n\n{table.text()}\n")


def images_made_of(path: Path) -> str:
    """The source of the images in a list, as written by `write_particles`; "" if unknown."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return ""
    return line.removeprefix(MADE_OF) if line.startswith(MADE_OF) else ""


def natural_weights(n_nodes: int, at: np.ndarray) -> np.ndarray:
    """(n, node) weights of a natural spline's nodes on 0..1, as `ops.splines.spline_weights`."""
    at = np.asarray(at, np.float64)
    if n_nodes == 1:
        return np.ones((len(at), 1))
    identity, curvature = np.eye(n_nodes), _second_derivatives(n_nodes)
    place = at * (n_nodes - 1)
    left = np.clip(np.floor(place), 0, n_nodes - 2).astype(int)
    b = (place - left)[:, None]
    a = 1 - b
    bend = (a**3 - a) * curvature[left] + (b**3 - b) * curvature[left + 1]
    return a * identity[left] + b * identity[left + 1] + bend / CURVATURE


def _times(n_nodes: int) -> np.ndarray:
    """Times at which a grid's mean over the exposure is taken."""
    return (np.arange(8 * n_nodes) + 0.5) / (8 * n_nodes)


def _second_derivatives(n_nodes: int) -> np.ndarray:
    result = np.zeros((n_nodes, n_nodes))
    if n_nodes < 3:
        return result
    n = n_nodes - 2
    system = 4 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    differences = np.zeros((n, n_nodes))
    for i in range(n):
        differences[i, i : i + 3] = (6.0, -12.0, 6.0)
    result[1:-1] = np.linalg.solve(system, differences)
    return result
