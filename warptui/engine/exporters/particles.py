"""Lists of particles on demand: extracted ones, picks alone, or extracted for the export.

A separate process with torch (`exporters.extraction`) extracts particles for the export; the
stacks lie in a folder beside the list, with the list's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from warptui.engine.errors import ExportError, InputError
from warptui.engine.exporters.extraction import Cutter, StartExtractor, is_cut, number_of
from warptui.engine.exporters.merging import (
    NO_LABELS,
    VERSION_30,
    VERSION_31,
    alike,
    write_gathered,
)
from warptui.engine.exporters.optics_groups.beam_shifts import Gathering, Grouping
from warptui.engine.exporters.row_cache import Spool
from warptui.engine.exporters.rows import rows_of, source_of
from warptui.engine.formats.star.foreign import Places, read_places
from warptui.engine.formats.star.picks import read_picks
from warptui.engine.formats.star.rows import Rows
from warptui.engine.formats.writing import naming, temporary
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import root_name_of
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import AVERAGE
from warptui.engine.stages.movie.average import STAGE as AVERAGE_STAGE
from warptui.engine.stages.movie.picking import STAGE as PICKING_STAGE

NO_PICKS = "it has no picks and no extracted particles"
NONE_THERE = "the coordinates name no particles on it"
Load = Callable[[str], StoredItem | None]


class Made(NamedTuple):
    """The outcome of writing a list of particles."""

    rows: int
    left_out: str  # what, and why
    groups: dict[str, Any]  # by beam shift: `beam_shifts.account`; {} = they are not


def places_of(request: ExportRequest, project: ProjectPaths) -> Places | None:
    """The other program's coordinates that the request names; None = our picks."""
    given = request.given.get("coordinates", "").strip()
    if not given:
        return None
    path = (project.root / Path(given).expanduser()).absolute()
    pixel_size = number_of(request, "coordinates_pixel_size") or None
    try:
        stamp = path.stat()
    except OSError as problem:
        raise ExportError(f"{path}: cannot be read: {problem.strerror}") from problem
    try:
        return _places(path, pixel_size, stamp.st_mtime_ns, stamp.st_size)
    except InputError as problem:
        raise ExportError(str(problem)) from problem


@lru_cache(maxsize=1)  # a preview asks for every item
def _places(path: Path, pixel_size: float | None, modified_ns: int, size: int) -> Places:
    return read_places(path, pixel_size)


def write_particles_list(
    items: Iterable[StoredItem],
    project: ProjectPaths,
    target: Path,
    optics: Mapping[str, float],
    request: ExportRequest,
    shown: Callable[[Path], str],
    stop: Callable[[], None] = lambda: None,
    grouping: Grouping | None = None,
    start_extractor: StartExtractor | None = None,
) -> Made:
    """Write the list, and the stacks if the request asks for them.

    ``stop`` is called a few times a second and raises when the writing must end;
    ``start_extractor`` is needed only if particles are extracted for this export.

    Raises
    ------
    ExportError
        When the request cannot be fulfilled.
    OSError
        When nothing more can be written; extracted particles stay for the next attempt.
    """
    cutting, places = is_cut(request), places_of(request, project)
    left_out: dict[str, str] = {}
    spool: Spool | None = None
    gathering = None if grouping is None else Gathering(grouping)
    with ExitStack() as opened:
        extractor = start_extractor(stop) if cutting and start_extractor is not None else None
        cutter = opened.enter_context(closing(Cutter(project, target, request, extractor)))
        names = []
        for item in items:
            try:
                if cutting:
                    rows = cutter.rows(item, optics, _wanted(item, project, places))
                else:
                    rows = _there(item, project, optics)
            except InputError as problem:
                left_out[item.name] = str(problem)
                continue
            with naming(target):
                spool = spool or opened.enter_context(closing(_spool(target)))
                spool.put([(item.name, "", _named(rows, project, shown))])
            names.append(item.name)
            if gathering is not None:
                gathering.take(item.name, item.raw_path)
        like, names, odd = alike(spool, names) if spool is not None else (None, [], 0)
        if spool is None or like is None:
            return Made(0, _left_out_words(left_out) or "no particles are there", {})
        version = VERSION_30 if "relion30" in request.switches else VERSION_31
        labels = NO_LABELS if gathering is None else gathering.labels()
        made = write_gathered(
            target, spool, names, like=like, version=version, stop=stop, labels=labels
        )
        groups = gathering.account(made.of_items) if gathering is not None else {}
        if odd:
            left_out["others"] = f"{odd:,} without a CTF or without images"
        return Made(made.rows, _left_out_words(left_out), groups)


