"""The kinds of exports for other programs. A new kind is a new entry of `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warptui.engine.errors import ExportError
from warptui.engine.exporters import micrographs, particles, report
from warptui.engine.exporters.extraction import StartExtractor, is_cut, number_of
from warptui.engine.exporters.optics_groups.beam_shifts import Grouping
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import AVERAGE
from warptui.engine.stages.movie.particles import STACK
from warptui.engine.stages.movie.picking import PICKS

if TYPE_CHECKING:
    from warptui.engine.config.sections import ExportSettings

BY_SHIFT, ONE_GROUP = "beam_shift", "one_group"  # offered: the one unlike the settings


@dataclass(frozen=True)
class Switch:
    """An option of a kind of list that is on or off."""

    name: str
    label: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of an export."""

    rows: int
    reason: str = ""  # what was left out and why; why nothing was written
    groups: dict[str, Any] = field(default_factory=dict)  # by beam shift: `beam_shifts.account`


@dataclass(frozen=True)
class Field:
    """An option of a kind of list that the user types."""

    name: str
    label: str
    empty: str  # describes the default, which is used while nothing is typed
    help: str


Progress = Callable[[int], None]  # takes the number of items done; may raise to end the writing
Write = Callable[
    [
        Iterable[StoredItem],
        ProjectPaths,
        Path,
        Mapping[str, float],
        ExportRequest,
        Progress,
        StartExtractor | None,
    ],
    Outcome,
]
OfSession = Callable[[report.Facts, Path, ExportRequest], Outcome]
Preview = Callable[[Iterable[StoredItem], ProjectPaths, ExportRequest], list[list[str]]]


@dataclass(frozen=True)
class Kind:
    """A kind of list: how the list is written, and how its rows are previewed."""

    name: str
    label: str
    file_name: str  # the default, in the project folder
    reads_it: str  # programs that read this kind of list
    switches: tuple[Switch, ...]
    columns: tuple[str, ...]  # of the preview
    write: Write
    preview: Preview  # of all items given
    fields: tuple[Field, ...] = ()
    of_session: OfSession | None = None  # instead of `write`: of the whole session

    def given(self, facts: Callable[[], report.Facts]) -> Kind:
        """The kind, with a `write` that uses the facts of the whole session if necessary."""
        of_session = self.of_session
        if of_session is None:
            return self
        return replace(self, write=lambda *given: of_session(facts(), given[2], given[4]))


def kind_of(request: ExportRequest) -> Kind:
    """The kind of export of a request. Raises ExportError for an unknown name."""
    try:
        return KINDS[request.kind]
    except KeyError:
        known = ", ".join(KINDS)
        raise ExportError(f"nothing can be exported as {request.kind!r}; known: {known}") from None


def settled(request: ExportRequest) -> ExportRequest:
    """The request for all items, if its kind always exports all; else the request unchanged."""
    kind = KINDS.get(request.kind)
    whole = kind is not None and kind.of_session is not None
    return replace(request, items="all") if whole else request


def by_settings(request: ExportRequest, settings: ExportSettings) -> ExportRequest:
    """The request, with the settings' way of making optics groups where the request has no own."""
    if not {BY_SHIFT, ONE_GROUP} & {switch.name for switch in kind_of(request).switches}:
        return request
    own = BY_SHIFT if settings.optics_groups == BY_SHIFT else ONE_GROUP
    chosen = {BY_SHIFT, ONE_GROUP} & {*request.switches}
    given = {
        "beam_shift_folder": settings.beam_shift_folder,
        "beam_shift_distance": f"{settings.beam_shift_distance:g}",
    }
    switches = request.switches if chosen else (*request.switches, own)
    return replace(request, switches=switches, given={**given, **request.given})


def target_of(request: ExportRequest, project: ProjectPaths) -> Path:
    """The path of the file to write.

    Raises
    ------
    ExportError
        When writing this file is impossible or would damage the project.
    """
    kind = kind_of(request)
    given = request.path.strip() or kind.file_name
    path = (project.root / Path(given).expanduser()).absolute()
    if path.suffix != Path(kind.file_name).suffix:
        raise ExportError(f"{path.name}: the name must end with {Path(kind.file_name).suffix}")
    if path.parent == project.product(STACK, "x").parent:
        raise ExportError(f"{path.parent} holds each item's particles: choose another folder")
    if kind.name == "particles" and path.parent == project.root:
        if path.match("particles_*.star"):
            raise ExportError(f"{path.name}: names in particles_ are reserved for live lists")
        if (project.root / path.stem) in (project.product(STACK, "x").parent, *_taken(project)):
            raise ExportError(f"{path.stem}/ is a folder of the session: choose another name")
    if path.parent == project.motion("x").parent:
        raise ExportError(f"{path.parent} holds the movies' motion: choose another folder")
    if path.is_dir():
        raise ExportError(f"{path} is a folder")
    return path


