"""`init`: a commented config.toml, with what the first movie and its mdoc tell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warptui import config
from warptui.commands import offline
from warptui.commands.output import DONE, print_json, say
from warptui.engine.errors import InputError, SettingsError, TransientError
from warptui.engine.paths import CONFIG_NAME
from warptui.engine.settings import Config, InputSettings


@dataclass
class Found:
    """What a movie and its mdoc say, as settings, and where each comes from."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, section: str, key: str, value: Any, source: str) -> None:
        """Note a setting unless it is known from a better source."""
        if value and key not in self.values.setdefault(section, {}):
            self.values[section][key] = value
            self.notes.append(f"{section}.{key} = {value} (from {source})")


def init(
    project: Path, input_folder: Path, given: dict[str, dict[str, Any]], *, as_json: bool
) -> int:
    """Write the config.toml of a new project; what the user gave counts most.

    Raises
    ------
    SettingsError
        If there is a config.toml already, or a value is wrong.
    """
    path = project / CONFIG_NAME
    if path.exists():
        raise SettingsError(f"{path} is there already and is never overwritten: edit or remove it")
    if not input_folder.is_dir():
        raise SettingsError(f"--input {input_folder}: expected a folder that is there")
    settings = InputSettings(
        folder=str(input_folder), **{k: v for k, v in given["input"].items() if k in _LISTING}
    )
    found = look_at(first_movie(settings), input_folder)
    values = {
        section: {**found.values.get(section, {}), **given.get(section, {})}
        for section in {*found.values, *given}
    }
    for key in ("gain", "defects"):
        if values["input"].get(key):
            values["input"][key] = shown_path(Path(values["input"][key]), project)
    values["input"]["folder"] = shown_path(input_folder, project)
    text = config.config_text(checked(values, path))
    project.mkdir(parents=True, exist_ok=True)
    config.write_text(path, text)
    if as_json:
        print_json({"config": str(path), "settings": values})
    for note in found.notes:
        section, _, key = note.partition(" ")[0].partition(".")
        if key not in given.get(section, {}):
            say(note)
    for warning in _gaps(values["input"]):
        say(warning)
    say(f"wrote {path}; look at it, then: warptui {project}")
    return DONE


def checked(values: dict[str, dict[str, Any]], path: Path) -> Config:
    """Settings from values by section, as if they stood in config.toml (paths stay relative).

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    lines = []
    for section, entries in values.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {config.as_toml(value)}" for key, value in entries.items()]
    config.parse("\n".join(lines), path)
    return Config.from_json(values)


def first_movie(settings: InputSettings) -> Path | None:
    """The first movie of the folder in alphabetical order."""
    return next(iter(_regular(offline.find_movies(settings))), None)


def look_at(movie: Path | None, folder: Path) -> Found:
    """What the movie's header and mdoc say."""
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
    from warptui.engine.formats.mdoc import movie_facts

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
    """Relative to the project where it lies inside, else absolute."""
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
