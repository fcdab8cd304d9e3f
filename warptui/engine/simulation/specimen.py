"""The specimen: particles in a film of ice, and its image without motion, damage and counting.

Positions are px of frame 0 (x before y in records, as in the truth files). The canvas is larger
than a frame, so that whatever drifts into view is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from warptui.engine.simulation import ctf
from warptui.engine.simulation.density import Particle
from warptui.engine.simulation.fourier import even_fast, forward, frequencies, inverse
from warptui.engine.simulation.projection import euler_matrix, project
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.trajectory import smooth_basis

_TRIES_PER_PARTICLE = 30
_RENDER_THREADS = 2


@dataclass(frozen=True)
class Placed:
    """One particle in the film."""

    model: int
    x: float  # px of frame 0
    y: float
    defocus_angstrom: float
    rot_deg: float
    tilt_deg: float
    psi_deg: float


@dataclass(frozen=True)
class Canvas:
    """Canvas of the specimen: frame pixel (y, x) is canvas pixel (y + margin, x + margin)."""

    shape_yx: tuple[int, int]
    margin: int

    @classmethod
    def around(cls, shape_yx: tuple[int, int], reach_px: float) -> Canvas:
        """A canvas whose content covers frames that move by ``reach_px``."""
        margin = int(np.ceil(reach_px)) + 16
        ny, nx = (even_fast(n + 2 * margin) for n in shape_yx)
        return cls((ny, nx), margin)

    def nodes(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Frame positions (y, x) of every ``step``-th canvas pixel and of one beyond the end."""
        ny, nx = (np.arange(-(-n // step) + 1) * step - self.margin for n in self.shape_yx)
        y, x = np.meshgrid(ny, nx, indexing="ij")
        return y, x


@dataclass(frozen=True)
class Surface:
    """Defocus of the middle of the film at every point: mean, tilt and slow heights."""

    shape_yx: tuple[int, int]
    mean_angstrom: float
    slope_xy: tuple[float, float]  # Å of defocus per px
    heights: np.ndarray  # (basis,) Å

    def defocus_angstrom(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """At positions in px, any equal shapes."""
        slow = np.tensordot(self.heights, smooth_basis(x, y, self.shape_yx), axes=1)
        return self.plane_angstrom(x, y) + slow

    def plane_angstrom(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The same without the slow heights."""
        ny, nx = self.shape_yx
        plane = self.slope_xy[0] * (np.asarray(x) - (nx - 1) / 2)
        plane = plane + self.slope_xy[1] * (np.asarray(y) - (ny - 1) / 2)
        return self.mean_angstrom + plane


def make_surface(settings: MovieSettings, rng: np.random.Generator) -> Surface:
    """A tilted, slightly uneven film.

    A positive tilt about an axis at ``tilt_axis_deg`` from y (towards -x, so that 90° is -x)
    raises the film's +x side towards the source: more underfocus there (paper, *Tilt series*).
    """
    tilt, axis = np.deg2rad([settings.tilt_deg, settings.tilt_axis_deg])
    per_px = float(np.tan(tilt)) * settings.pixel_size
    slope = (per_px * float(np.cos(axis)), per_px * float(np.sin(axis)))
    y, x = np.meshgrid(*(np.linspace(0, n - 1, 33) for n in settings.shape_yx), indexing="ij")
    basis = smooth_basis(x, y, settings.shape_yx)
    heights = rng.normal(size=len(basis)) * np.r_[0, 0, 0, np.ones(len(basis) - 3)]
    slow = np.tensordot(heights, basis, axes=1)
    heights[0] = -slow.mean()
    heights *= settings.surface_roughness_angstrom / max(float(slow.std()), 1e-9)
    return Surface(settings.shape_yx, settings.defocus_um * 1e4, slope, heights)


def place_particles(
    settings: MovieSettings,
    models: Sequence[Particle],
    surface: Surface,
    canvas: Canvas,
    rng: np.random.Generator,
) -> tuple[Placed, ...]:
    """Particles at random places, heights and orientations, on the whole canvas."""
    ny, nx = canvas.shape_yx
    area_um2 = ny * nx * settings.pixel_size**2 * 1e-8
    wanted = rng.poisson(settings.particles_per_um2 * area_um2) if models else 0
    diameter = max((model.diameter_angstrom for model in models), default=0.0)
    distance = settings.min_distance_diameters * diameter / settings.pixel_size
    places = _scatter(wanted, (nx, ny), distance, rng) - canvas.margin
    placed = []
    for x, y in places:
        model = int(rng.integers(len(models)))
        room = max(settings.ice_thickness_angstrom - models[model].diameter_angstrom, 0.0) / 2
        height = rng.uniform(-room, room)
        if rng.uniform() < settings.interface_fraction:
            height = room if rng.uniform() < 0.5 else -room
        # parallel to the film at that height, the beam meets it so much earlier
        along_beam = height / np.cos(np.deg2rad(settings.tilt_deg))
        placed.append(
            Placed(
                model,
                float(x),
                float(y),
                float(surface.defocus_angstrom(x, y) + along_beam),
                float(rng.uniform(-180, 180)),
                float(np.degrees(np.arccos(rng.uniform(-1, 1)))),
                float(rng.uniform(-180, 180)),
            )
        )
    return tuple(placed)


def _scatter(
    wanted: int, extent_xy: tuple[int, int], distance: float, rng: np.random.Generator
) -> np.ndarray:
    """At most ``wanted`` random points (n, 2) no closer than ``distance``."""
    cell = max(distance, 1.0)
    cells: dict[tuple[int, int], list[np.ndarray]] = {}
    found: list[np.ndarray] = []
    for _ in range(wanted * _TRIES_PER_PARTICLE):
        if len(found) == wanted:
            break
        point = rng.uniform((0, 0), extent_xy)
        column, row = int(point[0] // cell), int(point[1] // cell)
        near = [
            other
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            for other in cells.get((column + i, row + j), ())
        ]
        if all(np.hypot(*(point - other)) >= distance for other in near):
            found.append(point)
            cells.setdefault((column, row), []).append(point)
    return np.array(found).reshape(-1, 2)


def render_particles(
    settings: MovieSettings,
    models: Sequence[Particle],
    placed: Sequence[Placed],
    canvas: Canvas,
) -> np.ndarray:
    """Relative contrast of all particles, each with its own CTF, (y, x) float32 on the canvas.

    Weak-phase images add up: overlapping particles are the sum of theirs.
    """
    image = np.zeros(canvas.shape_yx, np.float32)
    with ThreadPoolExecutor(_RENDER_THREADS) as pool:
        stamps = pool.map(lambda one: _stamp(settings, models[one.model], one), placed)
        for particle, stamp in zip(placed, stamps, strict=True):
            row = round(particle.y) + canvas.margin - len(stamp) // 2
            column = round(particle.x) + canvas.margin - len(stamp) // 2
            rows = np.arange(row, row + len(stamp)) % canvas.shape_yx[0]
            columns = np.arange(column, column + len(stamp)) % canvas.shape_yx[1]
            image[np.ix_(rows, columns)] += stamp
    return image


def _stamp(settings: MovieSettings, model: Particle, particle: Placed) -> np.ndarray:
    """Contrast of one particle about its nearest pixel, (n, n), n even."""
    matrix = euler_matrix(particle.rot_deg, particle.tilt_deg, particle.psi_deg)
    offset = (particle.y - round(particle.y), particle.x - round(particle.x))
    projected = project(model, matrix, offset, settings.pixel_size)
    spread = ctf.delocalisation_angstrom(settings, particle.defocus_angstrom)
    size = even_fast(len(projected) + 2 * int(spread / settings.pixel_size) + 8)
    box = np.zeros((size, size), np.float32)
    first = (size - len(projected)) // 2
    box[first : first + len(projected), first : first + len(projected)] = projected
    ky, kx = frequencies((size, size), settings.pixel_size)
    spectrum = forward(box, threads=1)
    spectrum *= ctf.calculate_ctf(ky, kx, settings, particle.defocus_angstrom)
    # intensity of a weak phase object: 1 - 2 φ ⊗ CTF
    spectrum *= np.float32(-2 * ctf.interaction_constant(settings.voltage))
    return inverse(spectrum, (size, size), threads=1)
