"""The fields of the settings form, and the changes in it that are not applied yet. Pure.

The fields come from the settings' models, so that a new setting needs no line here. The models
are imported when the form is opened: pydantic takes 0.2 s, which a start of the app can do without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import tomli

from warptui.engine.errors import SettingsError
from warptui.engine.project.paths import CONFIG_NAME

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Values = dict[str, dict[str, Any]]  # by section and key, as in config.toml


class Kind(StrEnum):
    """The ways in which a field is edited."""

    SWITCH = "switch"  # true or false
    CHOICE = "choice"  # one of a few texts
    NUMBER = "number"
    TEXT = "text"
    PATH = "path"
    TOML = "toml"  # a list, or a text or a list


@dataclass(frozen=True)
class Field:
    """One setting in the form."""

    section: str
    key: str
    kind: Kind
    unit: str
    help: str
    allowed: str  # in words, with bounds and unit
    default: Any
    whole: bool = False  # a number without decimals
    optional: bool = False  # may be left empty: no limit
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that messages use: section and key."""
        return f"{self.section}.{self.key}"

    def show(self, value: Any) -> str:
        """The value as text to edit."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        from warptui.engine.config.checks import as_toml

        text = as_toml(value)
        return text.removesuffix(".0") if isinstance(value, float) else text

    def read(self, text: str) -> Any:
        """The value of a typed text; a text that is no number or list stays one, to be refused.

        Raises
        ------
        SettingsError
            If a list is not written as TOML.
        """
        text = text.strip()
        if self.optional and not text:
            return None
        if self.kind is Kind.NUMBER:
            try:
                return int(text) if self.whole else float(text)
            except ValueError:
                return text
        if self.kind is Kind.TOML and text.startswith("["):
            try:
                return tomli.loads(f"value = {text}")["value"]
            except tomli.TOMLDecodeError as problem:
                reason = str(problem).partition(" (at")[0].lower()
                raise SettingsError(
                    f'no list as TOML has it, such as ["a", "b"]: {reason}'
                ) from None
        return text

    def next(self, value: Any) -> Any:
        """The next value of a switch or a choice."""
        if self.kind is Kind.SWITCH:
            return value is not True
        here = self.choices.index(value) if value in self.choices else -1
        return self.choices[(here + 1) % len(self.choices)]


def all_fields() -> tuple[Field, ...]:
    """Fields for all settings of all sections, in the order of config.toml."""
    from warptui.engine.config.checks import SECTIONS

    return tuple(
        _field(section, key, info)
        for section, model in SECTIONS.items()
        for key, info in model.model_fields.items()
    )


def _field(section: str, key: str, info: FieldInfo) -> Field:
    from warptui.engine.config.checks import allowed, is_path, unit

    is_union = get_origin(info.annotation) in (Union, UnionType)
    members = set(get_args(info.annotation) if is_union else (info.annotation,)) - {NoneType}
    choices = _choices(info)
    if members == {bool}:
        kind = Kind.SWITCH
    elif members <= {int, float}:
        kind = Kind.NUMBER
    elif choices:
        kind = Kind.CHOICE
    elif is_path(info):
        kind = Kind.PATH
    else:
        kind = Kind.TEXT if members == {str} else Kind.TOML
    default = info.get_default(call_default_factory=True)
    return Field(
        section=section,
        key=key,
        kind=kind,
        unit=unit(info),
        help=info.description or "",
        allowed=allowed(info),
        default=list(default) if isinstance(default, tuple) else default,
        whole=members == {int},
        optional=is_union and NoneType in get_args(info.annotation),
        choices=choices,
    )


def _choices(info: FieldInfo) -> tuple[str, ...]:
    for constraint in info.metadata:
        pattern = str(getattr(constraint, "pattern", None) or "")
        if pattern.startswith("^(") and pattern.endswith(")$"):
            return tuple(pattern[2:-2].split("|"))
    return ()


class Draft:
    """Changed values in the form, on top of those of the file."""

    def __init__(self, fields: tuple[Field, ...], changes: Values, project: Path) -> None:
        self.fields = fields
        self.changes = changes  # shared with the owner of the changes; None removes a key
        self.base: Values = {}  # what the file says
        self.problems: dict[str, str] = {}  # allowed values by name
        self._project = project
        self._known = {(field.section, field.key): field for field in fields}

    @property
    def n_changes(self) -> int:
        """Number of settings that differ from the file's."""
        return sum(map(len, self.changes.values()))

    def changed(self) -> list[Field]:
        """Fields that differ from the file's, in order."""
        return [field for field in self.fields if self.is_changed(field)]

    def rebase(self, values: Mapping[str, Any]) -> None:
        """Take over new values of the file; a change that now equals the file's value ends."""
        self.base = {
            section: dict(entries) for section, entries in values.items() if _is_table(entries)
        }
        for field in self.changed():
            self.set(field, self.value(field))
        self.check()

    def before(self, field: Field) -> Any:
        """The file's value of a field; the default where the file lacks it."""
        return self.base.get(field.section, {}).get(field.key, field.default)

    def value(self, field: Field) -> Any:
        """The value in the form."""
        changes = self.changes.get(field.section, {})
        return changes[field.key] if field.key in changes else self.before(field)

    def is_changed(self, field: Field) -> bool:
        """Whether the value differs from the file's."""
        return field.key in self.changes.get(field.section, {})

    def set(self, field: Field, value: Any) -> None:
        """Change a field; setting the file's own value removes the change."""
        entries = self.changes.setdefault(field.section, {})
        if self._same(field, value, self.before(field)):
            entries.pop(field.key, None)
        else:
            entries[field.key] = value
        if not entries:
            del self.changes[field.section]

    def undo(self, field: Field) -> None:
        """Return to the file's value."""
        self.set(field, self.before(field))

    def undo_all(self) -> None:
        """Remove all changes."""
        self.changes.clear()

    def take(self, values: Mapping[str, Any]) -> list[str]:
        """Change all fields in ``values``; returns names that are no settings."""
        strange = []
        for section, entries in values.items():
            if not _is_table(entries):
                strange.append(section)
                continue
            for key, value in entries.items():
                field = self._known.get((section, key))
                if field is None:
                    strange.append(f"{section}.{key}")
                else:
                    self.set(field, value)
        return strange

    def check(self, trial: tuple[Field, Any] | None = None) -> dict[str, str]:
        """What is wrong with the values, by name; ``trial`` replaces one field's value."""
        from warptui.engine.config import file

        document: Values = {}
        for field in self.fields:
            value = self.value(field)
            if trial is not None and trial[0] == field:
                value = trial[1]
            if value is not None and field.section:
                document.setdefault(field.section, {})[field.key] = value
        try:
            file.interpret(document, self._project / CONFIG_NAME)
            found: dict[str, str] = {}
        except SettingsError as problem:
            found = problem.problems
        for name, why in found.items():
            typed = document.get(name.partition(".")[0], {}).get(name.partition(".")[2])
            point = typed.replace(",", ".") if isinstance(typed, str) else ""
            if point != typed and _is_number(point):
                found[name] = f"the decimal sign is a point: {point}; {why}"
        if trial is None:
            self.problems = found
        return found

    def all_values(self) -> Values:
        """Every setting with its value in the form."""
        values: Values = {}
        for field in self.fields:
            if (value := self.value(field)) is not None:
                values.setdefault(field.section, {})[field.key] = value
        return values

    def path(self, value: str) -> Path:
        """The file or folder that the value of a path field names."""
        return self._project / Path(value).expanduser()

    def _same(self, field: Field, value: Any, other: Any) -> bool:
        if field.kind is Kind.PATH and value and other:
            return str(value) == str(other) or self.path(str(value)) == self.path(str(other))
        return value == other and isinstance(value, bool) == isinstance(other, bool)


def differences(fields: Iterable[Field], values: Values, others: Values) -> list[tuple[Field, Any]]:
    """Fields whose values differ, each with the value in ``others``."""
    found = []
    for field in fields:
        other = others.get(field.section, {}).get(field.key, field.default)
        if values.get(field.section, {}).get(field.key, field.default) != other:
            found.append((field, other))
    return found


def adopted(settings: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Values:
    """The settings that an item was processed with, by section, from its detail."""
    from warptui.engine.config.checks import SECTIONS

    values: Values = {}
    for sections in settings.values():
        for section, entries in sections.items():
            known = {k: v for k, v in entries.items() if not k.endswith("_hash")}
            behind = getattr(SECTIONS.get(section), "settings_behind", None)
            known = behind(known) if behind else known
            values.setdefault(section, {}).update(known)
    return values


def _is_number(text: str) -> bool:
    try:
        return bool(text) and float(text) == float(text)
    except ValueError:
        return False


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)
