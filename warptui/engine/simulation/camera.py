"""The simulated camera: gain, dead and hot pixels, rows and columns, uneven illumination."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from warptui.engine.simulation.settings import MovieSettings

_SEGMENTS = (8, 8)  # readout blocks in y and x
_HOT_RATE = (5.0, 20.0)  # electrons a frame that a hot pixel reports


@dataclass(frozen=True)
class Camera:
    """One camera: counts = Poisson(electrons · efficiency), flat after times ``reference``."""

    reference: np.ndarray | None  # (y, x) float32, mean 1, 0 where dead; None = counts are flat
    efficiency: np.ndarray  # (y, x) float32, includes the illumination; 0 where dead
    dead_yx: tuple[tuple[int, int], ...]
    hot_yx: tuple[tuple[int, int], ...]
    hot_rates: tuple[float, ...]  # electrons a frame
    dead_rows: tuple[int, ...]
    dead_columns: tuple[int, ...]

    @property
    def defects(self) -> np.ndarray:
        """(y, x) bool, True = bad."""
        bad = np.zeros(self.efficiency.shape, bool)
        for y, x in (*self.dead_yx, *self.hot_yx):
            bad[y, x] = True
        bad[list(self.dead_rows)] = True
        bad[:, list(self.dead_columns)] = True
        return bad


def make_camera(settings: MovieSettings, rng: np.random.Generator) -> Camera:
    """A random camera with the structure that the settings ask for."""
    ny, nx = settings.shape_yx
    has_gain = settings.gain_variation > 0
    gain = _gain(settings, rng) if has_gain else np.ones((ny, nx), np.float32)
    n_bad = settings.n_dead_pixels + settings.n_hot_pixels
    places = rng.choice(ny * nx, size=n_bad, replace=False)
    pairs = [(int(place // nx), int(place % nx)) for place in places]
    dead, hot = tuple(pairs[: settings.n_dead_pixels]), tuple(pairs[settings.n_dead_pixels :])
    rows = tuple(int(row) for row in rng.choice(ny, settings.n_dead_rows, replace=False))
    columns = tuple(int(col) for col in rng.choice(nx, settings.n_dead_columns, replace=False))

    efficiency = 1 / gain
    if settings.gain_error > 0:
        efficiency *= rng.normal(1, settings.gain_error, (ny, nx)).astype(np.float32)
    efficiency *= _illumination(settings, rng)
    reference = gain
    for y, x in dead:
        efficiency[y, x] = 0
        reference[y, x] = 0
    efficiency[list(rows)] = 0
    reference[list(rows)] = 0
    efficiency[:, list(columns)] = 0
    reference[:, list(columns)] = 0
    rates = tuple(float(rate) for rate in rng.uniform(*_HOT_RATE, settings.n_hot_pixels))
    return Camera(
        reference if has_gain else None, efficiency, dead, hot, rates, rows, columns
    )  # fmt: skip


def _gain(settings: MovieSettings, rng: np.random.Generator) -> np.ndarray:
    """Gain to multiply with: pixels, columns, readout segments and a slow part."""
    ny, nx = settings.shape_yx
    gain = rng.normal(1, settings.gain_variation, (ny, nx)).astype(np.float32)
    gain *= rng.normal(1, settings.gain_variation / 4, nx).astype(np.float32)
    gain *= rng.normal(1, settings.gain_variation / 8, ny).astype(np.float32)[:, None]
    blocks = rng.normal(1, settings.gain_variation / 4, _SEGMENTS)
    gain *= blocks[
        np.ix_(
            np.arange(ny) * _SEGMENTS[0] // ny,
            np.arange(nx) * _SEGMENTS[1] // nx,
        )
    ].astype(np.float32)
    slow = _slow_field(settings.shape_yx, rng)
    gain *= 1 + (settings.gain_variation / 2) * slow
    np.clip(gain, 0.5, 2.0, out=gain)
    return gain / gain.mean(dtype=np.float64).astype(np.float32)


def _slow_field(shape_yx: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth random field of unit scale, (y, x) float32."""
    coarse = rng.normal(size=(4, 4))
    zoom = (shape_yx[0] / 4, shape_yx[1] / 4)
    field = scipy.ndimage.zoom(coarse, zoom, order=3, mode="nearest", grid_mode=True)
    return np.asarray(field, dtype=np.float32)


def _illumination(settings: MovieSettings, rng: np.random.Generator) -> np.ndarray:
    """Beam profile, fixed to the camera, mean 1."""
    centre = rng.uniform(-0.3, 0.3, 2)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in settings.shape_yx)
    profile = 1 - settings.illumination_fall_off / 2 * (
        (y[:, None] - np.float32(centre[0])) ** 2 + (x[None, :] - np.float32(centre[1])) ** 2
    )
    return (profile / profile.mean(dtype=np.float64)).astype(np.float32)
