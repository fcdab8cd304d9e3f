"""Particles cut from the frames (paper: *Export of corrected data*)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from warptui.engine.errors import StageError
from warptui.engine.formats.star.particles import (
    LocalCtf,
    ParticleOptics,
    can_be_named,
    local_ctf,
    particle_rows,
)
from warptui.engine.model.item import MOVIE, Item
from warptui.engine.stages.base import (
    Needs,
    Product,
    Stage,
    StageResult,
    StageSettings,
    limit,
    setting,
    summary,
)
from warptui.engine.stages.bench import (
    FrameBench,
    HasAveraging,
    HasParticles,
    HasParticleSize,
    HasPicks,
)
from warptui.engine.stages.movie.average import AverageResult, shift_nodes, unmoved
from warptui.engine.stages.movie.ctf import CtfResult
from warptui.engine.stages.movie.motion import MotionResult
from warptui.engine.stages.movie.picking import PickingResult
from warptui.engine.stages.warp import particles as warp_particles

if TYPE_CHECKING:
    import numpy as np
    import torch

    from warptui.engine.ops.particles.extraction import Geometry

__all__ = ["STAGE", "Cut", "ParticleResult", "ParticleSettings", "cut_particles", "particle_rows"]

AUTOMATIC_SHARE = 1.5  # of the particle's diameter: signal that the defocus spreads stays in
HALVES = ("odd", "even")
VERSION = 1  # of what is made of frames; raise it when that changes

STACK = Product("particles", "particles", ".mrcs", by_model=True)
STACK_ODD = Product("particles odd", "particles", "_odd.mrcs", by_model=True)
STACK_EVEN = Product("particles even", "particles", "_even.mrcs", by_model=True)
LIST = Product("particles list", "particles", ".star", by_model=True)


class ParticleBench(FrameBench, HasPicks, HasParticles, HasAveraging, HasParticleSize, Protocol):
    """What the particles stage works on."""


class ParticleSettings(StageSettings):
    """[particles] of config.toml."""

    box_size_px: int = setting(
        0,
        "edge of the boxes; 0 = 1.5 times the particle diameter",
        unit="px",
        ge=0,
        le=4096,
    )
    pixel_size: float = setting(
        0.0, "pixel size of the particle images; 0 = as the average", unit="Å/px", ge=0, le=100
    )
    invert_contrast: bool = setting(
        True, "invert the contrast, so that particles are bright, as RELION expects"
    )
    normalize: bool = setting(
        True, "background without slope, with mean 0 and standard deviation 1"
    )
    phase_flip: bool = setting(False, "flip the phases that the CTF has inverted")
    halves: bool = setting(False, "also write particle stacks of odd and of even frames")
    edges: str = setting(
        "pad",
        "boxes that cross the micrograph's edge: pad (as RELION) or drop",
        pattern="^(pad|drop)$",
    )


class ParticleResult(StageResult):
    """What was written."""

    n_particles: int | None = summary(
        "extracted",
        "number of particles extracted",
        digits=0,
        filter_min=limit(
            "extracted_min",
            "minimum number of extracted particles",
            1,
            order=190,
            ge=0,
            le=10_000_000,
        ),
    )
    n_dropped: int = 0  # picks that were left out, at the edge or beyond it
    n_padded: int = 0  # whose boxes reach beyond the edge
    box_size_px: int = 0
    pixel_size: float = 0.0  # Å/px of the boxes
    diameter_angstrom: float = 0.0  # beyond which is background
    n_frames: int = 0
    suffix: str = ""  # of the files: the model's name
    picks_hash: str = ""  # of the positions and scores
    stack_path: str = ""  # relative to the project folder
    star_path: str = ""
    notes: list[str] = []


class Cut(NamedTuple):
    """How particles are cut."""

    geometry: Geometry
    radius_px: float = 0.0  # of the boxes, of the disc that is no background
    normalize: bool = True
    invert_contrast: bool = True
    phase_flip: bool = False
    halves: bool = False


def run(item: Item, bench: ParticleBench, settings: ParticleSettings) -> ParticleResult:
    """Cut the picks of ``item`` from its frames, and write them with their own CTF.

    Where these very images are there already, only the list is written again: a changed CTF needs
    no frames.

    Raises
    ------
    StageError
        If the box is larger than the micrograph, or the pixel finer than the frames'.
    """
    picking, average = bench.results.get("picking"), bench.results.get("average")
    if not isinstance(picking, PickingResult) or not isinstance(average, AverageResult):
        return ParticleResult(notes=["nothing to extract: [picking] is switched off"])
    ctf = bench.results.get("ctf")
    found = ctf.model_dump() if isinstance(ctf, CtfResult) else {}
    positions, scores = bench.picks.load(picking.picks_path)
    facts: dict[str, Any] = {"suffix": picking.suffix, "picks_hash": _digest(positions, scores)}
    pixel_size = settings.pixel_size or average.pixel_size
    box = settings.box_size_px or automatic_box_px(bench.diameter_angstrom, pixel_size)
    kept, padded = _choose(positions, average, box * pixel_size, settings.edges)
    notes = _notes_on_edges(positions, kept, padded, average)
    if not kept.any():
        bench.particles.discard(picking.suffix)
        return ParticleResult(
            **facts, n_particles=0, n_dropped=len(positions), box_size_px=box, notes=notes
        )
    if box * pixel_size > min(average.shape_yx) * average.pixel_size:
        cause = "particles.box_size_px" if settings.box_size_px else "picking.diameter_angstrom"
        raise StageError(
            f"{item.name}: a box of {box} px of {pixel_size:g} Å is larger than the micrograph "
            f"({min(average.shape_yx) * average.pixel_size:.0f} Å): lower {cause}"
        )
    raw_pixel = average.pixel_size / bench.input.binning
    has_ctf = found.get("defocus_um") is not None
    cut = _plan(item.name, bench, settings, box, pixel_size, raw_pixel, has_ctf)
    if settings.phase_flip and not has_ctf:
        notes.append("not phase flipped: no CTF was found")
    local = local_ctf(found, average.shape_yx, positions[kept])
    names = ("", *HALVES) if settings.halves else ("",)
    suffix, made_of = picking.suffix, _made_of(bench, cut, positions[kept], local)
    if not bench.particles.has(suffix, made_of, names):
        images = cut_particles(
            bench,
            positions[kept] * average.pixel_size,
            cut,
            local,
            extent_yx_angstrom=[n * average.pixel_size for n in average.shape_yx],
            padded=padded[kept],
        )
        _write_stacks(bench, suffix, names, cut.geometry, images)
    stack = bench.particles.stack_path(suffix)
    star = ""
    if can_be_named(stack, average.average_path):
        table = particle_rows(
            average.model_dump(), found, positions[kept], scores[kept], stack=stack
        )
        given = bench.optics
        optics = ParticleOptics(
            raw_pixel,
            average.pixel_size,
            given.voltage,
            given.cs,
            given.amplitude_contrast,
            cut.geometry.pixel_size,
            box,
        )
        star = bench.particles.save_list(suffix, table, optics, made_of)
    else:
        notes.append("no STAR file: RELION reads no names with blanks; rename the movie")
    if not has_ctf:
        notes.append("no CTF was found: the particles' STAR file has none")
    bench.progress(1.0)
    return ParticleResult(
        **facts,
        n_particles=int(kept.sum()),
        n_dropped=len(positions) - int(kept.sum()),
        n_padded=int(padded[kept].sum()),
        box_size_px=box,
        pixel_size=cut.geometry.pixel_size,
        diameter_angstrom=bench.diameter_angstrom,
        n_frames=average.n_frames,
        stack_path=stack,
        star_path=star,
        notes=notes,
    )


def _write_stacks(
    bench: ParticleBench,
    suffix: str,
    names: tuple[str, ...],
    geometry: Geometry,
    images: Iterator[torch.Tensor],
) -> None:
    """Write stacks of all and, on request, of halves: none is in place before all are whole."""
    with ExitStack() as opened:
        writers = [
            opened.enter_context(
                bench.particles.open_stack(suffix, half, geometry.box_px, geometry.pixel_size)
            )
            for half in names
        ]
        for some in images:
            for writer, part in zip(writers, some, strict=True):
                writer.add(part.cpu().numpy())
        for writer in writers:
            writer.complete()
        # the list goes first: while there is one, it is of the images that are there
        bench.particles.discard(suffix)
        for writer in writers:
            writer.rename()


def _made_of(bench: ParticleBench, cut: Cut, positions: np.ndarray, ctf: LocalCtf | None) -> str:
    """Names everything that decides what is in the images, but for the program's version."""
    motion = bench.results.get("motion")
    phases = cut.phase_flip and ctf is not None
    values = [
        VERSION,
        bench.frames.sources(),
        bench.input.model_dump(mode="json"),
        bench.averaging.model_dump(mode="json"),
        bench.optics.voltage,
        motion.model_dump(mode="json") if motion is not None else None,
        list(cut.geometry),
        list(cut[1:]),
        positions.tolist(),
        [part.tolist() for part in ctf[:2]] + list(ctf[2:4]) if phases and ctf else None,
    ]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]


