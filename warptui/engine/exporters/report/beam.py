"""The report's part on optics groups by beam shift: those of the live list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html import escape

import numpy as np

from warptui.engine.exporters.optics_groups.grouping import BeamGroups
from warptui.engine.exporters.report import svg
from warptui.engine.exporters.report.facts import Facts
from warptui.engine.formats.star.picks import model_suffix

MOST_POINTS = 2000

Table = Callable[[tuple[str, ...], list[tuple[str, ...]]], str]


def optics_groups(facts: Facts, table: Table) -> Iterator[str]:
    """A plot of the shifts and a table of the groups, where groups are made by them."""
    if facts.settings.get("export", {}).get("optics_groups") != "beam_shift":
        return
    model = str(facts.settings.get("picking", {}).get("model", ""))
    path = facts.project.live_groups(model_suffix(model))
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        groups = BeamGroups.from_json(told["groups"])
        numbers = {str(key): int(number) for key, number in told["numbers"].items()}
    except FileNotFoundError:
        return  # there was no live list yet
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        yield f"<p>{escape(str(path))} cannot be read: {escape(str(problem))}</p>"
        return
    if groups.shifts:
        rng = np.random.default_rng(0)
        names = list(groups.shifts)
        if len(names) > MOST_POINTS:
            names = [names[k] for k in np.sort(rng.permutation(len(names))[:MOST_POINTS])]
        settled = {group.label for group in groups.groups() if group.centre is not None}
        x, y = (np.array([groups.shifts[name][axis] for name in names]) for axis in (0, 1))
        kept = np.array([groups.labels[name] in settled for name in names])
        unit = groups.shifts[names[0]][2]
        yield f'<div class="plot"><h3>Beam shifts <small>{escape(unit)}</small></h3>'
        yield svg.cloud(x, y, kept, None, unit, "where the beam was for each item") + "</div>"
    rows = []
    for group in groups.groups():
        written = (n for key, n in numbers.items() if key.partition(":")[0] == str(group.label))
        place = "at no position of their own" if group.unit else "without a beam shift"
        if group.centre is not None:
            place = f"{group.centre[0]:.4g}, {group.centre[1]:.4g} {escape(group.unit)}"
        rows.append((", ".join(str(n) for n in sorted(written)) or "–", f"{group.n:,}", place))
    yield table(("optics group", "items", "beam shift"), rows)
