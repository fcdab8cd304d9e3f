"""Simulated micrographs at BoxNet's pixel size, labelled at every pixel, for its training.

At 8 Å/px a frame's motion and the loss of high frequencies hardly show, so a scene is made as
one image: projected potentials of particles, ice, support and contamination, one CTF,
electrons counted. (Paper, *Initial training of BoxNet*: synthetic data from PDB models.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from pydantic import BaseModel, ConfigDict, Field

from warptui.engine.simulation import contamination, ctf, ice
from warptui.engine.simulation.fourier import forward, frequencies, inverse
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.species import Species

PIXEL_SIZE = 8.0  # Å/px
BACKGROUND, PARTICLE, ARTIFACT = 0, 1, 2
_DISC_SHARE = 0.5  # of the particle's radius: discs of touching particles stay apart
_SMALLEST_DISC_PX = 1.5
_MARGIN_PX = 48  # drawn beyond the edges: what lies outside still reaches in
_OVERLAP_SHARE = 0.55  # of the mean diameter: closer centres cannot be distinguished
_MEAN_FREE_PATH_ANGSTROM = 3200.0  # of inelastic scattering in ice at 300 kV
_PLACING_TRIES = 12


class SceneSettings(BaseModel):
    """One coarse micrograph."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(ge=0)
    shape_yx: tuple[int, int] = (512, 512)
    voltage: float = 300.0
    cs: float = 2.7
    amplitude_contrast: float = 0.07
    defocus_um: float = 1.5
    astigmatism_um: float = 0.03
    astigmatism_angle_deg: float = 0.0
    phase_shift_deg: float = 0.0
    b_factor: float = Field(default=150.0, description="Å², of envelope and remaining motion")
    dose: float = Field(default=40.0, gt=0, description="e/Å² of the whole movie")
    quantum_efficiency: float = Field(default=0.7, gt=0, le=1)
    signal_left: float = Field(default=0.85, gt=0, le=1, description="after radiation damage")
    ice_thickness_angstrom: float = Field(default=400.0, gt=0)
    ice_thickness_variation: float = Field(default=0.02, ge=0, description="RMS, relative")
    coverage: float = Field(default=0.2, ge=0, le=1, description="area share of particles aimed at")
    min_distance_diameters: float = Field(default=0.9, ge=0)
    clustering: float = Field(default=0.0, ge=0, le=1, description="share placed beside others")
    species: tuple[int, ...] = Field(default=(0,), description="indices; empty = no particles")
    artifacts: tuple[str, ...] = Field(default=(), description="names of `contamination.KINDS`")
    debris: int = Field(default=0, ge=0, description="specks too small to be particles")

    def optics(self) -> MovieSettings:
        """These settings as settings of the movie simulator, for its formulas."""
        return MovieSettings(
            voltage=self.voltage,
            cs=self.cs,
            amplitude_contrast=self.amplitude_contrast,
            defocus_um=self.defocus_um,
            astigmatism_um=self.astigmatism_um,
            astigmatism_angle_deg=self.astigmatism_angle_deg,
            phase_shift_deg=self.phase_shift_deg,
            pixel_size=PIXEL_SIZE,
            ice_thickness_angstrom=self.ice_thickness_angstrom,
        )


@dataclass(frozen=True)
class Scene:
    """A simulated image with its labels and particles; all arrays are (y, x)."""

    image: np.ndarray  # float32, electrons relative to their mean
    labels: np.ndarray  # uint8: 0 background, 1 particle, 2 artifact
    certainty: np.ndarray  # float32: 0 = unknown, 1 = certain
    centres_yx_px: np.ndarray  # (n, 2) float32: particles that a picker should find
    diameters_angstrom: np.ndarray  # (n,) float32
    species: np.ndarray  # (n,) int


