"""How a job names a raw file: relative to a folder that may lie elsewhere on another machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class RawFile:
    """A raw file of a job."""

    root: Literal["input", "project"]  # folder that ``path`` is relative to
    path: str


@dataclass(frozen=True)
class Roots:
    """The two folders that paths of jobs are relative to."""

    project: Path
    input: Path

    def relative(self, path: Path) -> RawFile:
        """A raw file relative to the input folder, or to the project if it lies only there.

        A file outside both, as after a change of the input folder, is named from the input folder
        with ``..``.
        """
        if path.is_relative_to(self.input):
            return RawFile("input", path.relative_to(self.input).as_posix())
        if path.is_relative_to(self.project):
            return RawFile("project", path.relative_to(self.project).as_posix())
        return RawFile("input", Path(os.path.relpath(path, self.input)).as_posix())

    def absolute(self, file: RawFile) -> Path:
        """The raw file on this machine."""
        root = self.input if file.root == "input" else self.project
        path = root / file.path
        return Path(os.path.normpath(path)) if ".." in Path(file.path).parts else path
