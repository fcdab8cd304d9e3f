"""Structural noise of vitreous ice: it has a CTF as protein has, but it moves under the beam.

The projected water is a Gaussian field whose power is n·t·(φ per molecule)²·S(k). Molecules
diffuse under the beam (about 1 Å² of mean squared displacement per e/Å²), so the field at
frequency k keeps exp(-2π² k² v D) of itself after a dose D, and the rest is new: slow
undulations stay for the movie, the 3.7 Å ring is new in every frame.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from warptui.engine.simulation import ctf
from warptui.engine.simulation.fourier import even_fast, forward, frequencies, inverse
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import Canvas, Surface
from warptui.engine.simulation.trajectory import smooth_basis

_MOLECULES = 0.0311  # per Å³ at 0.93 g/cm³
_WATER_POTENTIAL = 0.9 * 47.878 * (1.98 + 2 * 0.53)  # V Å³ per molecule, bonded
_WATER_B_FACTOR = 15.0  # Å²
_TILE = 512  # px: spacing of the local CTFs of a tilted film
_SAME_DEFOCUS = 300.0  # Å: range of the film's heights that one CTF may serve


def amplitude(k: np.ndarray, settings: MovieSettings) -> np.ndarray:
    """Contrast per unit of white noise at frequency ``k`` (1/Å), before CTF and envelope."""
    thickness = settings.ice_thickness_angstrom / np.cos(np.deg2rad(settings.tilt_deg))
    phase = ctf.interaction_constant(settings.voltage) * _WATER_POTENTIAL
    power = phase**2 * _MOLECULES * thickness * ctf.ice_structure(k)
    power = power / settings.pixel_size**2 * np.exp(-_WATER_B_FACTOR / 2 * k**2)
    return settings.ice_noise * 2 * np.sqrt(power)


def persistence(k: np.ndarray, settings: MovieSettings) -> np.ndarray:
    """What is left of the field from one frame to the next, 0..1."""
    moved = settings.ice_mobility * settings.dose_per_frame
    return np.exp(-2 * np.pi**2 * k**2 * moved)


class IceNoise:
    """White noise seen through the film's (local) CTF: a fresh spectrum at every call."""

    def __init__(
        self,
        settings: MovieSettings,
        canvas: Canvas,
        surface: Surface,
        rng: np.random.Generator,
    ) -> None:
        self._settings = settings
        self._canvas = canvas
        self._surface = surface
        self._rng = rng
        corners_y, corners_x = np.meshgrid(*((0, n - 1) for n in settings.shape_yx), indexing="ij")
        defocus = surface.defocus_angstrom(corners_x, corners_y)
        self._is_flat = float(np.ptp(defocus)) < _SAME_DEFOCUS
        if self._is_flat:
            ky, kx = frequencies(canvas.shape_yx, settings.pixel_size)
            self._ctf = ctf.calculate_ctf(ky, kx, settings, surface.mean_angstrom)

    def draw(self) -> np.ndarray:
        """Half spectrum (ny, nx/2+1) complex64 of new noise times -CTF."""
        if self._is_flat:
            ny, nx = self._canvas.shape_yx
            parts = self._rng.standard_normal((ny, nx // 2 + 1, 2), dtype=np.float32)
            spectrum = parts.view(np.complex64)[..., 0]
            spectrum *= self._ctf * np.float32(-np.sqrt(ny * nx / 2))
            return spectrum
        return forward(self._draw_tiled())

    def _draw_tiled(self) -> np.ndarray:
        """White noise in overlapping tiles, each through the CTF at its centre."""
        settings, canvas = self._settings, self._canvas
        ny, nx = canvas.shape_yx
        noise = self._rng.standard_normal((ny, nx), dtype=np.float32)
        image = np.zeros_like(noise)
        step_y, step_x = _steps(ny), _steps(nx)
        for top in range(0, ny, step_y):
            for left in range(0, nx, step_x):
                y = top + step_y - canvas.margin
                x = left + step_x - canvas.margin
                defocus = float(self._surface.defocus_angstrom(np.array(x), np.array(y)))
                spread = ctf.delocalisation_angstrom(settings, defocus) / settings.pixel_size
                shape = (even_fast(2 * step_y + int(spread)), even_fast(2 * step_x + int(spread)))
                rows = np.arange(top, top + 2 * step_y) % ny
                columns = np.arange(left, left + 2 * step_x) % nx
                tile = noise[np.ix_(rows, columns)] * _window(2 * step_y)[:, None]
                tile *= _window(2 * step_x)
                spectrum = forward(tile, shape)
                ky, kx = frequencies(shape, settings.pixel_size)
                spectrum *= -ctf.calculate_ctf(ky, kx, settings, defocus)
                seen = inverse(spectrum, shape)
                # what left the tile on one side came back on the other: half of the padding each
                rows = np.arange(shape[0])
                rows[rows >= 2 * step_y + (shape[0] - 2 * step_y) // 2] -= shape[0]
                columns = np.arange(shape[1])
                columns[columns >= 2 * step_x + (shape[1] - 2 * step_x) // 2] -= shape[1]
                image[np.ix_((rows + top) % ny, (columns + left) % nx)] += seen
        return image


def _steps(n: int) -> int:
    """Tile spacing that divides ``n``, about `_TILE`."""
    count = max(2, round(n / _TILE))
    while n % count:
        count -= 1
    return n // count if count >= 2 else n // 2


def _window(n: int) -> np.ndarray:
    """Raised cosine whose halves add up to one."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)).astype(np.float32)


def thickness_contrast(
    settings: MovieSettings, canvas: Canvas, rng: np.random.Generator
) -> np.ndarray:
    """Slow relative intensity of thicker and thinner ice, (y, x) float32 on the canvas."""
    shape = settings.shape_yx
    weights = rng.normal(size=len(smooth_basis(np.zeros(1), np.zeros(1), shape)))
    step = 16
    y = np.arange(-(-canvas.shape_yx[0] // step) + 1) * step - canvas.margin
    x = np.arange(-(-canvas.shape_yx[1] // step) + 1) * step - canvas.margin
    # low powers of the far margin would grow without limit
    grid_y, grid_x = np.meshgrid(np.clip(y, 0, shape[0]), np.clip(x, 0, shape[1]), indexing="ij")
    coarse = np.tensordot(weights, smooth_basis(grid_x, grid_y, shape), axes=1)
    coarse = (coarse - coarse.mean()) / max(float(coarse.std()), 1e-9)
    field = np.repeat(np.repeat(coarse.astype(np.float32), step, 0), step, 1)
    field = scipy.ndimage.uniform_filter(field, 2 * step, mode="nearest")
    return settings.ice_thickness_variation * field[: canvas.shape_yx[0], : canvas.shape_yx[1]]
