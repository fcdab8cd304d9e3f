"""Micrographs for RELION 3.1 and later: the STAR file, and each movie's motion for polishing.

RELION's shifts are in pixels of the raw movie and, like ours, those that bring a frame into place
(tests compare with its own motion correction of a movie with known motion).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warptui.engine.exporters.motion import MotionExport
from warptui.engine.exporters.optics_groups.beam_shifts import Gathering, Grouping
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.formats.star.tables import Table, Value, is_writable, write_star
from warptui.engine.formats.warp.ctf import positive_astigmatism
from warptui.engine.model.item import root_name_of
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import AVERAGE
from warptui.engine.stages.movie.average import STAGE as AVERAGE_STAGE
from warptui.engine.stages.movie.ctf import STAGE as CTF_STAGE

CTF_LABELS = (
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnCtfAstigmatism",
    "rlnPhaseShift",
    "rlnCtfFigureOfMerit",
    "rlnCtfMaxResolution",
)
OPTICS_LABELS = (
    "rlnOpticsGroupName",
    "rlnOpticsGroup",
    "rlnMicrographOriginalPixelSize",
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
    "rlnMicrographPixelSize",
)
GROUP_COLUMN = 2  # of a row, behind its name and the file of its motion
NO_CTF = "no CTF was found"
SIZE_UNKNOWN = "the movie is gone, and the size of its frames is not recorded"


@dataclass(frozen=True)
class Options:
    """How the list is written."""

    absolute: bool = False  # paths; else relative to `base`
    without_ctf: bool = False  # also micrographs without a CTF; no columns about the CTF
    float32: bool = False  # copies of the averages that RELION 3.1 reads
    base: Path | None = None  # where RELION will run; None = the project folder
    grouping: Grouping | None = None  # optics groups by beam shift; None = one

    def shown(self, path: Path, project: ProjectPaths) -> str:
        """A path as the list states it: absolute if the file is outside `base`."""
        base = self.base or project.root
        ours = path.is_relative_to(project.root) or path.is_relative_to(base)
        return str(path) if self.absolute or not ours else os.path.relpath(path, base)


@dataclass
class Report:
    """The outcome of an export of micrographs."""

    output: str
    exported: list[str] = field(default_factory=list)
    without_ctf: list[str] = field(default_factory=list)  # left out because no CTF was found
    left_out: dict[str, str] = field(default_factory=dict)  # for another reason
    n_optics_groups: int = 0
    groups: dict[str, Any] = field(default_factory=dict)  # by beam shift: `beam_shifts.account`
    n_motion: int = 0  # movies with motion metadata
    size_unknown: list[str] = field(default_factory=list)  # without motion metadata
    motion_residual_px: float = 0.0  # largest RMS error of RELION's local model

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return dict(vars(self))


def defocus_uv_angstrom(defocus_um: float, astigmatism_um: float) -> tuple[float, float]:
    """RELION's defocus along and across the axis of astigmatism, Å, from mean and u - v."""
    half = abs(astigmatism_um) / 2
    return 1e4 * (defocus_um + half), 1e4 * (defocus_um - half)


