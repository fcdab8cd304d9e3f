"""Global and local motion (paper: *Motion model*, *Global and local motion correction*)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from warptui.engine.model.item import MOVIE, Item
from warptui.engine.stages.base import (
    Problem,
    Role,
    SettingsView,
    Stage,
    StageResult,
    StageSettings,
    limit,
    setting,
    summary,
)
from warptui.engine.stages.warp import motion as warp_motion

if TYPE_CHECKING:
    import torch

    from warptui.engine.ops.motion.data_term import Comparison
    from warptui.engine.ops.motion.track import Track
    from warptui.engine.stages.bench import FrameBench

MAX_GLOBAL_NODES = 128
LOCAL_INFORMATION = 0.97  # share of the information in the fit range that patches must hold
MAX_PATCH_COEFFICIENTS = 45e6  # 360 MB
SIGNIFICANT = 3.5  # standard errors at which an alignment is trusted as much as not
CERTAIN = 7.0  # standard errors that need no second test
DECIMALS = 6  # of an Å
MAX_LOCAL_NODES = 64
TRUSTED = 0.5  # confidence below which no motion is reported and none applied


class MotionSettings(StageSettings):
    """[motion] of config.toml."""

    fit_min_resolution: float = setting(
        500.0, "low-resolution end of the alignment", unit="Å", gt=0, le=10000
    )
    fit_max_resolution: float = setting(
        5.0, "high-resolution end of the alignment", unit="Å", gt=0, le=1000
    )
    b_factor: float = setting(
        -100.0,
        "B-factor of the alignment, weight exp(B k²/4); negative = decay",
        unit="Å²",
        ge=-10000,
        le=0,
    )
    global_nodes: int = setting(
        0, "nodes of the global motion in time; 0 = automatic", ge=0, le=2000
    )
    local_grid: tuple[int, int, int] = setting(
        (5, 5, 5), "nodes of the local motion along x, y and time; [1, 1, 1] = none"
    )
    patch_size_px: int = setting(512, "edge of the patches for local motion", unit="px", ge=64)


class MotionResult(StageResult):
    """Shifts are those *to apply* to a frame so that it lands in the common frame, in Å."""

    early_motion: float | None = summary(
        "motion",
        "mean motion per frame over the first third of the movie",
        role=Role.EARLY_MOTION,
        unit="Å/frame",
        filter_max=limit("motion_max", "maximum early motion", 1.5, order=110, ge=0, le=1000),
    )
    total_motion: float | None = summary(
        "total motion",
        "length of the path of the global motion",
        unit="Å",
        digits=1,
        filter_max=limit(
            "total_motion_max", "maximum total motion", 50.0, order=120, ge=0, le=100_000
        ),
        minor=True,
    )
    shift_error: float | None = summary(
        "± shift",
        "estimated error of the shifts",
        unit="Å",
        filter_max=limit(
            "shift_error_max", "maximum error of the shifts", 1.0, order=130, ge=0, le=1000
        ),
        minor=True,
    )
    confidence: float | None = summary(
        "motion conf",
        "confidence in the alignment, 0 to 1; below 0.5 no motion is applied",
        filter_min=limit(
            "motion_confidence_min", "minimum confidence in the motion", 0.9, order=140, ge=0, le=1
        ),
        minor=True,
    )
    n_frames: int = 0
    pixel_size: float = 0.0  # Å/px of the binned frames
    shape_yx: tuple[int, int] = (0, 0)  # px of the binned frames
    raw_shape_yx: tuple[int, int] = (0, 0)  # px of the frames as they are in the file
    dose_per_frame: float | None = None  # e/Å²; None = unknown
    track_yx_angstrom: list[tuple[float, float]] = []  # per frame, at the image centre
    global_yx_angstrom: list[tuple[float, float]] = []  # nodes of the global grid, mean 0
    local_grid: tuple[int, int, int] = (1, 1, 1)  # x, y, time nodes; (1, 1, 1) = no local motion
    local_x_angstrom: list[float] = []  # nodes, x fastest, then y, then time
    local_y_angstrom: list[float] = []
    local_used: bool = False  # the local model earned its place in this movie
    notes: list[str] = []  # for the user: dose unknown, EER frames left over, ...


def run(item: Item, bench: FrameBench, settings: MotionSettings) -> MotionResult:
    """Estimate the motion of ``item``.

    Whole frames are searched and fitted first, then patches of the frames with the local
    grid. Half of the frequencies is kept aside to see whether an alignment found without
    them holds; if it does not, no motion is applied and the numbers stay unknown.
    """
    import torch

    from warptui.engine.ops.common.fourier import padded_size
    from warptui.engine.ops.common.splines import grid_weights, spline_weights
    from warptui.engine.ops.motion.track import fit_track, refine_track, search_track

    frames = bench.frames.open()
    binning = bench.input.binning
    sizes = [padded_size(n, binning) for n in frames.shape_yx]
    ny, nx = (n if binning == 1 else 2 * int(n / binning / 2) for n in frames.shape_yx)
    shape_yx = (ny, nx)
    pixel_size = bench.frames.pixel_size * binning
    facts: dict[str, Any] = {
        "n_frames": frames.n_frames,
        "pixel_size": pixel_size,
        "shape_yx": shape_yx,
        "raw_shape_yx": frames.shape_yx,
        "dose_per_frame": bench.frames.dose_per_frame,
    }
    nodes = settings.global_nodes or min(frames.n_frames, MAX_GLOBAL_NODES)
    nodes = min(nodes, frames.n_frames)
    still: dict[str, Any] = facts | {
        "track_yx_angstrom": [(0.0, 0.0)] * frames.n_frames,
        "global_yx_angstrom": [(0.0, 0.0)] * nodes,
    }
    if frames.n_frames == 1:
        return MotionResult(**still, notes=[*bench.notes, "one frame: no motion to correct"])

    k_max = min(1 / settings.fit_max_resolution, 0.475 / pixel_size)
    spectra, spectrum_yx, pixel_yx = _low_frequencies(bench, [size[0] for size in sizes], k_max)
    bench.progress(0.45)
    whole = _compare_frames(bench, settings, spectra, spectrum_yx, pixel_yx, k_max)
    confidence, found = _confidence(whole, spectra, spectrum_yx, pixel_yx)
    if confidence < TRUSTED:
        note = (
            "no common signal found in the frames: they are summed as they are, "
            "and their motion is unknown"
        )
        return MotionResult(**still, confidence=confidence, notes=[*bench.notes, note])
    if found is None:
        found = search_track(spectra, spectrum_yx, pixel_yx)
    else:
        found = refine_track(spectra, spectrum_yx, pixel_yx, found)
    track = fit_track(whole, found, nodes)
    k_local = whole.resolved_to(track.coherence, LOCAL_INFORMATION)
    del whole  # as large as all spectra, and the patches need the room
    bench.progress(0.6)

    grid = settings.local_grid
    grid = (grid[0], grid[1], min(grid[2], frames.n_frames))
    binned_yx = (shape_yx[0] * pixel_size / pixel_yx[0], shape_yx[1] * pixel_size / pixel_yx[1])
    global_nodes, local_nodes, error = _fit_local(
        bench,
        settings,
        k_local,
        spectra,
        spectrum_yx,
        pixel_yx,
        track,
        nodes,
        grid,
        (int(binned_yx[0]), int(binned_yx[1])),
    )
    # Linear algebra libraries round differently from run to run; the same movie shall give
    # the same numbers, and its average the same bytes.
    global_nodes = (global_nodes - global_nodes.mean(0)).round(decimals=DECIMALS)
    local_nodes = None if local_nodes is None else local_nodes.round(decimals=DECIMALS)
    time = torch.linspace(0, 1, frames.n_frames, dtype=torch.float64)
    centre = torch.full_like(time, 0.5)
    path = spline_weights(nodes, time) @ global_nodes
    used = local_nodes is not None
    if local_nodes is not None:
        path = path + grid_weights(grid, centre, centre, time) @ local_nodes
    steps = path.diff(dim=0).norm(dim=1)
    first_third = max(1, round(frames.n_frames / 3) - 1)
    return MotionResult(
        **facts,
        early_motion=round(float(steps[:first_third].mean()), DECIMALS),
        total_motion=round(float(steps.sum()), DECIMALS),
        shift_error=round(error, DECIMALS),
        confidence=round(confidence, DECIMALS),
        track_yx_angstrom=_pairs((path - path.mean(0)).round(decimals=DECIMALS)),
        global_yx_angstrom=_pairs(global_nodes),
        local_grid=grid if used else (1, 1, 1),
        local_y_angstrom=local_nodes[:, 0].tolist() if local_nodes is not None else [],
        local_x_angstrom=local_nodes[:, 1].tolist() if local_nodes is not None else [],
        local_used=used,
        notes=bench.notes,
    )


def _pairs(values: torch.Tensor) -> list[tuple[float, float]]:
    return [(y, x) for y, x in values.tolist()]


def _low_frequencies(
    bench: FrameBench, padded_yx: list[int], k_max: float
) -> tuple[torch.Tensor, tuple[int, int], tuple[float, float]]:
    """Half spectra of the frames up to ``k_max``, their image size and pixel sizes."""
    import torch

    from warptui.engine.ops.common.fourier import crop_spectrum, good_size

    frames = bench.frames.open()
    full = (padded_yx[0], padded_yx[1])
    sizes = [min(n, good_size(math.ceil(2 * n * bench.frames.pixel_size * k_max))) for n in full]
    shape_yx = (sizes[0], sizes[1])
    spectra = torch.empty(
        frames.n_frames, sizes[0], sizes[1] // 2 + 1, dtype=torch.complex64, device=bench.device
    )
    padded = torch.zeros(full, device=bench.device)
    inside = padded[: frames.shape_yx[0], : frames.shape_yx[1]]
    buffer = torch.empty(frames.shape_yx, device=bench.device)
    for index in range(frames.n_frames):
        frame = frames.read(index, buffer)
        inside.copy_(frame).sub_(frame.mean())
        spectra[index] = crop_spectrum(torch.fft.rfft2(padded), full, shape_yx)
        bench.progress(0.2 + 0.25 * index / frames.n_frames)
    pixel_yx = (
        bench.frames.pixel_size * full[0] / sizes[0],
        bench.frames.pixel_size * full[1] / sizes[1],
    )
    return spectra, shape_yx, pixel_yx


def _dose_at_frames(bench: FrameBench) -> torch.Tensor | None:
    """``(frame,)`` dose in the middle of each frame, e/Å²; None if unknown."""
    import torch

    if bench.frames.dose_per_frame is None:
        return None
    middle = torch.arange(bench.frames.open().n_frames, dtype=torch.float64) + 0.5
    return bench.input.pre_exposure + middle * bench.frames.dose_per_frame


def _compare_frames(
    bench: FrameBench,
    settings: MotionSettings,
    spectra: torch.Tensor,
    shape_yx: tuple[int, int],
    pixel_yx: tuple[float, float],
    k_max: float,
) -> Comparison:
    """The whole frames as one patch."""
    from warptui.engine.ops.common.fourier import frequencies_yx
    from warptui.engine.ops.motion.data_term import make_comparison
    from warptui.engine.ops.motion.rings import make_rings

    ky, kx = frequencies_yx(shape_yx, pixel_yx, bench.device)
    rings = make_rings(
        ky,
        kx,
        k_min=1 / settings.fit_min_resolution,
        k_max=k_max,
        n_rings=max(24, min(shape_yx) // 6),
        nyquist_column=True,
    )
    return make_comparison(
        spectra.clone()[None],
        rings,
        dose=_dose_at_frames(bench),
        voltage=bench.optics.voltage,
        b_factor=settings.b_factor,
    )


def _confidence(
    whole: Comparison,
    spectra: torch.Tensor,
    shape_yx: tuple[int, int],
    pixel_yx: tuple[float, float],
) -> tuple[float, torch.Tensor | None]:
    """Whether a track found with every other ring brings the remaining rings together too.

    Returns
    -------
    tuple
        Confidence, 0..1, and that track if it is beyond doubt, ``(frame, 2)`` Å.
    """
    import torch

    from warptui.engine.ops.motion.coherence import held_out_significance
    from warptui.engine.ops.motion.track import search_significance, search_track

    keep = (whole.rings.ring_of % 2 == 0).to(torch.float32)
    shifts = search_track(spectra, shape_yx, pixel_yx, keep)
    agreement = whole.evaluate(shifts[None], torch.zeros_like(whole.extra))
    z = held_out_significance(
        whole.total_power,
        whole.damaged_power,
        agreement.ring_power,
        whole.amplitude,
        whole.rings.n_coefficients,
    )
    certain = z >= CERTAIN
    if not certain:
        # Half of the data may not be enough to find a weak track: ask with all of them.
        z = max(z, search_significance(spectra, shape_yx, pixel_yx))
    confidence = 0.5 * math.erfc(-(z - SIGNIFICANT) / math.sqrt(2))
    return confidence, shifts if certain else None


def _fit_local(
    bench: FrameBench,
    settings: MotionSettings,
    k_max: float,
    spectra: torch.Tensor,
    spectrum_yx: tuple[int, int],
    pixel_yx: tuple[float, float],
    track: Track,
    n_global: int,
    grid: tuple[int, int, int],
    image_yx: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor | None, float]:
    """Global nodes, local nodes (None if the movie asks for none), and the error in Å."""
    import torch

    from warptui.engine.ops.common.fourier import frequencies_yx, good_size, shift_phases
    from warptui.engine.ops.common.patches import cut_patches, patch_grid
    from warptui.engine.ops.common.splines import nodes_through
    from warptui.engine.ops.motion.data_term import make_comparison
    from warptui.engine.ops.motion.field import fit_field, make_model
    from warptui.engine.ops.motion.rings import make_rings

    start = nodes_through(track.shifts_yx, n_global)
    if grid[0] * grid[1] == 1:
        return start, None, track.error
    size = settings.patch_size_px * bench.input.binning * bench.frames.pixel_size / pixel_yx[0]
    size = good_size(round(size))
    if size > min(image_yx) / 2:
        size = 2 * (min(image_yx) // 4)
    patches = patch_grid(image_yx, size, bench.device)
    n_patches, n_frames = len(patches.corners_yx), len(spectra)
    keep = _kept(size, pixel_yx, k_max)
    while n_patches * n_frames * keep[0] * 2 * keep[1] > MAX_PATCH_COEFFICIENTS:
        k_max *= 0.95
        keep = _kept(size, pixel_yx, k_max)
    cut = torch.empty(
        n_patches, n_frames, 2 * keep[0], keep[1], dtype=torch.complex64, device=bench.device
    )
    phase_y, phase_x = shift_phases(
        *frequencies_yx(spectrum_yx, pixel_yx, bench.device), track.shifts_yx.to(bench.device)
    )
    for frame in range(n_frames):
        shifted = spectra[frame] * phase_y[frame][:, None] * phase_x[frame][None, :]
        image = torch.fft.irfft2(shifted, s=spectrum_yx)
        cut[:, frame] = cut_patches(image, patches, *keep)
    bench.progress(0.75)
    ky = torch.fft.fftfreq(size, pixel_yx[0], device=bench.device)
    kx = torch.fft.rfftfreq(size, pixel_yx[1], device=bench.device)
    rings = make_rings(
        torch.cat([ky[: keep[0]], ky[size - keep[0] :]]),
        kx[: keep[1]],
        k_min=1 / settings.fit_min_resolution,
        k_max=k_max,
        n_rings=max(12, min(keep)),
        nyquist_column=keep[1] == size // 2 + 1,
    )
    comparison = make_comparison(
        cut,
        rings,
        dose=_dose_at_frames(bench),
        voltage=bench.optics.voltage,
        b_factor=settings.b_factor,
        area=float(patches.areas.mean()),
        n_smooth=3,
    )
    model = make_model(patches, image_yx, n_frames, n_global, grid)
    field = fit_field(
        comparison,
        model,
        track.shifts_yx,
        start,
        track.prior,
        shape_yx=image_yx,
        local_xyt=grid,
    )
    if field.prior.local == 0:
        return start, None, track.error
    return field.global_nodes, field.local_nodes, field.error


def _kept(size: int, pixel_yx: tuple[float, float], k_max: float) -> tuple[int, int]:
    """Rows on either side of zero frequency and columns of a patch's spectrum to keep."""
    rows = min(size // 2, math.ceil(k_max * size * pixel_yx[0]) + 1)
    columns = min(size // 2 + 1, math.ceil(k_max * size * pixel_yx[1]) + 1)
    return rows, columns


def _contradictions(settings: MotionSettings, _: SettingsView) -> list[Problem]:
    problems = []
    low, high = settings.fit_min_resolution, settings.fit_max_resolution
    if high >= low:
        text = (
            f"expected less than motion.fit_min_resolution = {low:g} "
            "(Å: a smaller number is a higher resolution)"
        )
        problems.append(Problem("motion.fit_max_resolution", f"{high:g}", text))
    if not all(1 <= nodes <= MAX_LOCAL_NODES for nodes in settings.local_grid):
        text = f"expected three whole numbers from 1 to {MAX_LOCAL_NODES}: x, y, time"
        problems.append(Problem("motion.local_grid", str(list(settings.local_grid)), text))
    return problems


STAGE = Stage(
    "motion",
    MOVIE,
    MotionSettings,
    MotionResult,
    run,
    sections=("input", "optics.voltage"),
    xml=warp_motion.PART,
    check=_contradictions,
)
