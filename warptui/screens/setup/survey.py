"""Looks into a folder with `warptui init --dry-run`: that process reads the movies, so that a file
system that hangs does not block the app.

No Textual here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warptui.engine.errors import EngineError
from warptui.screens.settings.form import Values

LIMIT_S = 90.0  # a large gain reference on a slow disk


@dataclass(frozen=True)
class Found:
    """The content of a folder, and the settings that follow from it."""

    settings: Values
    movie: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # format, n_frames, width, height, n_movies
    gains: tuple[dict[str, Any], ...] = ()  # path, fits, text
    notes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Found:
        """Make one from the JSON that `init` prints."""
        return cls(
            record["settings"],
            record["movie"],
            record["facts"],
            tuple(record["gains"]),
            tuple(record["notes"]),
        )


Survey = Callable[[Path, Path, Values], Found]  # arguments: project, input folder, given settings


def survey(project: Path, folder: Path, given: Values) -> Found:
    """Look into ``folder``, for a project with the settings in ``given``.

    Raises
    ------
    EngineError
        With the reason of the failure.
    """
    command = [sys.executable, "-m", "warptui", "init", str(project), "--input", str(folder)]
    command += ["--dry-run", "--json", *_options(given.get("input", {}))]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"{folder} did not answer within {LIMIT_S:.0f} s") from None
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2].removeprefix("warptui: ")
        raise EngineError(reason or f"looking at {folder} ended with {done.returncode}")
    return Found.from_json(json.loads(done.stdout))


def _options(given: dict[str, Any]) -> Sequence[str]:
    options: list[str] = []
    if given.get("pattern"):
        options += ["--pattern", *given["pattern"]]
    if given.get("recursive"):
        options.append("--recursive")
    if given.get("gain"):
        options += ["--gain", str(given["gain"])]
    return options
