"""The particles of one item as rows of a list: extracted particles, or the picks alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from warptui.engine.errors import InputError
from warptui.engine.formats.star.particles import OPTICS_LABELS, can_be_named, particle_rows
from warptui.engine.formats.star.picks import read_picks
from warptui.engine.formats.star.rows import Head, Rows, split_star
from warptui.engine.model.item import root_name_of
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import STAGE as AVERAGE_STAGE
from warptui.engine.stages.movie.ctf import STAGE as CTF_STAGE
from warptui.engine.stages.movie.particles import STAGE as PARTICLES_STAGE
from warptui.engine.stages.movie.picking import STAGE as PICKING_STAGE


@dataclass(frozen=True, slots=True)
class Source:
    """The files and values from which the rows of an item are made."""

    name: str
    sequence: int
    key: str  # changes when the rows do
    path: str = ""  # of the STAR file of its stack, from the project folder; "" = the picks
    optics: tuple[float, float, float] = (0.0, 0.0, 0.0)  # kV, mm, amplitude contrast: settings
    raw_path: str = ""  # of the movie: the file with its beam shift lies beside it


def source_of(
    stored: StoredItem, suffix: str, optics: Mapping[str, float], *, extracting: bool
) -> Source | None:
    """Sources of an item's rows; None if it has no picks or particles of this model."""
    picking = PICKING_STAGE.record(stored)
    if picking is None or picking.result.get("suffix") != suffix:
        return None
    if extracting:
        record = PARTICLES_STAGE.record(stored)
        if record is None or record.result.get("suffix") != suffix:
            return None
        path = str(record.result.get("star_path") or "")
        key = f"{record.key}:{record.result.get('picks_hash')}"
        source = Source(stored.name, stored.sequence, key, path, raw_path=stored.raw_path)
        return source if path else None
    ctf, average = CTF_STAGE.record(stored), AVERAGE_STAGE.record(stored)
    if average is None or not picking.result.get("picks_path"):
        return None
    parts = [picking.key, picking.result.get("edits"), picking.result.get("n_particles")]
    parts += [picking.result.get("min_score"), average.key, ctf.key if ctf else ""]
    given = optics["voltage"], optics["cs"], optics["amplitude_contrast"]
    key = ":".join(str(part) for part in (*parts, *given))
    return Source(stored.name, stored.sequence, key, "", given, stored.raw_path)


def rows_of(
    source: Source, project: ProjectPaths, load: Callable[[str], StoredItem | None]
) -> Rows:
    """The rows of an item.

    Raises
    ------
    InputError
        If the files of their sources are missing or damaged.
    OSError
        If it cannot be read.
    """
    if source.path:
        with open(f"{project.root}/{source.path}", "rb") as file:  # noqa: PTH123 - of many
            return split_star(file.read(), source.path)
    stored = load(source.name)
    if stored is None or not {PICKING_STAGE.name, AVERAGE_STAGE.name} <= stored.records.keys():
        raise InputError("its metadata is gone: process it again (P)")
    picking, average = stored.records[PICKING_STAGE.name].result, stored.records[AVERAGE_STAGE.name]
    micrograph = str(
        average.result.get("average_path") or f"average/{root_name_of(source.name)}.mrc"
    )
    if not can_be_named(micrograph):
        raise InputError("RELION reads no names with blanks: rename the movie")
    ctf = CTF_STAGE.record(stored)
    positions, scores = read_picks(project.root / picking["picks_path"])
    table = particle_rows(
        average.result, ctf.result if ctf else {}, positions, scores, micrograph=micrograph
    )
    used = (ctf.sections.get("optics") if ctf else None) or {}
    head = Head(table.labels[:-1], _optics(average.result, average.sections, used, source.optics))
    lines = "".join(f"{line.rpartition(' ')[0]}\n" for line in table.lines)
    return Rows(head, len(table.lines), lines.encode())


def _optics(
    average: Mapping[str, Any],
    sections: Mapping[str, Any],
    used: Mapping[str, Any],
    given: tuple[float, float, float],
) -> tuple[tuple[str, str], ...]:
    """The optics group of picks without images, without its name and number."""
    pixel_size = float(average["pixel_size"])
    binning = float(sections.get("input", {}).get("binning", 1.0))
    keys = ("voltage", "cs", "amplitude_contrast")
    values = (
        pixel_size / binning,
        pixel_size,
        *(float(used.get(key, own)) for key, own in zip(keys, given, strict=True)),
    )
    labels = OPTICS_LABELS[2:]
    return tuple((label, f"{value:.6f}") for label, value in zip(labels, values, strict=True))
