"""A simulated movie: frames of counted electrons, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft

from warptui.engine.simulation import ctf, ice, kernels
from warptui.engine.simulation.camera import Camera, make_camera
from warptui.engine.simulation.density import Particle, bundled_particle
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import (
    Canvas,
    Placed,
    Surface,
    make_surface,
    place_particles,
    render_particles,
)
from warptui.engine.simulation.trajectory import STEPS, Motion, make_motion
from warptui.engine.simulation.truth import CONVENTIONS, Truth

_TABLE_SIZE = 4096  # entries of a radial table up to the corner of the spectrum
_TRUTH_NODES = 25
_LARGEST_STEP_PX = 1.0  # of local motion within one warp
_STREAMS = ("motion", "specimen", "ice", "camera", "counts")


def simulate_movie(
    settings: MovieSettings, specimen: Sequence[Particle] | Particle | None = None
) -> SimulatedMovie:
    """A movie of ``specimen`` (default: bundled apoferritin); the same for the same seed."""
    if specimen is None:
        specimen = bundled_particle()
    models = (specimen,) if isinstance(specimen, Particle) else tuple(specimen)
    return SimulatedMovie(settings, models)


@dataclass(frozen=True)
class SimulatedMovie:
    """Everything random is drawn from the seed, each part from a stream of its own."""

    settings: MovieSettings
    models: tuple[Particle, ...]

    def _rng(self, stream: str) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, _STREAMS.index(stream)])

    @cached_property
    def motion(self) -> Motion:
        """Where the specimen is when."""
        return make_motion(self.settings, self._rng("motion"))

    @cached_property
    def camera(self) -> Camera:
        """Gain, defects, illumination."""
        return make_camera(self.settings, self._rng("camera"))

    @cached_property
    def canvas(self) -> Canvas:
        """The specimen's area about frame 0."""
        return Canvas.around(self.settings.shape_yx, self.motion.reach_px())

    @cached_property
    def _placed(self) -> tuple[Surface, tuple[Placed, ...]]:
        rng = self._rng("specimen")
        surface = make_surface(self.settings, rng)
        models = self.models if self.settings.signal > 0 else ()
        return surface, place_particles(self.settings, models, surface, self.canvas, rng)

    @property
    def surface(self) -> Surface:
        """Defocus of the film."""
        return self._placed[0]

    @property
    def particles(self) -> tuple[Placed, ...]:
        """All particles on the canvas, also those outside of frame 0."""
        return self._placed[1]

    @cached_property
    def dtype(self) -> np.dtype:
        """Of the counts: uint8 unless the dose needs more."""
        rate = self.settings.dose_per_frame * self.settings.pixel_size**2
        return np.dtype(np.uint8 if 2 * rate + 12 * np.sqrt(2 * rate) + 30 < 255 else np.uint16)

    def frames(self) -> Iterator[np.ndarray]:
        """Counts of every frame (ny, nx), gain not corrected, as the camera writes them."""
        camera = self.camera
        for index, rates in enumerate(self.rates()):
            counts = np.empty(rates.shape, self.dtype)
            kernels.count(self._detected(rates), self._key(index), counts)
            rng = np.random.default_rng([self.settings.seed, len(_STREAMS), index])
            for (y, x), rate in zip(camera.hot_yx, camera.hot_rates, strict=True):
                counts[y, x] = rng.poisson(rate)
            yield counts

    def _detected(self, rates: np.ndarray) -> np.ndarray:
        """Expected counts of expected electrons."""
        detected = rates * self.camera.efficiency
        readouts = self.settings.coincidence_subframes
        if readouts:
            detected = readouts * -np.expm1(-detected / readouts)
        return detected

    def _key(self, frame: int) -> np.uint64:
        sequence = np.random.SeedSequence([self.settings.seed, _STREAMS.index("counts"), frame])
        return sequence.generate_state(1, np.uint64)[0]

    def rates(self) -> Iterator[np.ndarray]:
        """Expected electrons per pixel of every frame (ny, nx) float32, without the camera.

        The specimen's signal without counting noise, but with the ice's own structure.
        """
        settings = self.settings
        per_pixel = np.float32(settings.dose_per_frame * settings.pixel_size**2)
        if settings.signal == 0:
            for _ in range(settings.n_frames):
                yield np.full(settings.shape_yx, per_pixel)
            return
        renderer = _Renderer(self)
        for frame in range(settings.n_frames):
            contrast = renderer.frame(frame)
            contrast *= settings.signal
            contrast += 1
            np.maximum(contrast, 0, out=contrast)
            contrast *= per_pixel
            yield contrast

    @cached_property
    def truth(self) -> Truth:
        """Positions, displacements, defocus: see `truth.CONVENTIONS`."""
        return Truth(_truth_record(self))


