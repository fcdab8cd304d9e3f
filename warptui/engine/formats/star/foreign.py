"""Reads particle coordinates from STAR files of other programs, with their peculiarities.

RELION 3.0 has one table, and states the pixel size by a magnification; later versions have optics
groups, and shifts in Å; converters leave out optics, or use line ends of Windows. Origin shifts are
subtracted from the coordinates, which gives the refined position of a particle.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from warptui.engine.errors import InputError

X, Y, MICROGRAPH, IMAGE = "rlnCoordinateX", "rlnCoordinateY", "rlnMicrographName", "rlnImageName"
SCORE = "rlnAutopickFigureOfMerit"


@dataclass
class Table:
    """One table of a file, with its values as text."""

    name: str
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def column(self, label: str) -> list[str] | None:
        """The values under a label; None if the table lacks the label."""
        if label not in self.labels:
            return None
        at = self.labels.index(label)
        return [row[at] for row in self.rows]


@dataclass(frozen=True)
class Places:
    """Particle positions by the micrograph's name in the file."""

    by_micrograph: dict[str, np.ndarray]  # (n, 3): y, x, score; px where `pixel_size` is None
    pixel_size: float | None  # of the original positions, which are in Å now; None = unknown
    n: int

    def of(self, root_name: str) -> np.ndarray | None:
        """Positions in a micrograph, found by equal names, else by a longer name that contains it.

        cryoSPARC puts a number before the name, and the processing steps behind it.
        """
        by_root = {_root(name): name for name in self.by_micrograph}
        if root_name in by_root:
            return self.by_micrograph[by_root[root_name]]
        longer = [name for root, name in by_root.items() if root_name in root]
        return self.by_micrograph[longer[0]] if len(longer) == 1 else None


def read_places(path: Path, pixel_size: float | None = None) -> Places:
    """Read particle positions; ``pixel_size`` (Å) replaces the file's wrong or missing value.

    Raises
    ------
    InputError
        If the file cannot be read or has no positions of particles in micrographs.
    """
    try:
        tables = list(read_tables(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: cannot be read: {problem}") from problem
    table = next((t for t in tables if X in t.labels and Y in t.labels), None)
    if table is None:
        raise InputError(f"{path}: no table in it has {X} and {Y}")
    names = table.column(MICROGRAPH)
    if names is None and (images := table.column(IMAGE)) is not None:
        names = [image.rpartition("@")[2] for image in images]
    if names is None:
        raise InputError(f"{path}: the table has no {MICROGRAPH}, so the micrographs are unknown")
    short = next((n for n, row in enumerate(table.rows, 1) if len(row) != len(table.labels)), 0)
    if short:
        raise InputError(f"{path}: row {short} has not as many values as there are labels")
    try:
        optics = _optics(tables, table)
        found = pixel_size or optics[0]
        scale = found or 1.0
        y, x = (np.array(table.column(label), np.float64) * scale for label in (Y, X))
        y, x = y - _origin(table, "Y", optics[1], found), x - _origin(table, "X", optics[1], found)
        scores = np.array(table.column(SCORE) or [1.0] * len(y), np.float64)
    except ValueError as problem:
        raise InputError(f"{path}: a row has no number where one is needed: {problem}") from problem
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise InputError(f"{path}: some coordinates are no numbers")
    rows: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        rows.setdefault(name, []).append(number)
    places = np.column_stack([y, x, scores]).reshape(-1, 3)
    return Places({name: places[at] for name, at in rows.items()}, found, len(places))


def read_positions(path: Path) -> np.ndarray:
    """Read (n, 2) y, x px of one micrograph's particles from any picking program's STAR file.

    Raises
    ------
    InputError
        If the file cannot be read, has no coordinates, or a coordinate is not a number.
    """
    import starfile  # imports pandas: half a second, needed only here

    try:
        blocks: Any = starfile.read(path, always_dict=True)
    except (OSError, ValueError, KeyError, TypeError) as problem:  # TypeError: cut off
        raise InputError(f"{path}: cannot be read as a STAR file: {problem}") from problem
    tables: list[Any] = [block for block in blocks.values() if block is not None]  # cut in its head
    table = next((block for block in tables if X in block and Y in block), None)
    if table is None:
        raise InputError(f"{path}: no table in it has {X} and {Y}")
    try:
        found = np.column_stack([np.atleast_1d(table[Y]), np.atleast_1d(table[X])])
        found = found.astype(np.float64)
    except ValueError as problem:
        raise InputError(f"{path}: a row has no coordinates ({problem})") from problem
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0]) + 1
        raise InputError(f"{path}: row {row} has no coordinates")
    return found


def read_tables(lines: Iterable[str]) -> Iterator[Table]:
    """The tables of a text, with any line ends and spacing."""
    table: Table | None = None
    for line in (line.strip() for line in lines):
        if line.startswith("data_"):
            if table is not None:
                yield table
            table = Table(line[5:])
        elif not line or line.startswith("#") or line == "loop_" or table is None:
            continue
        elif line.startswith("_"):
            words = line.split()
            table.labels.append(words[0][1:])
            if len(words) > 1 and not words[1].startswith("#"):  # a single value, not in a loop
                table.rows = [[*(table.rows[0] if table.rows else []), words[1]]]
        else:
            table.rows.append(shlex.split(line) if "'" in line or '"' in line else line.split())
    if table is not None:
        yield table


def _optics(tables: list[Table], own: Table) -> tuple[float | None, float | None]:
    """Å/px of the coordinates, and of the images, the unit of origins in older files."""
    group = next((t for t in tables if t.name == "optics" and t.rows), None)
    if group is not None:
        sizes = [group.column(f"rln{what}PixelSize") for what in ("Micrograph", "Image")]
        found = [{float(value) for value in size} if size else set() for size in sizes]
        if len(found[0]) > 1:
            raise InputError("optics groups of several pixel sizes: export them one by one")
        coordinates, images = (next(iter(values), None) for values in found)
        return coordinates, images
    if own.column("rlnMicrographPixelSize"):
        size = float((own.column("rlnMicrographPixelSize") or ["0"])[0])
        return size, size
    detector, magnification = own.column("rlnDetectorPixelSize"), own.column("rlnMagnification")
    if detector and magnification and float(magnification[0]) > 0:
        size = 1e4 * float(detector[0]) / float(magnification[0])
        return size, size
    return None, None


def _origin(
    table: Table, axis: str, image_pixel: float | None, pixel_size: float | None
) -> np.ndarray | float:
    """Origin shifts to subtract, in the unit of the positions."""
    angstroms = table.column(f"rlnOrigin{axis}Angst")
    if angstroms is not None:
        if pixel_size is None:
            raise InputError(
                "origins are in Å, but the pixel size of the coordinates is unknown: enter it"
            )
        return np.array(angstroms, np.float64)
    pixels = table.column(f"rlnOrigin{axis}")
    if pixels is None:
        return 0.0
    scale = (image_pixel or pixel_size or 1.0) if pixel_size is not None else 1.0
    return np.array(pixels, np.float64) * scale


def _root(name: str) -> str:
    """A micrograph's name without folders and last extension, from a POSIX or Windows path."""
    last = PureWindowsPath(name).name if "\\" in name else PurePosixPath(name).name
    return Path(last).stem
