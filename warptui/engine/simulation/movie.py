"""A simulated movie: frames of counted electrons, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from warptui.engine.simulation import kernels
from warptui.engine.simulation.camera import Camera, make_camera
from warptui.engine.simulation.density import Particle, bundled_particle
from warptui.engine.simulation.rendering import Renderer
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import (
    Canvas,
    Placed,
    Surface,
    make_surface,
    place_particles,
    render_particles,
)
from warptui.engine.simulation.trajectory import Motion, make_motion
from warptui.engine.simulation.truth import Truth, describe

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
        seed = self.settings.seed
        if stream == "camera" and self.settings.camera_seed is not None:
            seed = self.settings.camera_seed
        return np.random.default_rng([seed, _STREAMS.index(stream)])

    @cached_property
    def motion(self) -> Motion:
        """The motion of the specimen."""
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
        drawn = render_particles(settings, self.models, self.particles, self.canvas)
        renderer = Renderer(
            settings, self.canvas, self.motion, self.surface, drawn, self._rng("ice")
        )
        del drawn
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
        return describe(
            self.settings, self.motion, self.surface, self.particles, self.models, self.camera
        )
