"""The report page: one HTML file without scripts that loads nothing, for browsers and paper."""

from __future__ import annotations

import json
import time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

import warptui
from warptui.engine.config.checks import SECTIONS, is_reported
from warptui.engine.exporters.report import plots
from warptui.engine.exporters.report.beam import optics_groups
from warptui.engine.exporters.report.facts import Facts, in_words
from warptui.engine.exporters.report.pictures import pictures
from warptui.engine.exporters.report.table import Table
from warptui.engine.formats.writing import write_text
from warptui.engine.model.item import Choice, State
from warptui.engine.model.summary import Summary
from warptui.engine.stages.base import Role

MOST_PROBLEMS = 30  # lines
MATTERING = {  # settings that are listed even with default values
    (name, key)
    for name, model in SECTIONS.items()
    for key, info in model.model_fields.items()
    if is_reported(info)
}
TILES = ((Role.RESOLUTION, "CTF resolution"), (Role.EARLY_MOTION, "motion"))


def write_page(facts: Facts, path: Path) -> None:
    """Write the report of a session."""
    write_text(path, page(facts))


def page(facts: Facts) -> str:
    """The report as HTML."""
    arrived = facts.items.number("arrived_at")
    known = arrived[arrived > 0]
    sections = {
        "items": ("Items", _items(facts)),
        "values": ("Values", plots.values(facts)),
        "pictures": ("Micrographs", pictures(facts)),
        "optics": ("Optics groups", optics_groups(facts)),
        "problems": ("Problems", _problems(facts)),
        "settings": ("Settings", _settings(facts)),
    }
    return _template().render(
        {name: content for name, (_, content) in sections.items()},
        links=[(name, title) for name, (title, content) in sections.items() if content],
        name=facts.name,
        version=warptui.__version__,
        style=Markup(_own_file("style.css")),
        made_at=_clock(facts.made_at),
        first=_clock(float(known.min())) if len(known) else "",
        last=_clock(float(known.max())) if len(known) else "",
        folder=facts.status.input_folder,
        tiles=_tiles(facts),
    )


def _own_file(name: str) -> str:
    return files("warptui.engine.exporters.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_own_file("page.html.jinja"))


def _tiles(facts: Facts) -> list[tuple[str, str]]:
    items, n = facts.items, len(facts.items)
    selected = int(np.count_nonzero(facts.selected))
    judged = selected + int(np.count_nonzero(items.number("filtered")))
    judged += facts.chosen(Choice.EXCLUDE)
    tiles = [(f"{n:,}", "items"), (f"{int(np.count_nonzero(facts.processed)):,}", "processed")]
    share = f" ({selected / judged:.0%})" if judged else ""
    tiles.append((f"{selected:,}{share}", "selected"))
    counted = facts.with_role(Role.PARTICLES)
    particles = items.value(counted.key)[facts.selected] if counted else np.zeros(0)
    if np.isfinite(particles).any():
        tiles.append((f"{int(np.nansum(particles)):,}", "particles in selected items"))
    for role, words in TILES:
        summary = facts.with_role(role)
        if summary is not None:
            values = items.value(summary.key)[facts.selected]
            if np.isfinite(values).any():
                median = in_words(float(np.nanmedian(values)), summary)
                tiles.append((median, f"{words}, median"))
    rate = _rate(facts)
    if rate is not None:
        tiles.append((f"{rate:,.0f}/h", "processed, at full pace"))
    failed = len(facts.in_state(State.FAILED))
    if failed:
        tiles.append((f"{failed:,}", "failed"))
    return tiles


def _items(facts: Facts) -> dict[str, Any]:
    if not len(facts.items):
        return {"states": None}
    counts = [(state, len(facts.in_state(state))) for state in State]
    filtered = int(np.count_nonzero(facts.items.number("filtered")))
    choices = [
        ("selected", f"{int(np.count_nonzero(facts.selected)):,}"),
        ("of them included by hand", f"{facts.chosen(Choice.INCLUDE):,}"),
        ("filtered out", f"{filtered:,}"),
        ("excluded by hand", f"{facts.chosen(Choice.EXCLUDE):,}"),
    ]
    reasons = [(why, f"{n:,}", f"{alone:,}") for why, n, alone in facts.exclusions()]
    states = [(str(state), f"{count:,}") for state, count in counts if count]
    return {
        "states": Table(("state", "items"), states),
        "choices": Table(("choice", "items"), choices),
        "reasons": Table(("reason", "items", "by it alone"), reasons) if reasons else None,
        "pace": plots.pace(facts),
    }


def _problems(facts: Facts) -> dict[str, Any] | None:
    failures = facts.failures()
    rows = [(example, f"{n:,}") for example, n, _ in failures[:MOST_PROBLEMS]]
    more = max(0, len(failures) - MOST_PROBLEMS)
    missing = facts.in_state(State.MISSING)
    gone = None
    if len(missing):
        gone = {"n": f"{len(missing):,}", "first": facts.items.names[missing[0]]}
    counts = [(summary.label, _unknown(facts, summary)) for summary in facts.known()]
    unknown = [(label, f"{n:,}") for label, n in counts if n]
    notices = facts.status.notices[-MOST_PROBLEMS:]
    found = {
        "message": facts.status.message,
        "notices": [(_clock(notice.at), notice.text) for notice in notices],
        "failures": Table(("the first of each kind", "items"), rows) if rows else None,
        "more": f"{more:,}" if more else "",
        "missing": gone,
        "unknown": Table(("value", "items"), unknown) if unknown else None,
    }
    return found if any(found.values()) else None


def _unknown(facts: Facts, summary: Summary) -> int:
    return int(np.count_nonzero(facts.processed & np.isnan(facts.items.value(summary.key))))


def _settings(facts: Facts) -> dict[str, Any]:
    rows = []
    for section, values in facts.settings.items():
        if not isinstance(values, dict) or section == "keys":
            continue
        defaults = facts.defaults.get(section, {})
        for key, value in values.items():
            changed = value != defaults.get(key)
            if value is not None and (changed or (section, key) in MATTERING):
                rows.append((f"{section}.{key}", _setting(value), "" if changed else "yes"))
    return {
        "changed": Table(("setting", "value", "default"), rows),
        "all": json.dumps(facts.settings, indent=1, ensure_ascii=False),
    }


def _setting(value: Any) -> str:
    if isinstance(value, str):
        return value or "none"
    return json.dumps(value, ensure_ascii=False)


def _rate(facts: Facts) -> float | None:
    """Items per hour during processing, from the median time between two finished items."""
    finished = np.sort(facts.items.number("finished_at"))
    steps = np.diff(finished[finished > 0])
    steps = steps[steps > 0]
    if len(steps) < 5:
        return facts.status.rate_per_hour
    pauses = steps > 20 * np.median(steps)
    return float(3600 * np.count_nonzero(~pauses) / steps[~pauses].sum())


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