def automatic_box_px(diameter_angstrom: float, pixel_size: float) -> int:
    """A box for a particle: half as large again, of a size that transforms well."""
    from warptui.engine.ops.common.fourier import good_size

    return max(16, good_size(math.ceil(AUTOMATIC_SHARE * diameter_angstrom / pixel_size)))


def cut_particles(
    bench: ParticleBench,
    positions_yx_angstrom: np.ndarray,
    cut: Cut,
    ctf: LocalCtf | None = None,
    *,
    extent_yx_angstrom: list[float] | None = None,
    padded: np.ndarray | None = None,
) -> Iterator[torch.Tensor]:
    """Images ``(1, particle, y, x)``, some at a time; with halves ``(3, ...)``: all, odd, even.

    Positions count from the centre of the average's first pixel. ``padded`` ones reach beyond
    the ``extent`` of the micrograph.
    """
    import torch

    from warptui.engine.ops.frames.dose import normalised_amplitudes
    from warptui.engine.ops.particles.background import normalise_boxes
    from warptui.engine.ops.particles.extraction import Job, extract_particles

    frames = bench.frames.open()
    used = _used(bench)
    centres = torch.from_numpy(positions_yx_angstrom) / bench.frames.pixel_size
    parts = torch.ones(1, len(used), dtype=torch.bool)
    if cut.halves:
        even = torch.tensor([index % 2 == 0 for index in used])  # as the halves of averages
        parts = torch.stack([~even, even])
    law = bench.averaging.dose_weighting if bench.frames.dose_per_frame is not None else "none"
    doses = bench.input.pre_exposure + (torch.tensor(list(used)) + 0.5) * (
        bench.frames.dose_per_frame or 0.0
    )
    voltage = bench.optics.voltage
    images = extract_particles(
        Job(used, centres - _shifts_px(bench, centres, frames.shape_yx, used), parts),
        cut.geometry,
        lambda k: normalised_amplitudes(law, k, doses, voltage),
        frames.read,
        bench.device,
        counts=frames.counts(),
        flip=partial(_signs, bench, ctf) if cut.phase_flip and ctf is not None else None,
        on_progress=lambda done: bench.progress(0.05 + 0.9 * done),
    )
    first = 0
    for some in images:
        if cut.halves:
            some = torch.cat([some.sum(0, keepdim=True), some])
        last = first + some.shape[1]
        if cut.normalize:
            seen = None
            edge = (
                padded is not None and extent_yx_angstrom is not None and padded[first:last].any()
            )
            if edge and extent_yx_angstrom is not None:
                seen = _seen(positions_yx_angstrom[first:last], cut.geometry, extent_yx_angstrom)
                seen = seen.to(some)
            some = torch.stack([normalise_boxes(part, cut.radius_px, seen) for part in some])
        yield -some if cut.invert_contrast else some
        first = last


