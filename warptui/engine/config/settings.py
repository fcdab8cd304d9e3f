"""The settings of a project: shared sections here, one section per stage from `STAGES`.

`config.file` reads and writes them as config.toml; the engine sees only these records.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast

from pydantic import BaseModel

from warptui.engine.api.changes import NO_CHANGES, Changes
from warptui.engine.config.sections import (
    AlertSettings,
    ComputeSettings,
    ExportSettings,
    FilterSettings,
    InputSettings,
    OpticsSettings,
    Section,
    TrainingSettings,
)
from warptui.engine.stages.base import StageSettings
from warptui.engine.stages.registry import STAGES


class ReadConfig(Protocol):
    """The settings of a project as they would be with ``changes``; raises SettingsError."""

    def __call__(self, project: Path, changes: Changes = NO_CHANGES, /) -> Config: ...


class WriteConfig(Protocol):
    """Writes changes for good; returns the settings then, or raises SettingsError."""

    def __call__(self, project: Path, changes: Changes, /) -> Config: ...


SHARED = (
    "input",
    "optics",
    "filters",
    "compute",
    "alerts",
    "training",
    "export",
)  # sections that belong to no stage


class Config(Section):
    """All settings of a project."""

    input: InputSettings = InputSettings()
    optics: OpticsSettings = OpticsSettings()
    filters: FilterSettings = FilterSettings()
    compute: ComputeSettings = ComputeSettings()
    alerts: AlertSettings = AlertSettings()
    training: TrainingSettings = TrainingSettings()
    export: ExportSettings = ExportSettings()
    keys: dict[str, str] = {}  # key bindings by id
    stages: dict[str, StageSettings] = {}  # by stage name; see `stage`

    def stage(self, name: str) -> StageSettings:
        """Settings of the stage ``name``; its defaults where config.toml is silent."""
        if name in self.stages:
            return self.stages[name]
        return next(stage for stage in STAGES if stage.name == name).Settings()

    def section(self, name: str) -> BaseModel:
        """A section of config.toml, be it a stage's or a shared one."""
        return getattr(self, name) if name in SHARED else self.stage(name)

    def to_json(self) -> dict[str, Any]:
        """Every section by name, as in config.toml, as JSON-ready values."""
        sections = {name: getattr(self, name) for name in SHARED}
        sections |= {stage.name: self.stage(stage.name) for stage in STAGES}
        values = {
            name: section.model_dump(mode="json", exclude_none=True)  # a limit that is not set
            for name, section in sections.items()
        }
        return {**values, "keys": dict(self.keys)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Config:
        """The inverse of `to_json`.

        Raises
        ------
        pydantic.ValidationError
            If a value is not allowed.
        """
        names = {stage.name: stage.Settings for stage in STAGES}
        stages = {name: kind(**values.get(name, {})) for name, kind in names.items()}
        shared = {name: value for name, value in values.items() if name not in names}
        return cls(**shared, stages=stages)


def affecting(section: BaseModel) -> dict[str, Any]:
    """The values of ``section``, a frozen model, that change results, as JSON-ready values."""
    return dict(_affecting(cast(Hashable, section)))


@lru_cache(maxsize=256)  # asked for every item of a project: seconds for 20,000 of them
def _affecting(section: Hashable) -> dict[str, Any]:
    assert isinstance(section, BaseModel)
    values = section.model_dump(mode="json")
    for name, info in type(section).model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and extra.get("affects") is False:
            values.pop(name)
    return values
