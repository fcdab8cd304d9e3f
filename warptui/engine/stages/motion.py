"""Global and local motion of a movie (paper: *Motion model*, *Global and local motion correction*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warptui.engine.items import Movie
from warptui.engine.stages.stage import Stage, StageResult, StageSettings, setting, summary

if TYPE_CHECKING:
    from warptui.engine.stages.stage import Bench


class MotionSettings(StageSettings):
    """[motion] of config.toml."""

    fit_min_resolution: float = setting(
        500.0, "lowest resolution that is compared", unit="Å", gt=0, le=10000
    )
    fit_max_resolution: float = setting(
        5.0, "highest resolution that is compared", unit="Å", gt=0, le=1000
    )
    b_factor: float = setting(
        -100.0, "weight exp(B k²/4) on the comparison; negative decays", unit="Å²", ge=-10000, le=0
    )
    global_nodes: int = setting(
        0, "temporal nodes of the global track; 0 = automatic", ge=0, le=2000
    )
    local_grid: tuple[int, int, int] = setting(
        (5, 5, 3), "x, y, time nodes of the local motion; [1, 1, 1] = global motion only"
    )
    patch_size_px: int = setting(512, "size of the patches that are compared", unit="px", ge=64)


class MotionResult(StageResult):
    """Shifts are those *to apply* to a frame so that it lands in the common frame, in Å."""

    early_motion: float | None = summary(
        "motion", "mean motion per frame over the first third of the movie", unit="Å/frame"
    )
    total_motion: float | None = summary("total", "length of the global track", unit="Å", digits=1)
    shift_error: float | None = summary(
        "± shift", "estimated error of the shifts", unit="Å", digits=2
    )
    confidence: float | None = summary(
        "conf", "how sure the alignment is, 0..1; below 0.5 it is not to be trusted"
    )
    n_frames: int = 0
    pixel_size: float = 0.0  # Å/px of the binned frames
    shape_yx: tuple[int, int] = (0, 0)  # px of the binned frames
    dose_per_frame: float | None = None  # e/Å²; None = unknown
    track_yx_angstrom: list[tuple[float, float]] = []  # per frame, at the image centre
    global_yx_angstrom: list[tuple[float, float]] = []  # nodes of the global grid, mean 0
    local_grid: tuple[int, int, int] = (1, 1, 1)  # x, y, time nodes; (1, 1, 1) = none
    local_x_angstrom: list[float] = []  # nodes, x fastest, then y, then time
    local_y_angstrom: list[float] = []
    local_used: bool = False  # the local model earned its place in this movie
    notes: list[str] = []  # said to the user: dose unknown, EER frames left over, ...


def run(item: Movie, bench: Bench, settings: MotionSettings) -> MotionResult:
    """Estimate the motion of ``item``."""
    raise NotImplementedError


STAGE = Stage("motion", Movie, MotionSettings, MotionResult, run, sections=("input", "optics"))