def _taken(project: ProjectPaths) -> tuple[Path, ...]:
    """Folders in which an export must not write particle stacks."""
    return project.product(AVERAGE, "x").parent, project.product(PICKS, "x").parent, project.models


def options_of(request: ExportRequest, project: ProjectPaths) -> micrographs.Options:
    """The request as options of the micrograph exporter."""
    base = None
    if request.relative_to.strip():
        base = (project.root / Path(request.relative_to.strip()).expanduser()).absolute()
    on, grouping = request.switches, grouping_of(request, project)
    return micrographs.Options(
        request.absolute, "without_ctf" in on, "float32" in on, base, grouping
    )


def grouping_of(request: ExportRequest, project: ProjectPaths) -> Grouping | None:
    """How to make optics groups by beam shift; None if the request wants one group."""
    if BY_SHIFT not in request.switches or "relion30" in request.switches:
        return None
    folder = request.given.get("beam_shift_folder", "").strip()
    place = (project.root / Path(folder).expanduser()).absolute() if folder else None
    return Grouping(place, number_of(request, "beam_shift_distance"))


def summary(report: micrographs.Report) -> str:
    """A sentence about the items that were left out, and why."""
    words = []
    if report.without_ctf:
        words.append(f"{len(report.without_ctf):,} left out: {micrographs.NO_CTF}")
    if report.size_unknown:
        words.append(f"{len(report.size_unknown):,} without motion: {micrographs.SIZE_UNKNOWN}")
    reasons: dict[str, list[str]] = {}
    for name, reason in report.left_out.items():
        reasons.setdefault(reason.partition(":")[0], []).append(name)
    for reason, names in reasons.items():
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        words.append(f"{names[0]}{more} left out: {reason}")
    return "; ".join(words)


def _write_micrographs(
    items: Iterable[StoredItem],
    project: ProjectPaths,
    target: Path,
    optics: Mapping[str, float],
    request: ExportRequest,
    progress: Progress,
    start_extractor: StartExtractor | None = None,
) -> Outcome:
    options = options_of(request, project)
    report = micrographs.export_micrographs(items, project, target, optics, options, progress)
    words = "; ".join(filter(None, [report.groups.get("summary", ""), summary(report)]))
    if not report.exported:
        words = f"nothing was written: {words or 'no item was asked for'}"
    return Outcome(len(report.exported), words, report.groups)


def _preview_micrographs(
    items: Iterable[StoredItem], project: ProjectPaths, request: ExportRequest
) -> list[list[str]]:
    options = options_of(request, project)
    rows = (micrographs.preview_row(item, project, options) for item in items)
    return [row for row in rows if row is not None]


_OPTICS = (
    Switch(BY_SHIFT, "optics groups by beam shift, not one"),
    Switch(ONE_GROUP, "one optics group, not by beam shift"),
)
MICROGRAPHS = Kind(
    "micrographs",
    "micrographs, a list for RELION",
    "micrographs.star",
    "RELION 3.1 and later",
    (
        Switch("without_ctf", "also those without a CTF, and no columns about it"),
        Switch("float32", "float32 copies of the averages, for RELION 3.1"),
        *_OPTICS,
    ),
    ("rlnMicrographName", "DefocusU", "DefocusV", "MaxResolution"),
    _write_micrographs,
    _preview_micrographs,
)


def _without_session(*_: object) -> Outcome:
    raise ExportError("a report is of a session: its rows and its status are needed")


def _write_report(facts: report.Facts, target: Path, request: ExportRequest) -> Outcome:
    made = {target: report.write_page}
    if "tables" in request.switches:
        made[target.with_suffix(".csv")] = report.write_csv
        made[target.with_suffix(".json")] = report.write_json
    for path, write in made.items():
        write(facts, path)
    beside = [path.name for path in made if path != target]
    return Outcome(len(facts.items), f"beside it {' and '.join(beside)}" if beside else "")


