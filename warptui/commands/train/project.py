"""A project without a running engine: its items, and the lock that keeps engines away."""

from __future__ import annotations

from pathlib import Path

from warptui.commands import offline
from warptui.commands.output import say
from warptui.engine.errors import EngineError, TrainingError
from warptui.engine.model.item import root_name_of
from warptui.engine.project.lock import ProjectLock
from warptui.engine.project.paths import ProjectPaths


def root_names(project: Path) -> dict[str, str]:
    """Names of the items by the root names of their files."""
    table, _ = offline.load_table(project)
    return {root_name_of(name): name for name in table.entries}


class Locked:
    """Locks a project, so that no engine starts meanwhile."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def __enter__(self) -> None:
        try:
            self._lock = ProjectLock(self._paths.lock, lambda reason: say(reason))
        except EngineError as problem:
            raise TrainingError(f"{problem}: another training or an engine is at work") from problem

    def __exit__(self, *_: object) -> None:
        self._lock.release()
