"""All items with every value, as CSV and as JSON: an unknown number is empty, or null."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import warptui
from warptui.engine.exporters.report.facts import Facts
from warptui.engine.formats.writing import write_text
from warptui.engine.model.item_columns import CHOICES, STATES

_TEXTS = ("reason", "square", "training")


def write_csv(facts: Facts, path: Path) -> None:
    """A line per item; the header has the units in square brackets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names, columns = _columns(facts)
    units = {entry.key: entry.unit for entry in facts.summaries}
    writer.writerow([f"{name} [{units[name]}]" if units.get(name) else name for name in names])
    writer.writerows(
        ["" if value is None else value for value in row] for row in zip(*columns, strict=True)
    )
    write_text(path, text.getvalue())


def write_json(facts: Facts, path: Path) -> None:
    """One document: what the values are, and a record per item."""
    names, columns = _columns(facts)
    record = {
        "project": str(facts.project.root),
        "version": warptui.__version__,
        "made_at": when(facts.made_at),
        "filters": facts.status.filters,
        "values": [
            {"key": entry.key, "label": entry.label, "unit": entry.unit, "help": entry.help}
            for entry in facts.summaries
        ],
    }
    head = json.dumps(record, indent=1, ensure_ascii=False)[:-2]
    lines = (
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
        for row in zip(*columns, strict=True)
    )
    write_text(path, head + ',\n "items": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n")


def when(at: float) -> str | None:
    """A Unix time as text, in UTC; None where it is not known."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at > 0 else None


def _columns(facts: Facts) -> tuple[list[str], list[list[Any]]]:
    items = facts.items
    seconds = sorted(items.stages)
    found: dict[str, list[Any]] = {
        "name": list(items.names),
        "sequence": items.number("sequence").tolist(),
        "state": [str(STATES[code]) for code in items.number("state").tolist()],
        "choice": [str(CHOICES[code]) for code in items.number("choice").tolist()],
        "selected": items.number("selected").astype(bool).tolist(),
        "filtered": items.number("filtered").astype(bool).tolist(),
        **{name: list(getattr(items, name)) for name in _TEXTS},
        "arrived_at": [when(at) for at in items.number("arrived_at").tolist()],
        "finished_at": [when(at) for at in items.number("finished_at").tolist()],
        "tries": items.number("tries").tolist(),
    }
    known = [summary.key for summary in facts.summaries]
    for key in dict.fromkeys([*known, *items.keys]):
        found[key] = _known(items.value(key))
    for stage in seconds:
        found[f"{stage} [s]"] = _known(items.seconds(stage))
    return list(found), list(found.values())


def _known(values: np.ndarray) -> list[float | None]:
    return [None if value != value else _short(value) for value in values.tolist()]


def _short(value: float) -> float | int:
    """A number rounded to 7 significant digits; a whole number as an int."""
    rounded = float(f"{value:.7g}")
    return int(rounded) if rounded.is_integer() else rounded
