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
        ".",
        "folder that the acquisition software writes movies to",
        affects=False,
        path=True,
        reported=True,
    )
    pattern: tuple[str, ...] = setting(
        ("*.mrc", "*.mrcs", "*.tif", "*.tiff", "*.eer"), "file names of the movies", affects=False
    )
    recursive: bool = setting(False, "also search sub-folders", affects=False)
    pixel_size: float = setting(
        0.0,
        "pixel size of the raw frames; 0 = read it from the movie or its mdoc",
        unit="Å/px",
        ge=0,
        le=1000,
        reported=True,
    )
    binning: float = setting(
        1.0, "factor by which frames are binned (Fourier cropping)", ge=1, le=64, reported=True
    )
    dose_per_frame: float = setting(
        0.0,
        "dose per raw frame (EER: per group of frames); 0 = unknown",
        unit="e/Å²",
        ge=0,
        le=10000,
        reported=True,
    )
    pre_exposure: float = setting(0.0, "dose before the first frame", unit="e/Å²", ge=0, le=100000)
    gain: str = setting(
        "",
        "gain reference that multiplies each frame; empty = frames are corrected",
        path=True,
        reported=True,
    )
    gain_flip_x: bool = setting(False, "mirror the gain left-right")
    gain_flip_y: bool = setting(False, "mirror the gain top-bottom")
    gain_transpose: bool = setting(False, "swap the gain's axes, after mirroring")
    defects: str = setting(
        "", "defect map: an image (non-zero = defect) or text lines 'x y w h'", path=True
    )
    eer_frames_per_group: int = setting(
        32, "EER: raw frames summed into one frame", ge=1, le=100000
    )
    eer_upsampling: int = setting(1, "EER: size of the frames, 1 = 4k, 2 = 8k", ge=1, le=2)
    settle_seconds: float = setting(
        3.0,
        "a movie is complete when its file is unchanged for this long",
        unit="s",
        affects=False,
        ge=0,
        le=3600,
    )
    poll_seconds: float = setting(
        3.0, "time between two searches of the folder", unit="s", affects=False, ge=0.05, le=3600
    )


class OpticsSettings(Section):
    """[optics]: the microscope."""

    voltage: float = setting(
        300.0, "acceleration voltage", unit="kV", ge=10, le=2000, reported=True
    )
    cs: float = setting(2.7, "spherical aberration", unit="mm", ge=0, le=20, reported=True)
    amplitude_contrast: float = setting(0.07, "amplitude contrast", ge=0, le=1, reported=True)


class Filters(Section):
    """[filters]: limits that decide which items go into exports. No result becomes outdated."""

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
        """[filters] for the type checker; at run time the stages declare the keys."""

        def __init__(self, **limits: float | None) -> None: ...

else:
    FilterSettings = filter_settings(STAGES)


class ComputeSettings(Section):
    """[compute]: devices and processes. Changes no result."""

    devices: str | tuple[str, ...] = setting(
        "auto", 'auto, cpu, or a list such as ["cuda:0", "cuda:1"]', affects=False
    )
    workers_per_device: int = setting(
        1, "worker processes on each device", affects=False, ge=1, le=16
    )
    threads: int = setting(
        0, "CPU threads of each worker; 0 = automatic", affects=False, ge=0, le=1024
    )
    scheduler: str = setting(
        "", "address of a Dask scheduler for workers on other machines", affects=False
    )


class AlertSettings(Section):
    """[alerts]: when to show a notice and run a command. Changes no result."""

    failed_item: bool = setting(True, "alert when an item fails", affects=False)
    no_new_file_minutes: float = setting(
        0.0,
        "alert when no new file arrives for this long; 0 = off",
        unit="min",
        affects=False,
        ge=0,
        le=100000,
    )
    motion_above: float = setting(
        0.0,
        "alert when the newest items' median motion is above this; 0 = off",
        unit="Å/frame",
        affects=False,
        ge=0,
        le=1000,
    )
    motion_items: int = setting(
        20, "number of newest items in that median", affects=False, ge=1, le=10000
    )
    disk_low_hours: float = setting(
        4.0,
        "alert when the disk will be full within this time; 0 = off",
        unit="h",
        affects=False,
        ge=0,
    )
    disk_low_gb: float = setting(
        5.0,
        "alert when the project's disk has less free space; 0 = off",
        unit="GB",
        affects=False,
        ge=0,
    )
    engine_trouble: bool = setting(
        True, "alert when a worker or the engine dies, or processing has to stop", affects=False
    )
    bell: bool = setting(True, "the app rings the terminal's bell for each alert", affects=False)
    command: str = setting(
        "", "shell command run for each alert; $WARPTUI_TEXT holds the message", affects=False
    )
    command_seconds: float = setting(
        30.0, "time limit of the command", unit="s", affects=False, gt=0, le=3600
    )


class TrainingSettings(Section):
    """[training]: how BoxNet learns from marked micrographs. Changes no result by itself."""

    new_model: str = setting(
        "", "name of the new model; empty = the present model's with a number", affects=False
    )
    epochs: int = setting(
        100,
        "maximum number of passes through all training micrographs",
        affects=False,
        ge=1,
        le=100000,
    )
    batch: int = setting(
        8, "image windows per step; halved when memory runs out", affects=False, ge=1, le=256
    )
    optimiser: str = setting(
        "adamw",
        "optimiser: adamw, or momentum as in the paper (with first_rate 0.01)",
        affects=False,
        pattern="^(adamw|momentum)$",
    )
    first_rate: float = setting(1e-3, "learning rate at the start", affects=False, gt=0, le=1)
    last_rate: float = setting(1e-5, "learning rate at the end", affects=False, gt=0, le=1)
    corpus_percent: float = setting(
        50.0,
        "share of bundled examples in each step; they keep earlier knowledge",
        unit="%",
        affects=False,
        ge=0,
        le=90,
    )
    train_masks: bool = setting(
        True, "learn contamination from the masks of the training micrographs", affects=False
    )
    held_out_percent: float = setting(
        20.0,
        "share of micrographs held out if no micrograph is marked held-out; 0 = off",
        unit="%",
        affects=False,
        ge=0,
        le=80,
    )


class ExportSettings(Section):
    """[export]: the live lists of particles. Changes no result."""

    live: bool = setting(
        True, "keep particles_MODEL.star up to date for RELION and cryoSPARC", affects=False
    )
    last_items: int = setting(
        500,
        "number of newest items in particles_MODEL_last.star",
        affects=False,
        ge=1,
        le=1_000_000,
    )
    live_seconds: float = setting(
        3.0,
        "minimum time between two versions of these lists",
        unit="s",
        affects=False,
        ge=0.2,
        le=3600,
    )
    optics_groups: str = setting(
        "one", "optics groups: one, or beam_shift (a group per beam position)",
        affects=False, pattern="^(one|beam_shift)$",
    )  # fmt: skip
    beam_shift_folder: str = setting(
        "", "folder of EPU's XML or SerialEM's mdoc files; empty = beside the movies", affects=False
    )
    beam_shift_distance: float = setting(
        0.0,
        "beam positions closer than this share a group (in the files' unit); 0 = automatic",
        affects=False,
        ge=0,
        le=10000,
    )
    star_version: str = setting(
        "3.1", "RELION version of the lists: 3.1 (or later: optics groups) or 3.0", affects=False,
        pattern=r"^(3\.1|3\.0)$",
    )  # fmt: skip
