"""Contrast transfer function, local where the micrograph asks for it (paper: *Contrast
transfer function estimation in micrographs*)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import field_validator, model_validator

from warptui.engine.errors import StageError
from warptui.engine.model.item import MOVIE, Item
from warptui.engine.stages.base import (
    Needs,
    Role,
    SettingsView,
    Stage,
    StageResult,
    StageSettings,
    carried,
    limit,
    setting,
    summary,
)
from warptui.engine.stages.movie.average import DECONVOLVED, AverageSettings
from warptui.engine.stages.movie.ctf_products import (
    SPECTRUM,
    SPECTRUM_PICTURE,
    CtfBench,
    save_deconvolved,
    save_spectrum,
)
from warptui.engine.stages.movie.ctf_spectra import Spectra, measure
from warptui.engine.stages.warp import ctf as warp_ctf

if TYPE_CHECKING:
    import torch

    from warptui.engine.ops.ctf.estimate import Estimate, Fitted, Wanted
    from warptui.engine.ops.ctf.transfer_function import Optics

TRUSTED = 0.5  # confidence below which there is "no CTF"
NYQUIST_SHARE = 0.95  # of Nyquist that is used
DIRECTION_SIGMAS = 2.0  # by which astigmatism must differ from none for an angle to mean much
TELL_TILT = 0.1  # probability of an unmodelled tilt above which a note is written
EDGE = 0.02  # of the search range: a defocus so close to its end gets a note
DECIMALS = 6


class CtfSettings(StageSettings):
    """[ctf] of config.toml."""

    window_px: int = setting(512, "edge of the power spectra", unit="px", ge=128, le=2048)
    fit_min_resolution: float = setting(
        30.0, "low-resolution end of the fit", unit="Å", gt=0, le=1000
    )
    fit_max_resolution: float = setting(
        4.0, "high-resolution end of the fit", unit="Å", gt=0, le=1000
    )
    defocus_min_um: float = setting(0.3, "minimum defocus of the search", unit="µm", ge=0.05, le=50)
    defocus_max_um: float = setting(5.0, "maximum defocus of the search", unit="µm", ge=0.1, le=50)
    grid: tuple[int, int, int] = setting(
        (5, 5, 1), "nodes of the defocus model along x, y and time"
    )
    fit_phase_shift: bool = setting(False, "fit the phase shift of a phase plate")
    use_average: bool = setting(False, "compute spectra from the average instead of the frames")

    @field_validator("grid")
    @classmethod
    def _grid_is_reasonable(cls, grid: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(grid) < 1 or max(grid[:2]) > 15 or grid[2] > 100:
            raise ValueError("grid: 1 to 15 nodes along x and y, 1 to 100 in time")
        return grid

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> CtfSettings:
        if self.fit_max_resolution >= self.fit_min_resolution:
            raise ValueError(
                f"fit_max_resolution ({self.fit_max_resolution:g} Å) must be a smaller number "
                f"than fit_min_resolution ({self.fit_min_resolution:g} Å)"
            )
        if self.defocus_min_um >= self.defocus_max_um:
            raise ValueError(
                f"defocus_min_um ({self.defocus_min_um:g}) must be below defocus_max_um "
                f"({self.defocus_max_um:g})"
            )
        return self


class CtfResult(StageResult):
    """Positive defocus is underfocus; astigmatism is u - v, its angle from x towards u."""

    defocus_um: float | None = summary(
        "defocus",
        "mean of u and v at the centre; positive = underfocus",
        unit="µm",
        digits=3,
        filter_min=limit("defocus_min_um", "minimum defocus", 0.3, order=10, ge=-100, le=100),
        filter_max=limit("defocus_max_um", "maximum defocus", 5.0, order=20, ge=-100, le=100),
    )
    astigmatism_um: float | None = summary(
        "astig u-v",
        "astigmatism: defocus u minus defocus v",
        role=Role.ASTIGMATISM,
        unit="µm",
        digits=3,
        filter_max=limit("astigmatism_max_um", "maximum astigmatism", 0.1, order=40, ge=0, le=100),
        minor=True,
    )
    astigmatism_angle_deg: float | None = carried(role=Role.ASTIGMATISM_ANGLE)
    astigmatism_sigma: float | None = summary(  # known of all items together
        "astig σ",
        "distance of the astigmatism from the session's mean, in sigma",
        role=Role.ASTIGMATISM_SIGMA,
        digits=1,
        filter_max=limit(
            "astigmatism_max_sigma",
            "maximum distance of the astigmatism from the session's mean",
            3.0,
            unit="σ",
            order=30,
            ge=0,
            le=1000,
        ),
    )
    phase_shift_deg: float | None = summary(
        "phase",
        "phase shift of the phase plate",
        unit="°",
        digits=0,
        filter_min=limit("phase_shift_min_deg", "minimum phase shift", 0.0, order=50, ge=0, le=180),
        filter_max=limit(
            "phase_shift_max_deg", "maximum phase shift", 180.0, order=60, ge=0, le=180
        ),
        only_with="fit_phase_shift",
    )
    resolution: float | None = summary(
        "CTF res",
        "resolution up to which the CTF fits the spectrum",
        role=Role.RESOLUTION,
        unit="Å",
        digits=1,
        filter_max=limit(
            "resolution_max",
            "maximum resolution estimate; larger is excluded",
            8.0,
            order=70,
            ge=0,
            le=1000,
        ),
    )
    quality: float | None = summary(
        "quality",
        "ice quality, 0 to 1; low: contamination, crystals, thick ice, no particles",
        filter_min=limit("quality_min", "minimum ice quality", 0.2, order=90, ge=0, le=1),
        minor=True,
    )
    confidence: float | None = summary(
        "CTF conf",
        "confidence in the CTF, 0 to 1; below 0.5 no CTF is reported",
        filter_min=limit(
            "ctf_confidence_min", "minimum confidence in the CTF", 0.9, order=80, ge=0, le=1
        ),
        minor=True,
    )
    ice_ring: float | None = summary(
        "ice",
        "ice ring: power at 3.7 Å relative to its neighbourhood; 1 = no ring",
        filter_max=limit(
            "ice_ring_max", "maximum ice ring; 1 = no ring", 1.5, order=100, ge=0, le=1000
        ),
        minor=True,
    )
    coarse: float | None = None  # power at 400 to 150 Å over that at 80 to 40 Å; clean films ~1
    defocus_error_um: float | None = None  # standard error
    astigmatism_error_um: float | None = None  # standard error of u - v
    astigmatism_angle_error_deg: float | None = None  # None = its direction is unknown
    phase_shift_error_deg: float | None = None  # standard error; None = it was not fitted
    score: float | None = None  # mean correlation of curve and model in the fit range
    model: str = ""  # what the spectra gave evidence for: grid, plane or constant
    grid: tuple[int, int, int] = (1, 1, 1)
    grid_defocus_um: list[float] = []  # nodes, x fastest, then y, then time
    grid_phase_shift_deg: list[float] = []  # nodes over time
    tilt_deg: float | None = None
    tilt_axis_deg: float | None = None  # of the axis from y; defocus grows to its +x side
    stage_tilt_deg: float | None = None  # by the mdoc
    drift_angle_deg: float | None = None  # direction along which rings fade, from x
    pixel_size: float = 0.0  # Å
    window_px: int = 0
    fit_range_angstrom: tuple[float, float] = (0.0, 0.0)  # low and high end really used
    curve_k: list[float] = []  # 1/Å
    curve_measured: list[float] = []  # amplitudes without background, over the envelope
    curve_simulated: list[float] = []  # |CTF|
    curve_scale: list[float] = []  # the envelope; white noise = 1
    curve_quality: list[float] = []
    spectrum_path: str = ""  # relative to the project folder
    deconvolved_path: str = ""
    notes: list[str] = []


def run(item: Item, bench: CtfBench, settings: CtfSettings) -> CtfResult:
    """Estimate the CTF of ``item``.

    Power spectra of overlapping patches of groups of frames (or of the average) are searched
    for the rings of every defocus, then defocus, astigmatism, phase shift and the local
    defocus are refined in turn. A spectrum without rings gets no numbers.
    """
    from warptui.engine.ops.ctf.estimate import is_steep
    from warptui.engine.ops.ctf.transfer_function import Optics

    given = bench.optics
    optics = Optics(given.voltage, given.cs, given.amplitude_contrast)
    steep = max(settings.grid[:2]) > 1 and is_steep(bench.frames.tilt_deg)
    spectra = measure(item.name, bench, settings, small=steep)
    bench.progress(0.7)
    others = partial(measure, item.name, bench, settings, small=not steep)
    result = estimate(item.name, spectra, settings, optics, others, bench.frames.tilt_deg)
    power, pixel_size = spectra.image, spectra.grid.pixel_size
    return result.model_copy(
        update={
            "spectrum_path": save_spectrum(bench, result, power, pixel_size, optics),
            "deconvolved_path": save_deconvolved(bench, result, optics),
        }
    )


def estimate(
    name: str,
    spectra: Spectra,
    settings: CtfSettings,
    optics: Optics,
    others: Callable[[], Spectra] | None = None,
    tilt_deg: float | None = None,
) -> CtfResult:
    """The CTF of spectra; those of ``others``, smaller patches, are asked for where there may be a
    tilt, or larger ones where the tilt is unknown.

    ``tilt_deg`` is that of the stage, whichever its axis and sign.
    """
    from warptui.engine.ops.ctf.estimate import Wanted, describe_ctf
    from warptui.engine.ops.ctf.ice_quality import DIRTY, describe_film

    grid = spectra.grid
    notes = list(spectra.notes)
    k_max = 1 / settings.fit_max_resolution
    highest = NYQUIST_SHARE * 0.5 / spectra.curve_pixel_size
    if 1 / settings.fit_min_resolution >= highest:
        raise StageError(
            f"{name}: ctf.fit_min_resolution = {settings.fit_min_resolution:g} Å: "
            f"{spectra.curve_pixel_size:.3g} Å/px hold nothing finer than {1 / highest:.2f} Å, so "
            "that nothing is left to fit; set it to a larger number, such as 30"
        )
    if k_max > highest:
        k_max = highest
        notes.append(
            f"ctf.fit_max_resolution = {settings.fit_max_resolution:g} Å is beyond what "
            f"{spectra.curve_pixel_size:.3g} Å/px hold: {1 / k_max:.2f} Å used"
        )
    wanted = Wanted(
        k_min=1 / settings.fit_min_resolution,
        k_max=k_max,
        defocus_min=settings.defocus_min_um * 1e4,
        defocus_max=settings.defocus_max_um * 1e4,
        grid_xyt=settings.grid,
        fit_phase=settings.fit_phase_shift,
        curve_step=1 / (settings.window_px * spectra.curve_pixel_size),
        n_curve=settings.window_px // 2,
        tilt=None if tilt_deg is None else math.radians(tilt_deg),
    )
    try:
        best, fitted = _fit(spectra, others, optics, wanted)
        found = describe_ctf(fitted, best.power, best.grid, optics, wanted)
    except ValueError as problem:
        raise StageError(
            f"{name}: {problem}: {settings.fit_min_resolution:g} to {1 / k_max:.2f} Å in spectra "
            f"of {grid.size} px; change ctf.fit_min_resolution, ctf.fit_max_resolution or "
            "ctf.window_px"
        ) from problem
    film = describe_film(spectra.power, grid, spectra.n_images)
    if film is not None and film.coarse > DIRTY:
        notes.append(
            f"contrast coarser than 150 Å is {film.coarse:.1f} times that of particles: "
            "contamination, crystals, thick ice, or an edge"
        )
    facts: dict[str, Any] = {
        "quality": None if film is None else round(film.quality, 4),
        "coarse": None if film is None else round(film.coarse, 4),
        "grid": settings.grid,
        "pixel_size": spectra.curve_pixel_size,
        "window_px": settings.window_px,
        "stage_tilt_deg": tilt_deg,
        "fit_range_angstrom": (settings.fit_min_resolution, round(1 / k_max, 3)),
        "ice_ring": None if found.ice_ring is None else round(found.ice_ring, 4),
        "curve_k": _rounded(found.curve.k),
        "curve_measured": _rounded(found.curve.measured),
        "curve_simulated": _rounded(found.curve.simulated),
        "curve_scale": _rounded(found.curve.scale),
        "curve_quality": _rounded(found.curve.quality),
        "confidence": round(found.confidence, DECIMALS),
    }
    if found.confidence < TRUSTED or found.resolution is None:
        note = "no Thon rings that a CTF explains: defocus and resolution stay unknown"
        return CtfResult(**facts, notes=[*notes, note])
    optical, field = found.optical, found.field
    low, high = wanted.defocus_min, wanted.defocus_max
    if min(optical.defocus - low, high - optical.defocus) < EDGE * (high - low):
        notes.append(
            f"defocus {optical.defocus * 1e-4:.2f} µm lies at the edge of the search range "
            f"({settings.defocus_min_um:g} to {settings.defocus_max_um:g} µm)"
        )
    if field.model != "constant" and field.gain_plane > 0:
        along_x, along_y = field.slope_xy
        facts["tilt_deg"] = round(math.degrees(math.atan(math.hypot(along_x, along_y))), 3)
        facts["tilt_axis_deg"] = round(math.degrees(math.atan2(along_y, along_x)), 3)
    if found.fading_angle is not None:
        facts["drift_angle_deg"] = round(math.degrees(found.fading_angle), 1)
    notes += _notes_on_tilt(found, wanted)
    x, y = optical.astigmatism_xy
    size_error, angle_error = _astigmatism_errors(found)
    phase = round(math.degrees(optical.phase_shift), 4)
    if settings.fit_phase_shift:
        phase_error = math.degrees(float(found.fit.covariance[3, 3]) ** 0.5)
        facts["phase_shift_error_deg"] = round(phase_error, 2)
    return CtfResult(
        **facts,
        defocus_um=round(optical.defocus * 1e-4, DECIMALS),
        astigmatism_um=round(math.hypot(x, y) * 1e-4, DECIMALS),
        astigmatism_angle_deg=round(math.degrees(math.atan2(y, x)) / 2 % 180, 4),
        phase_shift_deg=phase,
        resolution=round(found.resolution, 2),
        defocus_error_um=round(found.defocus_error * 1e-4, DECIMALS),
        astigmatism_error_um=round(size_error * 1e-4, DECIMALS),
        astigmatism_angle_error_deg=None if angle_error is None else round(angle_error, 2),
        score=round(found.score, DECIMALS),
        model=field.model,
        grid_defocus_um=[round(z * 1e-4, DECIMALS) for z in field.nodes.tolist()],
        grid_phase_shift_deg=[round(math.degrees(node), 4) for node in found.phase_nodes.tolist()],
        notes=notes,
    )


def _fit(
    spectra: Spectra, others: Callable[[], Spectra] | None, optics: Optics, wanted: Wanted
) -> tuple[Spectra, Fitted]:
    """The estimate, and its spectra: also patches of the other size, where they may show more.

    The small ones decide whether there is a tilt, the large ones are better without a tilt.
    """
    from warptui.engine.ops.ctf.estimate import fit_ctf, is_steep

    def fit(patches: Spectra, *, level: bool = False, whole: bool = True) -> Fitted:
        to = wanted._replace(level=level)
        return fit_ctf(patches.power, patches.grid, patches.places, optics, to, whole=whole)

    given_steep = wanted.tilt is not None and is_steep(math.degrees(wanted.tilt))
    found = fit(spectra, whole=others is None or given_steep)
    wants = found.field.model == "constant" if given_steep else found.needs_smaller_patches
    if others is None or not wants:
        return spectra, found
    other = others()
    if other.grid.size == spectra.grid.size:
        return spectra, found if found.whole else fit(spectra)
    again = fit(other)
    large, small = (spectra, found), (other, again)
    if other.grid.size > spectra.grid.size:
        large, small = small, large
    if small[1].field.model == "constant":
        if large[1].field.model == "constant":
            return large
        return large[0], fit(large[0], level=True)
    if large[1].field.model == "constant" or small[1].gain > large[1].gain:
        return small
    if not large[1].whole:
        large = large[0], fit(large[0])
    return small if small[1].gain > large[1].gain else large


def _notes_on_tilt(found: Estimate, wanted: Wanted) -> list[str]:
    """Notes where a constant defocus was used and the specimen may be tilted."""
    doubt = found.tilt_doubt
    if found.field.model != "constant":
        return []
    if wanted.steepness is not None and wanted.tilt is not None:
        tilt = math.degrees(abs(wanted.tilt))
        return [
            f"the mdoc file gives a stage tilt of {tilt:.0f}°, but the defocus shows no gradient; "
            "a constant defocus was used"
        ]
    if doubt.probability < TELL_TILT:
        return []
    degrees = math.degrees(math.atan(math.hypot(*doubt.slope_xy)))
    return [
        f"taken for flat; it may be tilted by {degrees:.0f}° ({doubt.probability:.0%} likely), its "
        f"defocus then {doubt.away:+.0f} Å away"
    ]


def _astigmatism_errors(found: Estimate) -> tuple[float, float | None]:
    """Standard errors of u - v, Å, and of its angle, degrees; None where any angle may be."""
    x, y = found.optical.astigmatism_xy
    size = max(math.hypot(x, y), 1e-9)
    (xx, xy), (_, yy) = found.astigmatism_covariance.tolist()
    cos, sin = x / size, y / size
    along = math.sqrt(max(cos * cos * xx + 2 * cos * sin * xy + sin * sin * yy, 0.0))
    across = math.sqrt(max(sin * sin * xx - 2 * cos * sin * xy + cos * cos * yy, 0.0))
    known = size > DIRECTION_SIGMAS * across
    return along, math.degrees(0.5 * across / size) if known else None


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(value, DECIMALS) for value in values.tolist()]


def _needed(config: SettingsView) -> tuple[str, ...]:
    average = config.stage("average")
    assert isinstance(average, AverageSettings)
    uses = getattr(config.stage("ctf"), "use_average", False) or average.deconvolve
    return ("motion", "average") if uses else ("motion",)


STAGE = Stage(
    "ctf",
    MOVIE,
    CtfSettings,
    CtfResult,
    run,
    needs=Needs(("motion", "average")),
    sections=("input", "optics", "average.deconvolution"),
    needs_with=_needed,
    version=4,  # 2: rings beyond the first judge for themselves, groups of 8 e/Å², mdoc tilts
    # 3: envelopes are expected to fall; 4: limits of confidence are those of such envelopes,
    # and where the phase shift is free, specimens' spectra may ripple
    products=(SPECTRUM, SPECTRUM_PICTURE, DECONVOLVED),
    xml=warp_ctf.PART,
)
