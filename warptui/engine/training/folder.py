"""Reading the folder of a training: metrics, report, status."""

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
    """The records of a file with lines of JSON, without an incomplete last line."""
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
    """The report of a training, with file names made into paths; {} if it has no report."""
    report = read_json(path)
    for key in ("before", "after", "truth"):
        if report.get(key):
            report[key] = str(path.parent / report[key])
    return report


def read_status(folder: Path) -> TrainingStatus | None:
    """The last status that a training wrote; None if it wrote no status."""
    record = read_json(folder / STATUS)
    known = record.get("model") and record.get("phase")
    return codec.decode(TrainingStatus, record) if known else None


def write_status(folder: Path, status: TrainingStatus) -> None:
    """Write the status of a training."""
    write_text(folder / STATUS, json.dumps(codec.encode(status), indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} if the file is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def clear(folder: Path) -> None:
    """Empty a folder except for its lock file, which the caller holds."""
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink()


def trainings(paths: ProjectPaths) -> dict[str, TrainingStatus]:
    """The last status of each training of a project, by the model's name, oldest first."""
    found = []
    for path in paths.models.glob(f"*/{STATUS}"):
        if (status := read_status(path.parent)) is not None:
            found.append((path.stat().st_mtime, path.parent.name, status))
    return {name: status for _, name, status in sorted(found, key=lambda entry: entry[:2])}


def can_resume(paths: ProjectPaths, name: str) -> bool:
    """Whether an interrupted training has all files that it needs to continue."""
    folder = paths.training(name)
    needed = (TASK, CHECKPOINT, EXAMPLES)
    return not paths.model(name).exists() and all((folder / part).exists() for part in needed)


def seen_examples(paths: ProjectPaths) -> dict[str, str]:
    """The latest model that was trained on each marked micrograph, by the example's fingerprint."""
    return {
        fingerprint: name
        for name in trainings(paths)
        if paths.model(name).exists()
        for fingerprint in read_json(paths.training(name) / TASK).get("fingerprints", ())
    }
