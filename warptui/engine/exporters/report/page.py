"""The page: one HTML file without scripts that loads nothing, for any browser and for paper."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

import warptui
from warptui.engine.exporters.report import svg
from warptui.engine.exporters.report.beam import optics_groups
from warptui.engine.exporters.report.facts import Facts, limit_words
from warptui.engine.exporters.report.pictures import data_uri
from warptui.engine.formats.writing import write_text
from warptui.engine.model.item import Choice, State, root_name_of
from warptui.engine.model.summary import Summary

N_PICTURES = 4  # of the best, of typical ones, and of the worst
MOST_PROBLEMS = 30  # lines
N_RATES = 96  # bars
MATTERING = {
    "input": ("folder", "pixel_size", "binning", "dose_per_frame", "gain"),
    "optics": ("voltage", "cs", "amplitude_contrast"),
    "picking": ("model", "diameter_angstrom", "min_score"),
}
RANKS = (("ctf.resolution", False), ("motion.early_motion", False), ("picking.n_particles", True))


def write_page(facts: Facts, path: Path) -> None:
    """Write the report of a session."""
    write_text(path, page(facts))


def page(facts: Facts) -> str:
    """The report as HTML."""
    style = (
        files("warptui.engine.exporters.report").joinpath("style.css").read_text(encoding="utf-8")
    )
    sections = [
        ("items", "Items", _items(facts)),
        ("values", "Values", _values(facts)),
        ("pictures", "Micrographs", _pictures(facts)),
        ("optics", "Optics groups", optics_groups(facts, _table)),
        ("problems", "Problems", _problems(facts)),
        ("settings", "Settings", _settings(facts)),
    ]
    found = [(name, title, "\n".join(parts)) for name, title, parts in sections]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, text in found if text)
    body = "\n".join(
        f'<section id="{name}"><h2>{title}</h2>\n{text}\n</section>'
        for name, title, text in found
        if text
    )
    title = escape(f"{facts.name}: report of the session")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="warptui {escape(warptui.__version__)}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(facts.name)}</h1>
{_heading(facts)}
<nav>{links}</nav>
</header>
{_tiles(facts)}
{body}
</body>
</html>
"""


def _heading(facts: Facts) -> str:
    arrived = facts.items.number("arrived_at")
    known = arrived[arrived > 0]
    span = ""
    if len(known):
        span = f", movies from {_clock(float(known.min()))} to {_clock(float(known.max()))}"
    said = f"Report of the session, made {_clock(facts.made_at)}{span}"
    folder = escape(facts.status.input_folder)
    by = f"warptui {escape(warptui.__version__)}"
    return f'<p class="muted">{said}</p><p class="muted">Movies in {folder} · {by}</p>'


def _tiles(facts: Facts) -> str:
    items, n = facts.items, len(facts.items)
    selected = int(np.count_nonzero(facts.selected))
    judged = selected + int(np.count_nonzero(items.number("filtered")))
    judged += facts.chosen(Choice.EXCLUDE)
    tiles = [(f"{n:,}", "items"), (f"{int(np.count_nonzero(facts.processed)):,}", "processed")]
    share = f" ({selected / judged:.0%})" if judged else ""
    tiles.append((f"{selected:,}{share}", "selected"))
    particles = items.value("picking.n_particles")[facts.selected]
    if np.isfinite(particles).any():
        tiles.append((f"{int(np.nansum(particles)):,}", "particles in selected items"))
    for key, words in (("ctf.resolution", "CTF resolution"), ("motion.early_motion", "motion")):
        summary = next((entry for entry in facts.summaries if entry.key == key), None)
        if summary is not None:
            values = items.value(key)[facts.selected]
            if np.isfinite(values).any():
                tiles.append((_number(float(np.nanmedian(values)), summary), f"{words}, median"))
    rate = _rate(facts)
    if rate is not None:
        tiles.append((f"{rate:,.0f}/h", "processed, at full pace"))
    failed = len(facts.in_state(State.FAILED))
    if failed:
        tiles.append((f"{failed:,}", "failed"))
    cells = "".join(f'<div class="tile"><b>{b}</b><span>{s}</span></div>' for b, s in tiles)
    return f'<div class="tiles">{cells}</div>'


