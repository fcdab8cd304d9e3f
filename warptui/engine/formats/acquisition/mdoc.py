"""SerialEM's .mdoc files: frame sets, montages and tilt series.

Nothing depends on the order of keys or sections; what is missing is None, never an error.
Source: SerialEM's documentation of the autodoc format, and files in the wild.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PureWindowsPath

from warptui.engine.errors import InputError

_SECTION = re.compile(r"^\[\s*([^=\]]+?)\s*=\s*(.*?)\s*\]?\s*$")
_MAX_BYTES = 64 << 20
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
# Binning of the camera by frame size (shorter, longer side).
_CAMERA_SIZES = {
    (3710, 3838): 1.0, (7420, 7676): 0.5,  # Gatan K2
    (4092, 5760): 1.0, (8184, 11520): 0.5,  # Gatan K3
    (4096, 4096): 1.0,  # Thermo Fisher Falcon
}  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One ``[ZValue = 3]`` or ``[FrameSet = 0]`` and its keys."""

    kind: str  # "ZValue", "FrameSet", "MontSection" ...
    value: str  # what follows the equals sign
    entries: dict[str, str] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        """The text of a value; None if the key is absent or empty."""
        return self.entries.get(key) or None

    def numbers(self, key: str) -> tuple[float, ...]:
        """All numbers of a value; empty if it is absent or not made of numbers."""
        try:
            return tuple(float(word) for word in self.entries.get(key, "").split())
        except ValueError:
            return ()

    def number(self, key: str) -> float | None:
        """First number of a value; None if the value has no number."""
        numbers = self.numbers(key)
        return numbers[0] if numbers else None

    @property
    def frame_file(self) -> str | None:
        """Name of the movie, without the folders of the microscope's computer."""
        path = self.text("SubFramePath")
        return basename(path) if path else None

    @property
    def time(self) -> datetime | None:
        """Time of the exposure, by the microscope's clock."""
        return _read_time(self.entries.get("DateTime", ""))


@dataclass(frozen=True)
class Mdoc:
    """A parsed file."""

    globals: dict[str, str]  # keys before the first section
    titles: tuple[str, ...]  # the [T = ...] lines and T keys
    sections: tuple[Section, ...]  # in the file's order, repeated values included

    def of_kind(self, kind: str) -> tuple[Section, ...]:
        """The sections of one kind, such as ``ZValue``."""
        return tuple(section for section in self.sections if section.kind == kind)

    @property
    def tilt_axis_deg(self) -> float | None:
        """Angle of the tilt axis from the titles, degrees."""
        for title in self.titles:
            found = re.search(r"tilt\s*axis\s*angle\s*=\s*([-+.\d]+)", title, re.IGNORECASE)
            if found:
                return float(found[1])
        return None


@dataclass(frozen=True)
class MovieFacts:
    """The metadata of one movie in an mdoc; None for values that are missing or 0."""

    path: Path  # of the mdoc
    pixel_size: float | None = None  # Å/px at `camera_binning`
    n_frames: int | None = None
    dose_per_frame: float | None = None  # e/Å²
    voltage: float | None = None  # kV
    tilt_angle_deg: float | None = None
    gain_reference: str | None = None  # file name
    defect_file: str | None = None  # file name
    camera_binning: float | None = None  # of the exposure; 0.5 = super-resolution
    navigator_label: str = ""
    image_shift: str = ""  # text in the mdoc: x and y, µm

    def frame_pixel_size(self, shape_yx: tuple[int, int]) -> float | None:
        """Å/px of frames of this size.

        SerialEM states the pixel size at the binning of the exposure, but may save frames at
        another binning: the size of the frames shows whether a K2 or K3 saved super-resolution.
        """
        frame_binning = _CAMERA_SIZES.get((min(shape_yx), max(shape_yx)))
        if self.pixel_size is None or self.camera_binning is None or frame_binning is None:
            return self.pixel_size
        return self.pixel_size * frame_binning / self.camera_binning


def basename(path: str) -> str:
    """File name of a Windows or POSIX path."""
    return PureWindowsPath(path.strip()).name


def read_mdoc(path: Path) -> Mdoc:
    """Parse an mdoc. A partial last line is left out, unknown lines are skipped.

    Raises
    ------
    OSError
        If the file cannot be read.
    InputError
        If it is larger than any mdoc is.
    """
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path.name}: {path.stat().st_size} bytes, too large for an mdoc")
    return parse_mdoc(path.read_text(encoding="utf-8", errors="replace"))


