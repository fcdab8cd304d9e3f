"""What a processing step is: its settings, its result, and the function that runs it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from warptui.engine.errors import OutputError
from warptui.engine.model.summary import Summary

if TYPE_CHECKING:
    import numpy as np

    from warptui.engine.formats.warp.xml import Element
    from warptui.engine.model.stored import StageRecord, StoredItem


class StageSettings(BaseModel):
    """Base of every stage's settings. Equality decides staleness."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enabled: bool = Field(default=True, description="whether this stage runs")

    @classmethod
    def settings_behind(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that give the ``values`` of a record; derived ones (properties) are undone."""
        return dict(values)


class StageResult(BaseModel):
    """Base of every stage's result. Fields made with `summary` become columns and plots."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    affects: bool = True,
    path: bool = False,
    reported: bool = False,
    **bounds: Any,
) -> Any:
    """A setting with its one-line help, unit and bounds (``ge``, ``le``, ...).

    ``affects=False`` marks settings that change no result, so that no item becomes outdated;
    ``path=True`` a file or folder, which may be relative to the folder of config.toml;
    ``reported=True`` what reports list even where it has its default.
    """
    extra: dict[str, Any] = {"unit": unit, "affects": affects}
    extra |= {"path": True} if path else {}
    extra |= {"reported": True} if reported else {}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class FilterLimit(NamedTuple):
    """A key of [filters] that limits a summary value on one side; made with `limit`."""

    key: str
    help: str
    example: float
    unit: str | None  # None = the value's own
    order: int  # place in [filters]; equal ones follow the order of stages
    bounds: Mapping[str, float]  # ge, le: what the limit itself may be

    @property
    def whole(self) -> bool:
        """Whether the limit is a whole number: its example is one."""
        return isinstance(self.example, int)


def limit(
    key: str,
    help: str,
    example: float,
    *,
    unit: str | None = None,
    order: int = 1000,
    **bounds: float,
) -> FilterLimit:
    """A key of [filters], declared where the value is that it limits (see `summary`)."""
    return FilterLimit(key, help, example, unit, order, bounds)


class Role(StrEnum):
    """What a value means to parts of the program that know no stage: alerts, report, counts."""

    EARLY_MOTION = "early motion"  # Å per frame; alerts watch its median
    RESOLUTION = "resolution"  # Å; of the CTF
    PARTICLES = "particles"  # number of picks; counted over the selected items
    ASTIGMATISM = "astigmatism"  # µm, u - v
    ASTIGMATISM_ANGLE = "astigmatism angle"  # degrees, from x towards u
    ASTIGMATISM_SIGMA = "astigmatism sigma"  # distance from the session's mean; needs all items


def summary(
    label: str,
    help: str,
    *,
    unit: str = "",
    digits: int = 2,
    default: Any = None,
    filter_min: FilterLimit | None = None,
    filter_max: FilterLimit | None = None,
    only_with: str = "",
    minor: bool = False,
    role: Role | None = None,
) -> Any:
    """A result value that tables, plots and filters show; None is unknown.

    ``filter_min`` and ``filter_max`` declare the keys of [filters] that limit it; ``only_with``
    the setting of the stage without which it has no meaning, and is not shown. ``minor`` ones come
    after all others, as lists have no room for all. ``role``: see `Role`.
    """
    shown: dict[str, Any] = {"label": label, "unit": unit, "digits": digits, "minor": minor}
    limits = {"filter_min": filter_min, "filter_max": filter_max, "only_with": only_with}
    return Field(
        default,
        description=help,
        json_schema_extra={"summary": True, "role": role, **shown, **limits},
    )


def carried(default: Any = None, *, role: Role | None = None) -> Any:
    """A result value that comes with an item's row for a plot, and is no column or limit itself."""
    return Field(default, json_schema_extra={"carried": True, "role": role})


