"""The micrographs that are marked for training, with their picks, masks and edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from warptui.engine.errors import InputError, TrainingError
from warptui.engine.formats.mrc import read_shape_and_pixel_size
from warptui.engine.formats.star.foreign import read_positions
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.model.training import TrainingExample, TrainingRequest
from warptui.engine.ops.picking.choice import choose
from warptui.engine.project.edits_file import read_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import AVERAGE
from warptui.engine.stages.movie.picking import CANDIDATES, MASK_PREVIEW

LEARN, MEASURE = "examples", "held-out"
_NO_AVERAGE = "its average is gone: process it again (P)"
_NO_PARTICLES = "it has no picks and no other marks"


@dataclass(frozen=True)
class Marked:
    """A micrograph of the training set or the held-out set, with the paths of its files."""

    name: str  # name of the item
    role: str  # LEARN or MEASURE
    edits: Edits
    average_path: str
    candidates_path: str
    mask_path: str
    problem: str = ""

    @property
    def fingerprint(self) -> str:
        """Hash of the marks of a micrograph: other marks give another fingerprint."""
        marks = self.edits.model_copy(update={"training": ""}).model_dump_json()
        return sha256(f"{self.name}\n{marks}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Rules:
    """The settings in [picking]."""

    diameter_angstrom: float
    min_score: float
    min_mask_distance_angstrom: float = 0.0
    invert_contrast: bool = False


def find_marked(
    paths: ProjectPaths,
    items: Mapping[str, str],
    request: TrainingRequest,
    held_out_percent: float,
    rules: Rules | None = None,
) -> list[Marked]:
    """The micrographs of a training, in order of their names.

    The request's micrographs, else all marked ones; ``items`` gives the item's name by root name.
    If the user held out no micrograph, ``held_out_percent`` of the micrographs are held out, evenly
    along the list: only those with picks by ``rules``, because others cannot measure picking.

    Raises
    ------
    TrainingError
        If the request names an unknown item.
    """
    named = {**dict.fromkeys(request.items, LEARN), **dict.fromkeys(request.held_out, MEASURE)}
    if unknown := sorted(set(named) - set(items.values())):
        raise TrainingError(f"no item is called {', '.join(unknown[:5])}")
    edited = set() if request.items else _edited(paths)
    found = []
    for root, name in sorted(items.items()):
        path = paths.edits(root)
        if name not in named and path.name not in edited:
            continue
        try:
            edits, problem = read_edits(path), ""
        except InputError as trouble:
            edits, problem = Edits(), str(trouble)
        role = named.get(name) or edits.training
        if not role and not problem:
            continue
        marked = Marked(
            name,
            role or LEARN,
            edits,
            str(paths.product(AVERAGE, root)),
            str(paths.product(CANDIDATES, root)),
            str(paths.product(MASK_PREVIEW, root)),
            problem,
        )
        if request.positions:
            marked = _with_positions(marked, Path(request.positions), root)
        if not marked.problem and not Path(marked.average_path).exists():
            marked = replace(marked, problem=_NO_AVERAGE)
        found.append(marked)
    return _hold_out(found, held_out_percent, rules)


def _edited(paths: ProjectPaths) -> set[str]:
    """Names of all files of edits, from one listing of the folder instead of a look per item."""
    sample = paths.edits("*")
    return {path.name for path in sample.parent.glob(sample.name)}


def _hold_out(found: list[Marked], percent: float, rules: Rules | None) -> list[Marked]:
    """Hold out some micrographs if the user chose no held-out set; never the only one."""
    usable = [marked for marked in found if not marked.problem]
    if any(marked.role == MEASURE for marked in usable) or percent <= 0:
        return found
    usable = [marked for marked in usable if rules is None or _has_particles(marked, rules)]
    if len(usable) < 2:
        return found
    count = min(max(1, round(len(usable) * percent / 100)), len(usable) - 1)
    step = len(usable) / count
    names = {usable[int((i + 0.5) * step)].name for i in range(count)}
    return [replace(m, role=MEASURE) if m.name in names else m for m in found]


def _has_particles(marked: Marked, rules: Rules) -> bool:
    try:
        return len(particles_of(marked, rules)) > 0
    except (OSError, ValueError):  # `describe` reports the problem
        return False


def describe(
    marked: Sequence[Marked], rules: Rules, seen: Mapping[str, str]
) -> list[TrainingExample]:
    """A table of examples; ``seen`` has the last model trained on each fingerprint."""
    rows = []
    for one in marked:
        n_particles, problem = 0, one.problem
        if not problem:
            try:
                n_particles = len(particles_of(one, rules))
            except (OSError, ValueError) as trouble:
                problem = f"its picks cannot be read: {trouble}"
        edits = one.edits
        if not problem and not n_particles and not (edits.removed or edits.uncertain):
            problem = _NO_PARTICLES
        rows.append(
            TrainingExample(
                one.name,
                one.role,
                n_particles=n_particles,
                n_uncertain=len(edits.uncertain),
                n_false=len(edits.removed),
                masked=edits.train_mask and Path(one.mask_path).exists(),
                seen_by=seen.get(one.fingerprint, ""),
                problem=problem,
            )
        )
    return rows


def particles_of(marked: Marked, rules: Rules) -> np.ndarray:
    """(n, 2) Å: the picks of the micrograph after the user's edits."""
    candidates = np.zeros((0, 4), np.float32)
    if marked.candidates_path and Path(marked.candidates_path).exists():
        candidates = np.load(marked.candidates_path)
    shape_yx, pixel_size = read_shape_and_pixel_size(Path(marked.average_path))
    mask = mask_of(marked)
    sides = (n * pixel_size for n in shape_yx)
    widths = [
        side / n for side, n in zip(sides, (1, 1) if mask is None else mask.shape, strict=True)
    ]
    chosen = choose(
        candidates,
        mask,
        pixel_size,
        rules.diameter_angstrom,
        rules.min_score,
        rules.min_mask_distance_angstrom,
        marked.edits,
        mask_pixel_yx=widths,
    )
    return chosen.positions_yx_angstrom


def mask_of(marked: Marked) -> np.ndarray | None:
    """(y, x) bool at 8 Å/px: the mask of the micrograph; None without a mask."""
    if not marked.mask_path or not Path(marked.mask_path).exists():
        return None
    return np.load(marked.mask_path).astype(bool)


def _with_positions(marked: Marked, folder: Path, root: str) -> Marked:
    """The micrograph with particles from a STAR file in ``folder`` instead of its own picks."""
    files = sorted(folder.glob(f"{root}*.star"))
    if not files:
        return replace(marked, problem=f"{folder} holds no STAR file of it ({root}*.star)")
    if len(files) > 1:
        names = ", ".join(path.name for path in files[:3])
        return replace(marked, problem=f"{folder} holds several STAR files of it: {names}")
    try:
        _, pixel_size = read_shape_and_pixel_size(Path(marked.average_path))
        places = read_positions(files[0])
    except FileNotFoundError:
        return replace(marked, problem=_NO_AVERAGE)
    except InputError as trouble:
        return replace(marked, problem=str(trouble))
    added = tuple(
        Spot(y_angstrom=y * pixel_size, x_angstrom=x * pixel_size) for y, x in places.tolist()
    )
    edits = marked.edits.model_copy(update={"added": added, "removed": (), "train_mask": False})
    return replace(marked, edits=edits, candidates_path="", mask_path="")
