"""The gain reference and the defect map: their content decides whether results are up to date."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from warptui.engine.plan import References
from warptui.engine.settings import InputSettings

BLOCK_BYTES = 1 << 20


class ReferenceFiles:
    """Knows the hashes of the files that the settings name, and reads them again when changed."""

    def __init__(self, project: Path, settings: InputSettings) -> None:
        named = {"gain": settings.gain, "defects": settings.defects}
        self.paths = {kind: project / name for kind, name in named.items() if name}
        self._seen: dict[str, tuple[tuple[int, int, int], str]] = {}

    def look(self) -> tuple[References, str]:
        """The hashes now, and what is wrong: a sentence that names the file, or ""."""
        hashes: dict[str, str] = {}
        problems = []
        for kind, path in self.paths.items():
            try:
                hashes[kind] = self._hash(kind, path)
            except OSError as problem:
                said = "is not there" if isinstance(problem, FileNotFoundError) else str(problem)
                what = "gain reference" if kind == "gain" else "defect map"
                problems.append(f"the {what} {path} {said}: bring it back or change [input] {kind}")
        references = References(hashes.get("gain", ""), hashes.get("defects", ""))
        return references, "; ".join(problems)

    def _hash(self, kind: str, path: Path) -> str:
        found = os.stat(path)  # noqa: PTH116 - one call, three numbers
        stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
        known = self._seen.get(kind)
        if known is None or known[0] != stamp:
            known = (stamp, hash_file(path))
            self._seen[kind] = known
        return known[1]


def hash_file(path: Path) -> str:
    """SHA-1 of a file's content, in hex."""
    content = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            content.update(block)
    return content.hexdigest()
