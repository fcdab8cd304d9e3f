"""config.toml <-> Config.

Reading names every wrong key with the value found and what is allowed. Writing touches only the
keys that are to change, in the file as it is at that moment: the user's comments, order and
edits stay.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

import tomli
import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from warptui.engine.errors import SettingsError
from warptui.engine.paths import CONFIG_NAME, temporary
from warptui.engine.settings import (
    NO_CHANGES,
    AlertSettings,
    Changes,
    ComputeSettings,
    Config,
    ExportSettings,
    FilterSettings,
    InputSettings,
    OpticsSettings,
    TrainingSettings,
)
from warptui.engine.stages import STAGES

SECTIONS: dict[str, type[BaseModel]] = {
    "input": InputSettings,
    "optics": OpticsSettings,
    **{stage.name: stage.Settings for stage in STAGES},
    "filters": FilterSettings,
    "compute": ComputeSettings,
    "alerts": AlertSettings,
    "training": TrainingSettings,
    "export": ExportSettings,
}
# Sections of the documented settings that this version has no use for yet.
PATHS = ("folder", "gain", "defects")  # of [input]; relative to the folder of config.toml
MAX_LOCAL_NODES = 64


class Problem(NamedTuple):
    """What is wrong with a setting."""

    key: str  # "motion.b_factor"
    found: str  # as TOML; "" where it is not the value that is wrong
    text: str  # what is allowed

    def __str__(self) -> str:
        return f"{self.key} = {self.found}: {self.text}" if self.found else self.text


@dataclass(frozen=True)
class Loaded:
    """Settings and what there is to say about the file that they came from."""

    config: Config
    notes: tuple[str, ...] = ()
    written: dict[str, Any] = field(default_factory=dict)  # what the file itself says, as it stands


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
    """Settings from values by section and key, as if they stood in the config.toml ``path``.

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
            sections["keys"] = _keys(values, problems)
        elif name not in SECTIONS:
            problems.append(Problem(name, "", _unknown_section(name)))
        elif not isinstance(values, dict):
            problems.append(Problem(name, as_toml(values), f"expected a section, [{name}]"))
        else:
            sections[name] = _section(name, values, problems)
    _refuse(problems, path)
    stages = {stage.name: sections.pop(stage.name, stage.Settings()) for stage in STAGES}
    sections["input"] = _resolved(sections.get("input") or InputSettings(), path.parent)
    config = Config(**sections, stages=stages)
    _refuse(_contradictions(config), path)
    if config.compute.scheduler:
        notes.append("compute.scheduler is not used by this version: workers run on this machine")
    notes += _idle_limits(config)
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
    """Settings from values by section, as if they stood in ``path`` (paths stay relative).

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


def check(section: str, values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with values of one section, each on its own."""
    problems: list[Problem] = []
    _section(section, dict(values), problems)
    return problems


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
            _refuse([Problem(section, "", _unknown_section(section))], path)
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


def _section(name: str, values: dict[str, Any], problems: list[Problem]) -> BaseModel | None:
    model = SECTIONS[name]
    try:
        # JSON mode is strict about types (no "5" for a number) but takes arrays for tuples.
        # A date becomes something that no setting takes.
        text = json.dumps(values, default=lambda date: {"date": str(date)})
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        seen = set()
        for entry in error.errors():
            text = str(entry.get("ctx", {}).get("error", ""))  # of a check that the model makes
            key = str((entry["loc"] or text.split())[0])  # which names the setting first
            if key in seen:
                continue  # a union reports once per member
            seen.add(key)
            if entry["type"] == "extra_forbidden":
                text = _unknown_key(name, key)
            elif entry["type"] != "value_error":
                text = f"expected {allowed(model.model_fields[key])}"
            found = values.get(key, model.model_fields[key].default if not entry["loc"] else None)
            problems.append(Problem(f"{name}.{key}", as_toml(found), text))
        return None


def _keys(values: dict[str, Any], problems: list[Problem]) -> dict[str, str]:
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            text = 'expected the name of a key, like "f5"'
            problems.append(Problem(f"keys.{key}", as_toml(value), text))
    return values


