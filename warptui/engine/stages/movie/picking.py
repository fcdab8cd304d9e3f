"""Particle picking with BoxNet (paper: *Particle picking with a residual neural net*)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from warptui.engine.errors import StageError
from warptui.engine.formats.boxnet_model import find_model, hash_model
from warptui.engine.model.edits import Chosen, Edits
from warptui.engine.model.item import MOVIE, Item
from warptui.engine.ops.picking.choice import choose
from warptui.engine.stages.base import (
    Needs,
    Product,
    Reference,
    Role,
    SettingsView,
    Stage,
    StageResult,
    StageSettings,
    limit,
    setting,
    summary,
)
from warptui.engine.stages.bench import Bench, HasModels, HasPicks
from warptui.engine.stages.movie.average import AVERAGE, AverageResult
from warptui.engine.stages.warp import picking as warp_picking

if TYPE_CHECKING:
    import torch

    from warptui.engine.formats.star.picks import Candidates

VERSION = 4  # of what the network makes of an average; raise it when that changes
DISC_SHARE = 0.5  # of a particle's radius: what BoxNet was taught to mark
WRONG_DIAMETER = 1.6  # a note is written if the size of the picks differs by more than this factor
FEWEST_TO_MEASURE = 10  # number of picks from which their size is estimated
PIXEL_SIZE = 8.0  # Å/px that the network works at
COARSEST_PIXEL = 16.0  # Å/px: nothing that could be a particle is left beyond
SMALLEST_FIELD_PX = 16  # at 8 Å/px
DECIMALS = 4
PLACE_DECIMALS, SCORE_DECIMALS = 1, 3  # of a px of the average

MODEL = Reference(
    "picking",
    "model",
    "BoxNet model",
    by_content=False,  # the files of its picks have its name
    find=find_model,
    content_hash=hash_model,
)
CANDIDATES = Product("candidates", "thumbnails/candidates", ".npy", shown=True)  # y, x, score, area
CANDIDATES_KEY = Product("candidates key", "thumbnails/candidates", ".json")
MASK = Product("mask", "mask", ".tif")
MASK_PREVIEW = Product("mask preview", "thumbnails/mask", ".npy", preview=True, shown=True)
PICKS = Product("picks", "matching", ".star", by_model=True)
FALSE_POSITIVES = Product("false positives", "matching", "_falsepositives.star", by_model=True)


class PickingBench(Bench, HasPicks, HasModels, Protocol):
    """What the picking stage works on."""


class PickingSettings(StageSettings):
    """[picking] of config.toml."""

    model: str = setting(
        "boxnet", "BoxNet model: the name of a bundled or trained one, or a path", reported=True
    )
    diameter_angstrom: float = setting(
        200.0,
        "particle diameter; picks are at least 2/3 of it apart",
        unit="Å",
        ge=10,
        le=5000,
        reported=True,
    )
    min_score: float = setting(
        0.95, "minimum score (probability) of a pick", ge=0.4, le=1, reported=True
    )
    min_mask_distance_angstrom: float = setting(
        0.0, "minimum distance of a particle's edge from masked areas", unit="Å", ge=0, le=10000
    )
    invert_contrast: bool = setting(False, "particles are bright, as in negative stain")


class PickingResult(StageResult):
    """What was found."""

    n_particles: int | None = summary(
        "particles",
        "number of particles picked",
        role=Role.PARTICLES,
        digits=0,
        filter_min=limit(
            "particles_min", "minimum number of particles", 1, order=170, ge=0, le=10_000_000
        ),
        filter_max=limit(
            "particles_max", "maximum number of particles", 2000, order=180, ge=0, le=10_000_000
        ),
    )
    mask_percent: float | None = summary(
        "mask",
        "masked area: contamination, support film and empty holes",
        unit="%",
        digits=1,
        filter_max=limit("mask_max_percent", "maximum masked area", 10.0, order=200, ge=0, le=100),
    )
    mean_score: float | None = None
    implied_diameter_angstrom: float | None = None  # by the size of the marks
    n_candidates: int = 0  # with any score, before overlaps and masks are taken out
    min_score: float = 0.0  # that went in: the settings', or this item's own
    suffix: str = ""  # what the picks' files are called by
    n_added: int = 0  # by hand
    n_removed: int = 0  # by hand
    edits: str = ""  # digest of the edits that went in; empty = no edits
    model: str = ""
    model_hash: str = ""  # SHA-256 of the model's file
    pixel_size: float = 0.0  # Å/px of the average, which positions count in
    shape_yx: tuple[int, int] = (0, 0)  # of the average
    mask_pixel_yx: tuple[float, float] = (8.0, 8.0)  # Å/px of the mask: 8, but for rounding
    picks_path: str = ""  # relative to the project folder
    mask_path: str = ""
    notes: list[str] = []


def run(item: Item, bench: PickingBench, settings: PickingSettings) -> PickingResult:
    """Pick particles in the average of ``item`` and mask what is no specimen.

    The average is brought to 8 Å/px and labelled tile by tile. Connected particle pixels make a
    candidate; `ops.picking.choice.choose` picks among them. All candidates are kept beside, so
    that another score or diameter takes neither the network nor the average.

    Raises
    ------
    InputError
        If the model is absent, damaged or of another version, or the edits cannot be read.
    StageError
        If the average holds values that are not finite, is too coarse, or too small.
    """
    average = bench.results.get("average")
    if not isinstance(average, AverageResult):
        raise StageError(
            f"{item.name}: there is no average to pick in; set average.enabled = true, "
            "or picking.enabled = false"
        )
    from warptui.engine.formats.star.picks import model_suffix

    _check_extent(item.name, average)
    model_hash = bench.models.hash(settings.model)
    edits = bench.picks.edits()
    key = {
        "version": VERSION,
        "model_hash": model_hash,
        "average": bench.products.identity(AVERAGE),
        "invert_contrast": settings.invert_contrast,
    }
    found = bench.picks.candidates(key)
    if found is None:
        found = _find(item, bench, settings, average)
        bench.picks.save_candidates(found, key)
    bench.progress(0.9)
    mask_path = bench.picks.save_mask(found.mask)
    ny, nx = average.shape_yx
    mask_pixel_yx = (
        ny / found.mask.shape[0] * average.pixel_size,
        nx / found.mask.shape[1] * average.pixel_size,
    )
    facts: dict[str, Any] = {
        "n_candidates": len(found.table),
        "model": settings.model,
        "model_hash": model_hash,
        "pixel_size": average.pixel_size,
        "shape_yx": average.shape_yx,
        "mask_pixel_yx": mask_pixel_yx,
        "mask_percent": round(100 * float(found.mask.mean()), DECIMALS),
        "mask_path": mask_path,
        "suffix": model_suffix(settings.model),
    }
    chosen = pick(found, settings.model_dump(), facts, edits)
    path = bench.picks.save(settings.model, chosen, average.pixel_size, average.average_path)
    described = describe(chosen, found, settings.model_dump(), facts, edits)
    return PickingResult(**facts, **described, picks_path=path)


def pick(
    found: Candidates, settings: dict[str, Any], result: dict[str, Any], edits: Edits
) -> Chosen:
    """The picks among the candidates that were ``found``; all else is in the record's values."""
    return choose(
        found.table,
        found.mask,
        result["pixel_size"],
        settings["diameter_angstrom"],
        settings["min_score"],
        settings["min_mask_distance_angstrom"],
        edits,
        mask_pixel_yx=result["mask_pixel_yx"],
    )