def draw_settings(seed: int, n_species: int, shape_yx: tuple[int, int]) -> SceneSettings:
    """Random settings in the usual range of microscopes, all determined by ``seed``."""
    rng = np.random.default_rng([seed, 1])
    rare = np.random.default_rng([seed, 3])
    # with a phase plate empty ice is grainy as if it held particles: it must be seen to be known
    blank = rare.random() < 0.05
    debris = int(np.exp(rare.uniform(*np.log([3, 300])))) if rare.random() < 0.15 else 0
    plate = rng.random() < 0.12 or blank
    defocus = rng.uniform(0.3, 1.0) if plate else float(np.exp(rng.uniform(*np.log([0.4, 4.0]))))
    kinds = int(rng.choice(3, p=[0.08, 0.66, 0.26])) * (not blank)
    artifacts = [
        name for name, share in contamination.KINDS.items() if rng.random() < share
    ] if rng.random() < 0.6 else []  # fmt: skip
    return SceneSettings(
        seed=seed,
        shape_yx=shape_yx,
        voltage=300.0 if rng.random() < 0.7 else 200.0,
        cs=float(rng.choice([0.01, 1.4, 2.7], p=[0.1, 0.2, 0.7])),
        amplitude_contrast=float(rng.uniform(0.06, 0.12)),
        defocus_um=float(defocus),
        astigmatism_um=float(abs(rng.normal(0, 0.06))),
        astigmatism_angle_deg=float(rng.uniform(0, 180)),
        phase_shift_deg=float(rng.uniform(30, 130)) if plate else 0.0,
        b_factor=float(rng.uniform(50, 500)),
        dose=float(rng.uniform(18, 65)),
        quantum_efficiency=float(rng.uniform(0.4, 0.9)),
        signal_left=float(rng.uniform(0.6, 1.0)),
        ice_thickness_angstrom=float(np.exp(rng.uniform(*np.log([180, 1100])))),
        ice_thickness_variation=float(rng.uniform(0.0, 0.04)),
        coverage=float(np.exp(rng.uniform(*np.log([0.02, 0.9])))),
        min_distance_diameters=float(rng.uniform(0.7, 1.2)),
        clustering=float(rng.choice([0.0, rng.uniform(0, 0.7)])),
        species=tuple(int(i) for i in rng.choice(n_species, min(kinds, n_species), replace=False)),
        artifacts=tuple(artifacts),
        debris=debris,
    )


def make_scene(settings: SceneSettings, species: Sequence[Species]) -> Scene:
    """Draw one micrograph; the same settings and species give the same one."""
    rng = np.random.default_rng([settings.seed, 2])
    ny, nx = (n + 2 * _MARGIN_PX for n in settings.shape_yx)
    dirt = contamination.Dirt.clean((ny, nx))
    for name in settings.artifacts:
        contamination.add(name, dirt, PIXEL_SIZE, rng)
    if settings.debris:
        contamination.add_debris(dirt, settings.debris, PIXEL_SIZE, rng)
    chosen = [species[i] for i in settings.species]
    places, which = _place(settings, chosen, dirt, rng)
    potential = dirt.potential.copy()
    _draw(potential, places, which, chosen, rng)
    image = _expose(settings, potential, dirt, rng)
    return _crop(settings, image, dirt, places, which, chosen)


