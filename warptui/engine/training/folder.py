"""The folder of a training, as anybody may read it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any


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
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    for key in ("before", "after", "truth"):
        if report.get(key):
            report[key] = str(path.parent / report[key])
    return report
