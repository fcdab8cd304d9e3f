"""The true map of a particle, and how well another map agrees with it, shell by shell."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numba import njit

from warptui.engine.simulation.density import Particle

_FINE = 2  # as in `projection`: aliases of the splat stay small
_THREADS = 2


def true_map(particle: Particle, size: int, pixel_size: float) -> np.ndarray:
    """Potential less that of the displaced ice, V, (size, size, size) float32 as z, y, x.

    The particle's centre is voxel ``size // 2``, and seen along z without rotation it is what
    `projection.project` draws with a matrix of no rotation. Band-limited at Nyquist.
    """
    if size % 2 or size * pixel_size < particle.diameter_angstrom:
        raise ValueError(f"{size} voxels of {pixel_size} Å: must be even, and hold the particle")
    shaped = _part(particle, particle.potential, particle.b_factor, size, pixel_size)
    shaped -= _part(particle, particle.solvent, particle.solvent_b_factor, size, pixel_size)
    half = size // 2
    full = np.zeros((size, size, half + 1), np.complex64)
    rows = np.r_[0:half, size - half + 1 : size]
    full[np.ix_(rows, rows, np.arange(half))] = shaped
    seen = scipy.fft.irfftn(full, s=(size,) * 3, workers=_THREADS)
    return np.asarray(seen, np.float32) / np.float32(pixel_size**3)


def _part(
    particle: Particle, weights: np.ndarray, b_factor: float, size: int, pixel_size: float
) -> np.ndarray:
    """Spectrum of points of a width, within the band and without its Nyquist planes."""
    fine = size * _FINE
    places = (particle.xyz_angstrom / np.float32(pixel_size) + np.float32(size // 2)) * _FINE
    grid = np.zeros((fine, fine, fine), np.float32)
    _splat(places.astype(np.float32), weights, grid)
    half = size // 2
    rows = np.r_[0:half, fine - half + 1 : fine]
    spectrum = np.asarray(scipy.fft.rfft(grid, axis=2, workers=_THREADS))[..., :half]
    spectrum = np.asarray(scipy.fft.fft(spectrum, axis=1, workers=_THREADS))[:, rows]
    spectrum = np.asarray(scipy.fft.fft(spectrum, axis=0, workers=_THREADS))[rows]
    whole, half_axis = np.fft.fftfreq(fine)[rows], np.fft.rfftfreq(fine)[:half]
    for axis, cycles in enumerate((whole, whole, half_axis)):
        k2 = (cycles * _FINE / pixel_size) ** 2
        shape = np.exp(-b_factor / 4 * k2) / np.sinc(cycles) ** 4
        spectrum *= shape.astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    return spectrum


def shell_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Fourier shell correlation of two cubes, one value a shell: (n // 2 + 1,), the first is 1.

    Shell i is |k| in [i - 1/2, i + 1/2) of the cube's frequency step, as RELION has it.
    """
    if one.shape != other.shape or len(set(one.shape)) != 1:
        raise ValueError(f"cubes of the same size are compared, not {one.shape} and {other.shape}")
    n = len(one)
    first, second = (
        np.asarray(scipy.fft.rfftn(cube.astype(np.float32), workers=_THREADS))
        for cube in (one, other)
    )
    rows, columns = np.fft.fftfreq(n, 1 / n) ** 2, np.fft.rfftfreq(n, 1 / n) ** 2
    radius = np.sqrt(rows[:, None, None] + rows[:, None] + columns)
    shells = (radius + 0.5).astype(np.int32).ravel()
    n_shells = n // 2 + 1

    def sums(values: np.ndarray) -> np.ndarray:
        # the half spectrum's first column is its own mirror image: it counts once, others twice
        values = values * np.where(columns == 0, 1.0, 2.0)
        return np.bincount(shells, values.ravel(), minlength=n_shells)[:n_shells]

    cross = sums(np.real(first * np.conj(second)))
    power = sums(np.abs(first) ** 2) * sums(np.abs(second) ** 2)
    curve = np.divide(cross, np.sqrt(power), out=np.zeros(n_shells), where=power > 0)
    curve[0] = 1.0
    return curve


def resolution_angstrom(curve: np.ndarray, box_angstrom: float, threshold: float) -> float:
    """Where a shell correlation first falls below ``threshold``, by a line between shells, Å."""
    below = np.flatnonzero(curve[1:] < threshold)
    if not len(below):
        return box_angstrom / (len(curve) - 1)
    shell = below[0] + 1
    before, after = curve[shell - 1], curve[shell]
    return box_angstrom / float(shell - 1 + (before - threshold) / (before - after))


def soft_sphere(size: int, radius_px: float, edge_px: float) -> np.ndarray:
    """1 within a sphere about the centre voxel, 0 outside, a cosine between; float32."""
    axis = (np.arange(size) - size // 2).astype(np.float32) ** 2
    radius = np.sqrt(axis[:, None, None] + axis[:, None] + axis)
    beyond = np.clip((radius - np.float32(radius_px)) / np.float32(edge_px), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * beyond)).astype(np.float32)


@njit(cache=True, nogil=True)
def _splat(places, weights, grid):  # pragma: no cover - compiled
    """Add points (n, 3) x, y, z with cubic B-spline weights; points outside wrap around."""
    n = grid.shape[0]
    w = np.empty((3, 4), np.float32)
    at = np.empty(3, np.int64)
    for i in range(places.shape[0]):
        for axis in range(3):
            at[axis] = int(np.floor(places[i, axis]))
            t = places[i, axis] - at[axis]
            s = 1 - t
            w[axis, 0] = s * s * s / 6
            w[axis, 1] = (4 - 6 * t * t + 3 * t * t * t) / 6
            w[axis, 2] = (4 - 6 * s * s + 3 * s * s * s) / 6
            w[axis, 3] = t * t * t / 6
        for z in range(4):
            plane = (at[2] + z - 1) % n
            for y in range(4):
                row = (at[1] + y - 1) % n
                for x in range(4):
                    column = (at[0] + x - 1) % n
                    grid[plane, row, column] += w[2, z] * w[1, y] * w[0, x] * weights[i]