class SettingsView(Protocol):
    """All settings of a project, as far as a stage sees them."""

    def stage(self, name: str) -> StageSettings: ...
    def section(self, name: str) -> BaseModel: ...


class Problem(NamedTuple):
    """What is wrong with a setting."""

    key: str  # "motion.b_factor"
    found: str  # as TOML; "" where it is not the value that is wrong
    text: str  # what is allowed

    def __str__(self) -> str:
        return f"{self.key} = {self.found}: {self.text}" if self.found else self.text


class Reference(NamedTuple):
    """A file that a setting names and whose content decides whether results are up to date."""

    section: str  # of config.toml
    key: str
    label: str  # "gain reference"
    blocks: bool = False  # processing waits while the file cannot be read
    by_content: bool = True  # another name of a file with equal content changes nothing
    # Path of the file from the setting's value and the project folder; raises InputError.
    find: Callable[[str, Path], Path] | None = None  # None: relative to the project folder
    content_hash: Callable[[Path], str] | None = None  # None: SHA-1 of the bytes

    @property
    def name(self) -> str:
        """Section and key, as messages have them."""
        return f"{self.section}.{self.key}"

    @property
    def hash_key(self) -> str:
        """Where the hash of the content is in a record's section."""
        return f"{self.key}_hash"


INPUT_REFERENCES = (  # of every stage that depends on [input]
    Reference("input", "gain", "gain reference", blocks=True),
    Reference("input", "defects", "defect map", blocks=True),
)


class WarpPart(NamedTuple):
    """How a stage's result is written into Warp's XML."""

    # (root of the document, the stage's own record, the records of all stages by name)
    write: Callable[[Element, StageRecord, Mapping[str, StageRecord]], None]
    reads: tuple[str, ...] = ()  # other stages: written again when their records change


class Resources(NamedTuple):
    """What a stage needs to run."""

    memory_gb: float | None = None  # of the device; None = not known
    gpu: bool = True  # faster on one, where there is one
    deadline_s: float = 600.0  # a worker that takes longer is killed and the item retried


def refuse_blank(name: str, array: np.ndarray) -> None:
    """Check of most products: raise OutputError for values not finite, or all equal.

    ``name`` names item and product in the message; ``array`` has any shape.
    """
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise OutputError(f"{name} has values that are not finite")
    if low == high:
        raise OutputError(f"{name} is {low} everywhere; nothing was written")


class Product(NamedTuple):
    """A file that a stage writes for each item; paths, cleaning and details follow from it."""

    name: str  # differs from the names of all other products
    folder: str  # relative to the project folder
    suffix: str = ".mrc"  # follows the item's root name; its last part decides the format
    by_model: bool = False  # the picking model's name comes between: ROOT_MODEL.star
    float16: bool = True  # MRC: float16 where the values' range allows, else float32
    preview: bool = False  # uint8 (y, x) picture (.npy) for the app; trials keep it too
    shown: bool = False  # the item's detail gives its path while the file exists
    check: Callable[[str, np.ndarray], None] | None = None  # raises OutputError before writing

    def path(self, project: Path, root_name: str, model: str = "") -> Path:
        """Its file of an item in the folder ``project``; ``model`` is the suffix of the model."""
        between = f"_{model}" if model else ""
        return project / self.folder / f"{root_name}{between}{self.suffix}"


class InputView(Protocol):
    """What stages read of [input]."""

    @property
    def binning(self) -> float: ...  # Fourier cropping factor
    @property
    def pre_exposure(self) -> float: ...  # e/Å² before the first frame
    def model_dump(self, *, mode: Any = ...) -> dict[str, Any]: ...


class OpticsView(Protocol):
    """What stages read of [optics]."""

    @property
    def voltage(self) -> float: ...  # kV
    @property
    def cs(self) -> float: ...  # mm
    @property
    def amplitude_contrast(self) -> float: ...


class Needs(NamedTuple):
    """Stages whose results a stage reads."""

    own: tuple[str, ...] = ()  # of the same item
    members: tuple[str, ...] = ()  # of every member of the item