def _used(bench: ParticleBench) -> range:
    return range(
        bench.averaging.skip_first, bench.frames.open().n_frames - bench.averaging.skip_last
    )


def _shifts_px(
    bench: ParticleBench, centres: torch.Tensor, shape_yx: tuple[int, int], used: range
) -> torch.Tensor:
    """``(frame, particle, 2)`` shifts that bring each frame's particle into place, raw px."""
    import torch

    from warptui.engine.ops.common.splines import spline_weights

    motion = bench.results.get("motion") or unmoved(bench)
    assert isinstance(motion, MotionResult)
    nodes = shift_nodes(motion)[used.start : used.stop]
    along_y, along_x = (
        spline_weights(nodes.shape[1 + axis], centres[:, axis] / (shape_yx[axis] - 1))
        for axis in (0, 1)
    )
    return torch.einsum("py,fyxc,px->fpc", along_y, nodes, along_x) / bench.frames.pixel_size


def _signs(
    bench: ParticleBench, ctf: LocalCtf, ky: torch.Tensor, kx: torch.Tensor, some: slice
) -> torch.Tensor:
    """``(particle, ky, kx)`` signs of each particle's own CTF."""
    import torch

    from warptui.engine.ops.ctf.transfer_function import Optics, calculate_phase

    given = bench.optics
    optics = Optics(given.voltage, given.cs, given.amplitude_contrast)
    k2 = (ky[:, None] ** 2 + kx[None, :] ** 2).double()
    towards_u = torch.cos(2 * (torch.atan2(ky[:, None], kx[None, :]) - math.radians(ctf.angle_deg)))
    u, v = (
        torch.from_numpy(part[some]).to(ky.device)[:, None, None]
        for part in (ctf.defocus_u, ctf.defocus_v)
    )
    defocus = (u + v) / 2 + (u - v) / 2 * towards_u
    phase = calculate_phase(k2, defocus, optics, math.radians(ctf.phase_shift_deg))
    return torch.where(torch.sin(phase) < 0, -1.0, 1.0).to(torch.float32)


