"""Look into a folder before there are settings: where the movies lie, which files are movies,
and which gain references fit them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from warptui.engine.config.sections import InputSettings
from warptui.engine.errors import WarptuiError
from warptui.engine.formats.camera.gain import read_gain
from warptui.engine.formats.movie import open_movie
from warptui.engine.project.paths import CONFIG_NAME
from warptui.engine.project.temporary_files import PRODUCT_FOLDERS
from warptui.engine.watching.scanner import Patterns

DEEPEST = 4  # EPU: Images-Disc1/GridSquare_*/Data/
MOST_ENTRIES = 50_000  # entries looked at, at most: a first impression is enough
MOST_NEAR = 5_000  # entries of one folder in which a gain reference is looked for
MOST_GAINS = 6
GAIN_SUFFIXES = (".mrc", ".tif", ".tiff", ".gain", ".dm4", ".dm3")
DOMINANT = 0.8  # share of all movies above which a folder is taken as the input folder


@dataclass(frozen=True)
class Layout:
    """Where the movies lie, and what their names have in common."""

    folder: Path
    recursive: bool = False
    pattern: tuple[str, ...] = ()  # () = the default
    n_movies: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gain:
    """A file that may be the gain reference."""

    path: Path
    fits: bool
    text: str  # how the file fits, or why it does not


def find_layout(top: Path) -> Layout:
    """Look below ``top`` for movies, as EPU, SerialEM and others lay them out."""
    found = list(_movies_below(top))
    if not found:
        return Layout(top)
    pattern, notes = _pattern(found)
    chosen = Patterns(pattern or InputSettings().pattern)
    movies = [path for path in found if chosen.match(path.name)]
    folder, recursive = _folder(top, movies)
    if folder != top or recursive:
        where = folder.relative_to(top) if folder != top else top
        how = " and folders in it" if recursive else ""
        notes.append(f"{len(movies)} movies are in {where}{how}")
    return Layout(folder, recursive, pattern, len(movies), tuple(notes))


def find_gains(
    movie: Path, shape_yx: tuple[int, int], kind: str, near: Iterable[Path]
) -> list[Gain]:
    """Files near a movie that are named like gain references, those that fit first."""
    folders = dict.fromkeys([movie.parent, movie.parent.parent, *near])
    files: dict[Path, None] = {}
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for _, entry in zip(range(MOST_NEAR), entries, strict=False)]
        except OSError:
            continue  # a folder that cannot be listed offers no reference
        files |= {folder / name: None for name in sorted(names) if _is_gain(name)}
    gains = [try_gain(path, shape_yx, kind) for path in list(files)[:MOST_GAINS] if path != movie]
    return sorted(gains, key=lambda gain: not gain.fits)


def try_gain(path: Path, shape_yx: tuple[int, int], kind: str) -> Gain:
    """Whether a gain reference fits frames of that size, without turning or mirroring it."""
    try:
        read_gain(path, shape_yx=shape_yx, movie_format=kind)
    except (WarptuiError, OSError, ValueError) as problem:
        return Gain(path, False, str(problem).removeprefix(f"{path.name}: "))
    return Gain(path, True, f"fits {shape_yx[1]} x {shape_yx[0]} px")


def _is_gain(name: str) -> bool:
    low = name.lower()
    if not low.endswith(GAIN_SUFFIXES) or low.startswith("."):
        return False
    return "gain" in low or low.startswith(("countref", "superref"))


def _movies_below(top: Path) -> Iterable[Path]:
    every = Patterns(InputSettings().pattern)
    seen = 0
    for folder, subfolders, names in os.walk(top):
        depth = len(Path(folder).relative_to(top).parts)
        own = PRODUCT_FOLDERS if CONFIG_NAME in names else ()
        subfolders[:] = [
            name
            for name in sorted(subfolders)
            if depth < DEEPEST and not name.startswith(".") and name not in own
        ]
        seen += len(names)
        movies = (name for name in sorted(names) if every.match(name) and not _is_gain(name))
        yield from (Path(folder) / name for name in movies)
        if seen > MOST_ENTRIES:
            return


def _pattern(found: list[Path]) -> tuple[tuple[str, ...], list[str]]:
    """Patterns of the file types that are movies; () where all types are."""
    kinds: dict[str, Path] = {}
    counts: Counter[str] = Counter()
    for path in found:
        low = path.name.lower()
        kind = f"*_fractions{path.suffix.lower()}" if "_fractions." in low else f"*{path.suffix}"
        kinds.setdefault(kind.lower(), path)
        counts[kind.lower()] += 1
    if len(kinds) == 1:
        return (), []
    movies = [kind for kind in kinds if kind.startswith("*_fractions")]
    movies = movies or [kind for kind, path in kinds.items() if _n_frames(path) > 1]
    if not movies or len(movies) == len(kinds):
        return (), []
    left_out = [f"{counts[kind]} of {kind}" for kind in kinds if kind not in movies]
    return tuple(movies), [f"left out, since they are no movies: {', '.join(left_out)}"]


def _n_frames(path: Path) -> int:
    try:
        with open_movie(path) as reader:
            return reader.n_frames
    except (WarptuiError, OSError):
        return 0


def _folder(top: Path, movies: list[Path]) -> tuple[Path, bool]:
    """The folder to watch, and whether its sub-folders hold movies."""
    squares = [path for path in movies if _above_square(path) is not None]
    if len(squares) >= DOMINANT * len(movies):  # more grid squares will be recorded
        above = {_above_square(path) for path in squares}
        return Path(os.path.commonpath([str(path) for path in above])), True
    counts = Counter(path.parent for path in movies)
    folder, most = counts.most_common(1)[0]
    if most >= DOMINANT * len(movies):
        return folder, False
    return Path(os.path.commonpath([str(path) for path in counts])), True


def _above_square(path: Path) -> Path | None:
    """The folder that holds EPU's grid squares, for a movie in one of them."""
    return next((p.parent for p in path.parents if p.name.startswith("GridSquare_")), None)
