"""Simulated contamination: support, gold, ethane, crystals, cracks, aggregates.

Every kind adds projected potential (V Å) or absorption to a canvas and records its area. A picker
must avoid the area `Dirt.artifact`; an uncertain rim around this area is `doubtful`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

_SIGMA = 6.5e-4  # rad per V Å at 300 kV, to make phases of potentials
_RIM_PX = 3


@dataclass
class Dirt:
    """A canvas that contamination is added to; all (y, x)."""

    potential: np.ndarray  # float32, V Å
    absorption: np.ndarray  # float32, -ln of the intensity that is left
    thickness: np.ndarray  # float32, of the ice relative to the open film
    artifact: np.ndarray  # bool
    doubtful: np.ndarray  # bool
    bare: np.ndarray  # bool: no ice, so no particles

    @classmethod
    def clean(cls, shape_yx: tuple[int, int]) -> Dirt:
        """A canvas with nothing but ice."""
        zeros = np.zeros(shape_yx, np.float32)
        no = np.zeros(shape_yx, bool)
        return cls(
            zeros.copy(), zeros.copy(), np.ones(shape_yx, np.float32), no.copy(), no.copy(), no
        )

    def mark(self, inside: np.ndarray, rim_px: int = _RIM_PX) -> None:
        """``inside`` is artifact; a rim around and within it is doubtful."""
        if not inside.any():
            return
        self.artifact |= inside
        grown = scipy.ndimage.binary_dilation(inside, iterations=rim_px)
        self.doubtful |= grown & ~inside


def add(name: str, dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """Add one kind of contamination (a key of `KINDS`)."""
    _MAKERS[name](dirt, pixel_size, rng)


def _carbon(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """The edge of a hole: amorphous carbon with strong grain beyond an arc."""
    y, x = np.indices(dirt.potential.shape, dtype=np.float32)
    ny, nx = dirt.potential.shape
    angle = rng.uniform(0, 2 * np.pi)
    hole = rng.uniform(4000, 10000) / pixel_size  # radius, px
    depth = rng.uniform(0.05, 0.45) * min(ny, nx)  # how far the support reaches in
    away = min(ny, nx) / 2 - depth
    centre_y = ny / 2 - (hole - away) * np.sin(angle)
    centre_x = nx / 2 - (hole - away) * np.cos(angle)
    distance = np.hypot(y - centre_y, x - centre_x) - hole + 2 * _smooth(dirt, 6, rng)
    inside = distance > 0
    thickness = rng.uniform(30, 250)  # Å
    share = np.clip(distance / rng.uniform(2, 8), 0, 1)
    # graphitic carbon scatters in clumps: white noise of the projected potential
    grain = rng.standard_normal(dirt.potential.shape, dtype=np.float32)
    grain *= np.float32(rng.uniform(9, 27) * np.sqrt(thickness * 12) / pixel_size)
    dirt.potential += share * (grain + np.float32(4.0 * thickness))
    dirt.absorption += (share * thickness / 1800).astype(np.float32)
    dirt.mark(inside)


def _gold(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """Beads of gold: small, round and black."""
    beads = [
        (rng.uniform(0, dirt.potential.shape[0]), rng.uniform(0, dirt.potential.shape[1]))
        for _ in range(rng.integers(1, 12))
    ]
    radius = rng.uniform(25, 90) / pixel_size
    inside = np.zeros(dirt.potential.shape, bool)
    for centre in beads:
        height = _ball(dirt, centre, radius * rng.uniform(0.8, 1.2))
        dirt.absorption += height * np.float32(pixel_size / 90)
        dirt.potential += height * np.float32(pixel_size * 18)
        inside |= height > 0
    dirt.mark(inside, rim_px=2)


def _ethane(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """Drops of ethane and other frozen contamination: dark, soft, with bright fringes."""
    inside = np.zeros(dirt.potential.shape, bool)
    for _ in range(rng.integers(1, 9)):
        centre = rng.uniform(0, 1, 2) * dirt.potential.shape
        height = np.zeros(dirt.potential.shape, np.float32)
        size = float(np.exp(rng.uniform(*np.log([120, 900])))) / pixel_size
        for _ in range(rng.integers(1, 5)):  # drops that flowed together
            part = centre + rng.normal(0, 0.5 * size, 2)
            height = np.maximum(height, _ball(dirt, part, size * rng.uniform(0.5, 1.0)))
        # drops spread on the film: their height is a share of a ball's
        flat = float(np.exp(rng.uniform(*np.log([0.05, 0.7]))))
        height *= 1 + rng.uniform(0, 0.3) * _smooth(dirt, rng.uniform(4, 15), rng)
        dirt.potential += height * np.float32(flat * pixel_size * rng.uniform(1.0, 4.0))
        dirt.absorption += height * np.float32(flat * pixel_size / 2500)
        inside |= height > 1.5
    dirt.mark(inside)


def _droplets(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """Small dark balls, about as large as particles, which fell on the film late."""
    inside = np.zeros(dirt.potential.shape, bool)
    for _ in range(int(np.exp(rng.uniform(0, np.log(25))))):
        centre = rng.uniform(0, 1, 2) * dirt.potential.shape
        radius = rng.uniform(50, 180) / pixel_size
        height = _ball(dirt, centre, radius) * (1 + rng.uniform(0, 0.4) * _smooth(dirt, 4, rng))
        dirt.potential += height * np.float32(pixel_size * np.exp(rng.uniform(0, 2)))
        dirt.absorption += height * np.float32(pixel_size / rng.uniform(1000, 8000))
        inside |= height > 0
    dirt.mark(inside, rim_px=1)


def add_debris(dirt: Dirt, count: int, pixel_size: float, rng: np.random.Generator) -> None:
    """Specks of up to 50 Å, too small to be worth a pick: short chains, salt, first frost.

    They are background: a mask that spared each of them would leave nothing to pick from.
    """
    shape = dirt.potential.shape
    radius = rng.uniform(8, 22)  # Å
    strength = np.exp(rng.uniform(np.log(1.5), np.log(10)))  # V beyond that of ice
    for centre in rng.uniform(0, 1, (count, 2)) * shape:
        one = radius * rng.uniform(0.6, 1.2)
        sigma = max(0.5 * one / pixel_size, 0.6)  # px; narrower ones would be aliased
        top, left = (np.floor(centre) - 5).astype(int)
        rows = slice(max(top, 0), min(top + 12, shape[0]))
        columns = slice(max(left, 0), min(left + 12, shape[1]))
        y, x = np.ogrid[rows, columns]
        squared = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
        volume = 4 / 3 * np.pi * one**3 * strength / pixel_size**2  # V Å summed over pixels
        blob = np.exp(-squared / (2 * sigma**2)) * volume / (2 * np.pi * sigma**2)
        dirt.potential[rows, columns] += blob.astype(np.float32)


def _crystals(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """Crystals of ice: facets that differ in brightness, with sharp edges."""
    shape = dirt.potential.shape
    inside = np.zeros(shape, bool)
    y, x = np.indices(shape, dtype=np.float32)
    for _ in range(rng.integers(1, 7)):
        centre = rng.uniform(0, 1, 2) * shape
        size = float(np.exp(rng.uniform(*np.log([150, 1200])))) / pixel_size
        facets = rng.integers(4, 8)
        angles = np.sort(rng.uniform(0, 2 * np.pi, facets))
        depth = np.full(shape, np.inf, np.float32)
        for angle in angles:
            side = size * rng.uniform(0.5, 1.0)
            depth = np.minimum(
                depth, side - (y - centre[0]) * np.sin(angle) - (x - centre[1]) * np.cos(angle)
            )
        within = (depth > 0) & (np.hypot(y - centre[0], x - centre[1]) < 1.5 * size)
        steep = rng.uniform(0.3, 2.0)
        height = np.clip(depth * steep, 0, rng.uniform(60, 400) / pixel_size)
        height *= 1 + rng.uniform(0, 0.5) * _smooth(dirt, rng.uniform(3, 12), rng)
        # diffraction takes from the image or, rarely, adds to it
        brightness = rng.uniform(-0.1, 0.35) * rng.uniform(0.1, 1)
        dirt.potential += np.where(within, height * np.float32(pixel_size * 2.5), 0)
        dirt.absorption += np.where(within, np.float32(brightness), 0)
        inside |= within
    dirt.mark(inside)


def _crystalline_film(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """The whole film is crystalline: domains with contrasts and bent dark bands."""
    grains = _smooth(dirt, 8, rng) + 0.7 * _smooth(dirt, 20, rng)
    bands = np.cos(grains * rng.uniform(3, 8))
    dirt.absorption += (rng.uniform(0.1, 0.35) * bands.clip(0)).astype(np.float32)
    dirt.potential += (bands * rng.uniform(100, 500)).astype(np.float32)
    dirt.artifact[:] = True
    dirt.bare[:] = True


def _crack(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """A crack in the ice: a bright crooked line without particles."""
    shape = dirt.potential.shape
    n = 200
    start, heading = rng.uniform(0, 1, 2) * shape, rng.uniform(0, 2 * np.pi)
    headings = heading + np.cumsum(rng.normal(0, 0.08, n))
    steps = np.column_stack([np.sin(headings), np.cos(headings)]) * max(shape) / n * 1.4
    path = start + np.cumsum(steps, axis=0) - np.sum(steps, axis=0) / 2
    line = np.ones(shape, bool)
    rows, columns = np.round(
        np.concatenate([np.linspace(a, b, 12) for a, b in itertools.pairwise(path)])
    ).astype(int).T  # fmt: skip
    seen = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    line[rows[seen], columns[seen]] = False
    distance = np.asarray(scipy.ndimage.distance_transform_edt(line))
    width = rng.uniform(20, 120) / pixel_size
    share = np.clip(1 - distance / max(width, 1.0), 0, 1).astype(np.float32)
    dirt.thickness *= 1 - share
    dirt.potential -= share * np.float32(rng.uniform(300, 1200))
    dirt.bare |= share > 0
    dirt.mark(share > 0.15, rim_px=2)


def _empty_hole(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """No ice in part of the picture: brighter, no grain, nothing in it."""
    field = _smooth(dirt, 120, rng)
    inside = field > np.quantile(field, rng.uniform(0.2, 0.8))
    inside = np.asarray(scipy.ndimage.binary_opening(inside, iterations=2), bool)
    dirt.thickness[inside] = 0.02
    edge = scipy.ndimage.gaussian_filter(inside.astype(np.float32), 2)
    dirt.potential -= edge * np.float32(rng.uniform(500, 2500))
    dirt.bare |= inside
    rim = np.asarray(scipy.ndimage.binary_dilation(inside, iterations=4), bool)
    rim &= np.asarray(scipy.ndimage.binary_dilation(~inside, iterations=4), bool)
    dirt.mark(rim, rim_px=2)


def _aggregate(dirt: Dirt, pixel_size: float, rng: np.random.Generator) -> None:
    """Denatured protein in heaps: as dense as particles, without their shape."""
    inside = np.zeros(dirt.potential.shape, bool)
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform(0, 1, 2) * dirt.potential.shape
        size = float(np.exp(rng.uniform(*np.log([250, 1200])))) / pixel_size
        texture = _smooth(dirt, rng.uniform(15, 50), rng)
        y, x = np.ogrid[: dirt.potential.shape[0], : dirt.potential.shape[1]]
        distance = np.hypot(y - centre[0], x - centre[1]) / size
        within = distance + 0.35 * _smooth(dirt, 60, rng) < 0.9
        soft = scipy.ndimage.gaussian_filter(within.astype(np.float32), 1)
        dirt.potential += soft * np.float32(rng.uniform(150, 600)) * (1 + 0.7 * texture)
        inside |= within
    dirt.mark(inside)


KINDS: dict[str, float] = {
    "carbon": 0.25,
    "gold": 0.1,
    "ethane": 0.4,
    "droplets": 0.3,
    "crystals": 0.3,
    "crystalline_film": 0.03,
    "crack": 0.08,
    "empty_hole": 0.08,
    "aggregate": 0.3,
}
"""Kinds of contamination and the share of dirty scenes that have each."""

_MAKERS: dict[str, Callable[[Dirt, float, np.random.Generator], None]] = {
    "carbon": _carbon,
    "gold": _gold,
    "ethane": _ethane,
    "droplets": _droplets,
    "crystals": _crystals,
    "crystalline_film": _crystalline_film,
    "crack": _crack,
    "empty_hole": _empty_hole,
    "aggregate": _aggregate,
}


def _ball(dirt: Dirt, centre_yx: np.ndarray | tuple, radius: float) -> np.ndarray:
    """Height of a sphere in px, (y, x) float32."""
    y, x = np.ogrid[: dirt.potential.shape[0], : dirt.potential.shape[1]]
    squared = radius**2 - (y - centre_yx[0]) ** 2 - (x - centre_yx[1]) ** 2
    return (2 * np.sqrt(np.maximum(squared, 0))).astype(np.float32)


def _smooth(dirt: Dirt, scale_px: float, rng: np.random.Generator) -> np.ndarray:
    """Random field of unit RMS, smooth over ``scale_px``."""
    shape = dirt.potential.shape
    step = max(int(scale_px / 4), 1)
    coarse = rng.standard_normal([-(-n // step) + 4 for n in shape])
    field = scipy.ndimage.gaussian_filter(coarse, scale_px / step)
    field = np.asarray(scipy.ndimage.zoom(field, step, order=1))[: shape[0], : shape[1]]
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)