def _items(facts: Facts) -> Iterator[str]:
    n = len(facts.items)
    if not n:
        yield "<p>No movie was found yet.</p>"
        return
    counts = [(state, len(facts.in_state(state))) for state in State]
    states = [(escape(str(state)), f"{count:,}") for state, count in counts if count]
    filtered = int(np.count_nonzero(facts.items.number("filtered")))
    choices = [
        ("selected", f"{int(np.count_nonzero(facts.selected)):,}"),
        ("of them included by hand", f"{facts.chosen(Choice.INCLUDE):,}"),
        ("filtered out", f"{filtered:,}"),
        ("excluded by hand", f"{facts.chosen(Choice.EXCLUDE):,}"),
    ]
    yield '<div class="pair">'
    yield _table(("state", "items"), states)
    yield _table(("choice", "items"), choices)
    yield "</div>"
    reasons = [(escape(why), f"{n:,}", f"{alone:,}") for why, n, alone in facts.exclusions()]
    if reasons:
        yield "<h3>Why items are out</h3>"
        yield _table(("reason", "items", "by it alone"), reasons)
    finished = facts.items.number("finished_at")
    finished = finished[finished > 0]
    if len(finished) > 1 and finished.max() > finished.min():
        times, unit = _scaled((finished - finished.min()) / 3600)
        length = float(times.max())
        n_bars = int(np.clip(len(times) // 4, 8, N_RATES))
        counted = np.histogram(times, n_bars, (0, length))[0]
        words = f"items in every {length / n_bars:.3g} {unit}"
        plot = svg.bars(counted, (0.0, length), unit, "items processed along the session")
        yield f'<div class="plot"><h3>Processed <small>{words}</small></h3>{plot}</div>'


def _values(facts: Facts) -> Iterator[str]:
    known = facts.known()
    if not known:
        return
    hours = facts.hours()
    x, title = np.arange(1.0, len(facts.items) + 1), "items"
    if hours is not None:
        x, title = _scaled(hours)
    many = np.count_nonzero(facts.processed) > svg.MOST_DOTS
    lines = "line: median; band: 10 to 90 % of the items" if many else "line: median"
    yield (
        '<p class="muted"><span class="key" style="background:var(--in)"></span>selected'
        '<span class="key" style="background:var(--out)"></span>not selected'
        f" · dashed: limit · {lines} · what lies far out is drawn at the edge</p>"
    )
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
        yield f'<div class="plot"><h3>{escape(_title(summary))} {_account(facts, summary)}</h3>'
        yield f'<div class="row">{svg.series(value, x, title)}{svg.histogram(value)}</div></div>'
    yield from _astigmatism(facts)


def _title(summary: Summary) -> str:
    return f"{summary.label}, {summary.unit}" if summary.unit else summary.label


def _account(facts: Facts, summary: Summary) -> str:
    """Where the value lies in selected items, what limits it, and how often it is unknown."""
    values = facts.items.value(summary.key)
    good = values[facts.selected & np.isfinite(values)]
    parts = []
    if len(good):
        low, median, high = np.percentile(good, (10, 50, 90))
        digits = summary.digits
        parts.append(f"{median:.{digits}f} (10 to 90 %: {low:.{digits}f} to {high:.{digits}f})")
    ends = facts.limits(summary)
    if ends != (None, None):
        parts.append(f"out: {limit_words(summary, *ends).removeprefix(summary.label + ' ')}")
    unknown = int(np.count_nonzero(facts.processed & np.isnan(values)))
    if unknown:
        parts.append(f"unknown: {unknown:,} items")
    help_words = [summary.help] if summary.help else []
    return f"<small>{escape(' · '.join([*parts, *help_words]))}</small>"


def _astigmatism(facts: Facts) -> Iterator[str]:
    sizes = facts.items.value("ctf.astigmatism_um")
    angles = 2 * np.radians(facts.items.value("ctf.astigmatism_angle_deg"))
    there = np.isfinite(sizes) & np.isfinite(angles)
    if np.count_nonzero(there) < 3:
        return
    x, y = sizes[there] * np.cos(angles[there]), sizes[there] * np.sin(angles[there])
    session, limit = facts.status.astigmatism, facts.status.filters.get("astigmatism_max_sigma")
    circle = None
    if session is not None:
        circle = (session.x_um, session.y_um, session.sigma_um * (limit or 1.0))
    sigma = f"the circle: {limit:g} σ, the limit" if limit else "the circle: one σ"
    yield (
        '<div class="plot"><h3>Astigmatism <small>u − v in µm as vectors of twice the angle: none '
        f"where the lines cross; {sigma} about the mean</small></h3>"
    )
    yield svg.cloud(x, y, facts.selected[there], circle) + "</div>"


def _pictures(facts: Facts) -> Iterator[str]:
    picked = _picked(facts)
    if not picked:
        return
    ranked, groups = picked
    yield f'<p class="muted">By {escape(ranked.label)}, of selected items.</p>'
    for title, numbers in groups:
        yield f'<h3>{title}</h3><div class="pictures">'
        for number in numbers:
            yield _figure(facts, number)
        yield "</div>"


def _picked(facts: Facts) -> tuple[Summary, list[tuple[str, list[int]]]] | None:
    """Items that show what the session is like, by the first value that is known of them."""
    for key, more_is_better in RANKS:
        summary = next((entry for entry in facts.summaries if entry.key == key), None)
        values = facts.items.value(key)
        those = np.flatnonzero(facts.selected & np.isfinite(values))
        if summary is None or not len(those):
            continue
        order = those[np.argsort(values[those], kind="stable")]
        order = order[::-1] if more_is_better else order
        if len(order) <= 3 * N_PICTURES:
            return summary, [("From best to worst", order.tolist())]
        middle = (len(order) - N_PICTURES) // 2
        return summary, [
            ("Best", order[:N_PICTURES].tolist()),
            ("Typical", order[middle : middle + N_PICTURES].tolist()),
            ("Worst", order[-N_PICTURES:].tolist()),
        ]
    return None


def _figure(facts: Facts, number: int) -> str:
    name = facts.items.names[number]
    uri = data_uri(facts.project.preview(root_name_of(name)))
    picture = f'<img alt="" src="{uri}">' if uri else '<div class="none">no picture</div>'
    told = []
    for summary in facts.summaries:
        value = float(facts.items.value(summary.key)[number])
        if not summary.minor and value == value:
            told.append(f"{summary.label} {_number(value, summary)}")
    words = f"<b>{escape(name)}</b><br>{escape(', '.join(told))}"
    return f"<figure>{picture}<figcaption>{words}</figcaption></figure>"


def _problems(facts: Facts) -> Iterator[str]:
    if facts.status.message:
        yield f'<p class="bad">{escape(facts.status.message)}</p>'
    for notice in facts.status.notices[-MOST_PROBLEMS:]:
        yield f"<p>{escape(_clock(notice.at))}: {escape(notice.text)}</p>"
    failures = facts.failures()
    if failures:
        rows = [(escape(example), f"{n:,}") for example, n, _ in failures[:MOST_PROBLEMS]]
        yield "<h3>Failed</h3>"
        yield _table(("the first of each kind", "items"), rows)
        if len(failures) > MOST_PROBLEMS:
            yield f"<p>And {len(failures) - MOST_PROBLEMS:,} other reasons.</p>"
    missing = facts.in_state(State.MISSING)
    if len(missing):
        first = escape(facts.items.names[missing[0]])
        yield f"<p>{len(missing):,} raw movies are gone, {first} first; results stay.</p>"
    unknown = [
        (escape(summary.label), f"{n:,}")
        for summary in facts.known()
        if (n := _unknown(facts, summary))
    ]
    if unknown:
        yield "<h3>Could not be determined <small>processed items without the value</small></h3>"
        yield _table(("value", "items"), unknown)


def _unknown(facts: Facts, summary: Summary) -> int:
    return int(np.count_nonzero(facts.processed & np.isnan(facts.items.value(summary.key))))


def _settings(facts: Facts) -> Iterator[str]:
    rows = []
    for section, values in facts.settings.items():
        if not isinstance(values, dict) or section == "keys":
            continue
        defaults = facts.defaults.get(section, {})
        for key, value in values.items():
            changed = value != defaults.get(key)
            if value is not None and (changed or key in MATTERING.get(section, ())):
                rows.append((f"{section}.{key}", escape(_setting(value)), "" if changed else "yes"))
    yield _table(("setting", "value", "default"), rows)
    text = json.dumps(facts.settings, indent=1, ensure_ascii=False)
    yield f"<details><summary>All settings</summary><pre>{escape(text)}</pre></details>"


def _setting(value: Any) -> str:
    if isinstance(value, str):
        return value or "none"
    return json.dumps(value, ensure_ascii=False)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """The first column is text; others with numbers are aligned right."""
    numeric = [
        column > 0 and all(row[column].replace(",", "").isdigit() for row in rows)
        for column in range(len(heads))
    ]
    classes = [' class="n"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{kind}>{text}</th>" for text, kind in zip(heads, classes, strict=True))
    lines = [
        "<tr>" + "".join(f"<td{k}>{c}</td>" for c, k in zip(row, classes, strict=True)) + "</tr>"
        for row in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _rate(facts: Facts) -> float | None:
    """Items an hour while it worked: by the median time between two that were finished."""
    finished = np.sort(facts.items.number("finished_at"))
    steps = np.diff(finished[finished > 0])
    steps = steps[steps > 0]
    if len(steps) < 5:
        return facts.status.rate_per_hour
    pauses = steps > 20 * np.median(steps)
    return float(3600 * np.count_nonzero(~pauses) / steps[~pauses].sum())


def _scaled(hours: np.ndarray) -> tuple[np.ndarray, str]:
    """Times in minutes where the session is short."""
    return (hours, "h") if np.nanmax(hours) > 2 else (60 * hours, "min")


def _number(value: float, summary: Summary) -> str:
    unit = f" {summary.unit}" if summary.unit else ""
    return f"{value:,.{summary.digits}f}{unit}"


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
