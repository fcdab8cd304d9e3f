"""Simulated motion of the specimen: a global track and a smooth local field.

Positions and displacements are pixels, x before y, as in the truth files: a point at p in the
(mean of the) first frame is at p + global + local(p) later. Time is in frames from the start of
the exposure, so frame f is [f, f + 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warptui.engine.simulation.settings import MovieSettings

STEPS = 16  # of the global track within a frame
_SLOW_SHARE = 0.3  # of the local motion that goes on after the doming


@dataclass(frozen=True)
class Motion:
    """The motion of one movie."""

    shape_yx: tuple[int, int]
    track: np.ndarray  # (frame, STEPS, 2) xy px, mean of frame 0 is 0
    fields: np.ndarray  # (2, 2, basis): fast and slow pattern, x and y
    courses: np.ndarray  # (2, frame, STEPS) of the two patterns, mean of frame 0 is 0

    @property
    def n_frames(self) -> int:
        """Frames of the movie."""
        return len(self.track)

    def global_shifts(self) -> np.ndarray:
        """Global shift of each frame, mean over its exposure: (frame, 2), xy in px."""
        return self.track.mean(axis=1)

    def patterns(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The two spatial patterns at positions (px, any equal shape): (2, 2, *shape)."""
        return np.einsum("pcb,b...->pc...", self.fields, smooth_basis(x, y, self.shape_yx))

    def local(self, x: np.ndarray, y: np.ndarray, frame: int, steps=slice(None)) -> np.ndarray:
        """Local displacement (2, *shape) px of points at x, y, mean over the frame's exposure."""
        course = self.courses[:, frame, steps].mean(axis=1)
        return np.einsum("p,pc...->c...", course, self.patterns(x, y))

    def reach_px(self) -> float:
        """Largest displacement along an axis anywhere in the movie."""
        y, x = np.meshgrid(*(np.linspace(0, n - 1, 9) for n in self.shape_yx), indexing="ij")
        patterns = self.patterns(x, y).reshape(2, -1)
        courses = self.courses.reshape(2, -1)
        extremes = np.abs(courses).max(axis=1)
        return float(np.abs(self.track).max() + (np.abs(patterns).max(axis=1) * extremes).sum())


def make_motion(settings: MovieSettings, rng: np.random.Generator) -> Motion:
    """Random motion with the amplitudes that the settings ask for."""
    time = (np.arange(settings.n_frames * STEPS) + 0.5) / STEPS
    track = _track(time, settings, rng) / settings.pixel_size
    fields, courses = _local(time, settings, rng)
    return Motion(
        settings.shape_yx,
        track.reshape(-1, STEPS, 2),
        fields / settings.pixel_size,
        courses.reshape(2, -1, STEPS),
    )


def _centred(values: np.ndarray) -> np.ndarray:
    """Values less their mean over the first frame."""
    return values - values[:STEPS].mean(axis=0)


def _track(time: np.ndarray, settings: MovieSettings, rng: np.random.Generator) -> np.ndarray:
    """Global track (time, 2) xy Å: early drift, stage drift, random walk, jitter."""
    n_frames = settings.n_frames
    direction = rng.uniform(0, 2 * np.pi)
    bend = rng.normal(0, 0.5)
    early = 1 - np.exp(-time / settings.drift_time_frames)
    heading = direction + bend * early
    fast = early[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    drift_to = direction + rng.normal(0, 0.8)
    steady = (time / n_frames)[:, None] * np.array([np.cos(drift_to), np.sin(drift_to)])
    walk = np.cumsum(np.cumsum(rng.normal(size=(len(time), 2)), axis=0) * 0.02, axis=0)
    walk += np.cumsum(rng.normal(size=(len(time), 2)), axis=0)
    walk = _centred(walk)
    walk /= np.linalg.norm(walk, axis=1).max()
    steady_share = max(0.0, 1 - settings.early_share - settings.walk_share)
    track = settings.early_share * fast + steady_share * steady + settings.walk_share * walk
    track = _centred(track)
    frames = track.reshape(n_frames, STEPS, 2).mean(axis=1)
    largest = np.linalg.norm(frames, axis=1).max()
    if largest > 0:  # a movie of one frame has no drift from frame to frame
        track *= settings.drift_angstrom / largest
    elif settings.n_frames == 1:
        track *= settings.drift_angstrom
    return _centred(track + _jitter(time, settings, rng))


def _jitter(time: np.ndarray, settings: MovieSettings, rng: np.random.Generator) -> np.ndarray:
    """Vibration that differs from frame to frame, (time, 2) Å, continuous in time."""
    knots = rng.normal(0, settings.jitter_angstrom, (settings.n_frames + 2, 2))
    at = np.arange(settings.n_frames + 2) - 0.5
    return np.stack([np.interp(time, at, knots[:, axis]) for axis in (0, 1)], axis=1)


def _local(
    time: np.ndarray, settings: MovieSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Patterns (2, 2, basis) Å and their courses (2, time)."""
    fast, slow = (rng.normal(size=(2, len(_WEIGHTS))) * _WEIGHTS for _ in range(2))
    tilt, axis = np.deg2rad([settings.tilt_deg, settings.tilt_axis_deg])
    dome = rng.normal(size=len(_WEIGHTS)) * _WEIGHTS * 2
    # doming is along the film's normal: a tilted view sees it across the tilt axis
    fast += np.sin(tilt) * np.array([np.cos(axis), np.sin(axis)])[:, None] * dome
    y, x = np.meshgrid(*(np.linspace(0, n - 1, 33) for n in settings.shape_yx), indexing="ij")
    basis = smooth_basis(x, y, settings.shape_yx)
    patterns = np.stack([fast, slow])
    patterns[..., 0] -= np.einsum("pcb,byx->pcyx", patterns, basis).mean(axis=(2, 3))
    courses = np.stack(
        [
            1 - np.exp(-time / settings.local_time_frames),
            _SLOW_SHARE * np.sqrt(time / settings.n_frames),
        ]
    )
    courses = _centred(courses.T).T
    last = courses[:, -STEPS:].mean(axis=1)
    field = np.einsum("p,pcb,byx->cyx", last, patterns, basis)
    largest = np.linalg.norm(field, axis=0).max()
    if largest > 0:
        patterns = patterns * (settings.local_angstrom / largest)
    else:
        patterns = patterns * settings.local_angstrom
    return patterns, courses


# constant, linear, quadratic and cubic terms and half waves; the constant only centres
_WEIGHTS = np.array([0, 0.5, 0.5, 1.0, 0.7, 1.0, 0.3, 0.3, 0.3, 0.3, 0.4, 0.4, 0.3, 0.3])


def smooth_basis(x: np.ndarray, y: np.ndarray, shape_yx: tuple[int, int]) -> np.ndarray:
    """(basis, *shape) smooth functions of positions in px."""
    u = np.asarray(2 * x / max(shape_yx[1] - 1, 1) - 1, dtype=np.float64)
    v = np.asarray(2 * y / max(shape_yx[0] - 1, 1) - 1, dtype=np.float64)
    return np.stack(
        [
            np.ones_like(u), u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3,
            np.sin(2.2 * u + 0.7), np.sin(2.2 * v + 0.7), np.sin(2 * (u + v)), np.sin(2 * (u - v)),
        ]
    )  # fmt: skip
