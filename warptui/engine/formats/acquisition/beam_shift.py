"""How far the beam was shifted for an exposure, as the acquisition software tells beside it.

EPU writes an XML for each exposure, FoilHole_..._Data_....xml, whose BeamShift has no unit that
it tells; SerialEM writes ImageShift into mdoc files, in µm. Shifts of one session can be compared
with each other, and that is all that optics groups need.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from warptui.engine.errors import InputError
from warptui.engine.formats.acquisition.mdoc import find_mdoc, movie_facts

EPU, SERIALEM = "EPU units", "µm"
AFRESH_S = 20.0  # between looks through a folder of such files
_MAX_BYTES = 16 << 20
_ROOT = "MicroscopeImage"
# What EPU puts behind the name of an exposure when it names the movie of it.
_OF_MOVIES = re.compile(r"[._-](fractions|eer|frames|movie)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BeamShift:
    """Where the beam was for one exposure."""

    x: float
    y: float
    unit: str  # shifts of different units are never compared


class BeamShiftFiles:
    """Finds the files that tell the shift: beside the movies, then in ``folder`` and below it.

    May be used from several threads.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._found: dict[str, Path] = {}
        self._due = float("-inf")

    def read(self, movie: Path) -> BeamShift:
        """The shift of a movie.

        Raises
        ------
        InputError
            If nothing tells it, or what does is damaged: it names the file and what is wrong.
        OSError
            If a file cannot be read.
        """
        names = [f"{root}.xml" for root in _roots(movie)]
        for path in self._places(movie, names):
            if (found := epu_beam_shift(path)) is not None:
                return found
        for path in self._places(movie, [f"{movie.name}.mdoc", f"{movie.stem}.mdoc"]):
            if (found := mdoc_image_shift(path.with_name(movie.name))) is not None:
                return found
        where = f"beside it or in {self._folder}" if self._folder else "beside it"
        raise InputError(f"no {names[0]} and no mdoc that tells the beam shift is {where}")

    def _places(self, movie: Path, names: list[str]) -> list[Path]:
        beside = [movie.with_name(name) for name in names]
        found = [path for path in beside if path.is_file()]
        if not found and self._folder is not None:
            found = [path for name in names if (path := self._in_folder(name)) is not None]
        return found

    def _in_folder(self, name: str) -> Path | None:
        with self._lock:
            if name not in self._found and time.monotonic() >= self._due:
                self._found = _files_below(self._folder) if self._folder else {}
                self._due = time.monotonic() + AFRESH_S
            return self._found.get(name)


def epu_beam_shift(path: Path) -> BeamShift | None:
    """What an XML of EPU tells; None where the file is another program's.

    Raises
    ------
    InputError
        If it is damaged, or tells no numbers.
    OSError
        If it cannot be read.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path.name}: {path.stat().st_size} bytes, too large for EPU's metadata")
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError) as problem:
        raise InputError(f"{path.name} is damaged or not complete yet: {problem}") from problem
    if _local(root) != _ROOT:
        return None  # Warp's metadata of an item has the same name as its movie
    for element in root.iter():
        if _local(element) == "BeamShift":
            told = {_local(child): child.text for child in element}
            return _shift(told.get("_x"), told.get("_y"), EPU, path)
    raise InputError(f"{path.name}: no BeamShift is in it")


def mdoc_image_shift(movie: Path) -> BeamShift | None:
    """What the mdoc beside ``movie`` tells about it; None where it tells nothing.

    Raises
    ------
    InputError
        If what it tells is no two numbers.
    OSError
        If it cannot be read.
    """
    facts = movie_facts(movie)
    if facts is None or not facts.image_shift:
        return None
    x, _, y = facts.image_shift.partition(" ")
    return _shift(x, y, SERIALEM, find_mdoc(movie) or movie)


def _shift(x: str | None, y: str | None, unit: str, path: Path) -> BeamShift:
    try:
        found = BeamShift(float(x or ""), float(y or ""), unit)
    except ValueError:
        raise InputError(f"{path.name}: its beam shift ({x}, {y}) is no two numbers") from None
    if not (math.isfinite(found.x) and math.isfinite(found.y)):
        raise InputError(f"{path.name}: its beam shift ({x}, {y}) is no two numbers")
    return found


def _roots(movie: Path) -> list[str]:
    """Names that an exposure may have, given its movie's."""
    return list(dict.fromkeys([_OF_MOVIES.sub("", movie.stem), movie.stem]))


def _files_below(folder: Path) -> dict[str, Path]:
    """All XML and mdoc files, by name; of two with the same name the one that is found last."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".xml", ".mdoc")):
                found[name] = Path(place, name)
    return found


def _local(element: ElementTree.Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition("}")[2]
