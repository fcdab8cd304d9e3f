"""Frames without counting noise: the specimen's image, aged, damaged, blurred and warped."""

from __future__ import annotations

import numpy as np

from warptui.engine.simulation import ctf, ice, kernels
from warptui.engine.simulation.fourier import forward, inverse
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import Canvas, Surface
from warptui.engine.simulation.trajectory import STEPS, Motion

_TABLE_SIZE = 4096  # entries of a radial table up to the corner of the spectrum
_LARGEST_STEP_PX = 1.0  # of local motion within one warp


class Renderer:
    """Draws frames in order: the ice ages from one to the next."""

    def __init__(
        self,
        settings: MovieSettings,
        canvas: Canvas,
        motion: Motion,
        surface: Surface,
        particles: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """``particles`` is their contrast on the canvas; ``rng`` makes the ice."""
        self._settings, self._canvas, self._motion = settings, canvas, motion
        static = particles + ice.thickness_contrast(settings, canvas, rng)
        ny, nx = settings.shape_yx
        top = canvas.margin
        # the dose is what the camera sees on average, so the view's contrast is zero on average
        static -= static[top : top + ny, top : top + nx].mean(dtype=np.float64)
        self._static = forward(static)
        self._fresh_ice = ice.IceNoise(settings, canvas, surface, rng)
        self._ice = self._fresh_ice.draw()
        self._shaped = np.empty_like(self._static)
        corner = np.sqrt(0.5) / settings.pixel_size * 1.001
        self._k = np.linspace(0, corner, _TABLE_SIZE, dtype=np.float64)
        self._bins = np.float32((_TABLE_SIZE - 1) / corner)
        self._oversampled = kernels.oversampled_shape(canvas.shape_yx)
        self._step = max(4, max(settings.shape_yx) // 256)

    def frame(self, frame: int) -> np.ndarray:
        """Relative contrast (ny, nx) float32 of one frame, without scaling by `signal`."""
        if frame > 0:
            keep = ice.persistence(self._k, self._settings).astype(np.float32)
            kernels.age_spectrum(
                self._ice, self._fresh_ice.draw(), keep, *self._steps(), self._bins
            )
        parts = self._parts(frame)
        total = self._exposure(frame, parts[0])
        for part in parts[1:]:
            total += self._exposure(frame, part)
        return total / np.float32(len(parts)) if len(parts) > 1 else total

    def _steps(self) -> tuple[np.float32, np.float32]:
        """1/Å per row and per column of the half spectra."""
        ny, nx = self._canvas.shape_yx
        pixel_size = self._settings.pixel_size
        return np.float32(1 / (ny * pixel_size)), np.float32(1 / (nx * pixel_size))

    def _parts(self, frame: int) -> list[slice]:
        """The exposure in parts during which the local field hardly changes."""
        ny, nx = self._settings.shape_yx
        y, x = np.meshgrid(np.linspace(0, ny - 1, 5), np.linspace(0, nx - 1, 5), indexing="ij")
        ends = [self._motion.local(x, y, frame, slice(at, at + 1)) for at in (0, STEPS - 1)]
        moved = np.linalg.norm(ends[1] - ends[0], axis=0).max()
        count = next(n for n in (1, 2, 4, 8, 16) if n >= min(moved / _LARGEST_STEP_PX, 16))
        return [slice(i * STEPS // count, (i + 1) * STEPS // count) for i in range(count)]

    def _exposure(self, frame: int, part: slice) -> np.ndarray:
        """Contrast during a part of a frame: filtered, blurred, warped into place."""
        self._shape_spectrum(frame, part)
        padded = kernels.pad_spectrum(self._shaped, self._canvas.shape_yx, self._oversampled)
        coefficients = inverse(padded, self._oversampled)
        source_y, source_x = self._sources(frame, part)
        out = np.empty(self._settings.shape_yx, np.float32)
        scale_y, scale_x = (
            np.float32(m / n) for m, n in zip(self._oversampled, self._canvas.shape_yx, strict=True)
        )
        kernels.resample(coefficients, source_y, source_x, self._step, scale_y, scale_x, out)
        return out

    def _shape_spectrum(self, frame: int, part: slice) -> None:
        """Damage, envelope, detector and the blur by the global track within the part."""
        settings, k = self._settings, self._k
        dose = settings.pre_exposure + (frame + 0.5) * settings.dose_per_frame
        common = ctf.envelope(k, settings.b_factor)
        common = common * ctf.detector_transfer(k, settings.pixel_size, settings.detector)
        protein = common * ctf.damage(k, dose, settings.damage, settings.voltage)
        water = common * ice.amplitude(k, settings)
        offsets = self._motion.track[frame, part]
        offsets = offsets - offsets.mean(axis=0)
        if np.abs(offsets).max() < 0.02:
            offsets = offsets[:1] * 0
        ny, nx = self._canvas.shape_yx
        blur_y = np.exp(-2j * np.pi * np.fft.fftfreq(ny) * offsets[:, 1:]).astype(np.complex64)
        blur_x = np.exp(-2j * np.pi * np.fft.rfftfreq(nx) * offsets[:, :1]).astype(np.complex64)
        kernels.shape_spectrum(
            self._shaped, self._static, protein.astype(np.float32),
            self._ice, water.astype(np.float32), *self._steps(), self._bins, blur_y, blur_x,
        )  # fmt: skip

    def _sources(self, frame: int, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Canvas positions (y, x) that are seen at every ``step``-th pixel of the frame.

        The truth says where a point goes; what a pixel sees is its inverse, found by iterating
        p = q - displacement(p), which converges fast because the field is smooth.
        """
        ny, nx = self._settings.shape_yx
        nodes_y = np.arange(-(-ny // self._step) + 1) * float(self._step)
        nodes_x = np.arange(-(-nx // self._step) + 1) * float(self._step)
        y, x = np.meshgrid(nodes_y, nodes_x, indexing="ij")
        shift_x, shift_y = self._motion.track[frame, part].mean(axis=0)
        x, y = x - shift_x, y - shift_y
        at_x, at_y = x, y
        for _ in range(4):
            local_x, local_y = self._motion.local(at_x, at_y, frame, part)
            at_x, at_y = x - local_x, y - local_y
        margin = self._canvas.margin
        return (at_y + margin).astype(np.float64), (at_x + margin).astype(np.float64)