def _spool(target: Path) -> Spool:
    """A temporary file for the rows until all are complete, on the disk of the list."""
    spool = Spool(temporary(target))
    temporary(target).unlink()  # without a name, the system removes the file however this ends
    return spool


def preview_particles(
    item: StoredItem, project: ProjectPaths, request: ExportRequest, shown: Callable[[Path], str]
) -> list[list[str]]:
    """The first rows of an item: micrograph, x, y, score."""
    try:
        table = _wanted(item, project, places_of(request, project))
    except InputError:
        return []
    micrograph = shown(project.product(AVERAGE, root_name_of(item.name)))
    return [[micrograph, f"{x:.1f}", f"{y:.1f}", f"{score:.3f}"] for y, x, score in table[:3]]


def _wanted(item: StoredItem, project: ProjectPaths, places: Places | None) -> list[list[float]]:
    """y, x (px of the average) and score of the particles of an item."""
    average = AVERAGE_STAGE.record(item)
    if average is None:
        raise InputError("it has no average")
    if places is None:
        picking = PICKING_STAGE.record(item)
        if picking is None or not picking.result.get("picks_path"):
            raise InputError(NO_PICKS)
        positions, scores = read_picks(project.root / picking.result["picks_path"])
        return [[y, x, s] for (y, x), s in zip(positions.tolist(), scores.tolist(), strict=True)]
    found = places.of(root_name_of(item.name))
    if found is None or not len(found):
        raise InputError(NONE_THERE)
    table = found.copy()
    if places.pixel_size is not None:
        table[:, :2] /= float(average.result["pixel_size"])
    return table.tolist()


def _there(item: StoredItem, project: ProjectPaths, optics: Mapping[str, float]) -> Rows:
    """Rows of the session's particles: extracted ones if they exist, else picks."""
    picking = PICKING_STAGE.record(item)
    suffix = str(picking.result.get("suffix")) if picking is not None else ""
    source = None
    for extracting in (True, False):
        source = source or source_of(item, suffix, optics, extracting=extracting)
    if source is None:
        raise InputError(NO_PICKS)
    try:
        return rows_of(source, project, lambda name: item)
    except OSError as problem:
        raise InputError(f"{problem.filename}: {problem.strerror}") from problem


def _named(rows: Rows, project: ProjectPaths, shown: Callable[[Path], str]) -> Rows:
    """The rows with paths in the form that the request asks for."""
    words = rows.body.split(b"\n", 1)[0].split()
    labels, body = rows.head.labels, rows.body
    for label in ("rlnImageName", "rlnMicrographName"):
        if label in labels and words:
            before = words[labels.index(label)].rpartition(b"@")[2]
            path = Path(os.path.normpath(project.root / before.decode()))
            after = shown(path).encode()
            start = b"@" if label == "rlnImageName" else b" "
            body = body.replace(start + before + b" ", start + after + b" ")
    return replace(rows, body=body)


def _left_out_words(left_out: Mapping[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    parts = [
        f"{names[0]}{f' and {len(names) - 1:,} more' if len(names) > 1 else ''} left out: {reason}"
        for reason, names in reasons.items()
    ]
    more = [f"{len(parts) - 3:,} more reasons"] if len(parts) > 3 else []
    return "; ".join(parts[:3] + more)
