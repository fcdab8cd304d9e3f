"""What a processing step is: its settings, its result, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from warptui.engine.model.summary import Summary

if TYPE_CHECKING:
    import numpy as np
    import torch

    from warptui.engine.config.sections import InputSettings, OpticsSettings
    from warptui.engine.config.settings import Config
    from warptui.engine.formats.mrc import StackWriter
    from warptui.engine.formats.star.particles import ParticleOptics, ParticleTable
    from warptui.engine.formats.star.picks import Candidates
    from warptui.engine.model.edits import Chosen, Edits
    from warptui.engine.nets.boxnet import BoxNet
    from warptui.engine.ops.particles.extraction import Counts
    from warptui.engine.stages.movie.average import AverageSettings


class StageSettings(BaseModel):
    """Base of every stage's settings. Equality decides staleness."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enabled: bool = Field(default=True, description="run this stage")


class StageResult(BaseModel):
    """Base of every stage's result. Fields made with `summary` become columns and plots."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def setting(default: Any, help: str, *, unit: str = "", affects: bool = True, **bounds: Any) -> Any:
    """A setting with its one-line help, unit and bounds (``ge``, ``le``, ...).

    ``affects=False`` marks what changes no result, so that no item becomes outdated by it.
    """
    return Field(
        default, description=help, json_schema_extra={"unit": unit, "affects": affects}, **bounds
    )


def summary(
    label: str,
    help: str,
    *,
    unit: str = "",
    digits: int = 2,
    default: Any = None,
    filter_min: str = "",
    filter_max: str = "",
    only_with: str = "",
    minor: bool = False,
) -> Any:
    """A result value that tables, plots and filters show; None is unknown.

    ``filter_min`` and ``filter_max`` name the keys of [filters] that limit it; ``only_with`` the
    setting of the stage without which it tells nothing, and is not shown. ``minor`` ones come after
    all others, as lists have no room for all.
    """
    shown: dict[str, Any] = {"label": label, "unit": unit, "digits": digits}
    limits = {"filter_min": filter_min, "filter_max": filter_max, "only_with": only_with}
    shown["minor"] = minor
    return Field(
        default,
        description=help,
        json_schema_extra={"summary": True, **shown, **limits},
    )


def carried(default: Any = None) -> Any:
    """A result value that comes with an item's row for a plot, and is no column or limit itself."""
    return Field(default, json_schema_extra={"carried": True})


class Frames(Protocol):
    """The corrected frames of a movie, made one at a time: all of them would fill the memory."""

    n_frames: int
    shape_yx: tuple[int, int]

    def __getitem__(self, index: int) -> torch.Tensor: ...
    def read(self, index: int, out: torch.Tensor | None) -> torch.Tensor: ...
    def counts(self) -> Counts | None: ...


class Bench(Protocol):
    """What a stage works on: one item's frames on one device, and a place for its products."""

    device: torch.device
    input: InputSettings
    optics: OpticsSettings
    deconvolution: list[float]  # strength, fall-off and high-pass; empty = none is wanted
    averaging: AverageSettings  # how frames are added up and weighted, wherever that is done
    diameter_angstrom: float  # of the particle
    results: dict[str, StageResult]  # of the stages that ran before, by name
    pixel_size: float  # Å/px of the raw frames; known after `frames`
    dose_per_frame: float | None  # e/Å²; None = unknown; known after `frames`
    notes: list[str]  # what the user should know about the input

    @property
    def tilt_deg(self) -> float | None: ...  # of the stage; None = unknown
    def frames(self) -> Frames: ...
    def image(self, name: str) -> torch.Tensor: ...
    def save(self, name: str, image: torch.Tensor, pixel_size: float) -> Path: ...
    def discard(self, name: str) -> None: ...
    def boxnet(self, name: str) -> BoxNet: ...
    def boxnet_hash(self, name: str) -> str: ...
    def identity(self, name: str) -> list[int]: ...
    def edits(self) -> Edits: ...
    def candidates(self, key: Mapping[str, Any]) -> Candidates | None: ...
    def save_candidates(self, found: Candidates, key: Mapping[str, Any]) -> None: ...
    def save_picks(
        self, model: str, chosen: Chosen, pixel_size: float, micrograph: str
    ) -> Path: ...
    def picks(self, path: str) -> tuple[np.ndarray, np.ndarray]: ...
    def particle_stack(
        self, suffix: str, half: str, box_px: int, pixel_size: float
    ) -> StackWriter: ...
    def save_particles(
        self, suffix: str, table: ParticleTable, optics: ParticleOptics, made_of: str
    ) -> Path: ...
    def has_particles(self, suffix: str, made_of: str, halves: Sequence[str]) -> bool: ...
    def sources(self) -> list[list[int]]: ...
    def particle_path(self, suffix: str) -> Path: ...
    def discard_particles(self, suffix: str) -> None: ...
    def save_mask(self, mask: np.ndarray) -> Path: ...
    def save_preview(self, picture: torch.Tensor, product: str = "average") -> Path: ...
    def relative(self, path: Path) -> str: ...
    def progress(self, fraction: float) -> None: ...


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
    deadline_s: float = 600.0  # a worker that takes longer is killed and the item retried
    needs_with: Callable[[Any], tuple[str, ...]] | None = None  # of a Config: see `needed`

    def needed(self, config: Config) -> tuple[str, ...]:
        """Those of ``needs.own`` that it reads with these settings; all unless it says so."""
        return self.needs.own if self.needs_with is None else self.needs_with(config)

    def told_with(self, settings: BaseModel) -> tuple[Summary, ...]:
        """Those of `summaries` that tell something with these settings of the stage."""
        fields = self.Result.model_fields
        silent = set()
        for name, info in fields.items():
            extra = info.json_schema_extra
            only_with = str(extra.get("only_with") or "") if isinstance(extra, dict) else ""
            if only_with and not getattr(settings, only_with):
                silent.add(f"{self.name}.{name}")
        return tuple(entry for entry in self.summaries() if entry.key not in silent)

    def carried(self) -> tuple[str, ...]:
        """Keys of the values that rows bring along beside `summaries` (see `carried`)."""
        extras = ((name, info.json_schema_extra) for name, info in self.Result.model_fields.items())
        return tuple(
            f"{self.name}.{name}"
            for name, extra in extras
            if isinstance(extra, dict) and extra.get("carried")
        )

    def summaries(self) -> tuple[Summary, ...]:
        """The values of this stage's Result that are shown in lists and plots."""
        found = []
        for name, info in self.Result.model_fields.items():
            extra = info.json_schema_extra
            if isinstance(extra, dict) and extra.get("summary"):
                found.append(
                    Summary(
                        key=f"{self.name}.{name}",
                        label=str(extra["label"]),
                        unit=str(extra["unit"]),
                        help=info.description or "",
                        digits=int(str(extra["digits"])),
                        filter_min=str(extra["filter_min"]),
                        filter_max=str(extra["filter_max"]),
                        minor=bool(extra["minor"]),
                    )
                )
        return tuple(found)
