"""Edits of picks: which items have edits, and their application to the picks.

Other thresholds, added and removed picks take neither the network nor the movie: all candidates
are kept beside the picks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from warptui.engine.errors import InputError, ItemError
from warptui.engine.model.edits import Edits
from warptui.engine.model.stored import StageRecord
from warptui.engine.project.edits_file import read_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.picks import read_candidates, write_chosen
from warptui.engine.stages.movie import picking
from warptui.engine.stages.movie.average import AVERAGE

ENDING = "_edits.json"


@dataclass(frozen=True)
class EditState:
    """Summary of the edits of one item's picks, for lists."""

    training: str = ""  # "examples" or "held-out"
    edited_at: float = 0.0  # Unix time; 0 = never
    digest: str | None = ""  # of what changes picks; None = the edits cannot be read
    problem: str = ""  # why

    @classmethod
    def of(cls, edits: Edits, edited_at: float) -> EditState:
        """The summary of these edits."""
        return cls(edits.training, edited_at, edits.digest)


NO_EDITS = EditState()


def read_edit_states(project: ProjectPaths) -> dict[str, EditState]:
    """The edit states of all items that have edits, by root name."""
    folder = project.edits("x").parent
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(ENDING)]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {
        name: read_edit_state(project, name) for name in (n.removesuffix(ENDING) for n in names)
    }


def read_edit_state(project: ProjectPaths, root_name: str) -> EditState:
    """The edit state of one item, from its file."""
    path = project.edits(root_name)
    try:
        edited_at = path.stat().st_mtime
        return EditState.of(read_edits(path), edited_at)
    except FileNotFoundError:
        return NO_EDITS
    except (InputError, OSError) as problem:
        return EditState(edited_at=1.0, digest=None, problem=str(problem))


def picks_are_outdated(record: StageRecord | None, edits: EditState) -> bool:
    """Whether picks were made with edits other than the present ones."""
    if record is None or edits.digest is None:
        return False
    return record.result.get("edits", "") != edits.digest


def repick(project: ProjectPaths, name: str, root_name: str, record: StageRecord) -> StageRecord:
    """Write an item's picks again by its edits; returns the changed record of picking.

    Raises
    ------
    ItemError
        If its candidates or its edits cannot be read, or the picks cannot be written.
    """
    edits = read_edits(project.edits(root_name))
    found, result = read_candidates(project, root_name), record.result
    if found is None or not result.get("pixel_size"):
        raise ItemError(
            f"{name}: its candidates are gone: the edits are kept, and applied when it is "
            "processed again (P)"
        )
    chosen = picking.pick(found, record.settings, result, edits)
    micrograph = project.product(AVERAGE, root_name).name
    try:
        write_chosen(project, root_name, result["model"], chosen, result["pixel_size"], micrograph)
    except OSError as problem:
        raise ItemError(f"{name}: its picks cannot be written: {problem.strerror}") from problem
    described = picking.describe(chosen, found, record.settings, result, edits)
    return replace(record, result={**result, **described})