def describe(
    chosen: Chosen,
    found: Candidates,
    settings: dict[str, Any],
    result: dict[str, Any],
    edits: Edits,
) -> dict[str, Any]:
    """The values of a result that edits can change."""
    by_model = chosen.areas_px > 0
    implied = _implied_diameter_angstrom(chosen)
    diameter = settings["diameter_angstrom"]
    notes = []
    if implied is not None and not 1 / WRONG_DIAMETER < implied / diameter < WRONG_DIAMETER:
        notes.append(
            f"the picks look about {implied:.0f} Å across; picking.diameter_angstrom says "
            f"{diameter:g}"
        )
    best = float(found.table[:, 2].max()) if len(found.table) else None
    lowest = settings["min_score"] if edits.min_score is None else edits.min_score
    if best is not None and best < lowest:
        notes.append(f"no candidate has the score {lowest:g}; the best has {best:.2f}")
    if result["pixel_size"] > PIXEL_SIZE:
        notes.append(
            f"the average has {result['pixel_size']:g} Å/px; BoxNet works at {PIXEL_SIZE:g}: "
            "small particles cannot be distinguished from noise"
        )
    scores = chosen.scores[by_model]
    return {
        "n_particles": len(chosen),
        "mean_score": round(float(scores.mean()), DECIMALS) if len(scores) else None,
        "implied_diameter_angstrom": None if implied is None else round(implied, 1),
        "min_score": lowest,
        "n_added": len(edits.added),
        "n_removed": len(chosen.removed_scores),
        "edits": edits.digest,
        "notes": notes,
    }