def parse_mdoc(text: str) -> Mdoc:
    """Parse the text of an mdoc; see `read_mdoc`."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines and lines[-1].strip():
        # No line end: the file is still being written, and a number may be cut short.
        # A closed section header is whole in any case.
        last = lines.pop()
        if last.strip().startswith("[") and last.strip().endswith("]"):
            lines.append(last)
    top: dict[str, str] = {}
    titles: list[str] = []
    sections: list[Section] = []
    for line in (line.strip() for line in lines):
        header = _SECTION.match(line) if line.startswith("[") else None
        if header:
            if header[1] == "T":
                titles.append(header[2])
            else:
                sections.append(Section(header[1], header[2]))
        elif "=" in line and not line.startswith(("#", "[")):
            key, _, value = (part.strip() for part in line.partition("="))
            if key == "T" and not sections:
                titles.append(value)
            elif sections:
                sections[-1].entries[key] = value
            else:
                top[key] = value
    return Mdoc(top, tuple(titles), tuple(sections))


def find_mdoc(movie_path: Path) -> Path | None:
    """Path of the mdoc beside a movie, ``NAME.ext.mdoc`` or ``NAME.mdoc``; None if missing."""
    movie_path = Path(movie_path)
    for candidate in (
        movie_path.with_name(movie_path.name + ".mdoc"),
        movie_path.with_name(movie_path.stem + ".mdoc"),
    ):
        if candidate.is_file():
            return candidate
    return None


def movie_facts(movie_path: Path) -> MovieFacts | None:
    """A movie's metadata from the mdoc beside it; None if no mdoc describes this movie.

    Raises
    ------
    OSError, InputError
        If the mdoc exists but cannot be read.
    """
    path = find_mdoc(movie_path)
    if path is None:
        return None
    mdoc = read_mdoc(path)
    section = _section_of(mdoc, Path(movie_path).name)
    if section is None:
        return None
    frames = _frame_count(section)
    return MovieFacts(
        path=path,
        pixel_size=_positive(section.number("PixelSpacing") or _number(mdoc, "PixelSpacing")),
        n_frames=frames,
        dose_per_frame=_dose_per_frame(section, frames),
        voltage=_positive(section.number("Voltage") or _number(mdoc, "Voltage")),
        tilt_angle_deg=section.number("TiltAngle"),
        gain_reference=_name(section, "GainReference"),
        defect_file=_name(section, "DefectFile"),
        camera_binning=_positive(section.number("Binning")),
        navigator_label=section.text("NavigatorLabel") or "",
        image_shift=" ".join((section.text("ImageShift") or "").split()),
    )


def _section_of(mdoc: Mdoc, movie_name: str) -> Section | None:
    """The section that names this movie, else the mdoc's only frame set or section."""
    candidates = mdoc.of_kind("FrameSet") + mdoc.of_kind("ZValue")
    named = [
        section
        for section in candidates
        if section.frame_file and section.frame_file.lower() == movie_name.lower()
    ]
    if named:
        return named[-1]  # of repeated sections, SerialEM kept the last exposure
    # A renamed movie: the mdoc beside it still describes it.
    frame_sets = mdoc.of_kind("FrameSet")
    if frame_sets:
        return frame_sets[0]
    return candidates[0] if len(candidates) == 1 else None


def _frame_count(section: Section) -> int | None:
    n_frames = section.number("NumSubFrames")
    if n_frames is not None and n_frames >= 1:
        return int(n_frames)
    pairs = _dose_pairs(section)
    total = int(sum(count for _, count in pairs))
    return total if total >= 1 else None


def _dose_pairs(section: Section) -> list[tuple[float, float]]:
    """FrameDosesAndNumber: pairs of dose per frame and number of frames with this dose."""
    numbers = section.numbers("FrameDosesAndNumber")
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _dose_per_frame(section: Section, n_frames: int | None) -> float | None:
    """Mean dose of a frame in e/Å², from the doses of frames, else from the exposure's dose."""
    pairs = _dose_pairs(section)
    total = sum(dose * count for dose, count in pairs)
    number = sum(count for _, count in pairs)
    if total > 0 and number > 0:
        return total / number
    exposure = section.number("ExposureDose")
    if exposure is not None and exposure > 0 and n_frames:
        return exposure / n_frames
    return None


def _number(mdoc: Mdoc, key: str) -> float | None:
    return Section("", "", mdoc.globals).number(key)


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _name(section: Section, key: str) -> str | None:
    text = section.text(key)
    return basename(text) if text else None


def _read_time(text: str) -> datetime | None:
    """SerialEM's day-month-year in English, whatever the locale is."""
    found = re.match(r"\s*(\d+)-(\w+)-(\d+)\s+(\d+):(\d+):(\d+)", text)
    if not found:
        return None
    first, month, last, *clock = found.groups()
    number = _MONTHS.get(month.lower()[:3]) or (int(month) if month.isdigit() else 0)
    day, year = (last, first) if len(first) == 4 else (first, last)
    hour, minute, second = (int(part) for part in clock)
    century = 2000 if len(year) <= 2 else 0
    try:
        return datetime(int(year) + century, number, int(day), hour, minute, second)
    except ValueError:
        return None