class _Renderer:
    """Draws frames in order: the ice ages from one to the next."""

    def __init__(self, movie: SimulatedMovie) -> None:
        settings, canvas = movie.settings, movie.canvas
        self._settings, self._canvas, self._motion = settings, canvas, movie.motion
        rng = movie._rng("ice")
        static = render_particles(settings, movie.models, movie.particles, canvas)
        static += ice.thickness_contrast(settings, canvas, rng)
        ny, nx = settings.shape_yx
        top = canvas.margin
        # the dose is what the camera sees on average, so the view's contrast is zero on average
        static -= static[top : top + ny, top : top + nx].mean(dtype=np.float64)
        self._static = scipy.fft.rfft2(static, workers=-1)
        self._fresh_ice = ice.IceNoise(settings, canvas, movie.surface, rng)
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
        coefficients = scipy.fft.irfft2(
            padded, self._oversampled, workers=-1, overwrite_x=True
        )  # fmt: skip
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


def _truth_record(movie: SimulatedMovie) -> dict[str, Any]:
    """The truth as JSON-ready values."""
    settings, motion, surface = movie.settings, movie.motion, movie.surface
    ny, nx = settings.shape_yx
    xs, ys = np.linspace(0, nx - 1, _TRUTH_NODES), np.linspace(0, ny - 1, _TRUTH_NODES)
    y, x = np.meshgrid(ys, xs, indexing="ij")
    local = np.stack([motion.local(x, y, frame) for frame in range(settings.n_frames)])
    defocus = surface.defocus_angstrom(x, y)
    half = settings.astigmatism_um * 5e3
    camera = movie.camera
    nodes = {"xs": _rounded(xs), "ys": _rounded(ys)}
    return {
        "kind": "movie",
        "movie": settings.name,
        "config": {
            "px": settings.pixel_size,
            "kv": settings.voltage,
            "cs": settings.cs,
            "amp": settings.amplitude_contrast,
            "dose_per_frame": settings.dose_per_frame,
            "pre_dose": settings.pre_exposure,
            "b_factor": settings.b_factor,
            "tilt_deg": settings.tilt_deg,
            "tilt_axis_deg": settings.tilt_axis_deg,
            "ny": ny,
            "nx": nx,
            "frames": settings.n_frames,
            "raw_frames_per_fraction": settings.raw_frames_per_frame,
        },
        "settings": settings.model_dump(),
        "pixel_size": settings.pixel_size,
        "shape": {"ny": ny, "nx": nx, "frames": settings.n_frames},
        "conventions": CONVENTIONS,
        "global_shifts": _rounded(motion.global_shifts()),
        "local": {**nodes, "displacement": _rounded(np.moveaxis(local, 1, -1), 4)},
        "ctf": {
            "defocus_mean": round(float(defocus.mean()), 3),
            "defocus_u": surface.mean_angstrom + half,
            "defocus_v": surface.mean_angstrom - half,
            "astig": 2 * half,
            "angle": settings.astigmatism_angle_deg,
            "phase_deg": settings.phase_shift_deg,
            "tilt_deg": settings.tilt_deg,
            "tilt_axis_deg": settings.tilt_axis_deg,
            "surface": {**nodes, "defocus": _rounded(defocus, 2)},
        },
        "particles": [
            {
                "x": round(one.x, 4),
                "y": round(one.y, 4),
                "defocus": round(one.defocus_angstrom, 2),
                "rot": round(one.rot_deg, 4),
                "tilt": round(one.tilt_deg, 4),
                "psi": round(one.psi_deg, 4),
                "diameter": round(movie.models[one.model].diameter_angstrom, 3),
                "model": movie.models[one.model].name,
            }
            for one in movie.particles
            if 0 <= one.x <= nx - 1 and 0 <= one.y <= ny - 1
        ],
        "mask": None,
        "gain": f"{settings.name}_gain.mrc" if camera.reference is not None else None,
        "hot_pixels": [list(place) for place in camera.hot_yx],
        "dead_pixels": [list(place) for place in camera.dead_yx],
        "dead_rows": list(camera.dead_rows),
        "dead_columns": list(camera.dead_columns),
    }


def _rounded(values: np.ndarray, digits: int = 5) -> list[Any]:
    return np.round(values, digits).tolist()
