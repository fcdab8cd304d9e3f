"""Particles as clouds of scattering points: from atoms, from a density map, or bundled.

Every point has a potential integrated over its volume (V Å³) and displaces some solvent.
Projections of such clouds are exact sums (see `projection`), whatever they were made from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

import mrcfile
import numpy as np

from warptui.engine.errors import InputError
from warptui.engine.simulation.atoms import SUFFIXES, Atoms, read_atoms

# Electron scattering amplitudes at k = 0, Å (isolated atoms)
_AMPLITUDES = {
    "C": 2.51, "N": 2.21, "O": 1.98, "H": 0.53, "S": 5.16, "P": 5.49, "NA": 4.78, "MG": 5.21,
    "CL": 4.86, "K": 8.98, "CA": 9.91, "MN": 7.51, "FE": 7.17, "ZN": 6.06, "SE": 7.25,
}  # fmt: skip
_VOLTS_PER_AMPLITUDE = 47.878  # V Å² : h² / (2π m e)
_BONDING = 0.9  # bonded atoms scatter less: a protein's mean inner potential is about 7.3 V
_HYDROGENS_PER_HEAVY_ATOM = 1.0
SOLVENT_PER_HEAVY_ATOM = 4.5 * 17.0  # V Å³: ice's mean inner potential times an atom's volume
_ATOM_B_FACTOR = 36.0  # Å²: shape of the scattering factor and thermal motion
_SOLVENT_B_FACTOR = 230.0  # Å²: the volume that an atom keeps free of water (σ 1.7 Å)
DALTONS_PER_HEAVY_ATOM = 13.9
POTENTIAL_PER_HEAVY_ATOM = (
    _BONDING * _VOLTS_PER_AMPLITUDE * (2.42 + _HYDROGENS_PER_HEAVY_ATOM * _AMPLITUDES["H"])
)  # V Å³, a protein's mean with its hydrogens

PRESET_MODELS = {"weak": "hsp"}
"""Bundled model of a preset; all others use apoferritin."""


@dataclass(frozen=True)
class Particle:
    """A cloud of points about its centre of mass, zero padding excluded."""

    name: str
    xyz_angstrom: np.ndarray  # (n, 3) float32, centred
    potential: np.ndarray  # (n,) float32, V Å³
    solvent: np.ndarray  # (n,) float32, V Å³ of ice that is not there
    b_factor: float = _ATOM_B_FACTOR  # Å², width of a point
    solvent_b_factor: float = _SOLVENT_B_FACTOR

    @property
    def diameter_angstrom(self) -> float:
        """Radius of the sphere around the centre that contains all points, Å."""
        return 2 * float(np.sqrt((self.xyz_angstrom**2).sum(axis=1).max()))

    @property
    def mass_kda(self) -> float:
        """Mass in kDa, estimated from the displaced solvent."""
        return float(self.solvent.sum()) / SOLVENT_PER_HEAVY_ATOM * DALTONS_PER_HEAVY_ATOM / 1e3


def particle_from_atoms(name: str, atoms: Atoms) -> Particle:
    """A particle from heavy atoms; hydrogens are added in their sum."""
    amplitudes = np.array(
        [_AMPLITUDES.get(element, _AMPLITUDES["C"]) for element in atoms.elements],
        dtype=np.float32,
    )
    potential = (_BONDING * _VOLTS_PER_AMPLITUDE) * (
        amplitudes + _HYDROGENS_PER_HEAVY_ATOM * _AMPLITUDES["H"]
    )  # fmt: skip
    solvent = np.full(len(potential), SOLVENT_PER_HEAVY_ATOM, np.float32)
    centre = np.average(atoms.xyz_angstrom, axis=0, weights=potential)
    xyz = (atoms.xyz_angstrom - centre).astype(np.float32)
    return Particle(name, xyz, potential.astype(np.float32), solvent)


def particle_from_map(path: Path, *, threshold: float, mass_kda: float) -> Particle:
    """A particle from the voxels of an MRC density above ``threshold``.

    The map has no absolute scale, so ``mass_kda`` gives it one.

    Raises
    ------
    InputError
        If no voxel lies above the threshold, or the header has no voxel size.
    """
    with mrcfile.open(path, permissive=True) as opened:
        values = np.array(opened.data, dtype=np.float32)
        voxel = float(opened.voxel_size.x)
    if voxel <= 0:
        raise InputError(f"{path}: the header says a voxel size of {voxel} Å; expected above 0")
    inside = np.argwhere(values > threshold)
    if not len(inside):
        raise InputError(f"{path}: no voxel above {threshold:g}; the largest is {values.max():g}")
    weights = values[tuple(inside.T)]
    xyz = (inside[:, ::-1] * voxel).astype(np.float32)
    n_atoms = mass_kda * 1e3 / DALTONS_PER_HEAVY_ATOM
    share = weights / weights.sum() * n_atoms
    spread = 8 * np.pi**2 * voxel**2 / 6  # a voxel as a Gaussian about as wide
    return Particle(
        path.name.split(".")[0],
        xyz - np.average(xyz, axis=0, weights=weights).astype(np.float32),
        (share * POTENTIAL_PER_HEAVY_ATOM).astype(np.float32),
        (share * SOLVENT_PER_HEAVY_ATOM).astype(np.float32),
        b_factor=spread,
        solvent_b_factor=spread + _SOLVENT_B_FACTOR,
    )


def read_particle(path: Path) -> Particle:
    """A particle from a PDB or mmCIF file, plain or gzipped."""
    return particle_from_atoms(path.name.split(".")[0], read_atoms(path))


def read_particles(folder: Path) -> tuple[Particle, ...]:
    """All atomic models of a folder, by name.

    Raises
    ------
    InputError
        If the folder has no atomic models.
    """
    paths = [path for path in sorted(folder.iterdir()) if is_model(path)]
    if not paths:
        raise InputError(f"{folder}: no atomic models; expected {', '.join(SUFFIXES)} (.gz)")
    return tuple(read_particle(path) for path in paths)


def is_model(path: Path) -> bool:
    """Whether the name is that of an atomic model."""
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


@cache
def bundled_particle(name: str = "apoferritin") -> Particle:
    """``apoferritin`` (480 kDa, octahedral) or ``hsp`` (117 kDa); see data/README.md."""
    source = resources.files("warptui.engine.simulation") / "data" / f"{name}.npz"
    with resources.as_file(source) as path, np.load(path) as stored:
        elements = np.array(list(stored["elements"].item()))
        subunit = stored["xyz"].astype(np.float32) * float(stored["step_angstrom"])
        rotations = stored["rotations"].astype(np.float32)
    xyz = np.concatenate([subunit @ rotation.T for rotation in rotations])
    elements = np.tile(elements, len(rotations))
    particle = particle_from_atoms(name, Atoms(elements, xyz, np.full(len(elements), "A")))
    return replace(particle, name=name)
