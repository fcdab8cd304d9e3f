"""Plots as inline SVG, coloured by the page's style; their size does not grow with the items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np

MOST_DOTS = 500  # items; more are drawn as medians and bands
FEW = 100  # items; their dots are larger
MOST_POINTS = 1000  # dots that one colour has at most
N_BINS = 120  # of a series
N_BARS = 40
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 20
LEAST_IN_BIN = 3


@dataclass(frozen=True)
class Value:
    """A value of each item, to plot."""

    label: str
    unit: str
    values: np.ndarray  # (item,) NaN = unknown
    kept: np.ndarray  # (item,) bool: goes into exports
    limits: tuple[float | None, float | None] = (None, None)

    def span(self) -> tuple[float, float]:
        """Range of nearly all values and of limits nearby; values beyond are drawn at the edge."""
        known = self.values[np.isfinite(self.values)]
        low, high = (float(part) for part in np.percentile(known, (0.5, 99.5)))
        if high <= low:
            pad = 0.5 * abs(low) or 0.5
            return low - pad, high + pad
        pad = 0.06 * (high - low)
        for limit in self.limits:
            if limit is not None and low - 5 * pad <= limit <= high + 5 * pad:
                low, high = min(low, limit), max(high, limit)
        return low - pad, high + pad


def series(value: Value, x: np.ndarray, x_title: str, width: int = 620, height: int = 150) -> str:
    """Plot of a value over time: dots for few items; median and 10 to 90 % for many."""
    frame = _Frame((float(np.nanmin(x)), float(np.nanmax(x))), value.span(), width, height)
    there = np.isfinite(value.values) & np.isfinite(x)
    x, y, kept = x[there], value.values[there], value.kept[there]
    parts = [*frame.grid(x_title), *frame.limits(value.limits, upright=False)]
    many = len(x) > MOST_DOTS
    if len(x) > MOST_DOTS // 4:
        parts += _band(frame, x, y, with_band=many)
    size = 5.0 if len(x) < FEW else 3.0
    if not many:
        parts += _dots(frame, x[kept], y[kept], "in", size)
    parts += _dots(frame, x[~kept], y[~kept], "out", size + 0.6)
    return _svg(parts, width, height, f"{value.label} along the session")


def histogram(value: Value, width: int = 250, height: int = 150) -> str:
    """Histogram of a value; items outside of exports are stacked on top of exported ones."""
    low, high = value.span()
    known = np.isfinite(value.values)
    n_known = int(np.count_nonzero(known))
    edges = np.linspace(low, high, min(N_BARS, max(8, int(2 * math.sqrt(n_known)))) + 1)
    inside = np.clip(value.values, low, high)  # those beyond count at the edge
    kept = np.histogram(inside[known & value.kept], edges)[0]
    out = np.histogram(inside[known & ~value.kept], edges)[0]
    frame = _Frame((low, high), (0, max(1, int((kept + out).max())) * 1.05), width, height)
    parts = frame.grid("", digits=0)
    for counts, floor, name in ((kept, np.zeros_like(kept), "in"), (out, kept, "out")):
        path = ""
        for left, right, n, base in zip(edges[:-1], edges[1:], counts, floor, strict=True):
            if n:
                x0, x1 = frame.x(np.array([left, right]))
                y0, y1 = frame.y(np.array([base, base + n], dtype=float))
                path += f"M{x0 + 0.4:.1f},{y0:.1f}V{y1:.1f}H{x1 - 0.4:.1f}V{y0:.1f}z"
        if path:
            parts.append(f'<path class="bar {name}" d="{path}"/>')
    parts += frame.limits(value.limits, upright=True)
    return _svg(parts, width, height, f"histogram of {value.label}")


def bars(counts: np.ndarray, span: tuple[float, float], x_title: str, label: str) -> str:
    """Bar plot of counts in equal steps of ``span``."""
    width, height = 880, 120
    frame = _Frame(span, (0, max(1, int(counts.max())) * 1.05), width, height)
    edges = frame.x(np.linspace(*span, len(counts) + 1))
    floor = float(frame.y(np.zeros(1))[0])
    tops = frame.y(counts.astype(float))
    path = "".join(
        f"M{left + 0.4:.1f},{floor:.1f}V{top:.1f}H{right - 0.4:.1f}V{floor:.1f}z"
        for left, right, top, n in zip(edges[:-1], edges[1:], tops, counts, strict=True)
        if n
    )
    grid = frame.grid(x_title, digits=0)
    return _svg([*grid, f'<path class="bar in" d="{path}"/>'], width, height, label)


def cloud(
    x: np.ndarray,
    y: np.ndarray,
    kept: np.ndarray,
    circle: tuple[float, float, float] | None,
    unit: str = "µm",
    label: str = "astigmatism as vectors of twice its angle",
) -> str:
    """Scatter plot around zero with equal scales; ``circle`` is x, y and radius of a circle."""
    side = 300
    reach = float(np.percentile(np.hypot(x, y), 99)) * 1.15 or 1.0
    if circle is not None:
        reach = max(reach, min(3 * reach, math.hypot(*circle[:2]) + 1.1 * circle[2]))
    frame = _Frame((-reach, reach), (-reach, reach), side + LEFT + RIGHT, side + TOP + BOTTOM)
    zero_x, zero_y = frame.x(np.zeros(1))[0], frame.y(np.zeros(1))[0]
    cross = f"M{LEFT},{zero_y:.1f}H{frame.right:.1f}M{zero_x:.1f},{TOP}V{frame.bottom:.1f}"
    parts = [*frame.grid(unit), f'<path class="axis" d="{cross}"/>']
    parts += _dots(frame, x[~kept], y[~kept], "out", 3.6)
    parts += _dots(frame, x[kept], y[kept], "in", 2.4)
    if circle is not None:
        centre_x, centre_y, radius = circle
        cx, cy = frame.x(np.array([centre_x]))[0], frame.y(np.array([centre_y]))[0]
        r = radius / (2 * reach) * (frame.right - LEFT)
        parts.append(f'<circle class="limit" cx="{cx:.1f}" cy="{cy:.1f}" r="{r:.1f}"/>')
    return _svg(parts, frame.width, frame.height, label)


def ticks(low: float, high: float, n: int) -> list[float]:
    """Round numbers within a span, about ``n`` of them."""
    rough = (high - low) / max(1, n)
    if not rough > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= 0.7 * rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def shown(number: float, step: float = 0.0) -> str:
    """A number for an axis, with as many digits as the ``step`` between ticks needs."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 2
    text = f"{number:,.{digits}f}"
    return text.removeprefix("-") if not float(text.replace(",", "")) else text


