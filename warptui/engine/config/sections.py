"""The sections of config.toml that belong to no single stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from warptui.engine.stages.base import Stage, setting
from warptui.engine.stages.registry import STAGES


class Section(BaseModel):
    """Base of the sections that belong to no single stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputSettings(Section):
    """[input]: where the movies are and how to read them."""

    folder: str = setting(
        ".", "where the acquisition software writes", affects=False, path=True, reported=True
    )
    pattern: tuple[str, ...] = setting(
        ("*.mrc", "*.mrcs", "*.tif", "*.tiff", "*.eer"), "file names to take", affects=False
    )
    recursive: bool = setting(False, "look into sub-folders too", affects=False)
    pixel_size: float = setting(
        0.0,
        "pixel size of the raw frames; 0 = from the file or its mdoc",
        unit="Å/px",
        ge=0,
        le=1000,
        reported=True,
    )
    binning: float = setting(1.0, "Fourier cropping factor", ge=1, le=64, reported=True)
    dose_per_frame: float = setting(
        0.0,
        "dose per raw frame (EER: per group); 0 = unknown",
        unit="e/Å²",
        ge=0,
        le=10000,
        reported=True,
    )
    pre_exposure: float = setting(0.0, "dose before the first frame", unit="e/Å²", ge=0, le=100000)
    gain: str = setting(
        "", "gain reference to multiply with; empty = corrected already", path=True, reported=True
    )
    gain_flip_x: bool = setting(False, "mirror the gain left-right")
    gain_flip_y: bool = setting(False, "mirror the gain top-bottom")
    gain_transpose: bool = setting(False, "swap the gain's axes, after the flips")
    defects: str = setting(
        "", "mask image (non-zero = bad) or text file 'x y w h' a line", path=True
    )
    eer_frames_per_group: int = setting(32, "EER raw frames summed to one frame", ge=1, le=100000)
    eer_upsampling: int = setting(1, "EER rendering: 1 = 4k, 2 = 8k", ge=1, le=2)
    settle_seconds: float = setting(
        3.0,
        "a file is complete when unchanged for this long",
        unit="s",
        affects=False,
        ge=0,
        le=3600,
    )
    poll_seconds: float = setting(
        3.0, "time between looks into the folder", unit="s", affects=False, ge=0.05, le=3600
    )


class OpticsSettings(Section):
    """[optics]: the microscope."""

    voltage: float = setting(
        300.0, "acceleration voltage", unit="kV", ge=10, le=2000, reported=True
    )
    cs: float = setting(2.7, "spherical aberration", unit="mm", ge=0, le=20, reported=True)
    amplitude_contrast: float = setting(0.07, "amplitude contrast", ge=0, le=1, reported=True)


class Filters(Section):
    """[filters]: which items go into exports. Judges results, so that it makes none outdated."""

    def limits(self) -> dict[str, float]:
        """The limits that are set."""
        return {key: value for key, value in self if value is not None}


def filter_settings(stages: Sequence[Stage]) -> type[Filters]:
    """The model of [filters]: one optional number for each limit that the stages declare."""
    declared = sorted((e for stage in stages for e in stage.limits()), key=lambda e: e.order)
    fields: dict[str, Any] = {}
    for entry in declared:
        kind = int | None if entry.whole else float | None
        bounds: dict[str, Any] = {**entry.bounds, "examples": [entry.example]}
        unit = entry.unit or ""
        fields[entry.key] = (kind, setting(None, entry.help, unit=unit, affects=False, **bounds))
    return create_model("FilterSettings", __base__=Filters, __doc__=Filters.__doc__, **fields)


if TYPE_CHECKING:

    class FilterSettings(Filters):
        """[filters], as far as a type checker sees: the keys are declared by the stages."""

        def __init__(self, **limits: float | None) -> None: ...

else:
    FilterSettings = filter_settings(STAGES)


