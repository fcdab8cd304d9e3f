"""Particle picking with BoxNet (paper: *Particle picking with a residual neural net*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warptui.engine.errors import StageError
from warptui.engine.items import Movie
from warptui.engine.stages.average import AverageResult
from warptui.engine.stages.stage import Stage, StageResult, StageSettings, setting, summary

if TYPE_CHECKING:
    import numpy as np

    from warptui.engine.ops.picks import Picks
    from warptui.engine.stages.stage import Bench

DISC_SHARE = 0.5  # of a particle's radius: what BoxNet was taught to mark
LOWEST_SCORE = 0.4  # candidates below are not kept: the most likely label of three is above 1/3
WRONG_DIAMETER = 1.6  # told when the picks' own size differs by more than this factor
DECIMALS = 4


class PickingSettings(StageSettings):
    """[picking] of config.toml."""

    model: str = setting("boxnet", "a bundled model's name, or that or the path of a retrained one")
    diameter_angstrom: float = setting(
        200.0, "of the particle: nearer picks are one", unit="Å", ge=10, le=5000
    )
    min_score: float = setting(0.95, "lowest probability of a pick", ge=0.4, le=1)
    min_mask_distance_angstrom: float = setting(
        0.0, "between a particle's edge and masked areas", unit="Å", ge=0, le=10000
    )
    invert_contrast: bool = setting(False, "particles are bright: negative stain")


class PickingResult(StageResult):
    """What was found."""

    n_particles: int | None = summary(
        "particles", "picked with the score that is asked for", digits=0, filter_min="particles_min"
    )
    mask_percent: float | None = summary(
        "mask",
        "area of contamination, support and empty holes",
        unit="%",
        digits=1,
        filter_max="mask_max_percent",
    )
    mean_score: float | None = None
    implied_diameter_angstrom: float | None = None  # by the size of the marks
    n_candidates: int = 0  # with any score, before overlaps and masks are taken out
    model: str = ""
    model_hash: str = ""  # SHA-256 of the model's file
    pixel_size: float = 0.0  # Å/px that the model saw
    picks_path: str = ""  # relative to the project folder
    mask_path: str = ""
    notes: list[str] = []


def run(item: Movie, bench: Bench, settings: PickingSettings) -> PickingResult:
    """Pick particles in the average of ``item`` and mask what is no specimen.

    The average is brought to 8 Å/px and labelled tile by tile. Connected particle pixels make a
    candidate; of two that overlap the bigger stays; those on or near masked areas go. All
    candidates are kept beside, so that another score can be tried without the network.

    Raises
    ------
    InputError
        If the model is absent, damaged or of another version.
    StageError
        If the average holds values that are not finite.
    """
    import torch

    from warptui.engine.ops import picks as op
    from warptui.engine.ops.segmentation import PIXEL_SIZE, coarsen, normalise, segment

    average = bench.results["average"]
    assert isinstance(average, AverageResult)
    net, model_hash = bench.boxnet(settings.model)
    image = bench.image("average")
    if not bool(torch.isfinite(image).all()):
        raise StageError(
            f"{item.name}: the average has values that are not finite; process the movie again (P)"
        )
    if float(image.max()) == float(image.min()):
        raise StageError(
            f"{item.name}: the average is {float(image.max()):g} everywhere: nothing to pick in"
        )
    bench.progress(0.1)
    coarse = coarsen(image - image.mean(), average.pixel_size)
    normal = normalise(-coarse if settings.invert_contrast else coarse)
    with torch.inference_mode():
        probabilities = segment(net, normal).cpu().numpy()
    bench.progress(0.8)
    mask = op.find_artifacts(probabilities)
    found = op.find_components(probabilities)
    diameter_px = settings.diameter_angstrom / PIXEL_SIZE
    distance_px = diameter_px / 2 + settings.min_mask_distance_angstrom / PIXEL_SIZE
    chosen = found.take(found.scores >= settings.min_score)
    chosen = op.away_from(op.without_overlaps(chosen, diameter_px), mask, distance_px)
    implied = op.implied_diameter_px(chosen, DISC_SHARE)
    notes = []
    if implied is not None:
        implied *= PIXEL_SIZE
        ratio = implied / settings.diameter_angstrom
        if not 1 / WRONG_DIAMETER < ratio < WRONG_DIAMETER:
            notes.append(
                f"the picks look about {implied:.0f} Å across; picking.diameter_angstrom says "
                f"{settings.diameter_angstrom:g}"
            )
    scale_yx = [full / small for full, small in zip(image.shape, coarse.shape, strict=True)]
    picks_path = bench.save_picks(
        settings.model, _in_average(chosen, scale_yx), chosen.scores, average.average_path
    )
    bench.save_candidates(_in_average(found, scale_yx), found.scores, found.areas_px)
    mask_path = bench.save_mask(mask)
    return PickingResult(
        n_particles=len(chosen),
        mask_percent=round(100 * float(mask.mean()), DECIMALS),
        mean_score=round(float(chosen.scores.mean()), DECIMALS) if len(chosen) else None,
        implied_diameter_angstrom=None if implied is None else round(implied, 1),
        n_candidates=len(found),
        model=settings.model,
        model_hash=model_hash,
        pixel_size=round(average.pixel_size * scale_yx[0], 6),
        picks_path=bench.relative(picks_path),
        mask_path=bench.relative(mask_path),
        notes=notes,
    )


def _in_average(picks: Picks, scale_yx: list[float]) -> np.ndarray:
    """(n, 2) float64 centres in px of the average; position 0 is the centre of pixel 0.

    Cropping a Fourier transform keeps the first pixel's centre where it is.
    """
    import numpy as np

    return picks.centres_yx_px.astype(np.float64) * scale_yx


STAGE = Stage(
    "picking",
    Movie,
    PickingSettings,
    PickingResult,
    run,
    needs=("average",),
    sections=("picking.model_hash",),
)
