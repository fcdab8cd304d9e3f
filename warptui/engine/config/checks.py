"""Checks of the values in config.toml, and messages that say what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args, get_origin

import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from warptui.engine.config.sections import (
    AlertSettings,
    ComputeSettings,
    ExportSettings,
    FilterSettings,
    InputSettings,
    OpticsSettings,
    TrainingSettings,
)
from warptui.engine.config.settings import Config
from warptui.engine.stages.base import Problem
from warptui.engine.stages.registry import STAGES

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


def check(section: str, values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with values of one section, each on its own."""
    problems: list[Problem] = []
    check_section(section, dict(values), problems)
    return problems


def check_section(name: str, values: dict[str, Any], problems: list[Problem]) -> BaseModel | None:
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


def check_keys(values: dict[str, Any], problems: list[Problem]) -> dict[str, str]:
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            text = 'expected the name of a key, like "f5"'
            problems.append(Problem(f"keys.{key}", as_toml(value), text))
    return values


def contradictions(config: Config) -> list[Problem]:
    """What no single value shows: what the stages declare, and what is in the other sections."""
    problems = [
        problem
        for stage in STAGES
        if stage.check is not None
        for problem in stage.check(config.stage(stage.name), config)
    ]
    if not config.input.pattern or not all(config.input.pattern):
        text = 'expected at least one file name pattern, such as ["*.tif"]'
        problems.append(Problem("input.pattern", as_toml(config.input.pattern), text))
    limits = config.filters.limits()
    for low, high in _limit_pairs():
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


def _limit_pairs() -> list[tuple[str, str]]:
    """Keys of [filters] that limit one value from below and from above, in their order."""
    entries = [entry for stage in STAGES for entry in stage.summaries()]
    pairs = [(e.filter_min, e.filter_max) for e in entries if e.filter_min and e.filter_max]
    order = list(FilterSettings.model_fields)
    return sorted(pairs, key=lambda pair: order.index(pair[0]))


def idle_limits(config: Config) -> list[str]:
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


def unknown_section(name: str) -> str:
    known = [*SECTIONS, "keys"]
    owners = [section for section, model in SECTIONS.items() if name in model.model_fields]
    if owners:
        return f"{name} is outside of a section: it belongs to [{owners[0]}]"
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
    """The unit of a setting; "" for a setting without unit."""
    extra = info.json_schema_extra
    return str(extra.get("unit") or "") if isinstance(extra, dict) else ""


def is_path(info: FieldInfo) -> bool:
    """Whether a setting names a file or folder, which may be relative to that of config.toml."""
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("path"))


def is_reported(info: FieldInfo) -> bool:
    """Whether a report lists the setting though it has its default."""
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("reported"))


def as_toml(value: Any) -> str:
    """A value as TOML writes it; numbers never depend on the locale."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml(entry) for entry in value) + "]"
    if isinstance(value, str | bool | int | float):
        return tomlkit.item(value).as_string()
    return str(value)
