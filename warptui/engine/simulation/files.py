"""Simulated movies as files: MRC, LZW TIFF or EER, with gain reference and truth beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.tiff.writing import write_eer, write_tiff_movie
from warptui.engine.simulation import kernels
from warptui.engine.simulation.movie import SimulatedMovie
from warptui.engine.simulation.truth import Truth, write_truth

Format = Literal["mrc", "tif", "eer"]
Progress = Callable[[float], None]


def write_movie(
    movie: SimulatedMovie,
    folder: Path,
    movie_format: Format = "tif",
    *,
    mrc_mode: str = "",
    progress: Progress | None = None,
) -> Path:
    """Write NAME_truth.json, NAME_gain.mrc and, last, NAME.FORMAT, whose path is returned.

    Parameters
    ----------
    mrc_mode
        As `formats.mrc.write_mrc` has it; empty = the smallest integers that hold the counts.
    progress
        Called with the fraction that is done.
    """
    name = movie.settings.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{movie_format}"
    write_truth(folder / f"{name}_truth.json", Truth({**movie.truth.record, "movie": path.name}))
    if movie.camera.reference is not None:
        reference = movie.camera.reference
        write_mrc(folder / f"{name}_gain.mrc", reference, movie.settings.pixel_size)
    write_frames(movie, path, movie_format, mrc_mode=mrc_mode, progress=progress)
    return path


def write_frames(
    movie: SimulatedMovie,
    path: Path,
    movie_format: Format,
    *,
    mrc_mode: str = "",
    progress: Progress | None = None,
) -> None:
    """Write the frames alone, atomically."""
    settings = movie.settings
    frames = _reporting(movie.frames(), settings.n_frames, progress)
    match movie_format:
        case "mrc":
            stack = np.empty((settings.n_frames, *settings.shape_yx), movie.dtype)
            for index, frame in enumerate(frames):
                stack[index] = frame
            fitting = "int8" if stack.max() <= 127 else "int16"
            write_mrc(path, stack, settings.pixel_size, mrc_mode or fitting)
        case "tif":
            write_tiff_movie(path, frames, pixel_size=settings.pixel_size)
        case "eer":
            write_eer(path, raw_events(movie, frames), settings.shape_yx, metadata=_eer_xml(movie))


def _reporting(
    frames: Iterable[np.ndarray], n_frames: int, progress: Progress | None
) -> Iterator[np.ndarray]:
    for index, frame in enumerate(frames):
        yield frame
        if progress is not None:
            progress((index + 1) / n_frames)


def raw_events(
    movie: SimulatedMovie, frames: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Electrons of every raw EER frame as positions (y, x), anywhere within their pixels.

    The raw frames of one frame share its motion, which is blurred over its exposure.
    """
    settings = movie.settings
    nx = settings.shape_yx[1]
    for index, counts in enumerate(frames):
        rng = np.random.default_rng([settings.seed, 1000, index])
        key = rng.integers(1 << 63, dtype=np.uint64)
        events, starts = kernels.deal(counts, settings.raw_frames_per_frame, key)
        for hand in range(settings.raw_frames_per_frame):
            pixels = events[starts[hand] : starts[hand + 1]]
            within = rng.random((2, len(pixels)), dtype=np.float32) * np.float32(0.998) - 0.499
            yield pixels // nx + within[0], pixels % nx + within[1]


def _eer_xml(movie: SimulatedMovie) -> str:
    """Acquisition metadata as the detector's software writes it."""
    settings = movie.settings
    n_raw = settings.n_frames * settings.raw_frames_per_frame
    dose = settings.dose * settings.pixel_size**2
    items = {
        "numberOfFrames": ("", n_raw),
        "totalDose": ("e/pixel", f"{dose:g}"),
        "meanDoseRate": ("e/pixel/frame", f"{dose / n_raw:g}"),
        "sensorPixelSize.width": ("m", f"{settings.pixel_size * 1e-10:g}"),
        "sensorPixelSize.height": ("m", f"{settings.pixel_size * 1e-10:g}"),
    }
    lines = [
        f'<item name="{name}"{f" unit={chr(34)}{unit}{chr(34)}" if unit else ""}>{value}</item>'
        for name, (unit, value) in items.items()
    ]
    return "<metadata>" + "".join(lines) + "</metadata>"
