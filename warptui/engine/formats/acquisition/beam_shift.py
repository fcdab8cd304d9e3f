"""The beam shift of an exposure, from the metadata that acquisition software writes beside it.

EPU writes an XML for each exposure, FoilHole_..._Data_....xml, with a BeamShift of unknown unit;
SerialEM writes ImageShift into mdoc files, in µm. Shifts of one session can be compared with each
other, which is enough to make optics groups.
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
AFRESH_S = 20.0  # between listings of a folder of such files
_MAX_BYTES = 16 << 20
_ROOT = "MicroscopeImage"
# EPU appends one of these to the name of an exposure to name its movie.
_OF_MOVIES = re.compile(r"[._-](fractions|eer|frames|movie)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BeamShift:
    """The beam shift of one exposure."""

    x: float
    y: float
    unit: str  # shifts of different units are never compared


class BeamShiftFiles:
    """Finds the files with beam shifts: beside the movies, then in ``folder`` and below.

    May be used from several threads.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._found: dict[str, Path] = {}
        self._due = float("-inf")

    def read(self, movie: Path) -> BeamShift:
        """The beam shift of a movie.

        Raises
        ------
        InputError
            If no file has the beam shift, or the file is damaged; names the file and the problem.
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
        raise InputError(f"no {names[0]} and no mdoc with the beam shift is {where}")

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
    """The beam shift in an XML file of EPU; None for a file of another program.

    Raises
    ------
    InputError
        If the file is damaged, or its beam shift is not made of numbers.
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
            parts = {_local(child): child.text for child in element}
            return _shift(parts.get("_x"), parts.get("_y"), EPU, path)
    raise InputError(f"{path.name}: it has no BeamShift")


def mdoc_image_shift(movie: Path) -> BeamShift | None:
    """The beam shift in the mdoc beside ``movie``; None if the mdoc has no beam shift.

    Raises
    ------
    InputError
        If the beam shift is not two numbers.
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
    """Possible names of an exposure, from the name of its movie."""
    return list(dict.fromkeys([_OF_MOVIES.sub("", movie.stem), movie.stem]))


def _files_below(folder: Path) -> dict[str, Path]:
    """All XML and mdoc files, by name; of files with equal names the last one found."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".xml", ".mdoc")):
                found[name] = Path(place, name)
    return found


def _local(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