def _contradictions(config: Config) -> list[Problem]:
    """What no single value shows."""
    problems = []
    motion = config.stage("motion").model_dump()
    low, high = motion["fit_min_resolution"], motion["fit_max_resolution"]
    if high >= low:
        text = (
            f"expected less than motion.fit_min_resolution = {low:g} "
            "(Å: a smaller number is a higher resolution)"
        )
        problems.append(Problem("motion.fit_max_resolution", f"{high:g}", text))
    if not all(1 <= nodes <= MAX_LOCAL_NODES for nodes in motion["local_grid"]):
        text = f"expected three whole numbers from 1 to {MAX_LOCAL_NODES}: x, y, time"
        problems.append(Problem("motion.local_grid", as_toml(motion["local_grid"]), text))
    if not config.input.pattern or not all(config.input.pattern):
        text = 'expected at least one file name pattern, such as ["*.tif"]'
        problems.append(Problem("input.pattern", as_toml(config.input.pattern), text))
    limits = config.filters.limits()
    for low, high in (
        ("defocus_min_um", "defocus_max_um"),
        ("phase_shift_min_deg", "phase_shift_max_deg"),
        ("electrons_min", "electrons_max"),
        ("particles_min", "particles_max"),
    ):
        if low in limits and high in limits and limits[low] > limits[high]:
            text = f"expected at most filters.{high} = {limits[high]:g}"
            problems.append(Problem(f"filters.{low}", f"{limits[low]:g}", text))
    devices = config.compute.devices
    named = (devices,) if isinstance(devices, str) else devices
    wrong = [name for name in named if not _is_device(name, alone=isinstance(devices, str))]
    if wrong or not named:
        text = f"expected {allowed(ComputeSettings.model_fields['devices'])}"
        problems.append(Problem("compute.devices", as_toml(devices), text))
    return problems


def _idle_limits(config: Config) -> list[str]:
    """Limits that are set but judge nothing."""
    stages = {
        key: stage.name
        for stage in STAGES
        for summary in stage.summaries()
        for key in (summary.filter_min, summary.filter_max)
    }
    return [
        f"filters.{key} has no effect: [{stages[key]}] is not enabled"
        for key in config.filters.limits()
        if not config.stage(stages[key]).enabled
    ]


def _is_device(name: str, *, alone: bool) -> bool:
    kind, colon, number = name.partition(":")
    if alone and name == "auto":
        return True
    return name == "cpu" or (kind == "cuda" and (number.isdecimal() or not colon))


def _resolved(section: InputSettings, folder: Path) -> InputSettings:
    """Absolute paths: the engine and its workers run in other folders."""
    base = folder.absolute()
    given = {key: getattr(section, key) for key in PATHS}
    found = {
        key: os.path.normpath(base / Path(value).expanduser())
        for key, value in given.items()
        if value
    }
    return section.model_copy(update=found)


def _unknown_section(name: str) -> str:
    known = [*SECTIONS, "keys"]
    owners = [section for section, model in SECTIONS.items() if name in model.model_fields]
    if owners:
        return f"{name} stands outside of a section: it belongs to [{owners[0]}]"
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean [{close[0]}]?" if close else f"known are {', '.join(known)}"
    return f"[{name}] is no section: {hint}"


def _unknown_key(section: str, key: str) -> str:
    fields = SECTIONS[section].model_fields
    close = difflib.get_close_matches(key, fields, 1, cutoff=0.7)
    owners = [name for name, model in SECTIONS.items() if key in model.model_fields]
    if close:
        hint = f"did you mean {close[0]}?"
    elif owners:
        hint = f"it belongs to [{owners[0]}]"
    else:
        hint = f"[{section}] has {', '.join(fields)}"
    return f"no such setting: {hint}"


def allowed(info: FieldInfo) -> str:
    """What a setting may be, in words."""
    unit_ = unit(info)
    words = _type_words(info.annotation)
    bounds = []
    for constraint in info.metadata:
        for name, text in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
            if getattr(constraint, name, None) is not None:
                bounds.append(f"{text} {getattr(constraint, name):g}")
        pattern = getattr(constraint, "pattern", None)
        if pattern:
            words = "one of " + ", ".join(
                f'"{choice}"' for choice in str(pattern).strip("^$()").replace("\\", "").split("|")
            )
    if info.annotation == ComputeSettings.model_fields["devices"].annotation:
        words = info.description or words
    return f"{words}{' ' if bounds else ''}{' and '.join(bounds)}{f' ({unit_})' if unit_ else ''}"


def _type_words(annotation: Any) -> str:
    simple = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if annotation in simple:
        return simple[annotation]
    if get_origin(annotation) is tuple:
        members = get_args(annotation)
        if members[-1] is Ellipsis:
            return f"a list, each {simple.get(members[0], 'a value')}"
        return f"a list of {len(members)}, each {simple.get(members[0], 'a value')}"
    members = (member for member in get_args(annotation) if member is not NoneType)
    return " or ".join(_type_words(member) for member in members)


def unit(info: FieldInfo) -> str:
    """The unit of a setting; "" where it has none."""
    extra = info.json_schema_extra
    return str(extra.get("unit") or "") if isinstance(extra, dict) else ""


def _key(key: str) -> str:
    return tomlkit.key(key).as_string()


def as_toml(value: Any) -> str:
    """A value as TOML writes it; numbers never depend on the locale."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml(entry) for entry in value) + "]"
    if isinstance(value, str | bool | int | float):
        return tomlkit.item(value).as_string()
    return str(value)