def _place(
    settings: SceneSettings,
    chosen: Sequence[Species],
    dirt: contamination.Dirt,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) in px of the canvas and the index of each one's species."""
    ny, nx = dirt.potential.shape
    if not chosen:
        return np.zeros((0, 2)), np.zeros(0, int)
    radii = np.array([one.diameter_angstrom / PIXEL_SIZE / 2 for one in chosen])
    wanted = int(settings.coverage * ny * nx / float((np.pi * radii**2).mean()))
    spacing = settings.min_distance_diameters
    step = max(float(radii.max()) * 2 * spacing, 1.0)
    cells: dict[tuple[int, int], list[int]] = {}
    places: list[tuple[float, float]] = []
    which: list[int] = []
    for _ in range(wanted * _PLACING_TRIES):
        if len(places) >= wanted:
            break
        kind = int(rng.integers(len(chosen)))
        y, x = rng.uniform(0, ny), rng.uniform(0, nx)
        if places and rng.random() < settings.clustering:
            beside, angle = int(rng.integers(len(places))), rng.uniform(0, 2 * np.pi)
            reach = (radii[kind] + radii[which[beside]]) * spacing * rng.uniform(1.0, 1.4)
            y = places[beside][0] + reach * np.sin(angle)
            x = places[beside][1] + reach * np.cos(angle)
            if not (0 <= y < ny and 0 <= x < nx):
                continue
        if dirt.bare[int(y), int(x)]:  # nothing sits where there is no ice
            continue
        row, column = int(y // step), int(x // step)
        near = (
            other
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            for other in cells.get((row + i, column + j), ())
        )
        if all(
            np.hypot(y - places[other][0], x - places[other][1])
            >= (radii[kind] + radii[which[other]]) * spacing
            for other in near
        ):
            cells.setdefault((row, column), []).append(len(places))
            places.append((y, x))
            which.append(kind)
    return np.array(places).reshape(-1, 2), np.array(which, int)


def _draw(
    potential: np.ndarray,
    places: np.ndarray,
    which: np.ndarray,
    chosen: Sequence[Species],
    rng: np.random.Generator,
) -> None:
    """Add a random view of every particle; moves ``places`` onto the views' centres."""
    for index, kind in enumerate(which):
        one = chosen[kind]
        view = int(rng.integers(len(one.views)))
        stamp = one.views[view].astype(np.float32)
        row, column = np.floor(places[index]).astype(int)
        offset = one.offsets_yx_px[view]
        size = len(stamp)
        top, left = row - size // 2, column - size // 2
        places[index] = row + offset[0], column + offset[1]
        rows = slice(max(top, 0), min(top + size, potential.shape[0]))
        columns = slice(max(left, 0), min(left + size, potential.shape[1]))
        potential[rows, columns] += stamp[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


def _expose(
    settings: SceneSettings,
    potential: np.ndarray,
    dirt: contamination.Dirt,
    rng: np.random.Generator,
) -> np.ndarray:
    """Electrons relative to their mean: phase contrast, absorption, water, counting."""
    shape = potential.shape
    optics = settings.optics()
    ky, kx = frequencies(shape, PIXEL_SIZE)
    k = np.sqrt(ky**2 + kx**2)
    transfer = ctf.calculate_ctf(ky, kx, optics, settings.defocus_um * 1e4)
    transfer = transfer * ctf.envelope(k, settings.b_factor)
    spectrum = forward(potential) * np.float32(
        -2 * ctf.interaction_constant(settings.voltage) * settings.signal_left
    )
    water = forward(rng.standard_normal(shape, dtype=np.float32) * np.sqrt(dirt.thickness))
    spectrum += water * ice.amplitude(k, optics)
    contrast = inverse((spectrum * transfer).astype(np.complex64), shape)
    slow = _slow_field(shape, rng) * settings.ice_thickness_variation
    path = settings.ice_thickness_angstrom / _MEAN_FREE_PATH_ANGSTROM
    # what is scattered inelastically is filtered out, or stays as a haze: both cost contrast
    expected = np.exp(-path * (dirt.thickness * (1 + slow) - 1) - dirt.absorption)
    expected = np.maximum(expected * (1 + contrast), 0.02)
    electrons = settings.dose * PIXEL_SIZE**2 * settings.quantum_efficiency * np.exp(-path)
    return rng.poisson(expected * electrons).astype(np.float32) / np.float32(electrons)


def _slow_field(shape_yx: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth random field of unit RMS: thicker and thinner ice."""
    coarse = rng.normal(size=(4, 4))
    zoom = [n / 4 for n in shape_yx]
    field = np.asarray(scipy.ndimage.zoom(coarse, zoom, order=3, mode="nearest", grid_mode=True))
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


def _crop(
    settings: SceneSettings,
    image: np.ndarray,
    dirt: contamination.Dirt,
    places: np.ndarray,
    which: np.ndarray,
    chosen: Sequence[Species],
) -> Scene:
    """Crop the margin and label every pixel."""
    ny, nx = settings.shape_yx
    inside = slice(_MARGIN_PX, _MARGIN_PX + ny), slice(_MARGIN_PX, _MARGIN_PX + nx)
    diameters = np.array([one.diameter_angstrom for one in chosen], np.float32)
    seen_diameters = diameters[which] if len(which) else np.zeros(0, np.float32)
    centres = (places - _MARGIN_PX).astype(np.float32).reshape(-1, 2)
    artifact, doubtful = dirt.artifact[inside], dirt.doubtful[inside]
    clear = ~_overlapping(centres, seen_diameters)
    labels, certainty = paint(
        (ny, nx), centres, seen_diameters, clear, artifact=artifact, doubtful=doubtful
    )
    rows, columns = np.round(centres).astype(int).T if len(centres) else np.zeros((2, 0), int)
    visible = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx) & clear
    visible[visible] &= ~(artifact | doubtful)[rows[visible], columns[visible]]
    kinds = np.array(settings.species, int)
    return Scene(
        np.ascontiguousarray(image[inside]),
        labels,
        certainty,
        centres[visible],
        seen_diameters[visible],
        kinds[which[visible]] if len(kinds) else np.zeros(0, int),
    )


def _overlapping(centres: np.ndarray, diameters: np.ndarray) -> np.ndarray:
    """(n,) bool: another centre is too near to distinguish the two particles."""
    if len(centres) < 2:
        return np.zeros(len(centres), bool)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    limit = _OVERLAP_SHARE / PIXEL_SIZE * (diameters[:, None] + diameters[None]) / 2
    return (apart < limit).any(axis=1)


def disc_radius_px(diameter_angstrom: np.ndarray | float) -> np.ndarray:
    """Radius of the disc that marks a particle of this diameter."""
    return np.maximum(_SMALLEST_DISC_PX, _DISC_SHARE * np.asarray(diameter_angstrom) / 2 / 8.0)


def paint(
    shape_yx: tuple[int, int],
    centres_yx_px: np.ndarray,
    diameters_angstrom: np.ndarray,
    clear: np.ndarray,
    *,
    artifact: np.ndarray,
    doubtful: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (y, x) uint8 and certainty (y, x) float32.

    A particle is a disc; the ring between disc and particle edge has half the weight, because the
    edge of a particle is not well defined. Particles that are not ``clear`` (n,) have weight 0.
    """
    ny, nx = shape_yx
    labels = np.zeros(shape_yx, np.uint8)
    certainty = np.ones(shape_yx, np.float32)
    radii = diameters_angstrom / PIXEL_SIZE / 2
    discs = disc_radius_px(diameters_angstrom)
    for (y, x), radius, disc, sure in zip(centres_yx_px, radii, discs, clear, strict=True):
        reach = int(np.ceil(max(radius, disc))) + 1
        rows = slice(max(int(y) - reach, 0), max(min(int(y) + reach + 2, ny), 0))
        columns = slice(max(int(x) - reach, 0), max(min(int(x) + reach + 2, nx), 0))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        grid = np.ogrid[rows, columns]
        distance = np.hypot(grid[0] - y, grid[1] - x)
        near = distance <= max(radius, disc)
        certainty[rows, columns][near] = np.minimum(
            certainty[rows, columns][near], 0.5 if sure else 0.0
        )
        if sure:
            hit = distance <= disc
            labels[rows, columns][hit] = PARTICLE
            certainty[rows, columns][hit] = 1.0
    certainty[doubtful] = 0.0
    labels[artifact] = ARTIFACT
    certainty[artifact] = 1.0
    return labels, certainty
