"""`init`: write a commented config.toml, with settings read from the first movie and its mdoc."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warptui.commands import offline
from warptui.commands.output import DONE, print_json, say
from warptui.commands.parsing import Parsers, add_json, add_project, new_parser
from warptui.engine.config import file
from warptui.engine.config.sections import InputSettings
from warptui.engine.errors import InputError, SettingsError, TransientError
from warptui.engine.project.paths import CONFIG_NAME

if TYPE_CHECKING:
    from warptui.commands.setup.survey import Gain


@dataclass
class Found:
    """Settings read from a movie and its mdoc file, and the source of each."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # format, n_frames, width, height

    def take(self, section: str, key: str, value: Any, source: str) -> None:
        """Keep a setting unless a better source gave a value already."""
        if value and key not in self.values.setdefault(section, {}):
            self.values[section][key] = value
            self.notes.append(f"{section}.{key} = {value} (from {source})")


@dataclass
class Proposal:
    """Settings for a new project, and what they were read from."""

    values: dict[str, dict[str, Any]]  # the user's values go before those read from files
    found: Found
    movie: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # format, n_frames, width, height, n_movies
    gains: list[Gain] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON, for the app's first page and for scripts."""
        return {
            "settings": self.values,
            "movie": str(self.movie) if self.movie else "",
            "facts": self.facts,
            "gains": [
                {"path": str(gain.path), "fits": gain.fits, "text": gain.text}
                for gain in self.gains
            ],
            "notes": self.found.notes,
        }


# The options that are settings: section, key, type, metavar.
OPTIONS = (
    ("input", "pixel_size", float, "Å"),
    ("input", "dose_per_frame", float, "E/Å²"),
    ("input", "pre_exposure", float, "E/Å²"),
    ("input", "binning", float, "FACTOR"),
    ("input", "gain", str, "FILE"),
    ("input", "defects", str, "FILE"),
    ("input", "eer_frames_per_group", int, "N"),
    ("input", "eer_upsampling", int, "1|2"),
    ("optics", "voltage", float, "KV"),
    ("optics", "cs", float, "MM"),
    ("optics", "amplitude_contrast", float, "FRACTION"),
    ("picking", "diameter_angstrom", float, "Å"),
    ("picking", "model", str, "NAME|FILE"),
)
FLAGS = ("recursive", "gain_flip_x", "gain_flip_y", "gain_transpose")


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "init", words, run)
    add_json(parser)
    add_project(parser)
    parser.add_argument(
        "--input", type=Path, metavar="DIR", help="where the movies are (default: PROJECT)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would be written, and write nothing"
    )
    parser.add_argument("--pattern", nargs="+", metavar="GLOB", help='such as "*.tif"')
    for _, key, kind, metavar in OPTIONS:
        parser.add_argument(f"--{key.replace('_', '-')}", type=kind, metavar=metavar)
    for key in FLAGS:
        parser.add_argument(f"--{key.replace('_', '-')}", action="store_true")


def run(call: argparse.Namespace) -> int:
    """Write the config.toml of a new project."""
    folder = call.input or call.project
    return init(call.project, folder, _given(call), as_json=call.json, dry_run=call.dry_run)