def _implied_diameter_angstrom(chosen: Chosen) -> float | None:
    """Diameter by the median area of the candidates; None for fewer than ten."""
    import numpy as np

    areas = chosen.areas_px[chosen.areas_px > 0]
    if len(areas) < FEWEST_TO_MEASURE:
        return None
    return 2 * float(np.sqrt(np.median(areas) / np.pi)) / DISC_SHARE * PIXEL_SIZE


def _check_extent(name: str, average: AverageResult) -> None:
    if not 0 < average.pixel_size <= COARSEST_PIXEL:
        raise StageError(
            f"{name}: the average has {average.pixel_size:g} Å/px; BoxNet works at "
            f"{PIXEL_SIZE:g} Å/px, and averages of up to {COARSEST_PIXEL:g} will do. Lower "
            "input.binning, or correct input.pixel_size"
        )
    ny, nx = (round(n * average.pixel_size) for n in average.shape_yx)
    least = round(SMALLEST_FIELD_PX * PIXEL_SIZE)
    if min(ny, nx) < least:
        raise StageError(
            f"{name}: the average covers {nx} x {ny} Å; at least {least} Å each way are needed to "
            "pick in. Is input.pixel_size right?"
        )


def _find(
    item: Item, bench: PickingBench, settings: PickingSettings, average: AverageResult
) -> Candidates:
    import numpy as np
    import torch

    from warptui.engine.formats.star.picks import Candidates
    from warptui.engine.ops.picking.crowding import adapt_to_abundance
    from warptui.engine.ops.picking.picks import find_artifacts, find_components
    from warptui.engine.ops.picking.segmentation import coarsen, normalise, segment

    net = bench.models.net(settings.model)
    image = _checked(item.name, bench.products.load(AVERAGE))
    bench.progress(0.1)
    mean = image.double().mean().float()  # the same however many threads add it up
    coarse = coarsen(image - mean, average.pixel_size)
    normal = normalise(-coarse if settings.invert_contrast else coarse)
    with torch.inference_mode():
        probabilities = segment(
            net, normal, on_progress=lambda done: bench.progress(0.2 + 0.6 * done)
        )
        probabilities = adapt_to_abundance(probabilities, float(net.sharpness))
    labels = probabilities.cpu().numpy()
    found = find_components(labels)
    # Cropping a Fourier transform keeps the first pixel's centre where it is.
    scale_yx = np.array(image.shape) / np.array(coarse.shape)
    centres = found.centres_yx_px.astype(np.float64) * scale_yx
    # What differs between devices and numbers of threads is far below these digits.
    columns = [centres.round(PLACE_DECIMALS), found.scores.round(SCORE_DECIMALS), found.areas_px]
    table = np.column_stack(columns).astype(np.float32)
    return Candidates(table.reshape(-1, 4), find_artifacts(labels).astype(np.uint8))


def _checked(name: str, image: torch.Tensor) -> torch.Tensor:
    low, high = (float(edge) for edge in image.aminmax())
    bad = low != low or high != high or low in (float("-inf"), float("inf")) or high == float("inf")
    if bad:
        raise StageError(
            f"{name}: the average has values that are not finite; process the movie again (P)"
        )
    if low == high:
        raise StageError(f"{name}: the average is {low:g} everywhere: nothing to pick in")
    return image


def settings_of(config: SettingsView) -> PickingSettings:
    """[picking] of a project."""
    found = config.stage(STAGE.name)
    assert isinstance(found, PickingSettings)
    return found


def use_model(name: str) -> dict[str, dict[str, Any]]:
    """The change of settings after which the model ``name`` picks, by section and key."""
    return {STAGE.name: {"model": name}}


STAGE = Stage(
    "picking",
    MOVIE,
    PickingSettings,
    PickingResult,
    run,
    needs=Needs(("average",)),
    sections=(),
    products=(CANDIDATES, CANDIDATES_KEY, MASK, MASK_PREVIEW, PICKS, FALSE_POSITIVES),
    xml=warp_picking.PART,
    references=(MODEL,),
)
