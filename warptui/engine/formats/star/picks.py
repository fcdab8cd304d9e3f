"""Files of picks for other programs, and warptui's own files of candidates and masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warptui.engine.formats.star.tables import Table, is_writable, read_columns, write_star

COORDINATES = ("rlnCoordinateX", "rlnCoordinateY")
MICROGRAPH, SCORE = "rlnMicrographName", "rlnAutopickFigureOfMerit"


@dataclass(frozen=True)
class Candidates:
    """All candidates in one average, and the mask of areas without specimen."""

    table: np.ndarray  # (n, 4) float32: y, x (px of the average), score, area (px at 8 Å/px)
    mask: np.ndarray  # (y, x) uint8, 0 and 1, at 8 Å/px


def write_picks(path: Path, centres_yx_px: np.ndarray, scores: np.ndarray, micrograph: str) -> None:
    """Write picks, in px of the average, as a STAR file for Warp and RELION.

    An empty table means that nothing was found. If a STAR file cannot hold the micrograph's name,
    the rows leave the name out: the file's own name identifies the micrograph.
    """
    named = is_writable(micrograph)
    labels = (*COORDINATES, MICROGRAPH, SCORE) if named else (*COORDINATES, SCORE)
    rows = [
        (float(x), float(y), *((micrograph,) if named else ()), float(score))
        for (y, x), score in zip(centres_yx_px, scores, strict=True)
    ]
    write_star(path, [Table("", labels, rows)])


def read_picks(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file of `write_picks`: (n, 2) y, x px of the average, (n,) scores; 0 = unknown.

    Raises
    ------
    InputError
        If the file cannot be read, or is no list of picks.
    """
    rows = read_columns(path, COORDINATES, (SCORE,))
    table = np.array(rows, np.float64).reshape(-1, 3)
    return np.ascontiguousarray(table[:, 1::-1]), table[:, 2]


def model_suffix(model: str) -> str:
    """Suffix of the files of a model's picks: the model's name without folders."""
    name = Path(model).name
    return name.removesuffix(".safetensors") or name
