"""config.toml <-> Config.

Reading names every wrong key with the value found and what is allowed. Writing changes only the
values that differ, so that the user's comments and order stay.
"""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import tomli
import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from warptui.engine.errors import SettingsError
from warptui.engine.paths import CONFIG_NAME, temporary
from warptui.engine.settings import ComputeSettings, Config, InputSettings, OpticsSettings
from warptui.engine.stages import STAGES

SECTIONS: dict[str, type[BaseModel]] = {
    "input": InputSettings,
    "optics": OpticsSettings,
    **{stage.name: stage.Settings for stage in STAGES},
    "compute": ComputeSettings,
}
# Sections of the documented settings that this version has no use for yet.
LATER_SECTIONS = ("ctf", "picking", "particles", "filters", "alerts")
PATHS = ("folder", "gain", "defects")  # of [input]; relative to the folder of config.toml
MAX_LOCAL_NODES = 64


@dataclass(frozen=True)
class Loaded:
    """Settings and what there is to say about the file that they came from."""

    config: Config
    notes: tuple[str, ...] = ()


def read_config(project: Path) -> Config:
    """The settings of a project folder; see `load`."""
    return load(project).config


def load(project: Path) -> Loaded:
    """Settings of the project folder (or config.toml) ``project``, its paths made absolute.

    Raises
    ------
    SettingsError
        If there is no config.toml, it cannot be read, or settings in it are wrong.
    """
    path = project if project.name == CONFIG_NAME else project / CONFIG_NAME
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(
            f"{path} does not exist: make one with `warptui init {path.parent} --input FOLDER`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Loaded:
    """Settings in the text of a config.toml that lies, or will lie, at ``path``.

    Raises
    ------
    SettingsError
        Naming every wrong key, the value found, and what is allowed.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    problems: list[str] = []
    notes: list[str] = []
    sections: dict[str, Any] = {}
    for name, values in document.items():
        if name in LATER_SECTIONS:
            notes.append(f"section [{name}] is not used by this version")
        elif name == "keys" and isinstance(values, dict):
            sections["keys"] = _keys(values, problems)
        elif name not in SECTIONS:
            problems.append(_unknown_section(name))
        elif not isinstance(values, dict):
            problems.append(f"{name} = {as_toml(values)}: expected a section, [{name}]")
        else:
            sections[name] = _section(name, values, problems)
    if problems:
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
    stages = {stage.name: sections.pop(stage.name, stage.Settings()) for stage in STAGES}
    sections["input"] = _resolved(sections.get("input") or InputSettings(), path.parent)
    config = Config(**sections, stages=stages)
    problems = _contradictions(config)
    if problems:
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
    if config.compute.scheduler:
        notes.append("compute.scheduler is not used by this version: workers run on this machine")
    return Loaded(config, tuple(notes))


def write_config(project: Path, config: Config) -> None:
    """Bring the project's config.toml into accord with ``config``; comments and order stay.

    Only values that differ from the file's are touched; a missing file is written with comments.

    Raises
    ------
    SettingsError
        If the present file is wrong.
    """
    path = project / CONFIG_NAME
    if not path.exists():
        write_text(path, config_text(config))
        return
    now = load(project).config.to_json()
    document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    for section, values in config.to_json().items():
        changed = {key: value for key, value in values.items() if now[section].get(key) != value}
        removed = [key for key in now[section] if key not in values]
        if section not in document and changed:
            document.add(section, tomlkit.table())
        for key, value in changed.items():
            document[section][key] = value  # type: ignore[index]
        for key in removed:
            document[section].pop(key, None)  # type: ignore[union-attr]
    text = tomlkit.dumps(document)
    parse(text, path)
    write_text(path, text)


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
        for key, value in sections[name].items():
            unit = _unit(model.model_fields[key])
            comment = model.model_fields[key].description
            comment = f"{unit}: {comment}" if unit else comment
            lines.append(f"{f'{key} = {as_toml(value)}':<34} # {comment}")
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
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _section(name: str, values: dict[str, Any], problems: list[str]) -> BaseModel | None:
    model = SECTIONS[name]
    try:
        # JSON mode is strict about types (no "5" for a number) but takes arrays for tuples.
        # A date becomes something that no setting takes.
        text = json.dumps(values, default=lambda date: {"date": str(date)})
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        seen = set()
        for entry in error.errors():
            key = str(entry["loc"][0])
            if key in seen:
                continue  # a union reports once per member
            seen.add(key)
            if entry["type"] == "extra_forbidden":
                problems.append(_unknown_key(name, key, values[key]))
            else:
                allowed = _allowed(model.model_fields[key])
                problems.append(f"{name}.{key} = {as_toml(values[key])}: expected {allowed}")
        return None


def _keys(values: dict[str, Any], problems: list[str]) -> dict[str, str]:
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            problems.append(f'keys.{key} = {as_toml(value)}: expected the name of a key, like "f5"')
    return values


def _contradictions(config: Config) -> list[str]:
    """What no single value shows."""
    problems = []
    motion = config.stage("motion").model_dump()
    low, high = motion["fit_min_resolution"], motion["fit_max_resolution"]
    if high >= low:
        problems.append(
            f"motion.fit_max_resolution = {high:g}: expected less than "
            f"motion.fit_min_resolution = {low:g} (Å: a smaller number is a higher resolution)"
        )
    if not all(1 <= nodes <= MAX_LOCAL_NODES for nodes in motion["local_grid"]):
        problems.append(
            f"motion.local_grid = {as_toml(motion['local_grid'])}: expected three whole numbers "
            f"from 1 to {MAX_LOCAL_NODES}: x, y, time"
        )
    if not config.input.pattern or not all(config.input.pattern):
        problems.append(
            f"input.pattern = {as_toml(config.input.pattern)}: expected at least one file name "
            'pattern, such as ["*.tif"]'
        )
    devices = config.compute.devices
    named = (devices,) if isinstance(devices, str) else devices
    wrong = [name for name in named if not _is_device(name, alone=isinstance(devices, str))]
    if wrong or not named:
        allowed = _allowed(ComputeSettings.model_fields["devices"])
        problems.append(f"compute.devices = {as_toml(devices)}: expected {allowed}")
    return problems


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
    known = [*SECTIONS, "keys", *LATER_SECTIONS]
    owners = [section for section, model in SECTIONS.items() if name in model.model_fields]
    if owners:
        return f"{name} stands outside of a section: it belongs to [{owners[0]}]"
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean [{close[0]}]?" if close else f"known are {', '.join(known)}"
    return f"[{name}] is no section: {hint}"


def _unknown_key(section: str, key: str, value: Any) -> str:
    fields = SECTIONS[section].model_fields
    close = difflib.get_close_matches(key, fields, 1, cutoff=0.7)
    owners = [name for name, model in SECTIONS.items() if key in model.model_fields]
    if close:
        hint = f"did you mean {close[0]}?"
    elif owners:
        hint = f"it belongs to [{owners[0]}]"
    else:
        hint = f"[{section}] has {', '.join(fields)}"
    return f"{section}.{key} = {as_toml(value)}: no such setting: {hint}"


def _allowed(info: FieldInfo) -> str:
    """What a setting may be, in words."""
    unit = _unit(info)
    words = _type_words(info.annotation)
    bounds = []
    for constraint in info.metadata:
        for name, text in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
            if getattr(constraint, name, None) is not None:
                bounds.append(f"{text} {getattr(constraint, name):g}")
        pattern = getattr(constraint, "pattern", None)
        if pattern:
            words = "one of " + ", ".join(
                f'"{choice}"' for choice in str(pattern).strip("^$()").split("|")
            )
    if info.annotation == ComputeSettings.model_fields["devices"].annotation:
        words = info.description or words
    return f"{words}{' ' if bounds else ''}{' and '.join(bounds)}{f' ({unit})' if unit else ''}"


def _type_words(annotation: Any) -> str:
    simple = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if annotation in simple:
        return simple[annotation]
    if get_origin(annotation) is tuple:
        members = get_args(annotation)
        if members[-1] is Ellipsis:
            return f"a list, each {simple.get(members[0], 'a value')}"
        return f"a list of {len(members)}, each {simple.get(members[0], 'a value')}"
    return " or ".join(_type_words(member) for member in get_args(annotation))


def _unit(info: FieldInfo) -> str:
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