class ComputeSettings(Section):
    """[compute]: devices and processes. Changes no result."""

    devices: str | tuple[str, ...] = setting(
        "auto", 'auto, cpu, or a list such as ["cuda:0", "cuda:1"]', affects=False
    )
    workers_per_device: int = setting(1, "processes on each device", affects=False, ge=1, le=16)
    threads: int = setting(
        0, "CPU threads of one worker; 0 = automatic", affects=False, ge=0, le=1024
    )
    scheduler: str = setting(
        "", "address of a Dask scheduler for workers on other machines", affects=False
    )


class AlertSettings(Section):
    """[alerts]: what somebody is to be told about. Changes no result."""

    failed_item: bool = setting(True, "an item failed", affects=False)
    no_new_file_minutes: float = setting(
        0.0, "no new file for so long; 0 = off", unit="min", affects=False, ge=0, le=100000
    )
    motion_above: float = setting(
        0.0,
        "median motion of the newest items above this; 0 = off",
        unit="Å/frame",
        affects=False,
        ge=0,
        le=1000,
    )
    motion_items: int = setting(
        20, "how many items that median is of", affects=False, ge=1, le=10000
    )
    disk_low_hours: float = setting(
        4.0, "disk full in less, at the present rate; 0 = off", unit="h", affects=False, ge=0
    )
    disk_low_gb: float = setting(
        5.0, "less is free on the project's disk; 0 = off", unit="GB", affects=False, ge=0
    )
    engine_trouble: bool = setting(
        True, "a worker or the engine died, or processing had to stop", affects=False
    )
    bell: bool = setting(True, "ring the terminal's bell in the app", affects=False)
    command: str = setting(
        "", "shell command to run; $WARPTUI_TEXT says what happened", affects=False
    )
    command_seconds: float = setting(
        30.0, "the command is ended after this long", unit="s", affects=False, gt=0, le=3600
    )


class TrainingSettings(Section):
    """[training]: how BoxNet learns from marked micrographs. Changes no result by itself."""

    new_model: str = setting(
        "", "name of the next model; empty = the used one's with a number", affects=False
    )
    epochs: int = setting(
        100, "most times that it goes through all examples", affects=False, ge=1, le=100000
    )
    batch: int = setting(
        8, "windows per step; halved when memory runs out", affects=False, ge=1, le=256
    )
    optimiser: str = setting(
        "adamw",
        "how weights are changed; momentum (with first_rate 0.01) is the paper's",
        affects=False,
        pattern="^(adamw|momentum)$",
    )
    first_rate: float = setting(1e-3, "learning rate at first", affects=False, gt=0, le=1)
    last_rate: float = setting(1e-5, "learning rate in the end", affects=False, gt=0, le=1)
    corpus_percent: float = setting(
        50.0,
        "share of the curated set in each step: what is known is not forgotten",
        unit="%",
        affects=False,
        ge=0,
        le=90,
    )
    train_masks: bool = setting(True, "masks of the examples teach what is dirt", affects=False)
    held_out_percent: float = setting(
        20.0,
        "of the micrographs that are only measured on, where none is marked so; 0 = none",
        unit="%",
        affects=False,
        ge=0,
        le=80,
    )


class ExportSettings(Section):
    """[export]: the live lists of particles. Changes no result."""

    live: bool = setting(
        True, "keep particles_MODEL.star up to date, for RELION and cryoSPARC", affects=False
    )
    last_items: int = setting(
        500, "newest items in particles_MODEL_last.star", affects=False, ge=1, le=1_000_000
    )
    live_seconds: float = setting(
        3.0, "least time between two versions of them", unit="s", affects=False, ge=0.2, le=3600
    )
    optics_groups: str = setting(
        "one", "of the lists: one, or beam_shift: one for each position of the beam",
        affects=False, pattern="^(one|beam_shift)$",
    )  # fmt: skip
    beam_shift_folder: str = setting(
        "", "where EPU's XML or SerialEM's mdoc files are, if not beside the movies", affects=False
    )
    beam_shift_distance: float = setting(
        0.0,
        "positions nearer than this are one group, in the unit of those files; 0 = automatic",
        affects=False,
        ge=0,
        le=10000,
    )
    star_version: str = setting(
        "3.1", "of RELION: 3.1 (and later: optics groups) or 3.0", affects=False,
        pattern=r"^(3\.1|3\.0)$",
    )  # fmt: skip
