"""The folder of a training, as anybody may read it: metrics, report, where it stands."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from warptui.engine.formats.writing import write_text
from warptui.engine.model import codec
from warptui.engine.model.training import TrainingStatus
from warptui.engine.project.paths import ProjectPaths

LOCK = ".lock"
STATUS, TASK, CHECKPOINT = "status.json", "task.json", "checkpoint.pt"
EXAMPLES, HELD_OUT = "examples.boxset", "held-out.boxset"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON; one that is just being written is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found = []
    for line in text.split("\n")[:-1]:
        with suppress(ValueError):  # a line that a full disk cut in two
            found.append(json.loads(line))
    return found


def read_report(path: Path) -> dict[str, Any]:
    """A report, with the names of files in it as paths; empty where there is none."""
    report = read_json(path)
    for key in ("before", "after", "truth"):
        if report.get(key):
            report[key] = str(path.parent / report[key])
    return report


def read_status(folder: Path) -> TrainingStatus | None:
    """Where a training stood when it last wrote that down; None where it never did."""
    told = read_json(folder / STATUS)
    return codec.decode(TrainingStatus, told) if told.get("model") and told.get("phase") else None


def write_status(folder: Path, status: TrainingStatus) -> None:
    """Write down where a training stands."""
    write_text(folder / STATUS, json.dumps(codec.encode(status), indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file; empty where there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def clear(folder: Path) -> None:
    """Empty a folder, but for the lock that whoever calls this holds."""
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink()


def trainings(paths: ProjectPaths) -> dict[str, TrainingStatus]:
    """Where every training of a project stood last, by the model's name, oldest first."""
    found = []
    for path in paths.models.glob(f"*/{STATUS}"):
        if (status := read_status(path.parent)) is not None:
            found.append((path.stat().st_mtime, path.parent.name, status))
    return {name: status for _, name, status in sorted(found, key=lambda entry: entry[:2])}


def can_resume(paths: ProjectPaths, name: str) -> bool:
    """Whether a training stopped half-way with all that it needs to go on."""
    folder = paths.training(name)
    needed = (TASK, CHECKPOINT, EXAMPLES)
    return not paths.model(name).exists() and all((folder / part).exists() for part in needed)


def seen_examples(paths: ProjectPaths) -> dict[str, str]:
    """The model that learned last from marked micrographs, by their fingerprint."""
    return {
        fingerprint: name
        for name in trainings(paths)
        if paths.model(name).exists()
        for fingerprint in read_json(paths.training(name) / TASK).get("fingerprints", ())
    }
