"""config.toml <-> Config.

Reading names every wrong key with the value found and what is allowed. Writing touches only the
keys that are to change, in the file as it is at that moment: the user's comments, order and
edits stay.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli
import tomlkit
from pydantic import BaseModel

from warptui.engine.api.changes import NO_CHANGES, Changes
from warptui.engine.config.checks import (
    SECTIONS,
    Problem,
    as_toml,
    check_keys,
    check_section,
    contradictions,
    idle_limits,
    is_path,
    unit,
    unknown_section,
)
from warptui.engine.config.sections import (
    InputSettings,
)
from warptui.engine.config.settings import Config
from warptui.engine.errors import SettingsError
from warptui.engine.formats.writing import temporary
from warptui.engine.project.paths import CONFIG_NAME
from warptui.engine.stages.registry import STAGES

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """Settings, and remarks on the file that they come from."""

    config: Config
    notes: tuple[str, ...] = ()
    written: dict[str, Any] = field(default_factory=dict)  # values in the file, unchanged


def read_config(project: Path, changes: Changes = NO_CHANGES) -> Config:
    """The settings of a project folder, as they would be with ``changes``; see `load`."""
    if not changes:
        return load(project).config
    path = _path(project)
    return parse(_edited(path, changes), path).config


def load(project: Path) -> Loaded:
    """Settings of the project folder (or config.toml) ``project``, its paths made absolute.

    Raises
    ------
    SettingsError
        If there is no config.toml, it cannot be read, or settings in it are wrong.
    """
    path = _path(project)
    return parse(_read_text(path), path)


def parse(text: str, path: Path) -> Loaded:
    """Settings in the text of a config.toml that lies, or will lie, at ``path``.

    Raises
    ------
    SettingsError
        Naming every wrong key, the value found, and what is allowed.
    """
    return interpret(_document(text, path), path)


def interpret(document: dict[str, Any], path: Path) -> Loaded:
    """Settings from values by section and key, as if they were in the config.toml ``path``.

    Raises
    ------
    SettingsError
        As `parse`.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    sections: dict[str, Any] = {}
    for name, values in document.items():
        if name == "keys" and isinstance(values, dict):
            sections["keys"] = check_keys(values, problems)
        elif name not in SECTIONS:
            problems.append(Problem(name, "", unknown_section(name)))
        elif not isinstance(values, dict):
            problems.append(Problem(name, as_toml(values), f"expected a section, [{name}]"))
        else:
            sections[name] = check_section(name, values, problems)
    _refuse(problems, path)
    stages = {
        stage.name: _resolved(sections.pop(stage.name, stage.Settings()), path.parent)
        for stage in STAGES
    }
    sections["input"] = _resolved(sections.get("input") or InputSettings(), path.parent)
    config = Config(**sections, stages=stages)
    _refuse(contradictions(config), path)
    if config.compute.scheduler:
        notes.append("compute.scheduler is not used by this version: workers run on this machine")
    notes += idle_limits(config)
    return Loaded(config, tuple(notes), document)


def write_config(project: Path, changes: Changes) -> Config:
    """Change settings in the project's config.toml; returns the settings from then on.

    Only the keys that ``changes`` names are touched, in the file as it is now: comments, order and
    what was edited by hand stay. A value None takes the key out, so that its default holds.

    Raises
    ------
    SettingsError
        If the file is wrong, or would be; then nothing is written.
    """
    path = _path(project)
    text = _edited(path, changes)
    config = parse(text, path).config
    try:
        write_text(path, text)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}") from error
    return config


def new_settings(path: Path, values: Mapping[str, Mapping[str, Any]]) -> Config:
    """Settings from values by section, as if they were in ``path`` (paths stay relative).

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    document = {section: dict(entries) for section, entries in values.items()}
    interpret(document, path)
    return Config.from_json(document)


def create(path: Path, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a commented config.toml where there is none, and its folder.

    Raises
    ------
    SettingsError
        If there is one, a value is not allowed, or the file cannot be written.
    """
    if path.exists():
        raise SettingsError(f"{path} is there already and is never overwritten: edit or remove it")
    text = config_text(new_settings(path, values))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}") from error


def config_text(config: Config) -> str:
    """A config.toml that holds every setting, each with its unit and what it does."""
    lines = [
        "# Settings of one warptui project: the folder that holds this file. Paths are relative to",
        "# it. Units: Å, degrees, e/Å², kV, mm, seconds. A changed setting makes the affected",
        "# results outdated; they are made again when processing goes on.",
    ]
    sections = config.to_json()
    for name, model in SECTIONS.items():
        lines += ["", f"[{name}]"]
        for key, info in model.model_fields.items():
            unit_ = unit(info)
            comment = f"{unit_}: {info.description}" if unit_ else info.description
            if key in sections[name]:
                setting = f"{key} = {as_toml(sections[name][key])}"
            else:  # not set; an example shows how it would be
                setting = f"# {key} = {as_toml((info.examples or [''])[0])}"
            lines.append(f"{setting:<34} # {comment}")
    lines += ["", f'{"[keys]":<34} # rebind by id, e.g. toggle-include = "space"']
    lines += [f"{_key(key)} = {as_toml(value)}" for key, value in sections["keys"].items()]
    return "\n".join(lines) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file beside ``path``, synced, then renamed into place."""
    part = temporary(path)
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)  # a group that may edit the file may do so on
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _path(project: Path) -> Path:
    return project if project.name == CONFIG_NAME else project / CONFIG_NAME


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # line ends stay as they are
    except FileNotFoundError:
        raise SettingsError(
            f"{path} does not exist: make one with `warptui init {path.parent} --input FOLDER`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _document(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


def _edited(path: Path, changes: Changes) -> str:
    """The text of the file with other values in it."""
    text = _read_text(path)
    now = _document(text, path)
    document = tomlkit.parse(text)
    for section, values in changes.items():
        if section not in SECTIONS and section != "keys":
            _refuse([Problem(section, "", unknown_section(section))], path)
        there = now.get(section, {})
        if not isinstance(there, dict):
            continue  # `parse` says what is wrong with it
        if section not in document and any(value is not None for value in values.values()):
            document.add(section, tomlkit.table())
        for key, value in values.items():
            if value is None:
                if key in there:
                    document[section].pop(key)  # type: ignore[union-attr]
            elif key not in there or (type(there[key]), there[key]) != (type(value), value):
                document[section][key] = value  # type: ignore[index]
    return tomlkit.dumps(document)


def _refuse(problems: Iterable[Problem], path: Path) -> None:
    found = {problem.key: problem.text for problem in problems}
    if found:
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems), found)


def _resolved(section: S, folder: Path) -> S:
    """Absolute paths: the engine and its workers run in other folders."""
    base = folder.absolute()
    paths = [key for key, info in type(section).model_fields.items() if is_path(info)]
    given = {key: getattr(section, key) for key in paths}
    found = {
        key: os.path.normpath(base / Path(value).expanduser())
        for key, value in given.items()
        if value
    }
    return section.model_copy(update=found)


def _key(key: str) -> str:
    return tomlkit.key(key).as_string()
