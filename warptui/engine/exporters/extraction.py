"""Particles that are extracted for one export only: tasks for the process that extracts them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from warptui.engine.errors import ExportError, InputError
from warptui.engine.exporters.stacks import stacks_of, sweep
from warptui.engine.formats.star.rows import Rows, split_star
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.stored import StoredItem
from warptui.engine.project import filesystem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.average import STAGE as AVERAGE_STAGE
from warptui.engine.stages.movie.particles import STAGE as PARTICLES_STAGE
from warptui.engine.stages.movie.picking import STAGE as PICKING_STAGE

NO_ENTRY = {errno.EACCES, errno.EPERM}
HASHES = ("gain_hash", "defects_hash")


class Extractor(Protocol):
    """A process that extracts particles (see `warptui.engine.worker.extraction`)."""

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """The answer to one task."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


# Makes an extractor; its argument is called a few times a second and raises to end the export.
StartExtractor = Callable[[Callable[[], None]], Extractor]


def number_of(request: ExportRequest, name: str) -> float:
    """The number in a typed field; 0 for an empty field. Raises ExportError for other text."""
    text = request.given.get(name, "").strip()
    try:
        value = float(text or 0)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10000:
        raise ExportError(f"{name.replace('_', ' ')}: {text!r} is not a number from 0 to 10000")
    return value


def is_cut(request: ExportRequest) -> bool:
    """Whether the request asks to extract particles for this export only."""
    return bool(
        request.given.get("coordinates")
        or number_of(request, "box_size_px")
        or number_of(request, "pixel_size")
    )


def _unwritable(problem: OSError) -> ExportError:
    first = "make room, then " if filesystem.is_full(problem) else ""
    reason = filesystem.problem_text(problem)
    return ExportError(f"{reason}; extracted particles stay: {first}export again to continue")


class Cutter:
    """Has particles of items extracted into a folder beside the list."""

    def __init__(
        self,
        project: ProjectPaths,
        target: Path,
        request: ExportRequest,
        extractor: Extractor | None,
    ) -> None:
        self._project, self._folder, self._request = project, stacks_of(target), request
        self._extractor, self._used = extractor, False

    def rows(
        self, item: StoredItem, optics: Mapping[str, float], places: list[list[float]]
    ) -> Rows:
        """Extract an item's particles and return their rows.

        Raises
        ------
        InputError
            When this item's particles cannot be extracted.
        ExportError
            When no further item can be extracted: the disk is full, or the folder is read-only.
        """
        answer = self._ask(self._task(item, optics, places))
        if problem := answer.get("problem"):
            number, folder = answer.get("errno"), str(self._folder)
            ours = str(answer.get("path", "")).startswith(folder)
            if number in filesystem.UNWRITABLE or (number in NO_ENTRY and ours):
                raise _unwritable(OSError(number, os.strerror(number), folder))
            raise InputError(problem.removeprefix(f"{item.name}: "))
        if not answer.get("star_path"):
            raise InputError("; ".join(answer.get("notes") or ["no particle lies on it"]))
        path = self._project.root / answer["star_path"]
        return split_star(path.read_bytes(), str(path))

    def close(self) -> None:
        """End the process and remove incomplete stacks."""
        if self._extractor is not None and self._used:
            self._extractor.close()
            sweep(self._folder)

    def _ask(self, task: dict[str, Any]) -> dict[str, Any]:
        if self._extractor is None:
            raise ExportError(
                "particles cannot be extracted: no process for it can be started here"
            )
        if not self._used:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise _unwritable(problem) from problem
            sweep(self._folder)
            self._used = True
        return self._extractor.ask(task)

    def _task(
        self, item: StoredItem, optics: Mapping[str, float], places: list[list[float]]
    ) -> dict[str, Any]:
        """The settings with which the item was processed, except those that the request changes."""
        records, request = item.records, self._request
        sections: dict[str, Any] = {}
        for record in records.values():
            sections.update(record.sections)
        sections["input"] = {
            key: value for key, value in sections.get("input", {}).items() if key not in HASHES
        }
        config: dict[str, Any] = {
            "input": sections["input"],
            "optics": {**optics, **sections.get("optics", {})},
        }
        for name in (AVERAGE_STAGE.name, PICKING_STAGE.name, PARTICLES_STAGE.name):
            if name in records:
                config[name] = dict(records[name].settings)
        particles = config.setdefault(PARTICLES_STAGE.name, {})
        if box := int(number_of(request, "box_size_px")):
            particles["box_size_px"] = box
        if pixel_size := number_of(request, "pixel_size"):
            particles["pixel_size"] = pixel_size
            if not box:
                particles["box_size_px"] = 0
        results = {
            name: record.result
            for name, record in records.items()
            if name in PARTICLES_STAGE.needs.own
        }
        results.setdefault(PICKING_STAGE.name, {"suffix": "export"})
        return {
            "project": str(self._project.root), "raw_path": item.raw_path, "config": config,
            "results": results, "places": places, "folder": str(self._folder),
        }  # fmt: skip