def _given(call: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The options that are settings, by section."""
    given: dict[str, dict[str, Any]] = {"input": {}, "optics": {}, "picking": {}}
    for section, key, _, _ in OPTIONS:
        if getattr(call, key) is not None:
            given[section][key] = getattr(call, key)
    given["input"] |= {key: True for key in FLAGS if getattr(call, key)}
    if call.pattern:
        given["input"]["pattern"] = call.pattern
    return given


def init(
    project: Path,
    input_folder: Path,
    given: dict[str, dict[str, Any]],
    *,
    as_json: bool,
    dry_run: bool = False,
) -> int:
    """Write the config.toml of a new project; options take precedence over values from files.

    Raises
    ------
    SettingsError
        If there is a config.toml already, or a value is wrong.
    """
    path = project / CONFIG_NAME
    if path.exists():
        raise SettingsError(f"{path} is there already and is never overwritten: edit or remove it")
    proposal = propose(project, input_folder, given)
    values = proposal.values
    if dry_run:
        file.new_settings(path, values)
    else:
        file.create(path, values)
    if as_json:
        print_json({"config": str(path), **proposal.to_json()})
    for note in proposal.found.notes:
        section, _, key = note.partition(" ")[0].partition(".")
        if key not in given.get(section, {}):
            say(note)
    for warning in _gaps(values["input"]):
        say(warning)
    chosen = bool(values["input"].get("gain"))
    for gain in proposal.gains:
        if not (chosen and gain.fits):
            use = f"; if frames are not corrected yet: --gain {gain.path}" if gain.fits else ""
            say(f"gain reference {gain.path}: {gain.text}{use}")
    wrote = f"wrote {path}; look at it, then: warptui {project}"
    say(f"would write {path}" if dry_run else wrote)
    return DONE


def propose(project: Path, input_folder: Path, given: dict[str, dict[str, Any]]) -> Proposal:
    """Propose settings from the folder, its first movie and the mdoc; options take precedence.

    Raises
    ------
    SettingsError
        If the folder is not there.
    """
    from warptui.commands.setup.survey import find_gains, find_layout, try_gain

    if not input_folder.is_dir():
        raise SettingsError(f"--input {input_folder}: expected a folder that is there")
    input_options = given.get("input", {})
    layout = find_layout(input_folder)
    where: dict[str, Any] = {}
    if not {"pattern", "recursive"} & set(input_options) and layout.n_movies:
        where = {"recursive": True} if layout.recursive else {}
        where |= {"pattern": list(layout.pattern)} if layout.pattern else {}
        input_folder = layout.folder
    listing = where | {key: input_options[key] for key in _LISTING if key in input_options}
    settings = InputSettings(folder=str(input_folder), **listing)
    movie = first_movie(settings)
    found = look_at(movie, input_folder)
    if where:
        found.notes[:0] = layout.notes
    values = {
        section: {**found.values.get(section, {}), **given.get(section, {})}
        for section in {"input", *found.values, *given}
    }
    values["input"] = {**where, **values["input"]}
    for key in ("gain", "defects"):
        if values["input"].get(key):
            values["input"][key] = shown_path(Path(values["input"][key]), project)
    values["input"]["folder"] = shown_path(input_folder, project)
    gains = []
    if movie is not None and "height" in found.facts:
        shape_yx = (found.facts["height"], found.facts["width"])
        kind, given_gain = found.facts["format"], values["input"].get("gain")
        if given_gain:
            gains = [try_gain(project / Path(given_gain).expanduser(), shape_yx, kind)]
        else:
            gains = find_gains(movie, shape_yx, kind, [input_folder, project])
    facts = {**found.facts, "n_movies": layout.n_movies}
    return Proposal(values, found, movie, facts, gains)


def first_movie(settings: InputSettings) -> Path | None:
    """The first movie of the folder in alphabetical order."""
    return next(iter(_regular(offline.find_movies(settings))), None)


def look_at(movie: Path | None, folder: Path) -> Found:
    """Read settings from the movie's header and from its mdoc file."""
    found = Found()
    if movie is None:
        found.notes.append(f"no movie is in {folder} yet: nothing could be read from one")
        return found
    shape_yx = None
    from warptui.engine.formats.movie import open_movie

    try:
        with open_movie(movie) as reader:
            shape_yx = reader.shape_yx
            header = (reader.pixel_size, reader.dose_per_frame)
            found.facts = {
                "format": reader.format,
                "n_frames": reader.n_frames,
                "width": shape_yx[1],
                "height": shape_yx[0],
            }
            found.notes.append(
                f"{movie.name}: {reader.format}, {reader.n_frames} frames of "
                f"{shape_yx[1]} x {shape_yx[0]} px"
            )
            found.notes += [f"{movie.name}: {note}" for note in reader.notes]
    except (InputError, TransientError, OSError) as problem:
        header = (None, None)
        found.notes.append(f"{movie.name} cannot be read yet: {problem}")
    _look_at_mdoc(movie, shape_yx, found)
    found.take("input", "pixel_size", _rounded(header[0]), f"the header of {movie.name}")
    found.take("input", "dose_per_frame", _rounded(header[1]), f"the header of {movie.name}")
    return found


def _look_at_mdoc(movie: Path, shape_yx: tuple[int, int] | None, found: Found) -> None:
    from warptui.engine.formats.acquisition.mdoc import movie_facts

    try:
        facts = movie_facts(movie)
    except (InputError, OSError) as problem:
        found.notes.append(f"the mdoc of {movie.name} cannot be read: {problem}")
        return
    if facts is None:
        return
    source = facts.path.name
    pixel_size = facts.frame_pixel_size(shape_yx) if shape_yx else facts.pixel_size
    found.take("input", "pixel_size", _rounded(pixel_size), source)
    found.take("input", "dose_per_frame", _rounded(facts.dose_per_frame), source)
    found.take("optics", "voltage", facts.voltage, source)
    for key, name in (("gain", facts.gain_reference), ("defects", facts.defect_file)):
        for folder in (movie.parent, movie.parent.parent):
            if name and (folder / name).is_file():
                found.take("input", key, str(folder / name), source)


def shown_path(path: Path, project: Path) -> str:
    """A path relative to the project if it lies inside, else absolute."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links in the way stay as they are
    base = Path(os.path.abspath(project))  # noqa: PTH100
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else str(absolute)


def _gaps(values: dict[str, Any]) -> Iterator[str]:
    if not values.get("pixel_size"):
        yield "pixel size unknown: set input.pixel_size unless headers or mdocs will tell it"
    if not values.get("dose_per_frame"):
        yield "dose per frame unknown: without input.dose_per_frame there is no dose weighting"


def _regular(movies: Iterator[Path]) -> Iterator[Path]:
    return (path for path in movies if path.is_file())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


_LISTING = ("pattern", "recursive", "gain", "defects")
