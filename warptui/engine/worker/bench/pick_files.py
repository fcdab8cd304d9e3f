"""Picks, candidates, edits and the mask of one micrograph as files in the project folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.errors import InputError
from warptui.engine.formats.star.picks import Candidates, read_picks
from warptui.engine.model.edits import Chosen, Edits
from warptui.engine.project.edits_file import read_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.picks import read_candidates, write_candidates, write_chosen, write_mask


class PickFiles:
    """The picks of one item."""

    def __init__(self, project: ProjectPaths, root_name: str) -> None:
        self._project, self._root_name = project, root_name

    def edits(self) -> Edits:
        """A person's changes of the item's picks. Raises InputError if they are unreadable."""
        return read_edits(self._project.edits(self._root_name))

    def candidates(self, key: Mapping[str, Any]) -> Candidates | None:
        """What `save_candidates` kept with an equal ``key``; None without."""
        return read_candidates(self._project, self._root_name, key)

    def save_candidates(self, found: Candidates, key: Mapping[str, Any]) -> None:
        """Keep candidates and mask; the mask of earlier candidates is removed."""
        write_candidates(self._project, self._root_name, found, key)
        self._project.mask(self._root_name).unlink(missing_ok=True)

    def save_mask(self, mask: np.ndarray) -> str:
        """Write mask/NAME.tif, unless it is there: `save_candidates` removes outdated ones."""
        path = self._project.mask(self._root_name)
        if not path.exists():
            write_mask(path, mask)
        return self._relative(path)

    def save(self, model: str, chosen: Chosen, pixel_size: float, micrograph: str) -> str:
        """Write matching/NAME_MODEL.star, and what was removed by hand from it."""
        name = Path(micrograph).name
        path = write_chosen(self._project, self._root_name, model, chosen, pixel_size, name)
        return self._relative(path)

    def load(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 2) y, x in px of the average and scores, of a file in the project.

        Raises
        ------
        InputError
            If the file was removed or damaged.
        """
        try:
            return read_picks(self._project.root / path)
        except InputError as problem:
            raise InputError(f"{problem}; process the item again (P)") from problem

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._project.root).as_posix()
