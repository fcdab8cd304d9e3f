"""Motion-corrected, dose-weighted average (paper: *Export of corrected data*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warptui.engine.items import Movie
from warptui.engine.stages.stage import Stage, StageResult, StageSettings, setting, summary

if TYPE_CHECKING:
    from warptui.engine.stages.stage import Bench


class AverageSettings(StageSettings):
    """[average] of config.toml."""

    skip_first: int = setting(0, "frames left out at the start", unit="frames", ge=0, le=1000)
    skip_last: int = setting(0, "frames left out at the end", unit="frames", ge=0, le=1000)
    dose_weighting: str = setting(
        "gaussian",
        "gaussian: exp(-dose k²) (Warp); critical: Grant & Grigorieff 2015; none",
        pattern="^(gaussian|critical|none)$",
    )
    halves: bool = setting(False, "also write average/odd and average/even")
    deconvolve: bool = setting(False, "also write deconv/ (after the CTF is known)")
    deconvolution_strength: float = setting(1.0, "strength of the deconvolution", ge=0, le=10)
    deconvolution_falloff: float = setting(1.0, "fall-off of the deconvolution", ge=0, le=10)
    highpass_angstrom: float = setting(300.0, "high-pass of the deconvolution", unit="Å", gt=0)


class AverageResult(StageResult):
    """What was written."""

    mean_electrons: float | None = summary(
        "mean", "mean counts per pixel of the whole exposure", unit="e/px", digits=1
    )
    pixel_size: float = 0.0  # Å/px of the average
    shape_yx: tuple[int, int] = (0, 0)
    n_frames: int = 0  # frames that went in
    dose: float | None = None  # total e/Å² of the frames that went in; None = unknown
    average_path: str = ""  # relative to the project folder
    notes: list[str] = []


def run(item: Movie, bench: Bench, settings: AverageSettings) -> AverageResult:
    """Write the average of ``item``."""
    raise NotImplementedError


STAGE = Stage("average", Movie, AverageSettings, AverageResult, run, needs=("motion",))
