"""The files that settings name, whose content decides whether results are up to date.

The gain reference, the defect map, and the network that picks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from warptui.engine.config.settings import Config
from warptui.engine.errors import InputError
from warptui.engine.formats.boxnet_model import find_model, hash_model
from warptui.engine.planning.plan import References
from warptui.engine.stages.movie.picking import PickingSettings

BLOCK_BYTES = 1 << 20


class ReferenceFiles:
    """Knows the hashes of the files that the settings name, and reads them again when changed."""

    def __init__(self, project: Path, config: Config) -> None:
        named = {"gain": config.input.gain, "defects": config.input.defects}
        self.paths = {kind: project / name for kind, name in named.items() if name}
        picking = config.stages.get("picking", PickingSettings())
        assert isinstance(picking, PickingSettings)
        self._project, self._model = project, picking.model if picking.enabled else ""
        self._seen: dict[str, tuple[tuple[int, int, int], str]] = {}

    def look(self) -> tuple[References, str]:
        """The hashes now, and what is wrong: a sentence that names the file, or "".

        A network that is not there is no reason to stop: all but the picking goes on, and says so.
        """
        hashes: dict[str, str] = {}
        problems = []
        for kind, path in self.paths.items():
            try:
                hashes[kind] = self._hash(kind, path, hash_file)
            except OSError as problem:
                said = "is not there" if isinstance(problem, FileNotFoundError) else str(problem)
                what = "gain reference" if kind == "gain" else "defect map"
                problems.append(f"the {what} {path} {said}: bring it back or change [input] {kind}")
        references = References(
            hashes.get("gain", ""), hashes.get("defects", ""), self._model_hash()
        )
        return references, "; ".join(problems)

    def _model_hash(self) -> str:
        if not self._model:
            return ""
        try:
            path = find_model(self._model, self._project)
            return self._hash("model", path, hash_model)
        except (InputError, OSError):
            return ""

    def _hash(self, kind: str, path: Path, hash_content: Callable[[Path], str]) -> str:
        found = os.stat(path)  # noqa: PTH116 - one call, three numbers
        stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
        known = self._seen.get(kind)
        if known is None or known[0] != stamp:
            known = (stamp, hash_content(path))
            self._seen[kind] = known
        return known[1]


def hash_file(path: Path) -> str:
    """SHA-1 of a file's content, in hex."""
    content = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            content.update(block)
    return content.hexdigest()