def export_micrographs(
    items: Iterable[StoredItem],
    project: ProjectPaths,
    output: Path,
    optics: Mapping[str, float],
    options: Options,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Write the list of ``items`` to ``output``, and ``motion/NAME.star`` beside the averages.

    ``optics`` are the present settings, for items whose CTF stage did not record its own. Nothing
    is written where no item can be exported.
    """
    report = Report(str(output))
    groups: dict[tuple[float, ...], int] = {}
    gathering = None if options.grouping is None else Gathering(options.grouping)
    motion = MotionExport(project, lambda path: options.shown(path, project))
    rows: list[list[Value]] = []
    optics_of: list[tuple[float, ...]] = []  # of each row
    for done, item in enumerate(items, 1):
        progress(done)
        reason = why_not(item, project, options)
        if reason == NO_CTF:
            report.without_ctf.append(item.name)
        elif reason:
            report.left_out[item.name] = reason
        if reason:
            continue
        path, average = (
            project.product(AVERAGE, root_name_of(item.name)),
            item.records[AVERAGE_STAGE.name],
        )
        ctf, found = CTF_STAGE.record(item), _found(item)
        shown = _float32_copy(path, project) if options.float32 else path
        name = options.shown(shown, project)
        binning = float(average.sections.get("input", {}).get("binning", 1.0))
        pixel_size = float(average.result["pixel_size"])
        given = {**optics, **(ctf.sections.get("optics", {}) if ctf is not None else {})}
        key = (
            pixel_size / binning,
            float(given["voltage"]),
            float(given["cs"]),
            float(given["amplitude_contrast"]),
            pixel_size,
        )
        if gathering is not None:
            gathering.take(item.name, item.raw_path)
        optics_of.append(key)
        metadata, residual = motion.write(item, given)
        report.n_motion += bool(metadata)
        report.motion_residual_px = max(report.motion_residual_px, residual)
        row: list[Value] = [name, metadata or "None", 0]
        rows.append(row if options.without_ctf else row + _ctf_values(found))
        report.exported.append(item.name)
    labels_of = {} if gathering is None else gathering.labels()
    numbers = {}
    for item_name, key, row in zip(report.exported, optics_of, rows, strict=True):
        group = (labels_of.get(item_name, 0), *key)
        row[GROUP_COLUMN] = numbers[item_name] = groups.setdefault(group, len(groups) + 1)
    if gathering is not None:
        report.groups = gathering.account(numbers)
    report.n_optics_groups = len(groups)
    report.size_unknown = motion.size_unknown
    if rows:
        labels = ["rlnMicrographName", "rlnMicrographMetadata", "rlnOpticsGroup"]
        labels += [] if options.without_ctf else CTF_LABELS
        if not report.n_motion:
            labels, rows = _without_metadata(labels, rows)
        optics_rows = [[f"opticsGroup{n}", n, *key[1:]] for key, n in groups.items()]
        tables = (
            Table("optics", OPTICS_LABELS, optics_rows),
            Table("micrographs", labels, rows),
        )
        write_star(output, tables)
    return report


def why_not(item: StoredItem, project: ProjectPaths, options: Options) -> str:
    """Why an item cannot be in the list; "" if it can."""
    path = project.product(AVERAGE, root_name_of(item.name))
    if AVERAGE_STAGE.name not in item.records or not path.is_file():
        return f"no average: {path} is not there"
    if not is_writable(options.shown(path, project)):
        return "RELION reads no names with blanks: rename the movie"
    return "" if options.without_ctf or _found(item).get("defocus_um") is not None else NO_CTF


def preview_row(item: StoredItem, project: ProjectPaths, options: Options) -> list[str] | None:
    """Name, defocus U and V, resolution as the list will show them; None = left out."""
    if why_not(item, project, options):
        return None
    name, found = (
        options.shown(project.product(AVERAGE, root_name_of(item.name)), project),
        _found(item),
    )
    if options.without_ctf or found.get("defocus_um") is None:
        return [name, "", "", ""]
    values = _ctf_values(found)
    return [name, *(f"{values[column]:.{digits}f}" for column, digits in ((0, 1), (1, 1), (6, 2)))]


def _found(item: StoredItem) -> Mapping[str, Any]:
    ctf = CTF_STAGE.record(item)
    return ctf.result if ctf is not None else {}


def _ctf_values(found: Mapping[str, Any]) -> list[Value]:
    astigmatism, angle = positive_astigmatism(
        float(found.get("astigmatism_um") or 0.0), float(found.get("astigmatism_angle_deg") or 0.0)
    )
    u, v = defocus_uv_angstrom(float(found["defocus_um"]), astigmatism)
    worst = (found.get("fit_range_angstrom") or (999.0,))[0]
    return [
        u,
        v,
        angle,
        u - v,
        float(found.get("phase_shift_deg") or 0.0),
        float(found.get("score") or 0.0),
        float(found.get("resolution") or worst),
    ]


def _without_metadata(
    labels: list[str], rows: list[list[Value]]
) -> tuple[list[str], list[list[Value]]]:
    return [labels[0], *labels[2:]], [[row[0], *row[2:]] for row in rows]


def _float32_copy(path: Path, project: ProjectPaths) -> Path:
    """``path`` if that file is float32 already, else the path of a float32 copy, made once."""
    copy = project.average_float32(path.stem)
    if copy.is_file() and copy.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        return copy
    array, pixel_size = read_mrc(path)
    if array.dtype == "float32":
        return path
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(copy, array, pixel_size or 0.0)
    return copy