def _seen(
    positions_yx_angstrom: np.ndarray, geometry: Geometry, extent_yx_angstrom: list[float]
) -> torch.Tensor:
    """``(particle, y, x)`` which pixels of boxes lie in the micrograph."""
    import torch

    place = (torch.arange(geometry.box_px) - geometry.box_px // 2) * geometry.pixel_size
    rows, columns = (
        torch.from_numpy(positions_yx_angstrom[:, axis])[:, None] + place for axis in (0, 1)
    )
    inside_y, inside_x = (
        (at >= 0) & (at < extent)
        for at, extent in zip((rows, columns), extent_yx_angstrom, strict=True)
    )
    return inside_y[:, :, None] & inside_x[:, None, :]


def _plan(
    name: str,
    bench: ParticleBench,
    settings: ParticleSettings,
    box: int,
    pixel_size: float,
    raw_pixel: float,
    has_ctf: bool,
) -> Cut:
    from warptui.engine.ops.particles.extraction import FLIPPED_SHARE, plan_box

    flip = settings.phase_flip and has_ctf
    try:
        geometry = plan_box(box, pixel_size, raw_pixel, FLIPPED_SHARE if flip else 1.0)
    except ValueError as problem:
        raise StageError(
            f"{name}: particles.pixel_size: {problem}; set it to 0 or more"
        ) from problem
    radius = 0.5 * bench.diameter_angstrom / geometry.pixel_size
    if settings.normalize and radius > math.sqrt(2) * box / 2 - 2:
        raise StageError(
            f"{name}: a box of {box} px of {pixel_size:g} Å holds no background around a particle "
            f"of {bench.diameter_angstrom:g} Å: raise particles.box_size_px"
        )
    return Cut(
        geometry, radius, settings.normalize, settings.invert_contrast, flip, settings.halves
    )


def _choose(
    positions: np.ndarray, average: AverageResult, box_angstrom: float, edges: str
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool each: picks that are cut, and those whose boxes reach beyond the edge."""
    import numpy as np

    size = np.array(average.shape_yx, float)
    inside = np.asarray(((positions >= -0.5) & (positions <= size - 0.5)).all(axis=1))
    half = box_angstrom / average.pixel_size / 2
    over = (positions - half < -0.5) | (positions + half > size + 0.5)
    beyond = np.asarray(over.any(axis=1))
    return (inside & ~beyond if edges == "drop" else inside), beyond


def _notes_on_edges(
    positions: np.ndarray, kept: np.ndarray, padded: np.ndarray, average: AverageResult
) -> list[str]:
    notes = []
    if n_left := int((~kept).sum()):
        notes.append(f"{n_left} of {len(positions)} picks left out: at or beyond the edge")
    if n_padded := int(padded[kept].sum()):
        notes.append(f"{n_padded} boxes reach beyond the edge: what is missing there is even")
    return notes


def _digest(positions: np.ndarray, scores: np.ndarray) -> str:
    return hashlib.sha256(positions.tobytes() + scores.tobytes()).hexdigest()[:16]


STAGE = Stage(
    "particles",
    MOVIE,
    ParticleSettings,
    ParticleResult,
    run,
    needs=Needs(("motion", "average", "ctf", "picking")),
    sections=("input", "optics", "picking.diameter_angstrom"),
    products=(STACK, STACK_ODD, STACK_EVEN, LIST),
    xml=warp_particles.PART,
)
