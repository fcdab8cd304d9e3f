"""Particle stacks of one micrograph as files: in the project, or in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from warptui.engine.formats.mrc import StackWriter
from warptui.engine.formats.star.particles import (
    ParticleOptics,
    ParticleTable,
    images_made_of,
    write_particles,
)
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.worker.fault_injection import crash_point

HALVES = ("", "odd", "even")


class ParticleFiles:
    """Stacks and their list.

    Parameters
    ----------
    project
        Folder that returned paths are relative to.
    stack
        Path of a stack by the picks' suffix and the half.
    """

    def __init__(self, project: Path, stack: Callable[[str, str], Path]) -> None:
        self._project, self._stack = project, stack

    def open_stack(self, suffix: str, half: str, box_px: int, pixel_size: float) -> StackWriter:
        """A stack to add particles to; ``pixel_size`` in Å/px."""
        stack = StackWriter(self._stack(suffix, half), (box_px, box_px), pixel_size)
        crash_point("particles.opened")
        return stack

    def stack_path(self, suffix: str) -> str:
        """The stack of all particles, relative to the project."""
        return os.path.relpath(self._stack(suffix, ""), self._project)

    def save_list(
        self, suffix: str, table: ParticleTable, optics: ParticleOptics, made_of: str
    ) -> str:
        """Write the STAR file beside the stack; ``made_of`` distinguishes its images."""
        path = self._list(suffix)
        write_particles(path, table, optics, made_of)
        return os.path.relpath(path, self._project)

    def has(self, suffix: str, made_of: str, halves: Sequence[str]) -> bool:
        """Whether the stacks (``halves``: "", "odd", "even") are there and made of this."""
        there = all(self._stack(suffix, half).is_file() for half in halves)
        return there and images_made_of(self._list(suffix)) == made_of

    def discard(self, suffix: str) -> None:
        """Remove what was extracted before, first the list that names the images."""
        self._list(suffix).unlink(missing_ok=True)
        for half in HALVES:
            self._stack(suffix, half).unlink(missing_ok=True)

    def _list(self, suffix: str) -> Path:
        return self._stack(suffix, "").with_suffix(".star")


def project_particles(project: ProjectPaths, root_name: str) -> ParticleFiles:
    """The particles that the session keeps of an item."""
    return ParticleFiles(
        project.root, lambda suffix, half: project.particles(root_name, suffix, half)
    )


def particles_in(folder: Path, project: Path, root_name: str) -> ParticleFiles:
    """Particles of an item that do not belong to the session, as those of one export."""

    def stack(suffix: str, half: str) -> Path:
        ending = f"_{half}" if half else ""
        return folder / f"{root_name}{ending}.mrcs"

    return ParticleFiles(project, stack)
