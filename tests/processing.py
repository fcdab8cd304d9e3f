"""Movies with known motion, and what the stages make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from warptui.engine.config.sections import InputSettings, OpticsSettings
from warptui.engine.config.settings import Config
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.simulation.truth import Truth
from warptui.engine.stages.movie import motion
from warptui.engine.stages.movie.motion import MotionResult, MotionSettings
from warptui.engine.worker.bench.movie import MovieBench, open_bench

Places = tuple[np.ndarray, np.ndarray]


@contextmanager
def on_bench(
    movie: Path,
    project: Path,
    *,
    threads: int = 2,
    voltage: float = 300.0,
    device: str = "cpu",
    on_progress: Callable[[float], None] = lambda fraction: None,
    **settings: Any,
) -> Iterator[MovieBench]:
    """A bench with one movie; ``settings`` are those of [input]."""
    config = Config(input=InputSettings(**settings), optics=OpticsSettings(voltage=voltage))
    with open_bench(
        Item.movie(movie),
        ProjectPaths(project),
        config,
        device,
        threads=threads,
        on_progress=on_progress,
    ) as bench:
        yield bench


def correct(
    movie: Path, project: Path, settings: MotionSettings | None = None, **options: Any
) -> MotionResult:
    """The motion of ``movie``; ``options`` as in `on_bench`."""
    with on_bench(movie, project, **options) as bench:
        return motion.run(bench.item, bench, settings or MotionSettings())


def natural(nodes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """scipy's natural spline through ``nodes`` (node, ...) at positions of 0..1."""
    if len(nodes) == 1:
        return np.repeat(nodes, len(at), axis=0)
    if len(nodes) == 2:
        return nodes[0] + np.multiply.outer(at, nodes[1] - nodes[0])
    return CubicSpline(np.linspace(0, 1, len(nodes)), nodes, bc_type="natural")(at)


def shift_field(result: MotionResult, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(frame, y, x, 2) yx shift to apply in Å, at fractions x and y of the image."""
    time = np.linspace(0, 1, result.n_frames)
    field = natural(np.array(result.global_yx_angstrom), time)[:, None, None, :]
    field = np.broadcast_to(field, (result.n_frames, len(y), len(x), 2)).copy()
    if result.local_used:
        n_x, n_y, n_t = result.local_grid
        for axis, nodes in enumerate((result.local_y_angstrom, result.local_x_angstrom)):
            values = natural(np.array(nodes).reshape(n_t, n_y, n_x), time)
            values = natural(np.moveaxis(values, 1, 0), y)
            values = natural(np.moveaxis(values, 2, 0), x)  # x, y, t
            field[..., axis] += values.transpose(2, 1, 0)
    return field


def rms_px(difference: np.ndarray) -> float:
    """RMS vector over frames and places, one constant per place removed."""
    centred = difference - difference.mean(axis=0)
    return float(np.sqrt(np.square(centred).sum(axis=-1).mean()))


def errors_px(result: MotionResult | None, truth: Truth) -> tuple[float, float]:
    """Error of the shift field in raw pixels, in all and of its mean over the image.

    None stands for no correction.
    """
    share = np.linspace(0.06, 0.94, 9)
    ny, nx = truth.shape_yx
    y, x = np.meshgrid(share * (ny - 1), share * (nx - 1), indexing="ij")
    there = truth.displacement(x.ravel(), y.ravel())[..., ::-1].reshape(-1, 9, 9, 2)
    if result is not None:
        there = there + shift_field(result, share, share) / truth.pixel_size
    return rms_px(there), rms_px(there.mean(axis=(1, 2), keepdims=True))


def texture(shape_yx: tuple[int, int], seed: int) -> np.ndarray:
    """Half spectrum of a random image with variance 1, most of it at low frequency."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(random.normal(size=shape_yx))
    k = np.hypot(np.fft.fftfreq(shape_yx[0])[:, None], np.fft.rfftfreq(shape_yx[1])[None, :])
    spectrum *= np.exp(-20 * k**2) * (k > 0.01)
    return spectrum / np.fft.irfft2(spectrum, s=shape_yx).std()


def drifting_counts(
    displacement_yx: np.ndarray,
    shape_yx: tuple[int, int],
    seed: int,
    *,
    counts: float = 4.0,
    contrast: float = 0.25,
) -> np.ndarray:
    """(frame, y, x) Poisson counts of a texture that lies at ``displacement_yx`` px."""
    random = np.random.default_rng(seed)
    spectrum = texture(shape_yx, seed)
    ky = np.fft.fftfreq(shape_yx[0])[:, None]
    kx = np.fft.rfftfreq(shape_yx[1])[None, :]
    frames = np.empty((len(displacement_yx), *shape_yx), np.uint8)
    for frame, (y, x) in zip(frames, displacement_yx, strict=True):
        moved = spectrum * np.exp(-2j * np.pi * (ky * y + kx * x))
        rate = counts * (1 + contrast * np.fft.irfft2(moved, s=shape_yx))
        frame[:] = random.poisson(np.clip(rate, 0, None)).clip(max=255)
    return frames


def drift_yx(n_frames: int, length_px: float = 6.0) -> np.ndarray:
    """(frame, 2) px: fast at first, along both axes by different amounts."""
    course = 1 - np.exp(-np.arange(n_frames) / max(1.0, n_frames / 5))
    return length_px * np.stack([course, -0.5 * course**2], axis=1)


def write_stack(
    path: Path, frames: np.ndarray, pixel_size: float = 1.5, mode: str = "uint16"
) -> Path:
    """``frames`` as an MRC movie."""
    write_mrc(path, frames, pixel_size, mode)
    return path


def track_error_px(result: MotionResult, displacement_yx: np.ndarray, raw_pixel: float) -> float:
    """RMS error in raw pixels of the track at the centre of the image."""
    track = np.array(result.track_yx_angstrom) / raw_pixel
    return rms_px((track + displacement_yx)[:, None, :])
