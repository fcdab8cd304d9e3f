"""Projected potentials of particles: points splatted on a fine grid, shaped in Fourier space."""

from __future__ import annotations

import numpy as np
from numba import njit

from warptui.engine.simulation.density import Particle
from warptui.engine.simulation.fourier import even_fast, forward, inverse

_FINE = 2  # the splat's aliases stay below 1 % where they fold back into the band


def euler_matrix(rot_deg: float, tilt_deg: float, psi_deg: float) -> np.ndarray:
    """RELION's ZYZ matrix A (3, 3): a point r of the reference is seen at (A r)[:2]."""
    a, b, g = np.deg2rad([rot_deg, tilt_deg, psi_deg])
    return rotation_z(g) @ _rotation_y(b) @ rotation_z(a)


def rotation_z(angle: float) -> np.ndarray:
    """Passive rotation about z by ``angle`` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def _rotation_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def project(
    particle: Particle, matrix: np.ndarray, offset_yx_px: tuple[float, float], pixel_size: float
) -> np.ndarray:
    """Projected potential less that of the displaced ice, V Å, band-limited at Nyquist.

    Parameters
    ----------
    matrix
        (3, 3), maps reference to view (see `euler_matrix`); the beam is along z.
    offset_yx_px
        Of the particle's centre from the centre pixel ``shape // 2``.

    Returns
    -------
    Square (n, n) float32 with n even.
    """
    size = even_fast(int(particle.diameter_angstrom / pixel_size) + 24)
    fine = size * _FINE
    seen = particle.xyz_angstrom @ matrix[:2].T.astype(np.float32)
    x = (seen[:, 0] / pixel_size + offset_yx_px[1] + size // 2) * _FINE
    y = (seen[:, 1] / pixel_size + offset_yx_px[0] + size // 2) * _FINE
    grids = np.zeros((2, fine, fine), np.float32)
    _splat(x, y, particle.potential, particle.solvent, grids)
    spectra = forward(grids, threads=1)
    half = size // 2
    # crop to the output's band, without its Nyquist row and column
    rows = np.r_[0:half, fine - half + 1 : fine]
    kept = spectra[:, rows, :half]
    cycles_y = np.fft.fftfreq(fine)[rows].astype(np.float32)[:, None]
    cycles_x = np.fft.rfftfreq(fine)[:half].astype(np.float32)[None, :]
    splat = (np.sinc(cycles_y) * np.sinc(cycles_x)) ** 4
    k2 = (cycles_y**2 + cycles_x**2) * (_FINE / pixel_size) ** 2
    shaped = kept[0] * np.exp(-particle.b_factor / 4 * k2)
    shaped -= kept[1] * np.exp(-particle.solvent_b_factor / 4 * k2)
    shaped /= splat
    full = np.zeros((size, half + 1), np.complex64)
    full[np.r_[0:half, size - half + 1 : size], :half] = shaped
    # integrated potentials (V Å³) per pixel area make a projected potential (V Å)
    return inverse(full, (size, size), threads=1) / np.float32(pixel_size**2)


@njit(cache=True, fastmath=True, nogil=True)
def _splat(x, y, first, second, grids):  # pragma: no cover - compiled
    """Add points with cubic B-spline weights; points outside wrap around."""
    n = grids.shape[1]
    wx = np.empty(4, np.float32)
    wy = np.empty(4, np.float32)
    for i in range(x.shape[0]):
        ix = int(np.floor(x[i]))
        iy = int(np.floor(y[i]))
        _cubic(x[i] - ix, wx)
        _cubic(y[i] - iy, wy)
        for j in range(4):
            row = (iy + j - 1) % n
            for k in range(4):
                column = (ix + k - 1) % n
                weight = wy[j] * wx[k]
                grids[0, row, column] += weight * first[i]
                grids[1, row, column] += weight * second[i]


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _cubic(t, w):  # pragma: no cover - compiled
    s = 1 - t
    w[0] = s * s * s / 6
    w[1] = (4 - 6 * t * t + 3 * t * t * t) / 6
    w[2] = (4 - 6 * s * s + 3 * s * s * s) / 6
    w[3] = t * t * t / 6
