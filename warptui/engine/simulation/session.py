"""Writes a small session movie by movie, with the faults of a real session, for the demo."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.writing import temporary
from warptui.engine.simulation.files import write_frames
from warptui.engine.simulation.movie import SimulatedMovie, simulate_movie
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.truth import Truth, write_truth

PIXEL_SIZE = 1.0
DOSE_PER_FRAME = 1.5
PARTICLE_DIAMETER = 130.0  # Å, of the bundled apoferritin
_CAMERA_SEED = 20
_GROWTH_STEPS = 12  # writes of the movie that grows in place
_TRUNCATED_AT = 0.6


@dataclass(frozen=True)
class DemoSession:
    """Names of the written files in order of arrival, and of those with faults."""

    movies: tuple[str, ...]
    truncated: str
    empty: str  # counts without any specimen
    grown: str  # grew in place under its final name
    with_mdoc: str


def write_demo_session(
    folder: Path,
    *,
    n_movies: int = 8,
    delay_s: float = 4.0,
    progress: Callable[[float], None] | None = None,
    shape_yx: tuple[int, int] = (1024, 1024),
    n_frames: int = 16,
) -> DemoSession:
    """Write ``folder/gain.mrc``, then movies into ``folder/movies``, ``delay_s`` apart.

    The truth of every movie goes to ``folder/truth``. The third movie grows slowly under its
    final name, the fifth is truncated, the seventh shows nothing (fewer movies leave out the
    later ones), and the second has an mdoc beside it. The same files come at every call.

    Parameters
    ----------
    progress
        Called with the fraction of movies written; what it raises ends the writing.
    """
    movies_folder, truth_folder = folder / "movies", folder / "truth"
    movies_folder.mkdir(parents=True, exist_ok=True)
    truth_folder.mkdir(parents=True, exist_ok=True)
    names = tuple(f"demo_{index + 1:03d}.tif" for index in range(n_movies))
    special = dict(zip((1, 2, 4, 6), ("mdoc", "grown", "truncated", "empty"), strict=True))
    roles = {special[index]: name for index, name in enumerate(names) if index in special}
    for index, name in enumerate(names):
        started = time.monotonic()
        settings = _movie_settings(index, shape_yx, n_frames, empty=name == roles.get("empty"))
        movie = simulate_movie(settings)
        if index == 0:
            reference = movie.camera.reference
            assert reference is not None, "the demo's camera has a gain reference"
            write_mrc(folder / "gain.mrc", reference, PIXEL_SIZE)
        whole = _render(movie, truth_folder, name)
        wait = delay_s if index else 0.0
        if name == roles.get("grown"):
            _grow(movies_folder / name, whole, wait)
        else:
            time.sleep(max(0.0, wait - (time.monotonic() - started)))
            kept = _TRUNCATED_AT if name == roles.get("truncated") else 1.0
            if name == roles.get("mdoc"):
                _place(movies_folder / f"{name}.mdoc", _mdoc(settings, name).encode())
            _place(movies_folder / name, whole[: int(kept * len(whole))])
        if progress is not None:
            progress((index + 1) / n_movies)
    return DemoSession(
        names,
        truncated=roles.get("truncated", ""),
        empty=roles.get("empty", ""),
        grown=roles.get("grown", ""),
        with_mdoc=roles.get("mdoc", ""),
    )


def _movie_settings(
    index: int, shape_yx: tuple[int, int], n_frames: int, *, empty: bool
) -> MovieSettings:
    rng = np.random.default_rng([77, index])
    return MovieSettings(
        seed=1000 + index,
        camera_seed=_CAMERA_SEED,
        name=f"demo_{index + 1:03d}",
        shape_yx=shape_yx,
        n_frames=n_frames,
        pixel_size=PIXEL_SIZE,
        dose_per_frame=DOSE_PER_FRAME,
        defocus_um=float(rng.uniform(0.9, 2.2)),
        drift_angstrom=float(rng.uniform(4, 25)),
        local_angstrom=float(rng.uniform(2, 8)),
        particles_per_um2=float(rng.uniform(3000, 7000)),
        ice_thickness_angstrom=float(rng.uniform(250, 600)),
        signal=0 if empty else 1,
    )


def _render(movie: SimulatedMovie, truth_folder: Path, name: str) -> bytes:
    """The movie file's bytes; its truth is written."""
    write_truth(
        truth_folder / f"{Path(name).stem}.json", Truth({**movie.truth.record, "movie": name})
    )
    scratch = truth_folder / f".{name}"
    try:
        write_frames(movie, scratch, "tif")
        return scratch.read_bytes()
    finally:
        scratch.unlink(missing_ok=True)


def _place(path: Path, data: bytes) -> None:
    """Write under a temporary name, then rename: the file appears complete."""
    part = temporary(path)
    with part.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def _grow(path: Path, data: bytes, duration_s: float) -> None:
    """Write under the final name, a piece at a time."""
    piece = -(-len(data) // _GROWTH_STEPS)
    with path.open("wb") as out:
        for start in range(0, len(data), piece):
            out.write(data[start : start + piece])
            out.flush()
            time.sleep(duration_s / _GROWTH_STEPS)


def _mdoc(settings: MovieSettings, name: str) -> str:
    """A frame-set mdoc as SerialEM writes it."""
    lines = [
        "T = SerialEM: simulated by warptui",
        f"Voltage = {settings.voltage:g}",
        "",
        "[FrameSet = 0]",
        f"TiltAngle = {settings.tilt_deg:g}",
        f"ExposureDose = {settings.dose:g}",
        f"PixelSpacing = {settings.pixel_size:g}",
        f"Defocus = {-settings.defocus_um:.3f}",
        "Binning = 1",
        f"SubFramePath = X:\\frames\\{name}",
        f"NumSubFrames = {settings.n_frames}",
        f"FrameDosesAndNumber = {settings.dose_per_frame:g} {settings.n_frames}",
        "DateTime = 22-Nov-26  12:00:00",
        "",
    ]
    return "\r\n".join(lines)
