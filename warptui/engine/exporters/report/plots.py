"""The plots of the report, with the words beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from warptui.engine.exporters.report import svg
from warptui.engine.exporters.report.facts import Facts, limit_words
from warptui.engine.model.summary import Summary
from warptui.engine.stages.base import Role
from warptui.engine.stages.registry import key_of

N_BARS = 96  # of the pace, at most
FEWEST = 3  # vectors of astigmatism that make a plot


def pace(facts: Facts) -> dict[str, Any] | None:
    """Bar plot of items processed over time; None if too few times are known."""
    finished = facts.items.number("finished_at")
    finished = finished[finished > 0]
    if len(finished) < 2 or finished.max() <= finished.min():
        return None
    times, unit = _scaled((finished - finished.min()) / 3600)
    length = float(times.max())
    n_bars = int(np.clip(len(times) // 4, 8, N_BARS))
    counted = np.histogram(times, n_bars, (0, length))[0]
    drawing = svg.bars(counted, (0.0, length), unit, "items processed along the session")
    return {"note": f"items in every {length / n_bars:.3g} {unit}", "drawing": Markup(drawing)}


def values(facts: Facts) -> dict[str, Any] | None:
    """Each value over time and as a histogram; None if no value is known."""
    known = facts.known()
    if not known:
        return None
    hours = facts.hours()
    x, title = np.arange(1.0, len(facts.items) + 1), "items"
    if hours is not None:
        x, title = _scaled(hours)
    many = np.count_nonzero(facts.processed) > svg.MOST_DOTS
    drawn = []
    for summary in known:
        value = svg.Value(
            summary.label,
            summary.unit,
            np.where(facts.processed, facts.items.value(summary.key), np.nan),
            facts.selected,
            facts.limits(summary),
        )
        if not (np.isfinite(value.values) & np.isfinite(x)).any():
            continue
        drawn.append(
            {
                "title": f"{summary.label}, {summary.unit}" if summary.unit else summary.label,
                "note": _account(facts, summary),
                "series": Markup(svg.series(value, x, title)),
                "histogram": Markup(svg.histogram(value)),
            }
        )
    return {
        "lines": "line: median; band: 10 to 90 % of the items" if many else "line: median",
        "plots": drawn,
        "astigmatism": _astigmatism(facts),
    }


def _account(facts: Facts, summary: Summary) -> str:
    """Median and range of a value in selected items, its limits, and the number of unknowns."""
    found = facts.items.value(summary.key)
    good = found[facts.selected & np.isfinite(found)]
    parts = []
    if len(good):
        low, median, high = np.percentile(good, (10, 50, 90))
        digits = summary.digits
        parts.append(f"{median:.{digits}f} (10 to 90 %: {low:.{digits}f} to {high:.{digits}f})")
    ends = facts.limits(summary)
    if ends != (None, None):
        parts.append(f"out: {limit_words(summary, *ends).removeprefix(summary.label + ' ')}")
    unknown = int(np.count_nonzero(facts.processed & np.isnan(found)))
    if unknown:
        parts.append(f"unknown: {unknown:,} items")
    return " · ".join([*parts, *([summary.help] if summary.help else [])])


def _astigmatism(facts: Facts) -> dict[str, Any] | None:
    sizes = facts.items.value(key_of(Role.ASTIGMATISM))
    angles = 2 * np.radians(facts.items.value(key_of(Role.ASTIGMATISM_ANGLE)))
    there = np.isfinite(sizes) & np.isfinite(angles)
    if np.count_nonzero(there) < FEWEST:
        return None
    x, y = sizes[there] * np.cos(angles[there]), sizes[there] * np.sin(angles[there])
    sigmas = facts.with_role(Role.ASTIGMATISM_SIGMA)
    session, limit = facts.status.astigmatism, facts.limits(sigmas)[1] if sigmas else None
    circle = None
    if session is not None:
        circle = (session.x_um, session.y_um, session.sigma_um * (limit or 1.0))
    sigma = f"the circle: {limit:g} σ, the limit" if limit else "the circle: one σ"
    note = f"u − v in µm as vectors of twice the angle, zero where the lines cross; {sigma}"
    return {
        "note": f"{note} about the mean",
        "drawing": Markup(svg.cloud(x, y, facts.selected[there], circle)),
    }


def _scaled(hours: np.ndarray) -> tuple[np.ndarray, str]:
    """Times in hours, or in minutes for a short session, with the unit."""
    return (hours, "h") if np.nanmax(hours) > 2 else (60 * hours, "min")
