"""Structural noise of vitreous ice: it has a CTF as protein has, but it moves under the beam.

The projected water is a Gaussian field whose power is n·t·(φ per molecule)²·S(k). Molecules
diffuse under the beam (about 1 Å² of mean squared displacement per e/Å²), so the field at
frequency k keeps exp(-2π² k² v D) of itself after a dose D, and the rest is new: slow
undulations stay for the movie, the 3.7 Å ring is new in every frame.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from warptui.engine.simulation import ctf, kernels
from warptui.engine.simulation.fourier import forward, frequencies, inverse
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import Canvas, Surface
from warptui.engine.simulation.trajectory import smooth_basis

_MOLECULES = 0.0311  # per Å³ at 0.93 g/cm³
_WATER_POTENTIAL = 0.9 * 47.878 * (1.98 + 2 * 0.53)  # V Å³ per molecule, bonded
_WATER_B_FACTOR = 15.0  # Å²
_PHASE_STEP = 1.0  # rad at `_FINEST` between the defoci whose images are blended
_FINEST = 0.2  # 1/Å
_NODE_STEP = 16  # px between points where the film is evaluated


def amplitude(k: np.ndarray, settings: MovieSettings) -> np.ndarray:
    """Contrast per unit of white noise at frequency ``k`` (1/Å), before CTF and envelope."""
    thickness = settings.ice_thickness_angstrom / np.cos(np.deg2rad(settings.tilt_deg))
    phase = ctf.interaction_constant(settings.voltage) * _WATER_POTENTIAL
    power = phase**2 * _MOLECULES * thickness * ctf.ice_structure(k)
    power = power / settings.pixel_size**2 * np.exp(-_WATER_B_FACTOR / 2 * k**2)
    return settings.ice_noise * 2 * np.sqrt(power)


def persistence(k: np.ndarray, settings: MovieSettings) -> np.ndarray:
    """Correlation of the ice's field from one frame to the next, 0..1."""
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
        self._rng = rng
        wavelength = ctf.wavelength_angstrom(settings.voltage)
        step = _PHASE_STEP / (np.pi * wavelength * _FINEST**2)
        y, x = canvas.nodes(_NODE_STEP)
        # the slow heights would grow without limit outside of the frame
        ny, nx = settings.shape_yx
        inside_y, inside_x = np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)
        slow = surface.defocus_angstrom(inside_x, inside_y)
        slow = slow - surface.plane_angstrom(inside_x, inside_y)
        plane = surface.plane_angstrom(x, y) + slow
        if np.ptp(plane) < step:
            self._defoci = np.array([surface.mean_angstrom])
            self._levels = np.zeros_like(plane, dtype=np.float32)
        else:
            self._defoci = np.arange(plane.min(), plane.max() + step, step)
            self._levels = ((plane - plane.min()) / step).astype(np.float32)
        ky, kx = frequencies(canvas.shape_yx, settings.pixel_size)
        self._transfer = -ctf.calculate_ctf(ky, kx, settings, float(self._defoci[0]))

    def draw(self) -> np.ndarray:
        """Half spectrum (ny, nx/2+1) complex64 of new noise times -CTF."""
        ny, nx = self._canvas.shape_yx
        parts = self._rng.standard_normal((ny, nx // 2 + 1, 2), dtype=np.float32)
        spectrum = parts.view(np.complex64)[..., 0]
        spectrum *= np.float32(np.sqrt(ny * nx / 2))
        if len(self._defoci) == 1:
            spectrum *= self._transfer
            return spectrum
        return forward(self._blend(spectrum))

    def _blend(self, spectrum: np.ndarray) -> np.ndarray:
        """Every pixel between the images at the two defoci that are nearest to its own."""
        image = np.zeros(self._canvas.shape_yx, np.float32)
        shaped = np.empty_like(spectrum)
        for level, defocus in enumerate(self._defoci):
            chi = ctf.phase_terms(self._settings, self._canvas.shape_yx, float(defocus))
            kernels.transfer(spectrum, chi, shaped)
            seen = inverse(shaped, self._canvas.shape_yx)
            kernels.blend(seen, self._levels, _NODE_STEP, np.float32(level), image)
        return image


def thickness_contrast(
    settings: MovieSettings, canvas: Canvas, rng: np.random.Generator
) -> np.ndarray:
    """Slow relative intensity of thicker and thinner ice, (y, x) float32 on the canvas."""
    shape = settings.shape_yx
    weights = rng.normal(size=len(smooth_basis(np.zeros(1), np.zeros(1), shape)))
    step = _NODE_STEP
    y, x = canvas.nodes(step)
    # powers would grow without limit in the far margin
    y, x = np.clip(y, 0, shape[0]), np.clip(x, 0, shape[1])
    coarse = np.tensordot(weights, smooth_basis(x, y, shape), axes=1)
    coarse = (coarse - coarse.mean()) / max(float(coarse.std()), 1e-9)
    field = np.repeat(np.repeat(coarse.astype(np.float32), step, 0), step, 1)
    field = scipy.ndimage.uniform_filter(field, 2 * step, mode="nearest")
    return settings.ice_thickness_variation * field[: canvas.shape_yx[0], : canvas.shape_yx[1]]