@dataclass(frozen=True)
class _Frame:
    x_span: tuple[float, float]
    y_span: tuple[float, float]
    width: int
    height: int

    @property
    def right(self) -> float:
        return self.width - RIGHT

    @property
    def bottom(self) -> float:
        return self.height - BOTTOM

    def x(self, values: np.ndarray) -> np.ndarray:
        low, high = self.x_span
        share = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
        return LEFT + share * (self.right - LEFT)

    def y(self, values: np.ndarray) -> np.ndarray:
        low, high = self.y_span
        share = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
        return self.bottom - share * (self.bottom - TOP)

    def grid(self, x_title: str, digits: int | None = None) -> list[str]:
        parts = []
        found = ticks(*self.y_span, 4)
        step = found[1] - found[0] if len(found) > 1 else 0.0
        if digits == 0:
            found = [number for number in found if number == round(number)]
        for number, at in zip(found, self.y(np.array(found)), strict=True):
            parts.append(f'<path class="grid" d="M{LEFT},{at:.1f}H{self.right:.1f}"/>')
            text = shown(number, step) if digits is None else f"{number:,.0f}"
            parts.append(f'<text class="y" x="{LEFT - 5}" y="{at + 3.5:.1f}">{text}</text>')
        found = ticks(*self.x_span, max(4, self.width // 110))
        step = found[1] - found[0] if len(found) > 1 else 0.0
        last = f" {x_title}" if x_title else ""
        for number, at in zip(found, self.x(np.array(found)), strict=True):
            unit = last if number == found[-1] else ""
            anchor = ' text-anchor="end"' if at > self.right - 30 else ""
            text = f"{shown(number, step)}{unit}"
            where = f'x="{at:.1f}" y="{self.height - 5}"{anchor}'
            parts.append(f'<text class="x" {where}>{escape(text)}</text>')
        frame = f"M{LEFT},{TOP}V{self.bottom:.1f}H{self.right:.1f}"
        return [*parts, f'<path class="axis" d="{frame}"/>']

    def limits(self, limits: tuple[float | None, float | None], *, upright: bool) -> list[str]:
        low, high = self.x_span if upright else self.y_span
        parts = []
        for limit in limits:
            if limit is None or not low <= limit <= high:
                continue
            if upright:
                at = self.x(np.array([limit]))[0]
                parts.append(f'<path class="limit" d="M{at:.1f},{TOP}V{self.bottom:.1f}"/>')
            else:
                at = self.y(np.array([limit]))[0]
                parts.append(f'<path class="limit" d="M{LEFT},{at:.1f}H{self.right:.1f}"/>')
        return parts


def _dots(frame: _Frame, x: np.ndarray, y: np.ndarray, name: str, width: float) -> list[str]:
    """Points as dots; every n-th of very many, which looks alike."""
    step = max(1, -(-len(x) // MOST_POINTS))
    at = zip(frame.x(x[::step]), frame.y(y[::step]), strict=True)
    path = "".join(f"M{px:.1f},{py:.1f}h0" for px, py in at)
    return [f'<path class="dots {name}" stroke-width="{width}" d="{path}"/>'] if path else []


def _band(frame: _Frame, x: np.ndarray, y: np.ndarray, *, with_band: bool) -> list[str]:
    low, high = frame.x_span
    n_bins = min(N_BINS, max(4, len(x) // 12))
    bins = np.clip(((x - low) / ((high - low) or 1.0) * n_bins).astype(int), 0, n_bins - 1)
    order = np.argsort(bins, kind="stable")
    ends = np.searchsorted(bins[order], np.arange(n_bins + 1))
    at, parts = [], []
    for number in range(n_bins):
        inside = y[order[ends[number] : ends[number + 1]]]
        if len(inside) >= LEAST_IN_BIN:
            middle = low + (number + 0.5) * (high - low) / n_bins
            at.append((number, middle, *np.percentile(inside, (10, 50, 90))))
    if not at:
        return []
    for run in np.split(np.array(at), np.flatnonzero(np.diff([row[0] for row in at]) > 3) + 1):
        px = frame.x(run[:, 1])
        lower, median, upper = (frame.y(run[:, column]) for column in (2, 3, 4))
        if with_band:
            there = _points(px, lower)
            back = _points(px[::-1], upper[::-1])
            parts.append(f'<path class="band" d="M{there}L{back}z"/>')
        parts.append(f'<path class="median" d="M{_points(px, median)}"/>')
    return parts


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return "L".join(f"{px:.1f},{py:.1f}" for px, py in zip(x, y, strict=True))


def _svg(parts: list[str], width: int, height: int, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label, quote=True)}">{"".join(parts)}</svg>'
    )
