"""Atomic models from PDB and mmCIF files, plain or gzipped: elements and coordinates only."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warptui.engine.errors import InputError

# a CIF value: a quote ends only before white space, and may stand inside a bare word
_CIF_VALUE = re.compile(r"""'((?:[^']|'(?=\S))*)'(?!\S)|"((?:[^"]|"(?=\S))*)"(?!\S)|(\S+)""")
_SKIPPED_RESIDUES = frozenset({"HOH", "WAT", "DOD"})
SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")


@dataclass(frozen=True)
class Atoms:
    """Heavy atoms of one model."""

    elements: np.ndarray  # (n,) str, upper case
    xyz_angstrom: np.ndarray  # (n, 3) float32
    chains: np.ndarray  # (n,) str


def read_atoms(path: Path) -> Atoms:
    """Heavy atoms of the first model in ``path``, without water and alternate locations.

    Raises
    ------
    InputError
        If the file holds no atoms.
    """
    name = path.name.removesuffix(".gz").lower()
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = _mmcif_rows(lines) if name.endswith((".cif", ".mmcif")) else _pdb_rows(lines)
        kept = [
            (element, x, y, z, chain)
            for element, residue, alternate, x, y, z, chain in rows
            if element not in ("H", "D")
            and residue not in _SKIPPED_RESIDUES
            and alternate in ("", ".", "A", "?")
        ]
    if not kept:
        raise InputError(f"{path}: no atoms found; expected a PDB or mmCIF file with coordinates")
    elements, x, y, z, chains = zip(*kept, strict=True)
    xyz = np.array([x, y, z], dtype=np.float32).T
    return Atoms(np.array(elements), np.ascontiguousarray(xyz), np.array(chains))


Row = tuple[str, str, str, float, float, float, str]


def _pdb_rows(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        if line.startswith("ENDMDL"):
            return
        if not line.startswith(("ATOM", "HETATM")):
            continue
        element = line[76:78].strip().upper() or line[12:16].strip().lstrip("0123456789")[:1]
        yield (
            element,
            line[17:20].strip(),
            line[16].strip(),
            float(line[30:38]),
            float(line[38:46]),
            float(line[46:54]),
            line[21],
        )


def _mmcif_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Rows of the first model's ``_atom_site`` loop."""
    columns: dict[str, int] = {}
    first_model = ""
    for line in lines:
        if line.startswith("_atom_site."):
            columns[line.split()[0].removeprefix("_atom_site.")] = len(columns)
            continue
        if not columns or not line.startswith(("ATOM", "HETATM")):
            if columns and line.startswith("#"):
                return
            continue
        values = line.split()
        if "'" in line or '"' in line:
            values = [a or b or c for a, b, c in _CIF_VALUE.findall(line)]
        model = values[columns["pdbx_PDB_model_num"]] if "pdbx_PDB_model_num" in columns else ""
        first_model = first_model or model
        if model != first_model:
            return
        chain = columns.get("auth_asym_id", columns.get("label_asym_id", 0))
        yield (
            values[columns["type_symbol"]].upper(),
            values[columns["label_comp_id"]],
            values[columns["label_alt_id"]],
            float(values[columns["Cartn_x"]]),
            float(values[columns["Cartn_y"]]),
            float(values[columns["Cartn_z"]]),
            values[chain],
        )
