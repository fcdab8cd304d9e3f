"""The files that settings name, whose content decides whether results are up to date.

The stages declare them (`stages.base.Reference`): gain reference, defect map, network that picks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from warptui.engine.config.settings import Config
from warptui.engine.errors import InputError
from warptui.engine.planning.plan import References
from warptui.engine.stages.base import INPUT_REFERENCES, Stage
from warptui.engine.stages.registry import STAGES

BLOCK_BYTES = 1 << 20


class ReferenceFiles:
    """Knows the hashes of the files that the settings name, and reads them again when changed."""

    def __init__(self, project: Path, config: Config, stages: Sequence[Stage] = STAGES) -> None:
        declared = [*INPUT_REFERENCES]
        for stage in stages:
            if config.stage(stage.name).enabled:
                declared += stage.references
        named = {r: str(getattr(config.section(r.section), r.key)) for r in declared}
        self._named = {reference: value for reference, value in named.items() if value}
        self._project = project
        self._seen: dict[str, tuple[tuple[int, int, int], str]] = {}

    def look(self) -> tuple[References, str]:
        """The hashes now, and what is wrong: a sentence that names the file, or "".

        Only files that block processing are complained about. A network that is not there is no
        reason to stop: everything but the picking goes on, and the picking reports it.
        """
        hashes: dict[str, str] = {}
        problems = []
        for reference, value in self._named.items():
            path = self._project / value
            try:
                if reference.find is not None:
                    path = reference.find(value, self._project)
                content_hash = reference.content_hash or hash_file
                hashes[reference.name] = self._hash(reference.name, path, content_hash)
            except (InputError, OSError) as problem:
                if not reference.blocks:
                    continue
                absent = isinstance(problem, FileNotFoundError)
                cause = "is not there" if absent else str(problem)
                problems.append(
                    f"the {reference.label} {path} {cause}: bring it back or change "
                    f"[{reference.section}] {reference.key}"
                )
        return References(hashes), "; ".join(problems)

    def _hash(self, name: str, path: Path, hash_content: Callable[[Path], str]) -> str:
        found = os.stat(path)  # noqa: PTH116 - one call, three numbers
        stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
        known = self._seen.get(name)
        if known is None or known[0] != stamp:
            known = (stamp, hash_content(path))
            self._seen[name] = known
        return known[1]


def hash_file(path: Path) -> str:
    """SHA-1 of a file's content, in hex."""
    content = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            content.update(block)
    return content.hexdigest()
