"""Simulated movies, made once for all tests, test processes and runs.

They lie in ``build/test-cache`` (``make clean`` removes it) or in the folder that the environment
names as WARPTUI_TEST_CACHE, below a name that changes with the source of the simulator.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import scipy

import warptui
from warptui.engine import formats, simulation
from warptui.engine.simulation.files import Format, write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.truth import Truth, read_truth

UNUSED_DAYS = 14


def cache_folder() -> Path:
    """Where files are kept between runs."""
    named = os.environ.get("WARPTUI_TEST_CACHE", "")
    return Path(named) if named else Path(warptui.__file__).parents[1] / "build" / "test-cache"


@cache
def simulator_hash() -> str:
    """Hash of all that decides what the files of a simulated movie hold."""
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__}".encode())
    for package in (simulation, formats):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def kept(kind: str, key: str, make: Callable[[Path], object], root: Path | None = None) -> Path:
    """The folder that ``make`` fills, filled by the first caller; never to be written into.

    Parameters
    ----------
    kind
        Of content, as a part of the folder's name.
    key
        Everything that decides the content; another key is another folder.
    make
        Fills an empty folder.
    root
        Below which folder; the default is `cache_folder`.
    """
    root = root or cache_folder()
    folder = root / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    if folder.is_dir():
        os.utime(folder)
        return folder
    root.mkdir(parents=True, exist_ok=True)
    _forget_unused(root)
    beside = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=root))
    try:
        make(beside)
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was not faster
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def kept_movie(settings: MovieSettings, movie_format: Format = "tif") -> tuple[Path, Truth]:
    """A simulated movie and its truth; beside it ``movie_gain.mrc`` where the camera has a gain."""
    folder = kept(
        "movie",
        f"{simulator_hash()} {movie_format} {settings.model_dump_json()}",
        lambda folder: write_movie(simulate_movie(settings), folder, movie_format),
    )
    truth = read_truth(folder / f"{settings.name}_truth.json")
    return folder / f"{settings.name}.{movie_format}", truth


def _forget_unused(root: Path) -> None:
    """Remove the folders that no test asked for since many days: of sources that changed."""
    for folder in root.iterdir():
        if time.time() - folder.stat().st_mtime > UNUSED_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)