def _preview_report(
    items: Iterable[StoredItem], project: ProjectPaths, request: ExportRequest
) -> list[list[str]]:
    return [[item.name, ", ".join(item.records) or "not processed"] for item in items]


REPORT = Kind(
    "report",
    "report of the session, a page for any browser",
    "report.html",
    "web browsers",
    (Switch("tables", "also all items with every value, as CSV and JSON"),),
    ("item", "results"),
    _without_session,
    _preview_report,
    of_session=_write_report,
)


def _write_particles(
    items: Iterable[StoredItem],
    project: ProjectPaths,
    target: Path,
    optics: Mapping[str, float],
    request: ExportRequest,
    progress: Progress,
    start_extractor: StartExtractor | None = None,
) -> Outcome:
    shown = options_of(request, project).shown
    counted = _Counted(items, progress)
    made = particles.write_particles_list(
        counted, project, target, optics, request, lambda path: shown(path, project),
        counted.look, grouping_of(request, project), start_extractor,
    )  # fmt: skip
    words = "; ".join(filter(None, [made.groups.get("summary", ""), made.left_out]))
    return Outcome(made.rows, words if made.rows else f"nothing was written: {words}", made.groups)


class _Counted:
    """Items that report progress while they are read."""

    def __init__(self, items: Iterable[StoredItem], progress: Progress) -> None:
        self._items, self._progress, self._done = items, progress, 0

    def __iter__(self) -> Iterator[StoredItem]:
        for done, item in enumerate(self._items, 1):
            yield item
            self._done = done
            self.look()

    def look(self) -> None:
        """Report progress; raises when the writing must end."""
        self._progress(self._done)


def _preview_particles(
    items: Iterable[StoredItem], project: ProjectPaths, request: ExportRequest
) -> list[list[str]]:
    shown = options_of(request, project).shown
    is_cut(request)  # report an unusable number before the export begins
    return [
        row
        for item in items
        for row in particles.preview_particles(
            item, project, request, lambda path: shown(path, project)
        )
    ]


PARTICLES = Kind(
    "particles",
    "particles, a list for RELION and cryoSPARC",
    "export_particles.star",
    "RELION, cryoSPARC",
    (Switch("relion30", "for RELION 3.0: one table, without optics groups"), *_OPTICS),
    ("rlnMicrographName", "CoordinateX", "CoordinateY", "FigureOfMerit"),
    _write_particles,
    _preview_particles,
    (
        Field("coordinates", "places", "our picks", "a STAR file of another program"),
        Field(
            "coordinates_pixel_size",
            "their Å/px",
            "as in their file, else the average's",
            "Å per pixel of the other program's coordinates",
        ),
        Field("box_size_px", "box", "as cut out already", "px of the boxes to cut out"),
        Field("pixel_size", "box Å/px", "as cut out already", "Å per pixel of boxes to cut out"),
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in (MICROGRAPHS, PARTICLES, REPORT)}


def described(optics_groups: str = "one") -> list[dict[str, Any]]:
    """All kinds, for a dialog or a command; ``optics_groups`` is the value of the setting."""
    usual = BY_SHIFT if optics_groups == BY_SHIFT else ONE_GROUP
    return [
        {
            "name": kind.name,
            "label": kind.label,
            "file_name": kind.file_name,
            "reads_it": kind.reads_it,
            "switches": [
                [switch.name, switch.label] for switch in kind.switches if switch.name != usual
            ],
            "fields": [[field.name, field.label, field.empty, field.help] for field in kind.fields],
            "columns": list(kind.columns),
            "all_items": kind.of_session is not None,
        }
        for kind in KINDS.values()
    ]


def first_rows(
    names: Sequence[str],
    load: Callable[[str], StoredItem | None],
    project: ProjectPaths,
    request: ExportRequest,
    n: int,
    looked_at: int,
) -> list[list[str]]:
    """The first ``n`` rows of the list, from the first ``looked_at`` items at most."""
    kind = kind_of(request)
    found: list[list[str]] = []
    for name in islice(names, looked_at):
        item = load(name)
        found += kind.preview([item], project, request) if item is not None else []
        if len(found) >= n:
            break
    return found[:n]