class Stage(NamedTuple):
    """A step, described."""

    name: str  # also its [section] in config.toml
    kind: str  # of the items that it works on: "movie" or "series"
    Settings: type[StageSettings]
    Result: type[StageResult]
    run: Callable[[Any, Any, Any], StageResult]  # (item, bench, settings) -> Result
    needs: Needs = Needs()  # whose results it reads; a change there makes it outdated
    # Sections beside its own that it depends on; "optics.cs" is one setting of a section, or one
    # value that the section derives from several, and counts even where it affects no other stage.
    sections: tuple[str, ...] = ("input",)
    version: int = 1  # raise it when the maths changes
    resources: Resources = Resources()
    needs_with: Callable[[SettingsView], tuple[str, ...]] | None = None  # see `needed`
    products: tuple[Product, ...] = ()
    references: tuple[Reference, ...] = ()  # beside those of [input]
    # Contradictions between its settings, or with those of others.
    check: Callable[[Any, SettingsView], list[Problem]] | None = None
    xml: WarpPart | None = None  # None: Warp has no elements for it

    @property
    def deadline_s(self) -> float:
        """Longest time that it may take on a small file."""
        return self.resources.deadline_s

    def record(self, item: StoredItem) -> StageRecord | None:
        """Its stored run on an item; None before the first run."""
        return item.records.get(self.name)

    def needed(self, config: SettingsView) -> tuple[str, ...]:
        """Those of ``needs.own`` that it reads with these settings; all by default."""
        return self.needs.own if self.needs_with is None else self.needs_with(config)

    def reference_files(self) -> tuple[Reference, ...]:
        """The references that decide about its results: its own, and those of its sections."""
        found = (*INPUT_REFERENCES, *self.references)
        return tuple(r for r in found if r.section == self.name or r.section in self.sections)

    def visible_with(self, settings: BaseModel) -> tuple[Summary, ...]:
        """Those of `summaries` that have a meaning with these settings of the stage."""
        hidden = {
            f"{self.name}.{name}"
            for name, extra in self._declared()
            if extra.get("only_with") and not getattr(settings, extra["only_with"])
        }
        return tuple(entry for entry in self.summaries() if entry.key not in hidden)

    def carried(self) -> tuple[str, ...]:
        """Keys of the values that rows bring along beside `summaries` (see `carried`)."""
        return tuple(
            f"{self.name}.{name}" for name, extra in self._declared() if extra.get("carried")
        )

    def roles(self) -> dict[Role, str]:
        """Names of the result's fields that have a `Role`."""
        return {extra["role"]: name for name, extra in self._declared() if extra.get("role")}

    def limits(self) -> tuple[FilterLimit, ...]:
        """The keys of [filters] that limit its values, with their units."""
        return tuple(
            entry._replace(unit=extra["unit"]) if entry.unit is None else entry
            for _, extra in self._declared()
            for entry in (extra.get("filter_min"), extra.get("filter_max"))
            if entry is not None
        )

    def summaries(self) -> tuple[Summary, ...]:
        """The values of this stage's Result that are shown in lists and plots."""
        fields = self.Result.model_fields
        return tuple(
            Summary(
                key=f"{self.name}.{name}",
                label=extra["label"],
                unit=extra["unit"],
                help=fields[name].description or "",
                digits=extra["digits"],
                filter_min=extra["filter_min"].key if extra["filter_min"] else "",
                filter_max=extra["filter_max"].key if extra["filter_max"] else "",
                minor=extra["minor"],
                role=str(extra["role"] or ""),
            )
            for name, extra in self._declared()
            if extra.get("summary")
        )

    def _declared(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Fields of the result that `summary` or `carried` made, with what was declared."""
        for name, info in self.Result.model_fields.items():
            if isinstance(info.json_schema_extra, dict):
                yield name, dict(info.json_schema_extra)
