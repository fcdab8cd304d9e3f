"""The report's section on optics groups by beam shift, from the live list."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from markupsafe import Markup

from warptui.engine.exporters.optics_groups.grouping import BeamGroups
from warptui.engine.exporters.report import svg
from warptui.engine.exporters.report.facts import Facts
from warptui.engine.exporters.report.table import Table
from warptui.engine.formats.star.picks import model_suffix
from warptui.engine.stages.movie.picking import STAGE as PICKING_STAGE

MOST_POINTS = 2000


def optics_groups(facts: Facts) -> dict[str, Any] | None:
    """Plot of beam shifts and table of optics groups; None if groups are not by beam shift."""
    if facts.settings.get("export", {}).get("optics_groups") != "beam_shift":
        return None
    model = str(facts.settings.get(PICKING_STAGE.name, {}).get("model", ""))
    path = facts.project.live_groups(model_suffix(model))
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        groups = BeamGroups.from_json(stored["groups"])
        numbers = {str(key): int(number) for key, number in stored["numbers"].items()}
    except FileNotFoundError:
        return None  # there was no live list yet
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        return {"problem": f"{path} cannot be read: {problem}"}
    return {"problem": "", "groups": _table(groups, numbers), **_plot(groups)}


def _plot(groups: BeamGroups) -> dict[str, Any]:
    if not groups.shifts:
        return {"drawing": None, "unit": ""}
    rng = np.random.default_rng(0)
    names = list(groups.shifts)
    if len(names) > MOST_POINTS:
        names = [names[k] for k in np.sort(rng.permutation(len(names))[:MOST_POINTS])]
    settled = {group.label for group in groups.groups() if group.centre is not None}
    x, y = (np.array([groups.shifts[name][axis] for name in names]) for axis in (0, 1))
    kept = np.array([groups.labels[name] in settled for name in names])
    unit = groups.shifts[names[0]][2]
    drawing = svg.cloud(x, y, kept, None, unit, "beam shift of each item")
    return {"drawing": Markup(drawing), "unit": unit}


def _table(groups: BeamGroups, numbers: dict[str, int]) -> Table:
    rows = []
    for group in groups.groups():
        written = (n for key, n in numbers.items() if key.partition(":")[0] == str(group.label))
        place = "at no position of their own" if group.unit else "without a beam shift"
        if group.centre is not None:
            place = f"{group.centre[0]:.4g}, {group.centre[1]:.4g} {group.unit}"
        rows.append((", ".join(str(n) for n in sorted(written)) or "–", f"{group.n:,}", place))
    return Table(("optics group", "items", "beam shift"), rows)
