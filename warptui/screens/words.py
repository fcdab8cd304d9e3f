"""Numbers and times as text for the screen. An unknown number is never shown as 0."""

from __future__ import annotations

import math
import re
import time

from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary

UNKNOWN = "–"
_COMMON_END = re.compile(r"[_-](fractions|eer|frames)$", re.IGNORECASE)  # of EPU, of SerialEM


def number(value: float | None, digits: int = 2, unknown: str = UNKNOWN) -> str:
    """``value`` as text with ``digits`` decimals."""
    if value is None or not math.isfinite(value):
        return unknown
    return f"{value:.{digits}f}"


def with_unit(value: float | None, unit: str, digits: int = 2, unknown: str = UNKNOWN) -> str:
    """``value`` with its unit; the unit is left out where the value is unknown."""
    text = number(value, digits, unknown)
    return text if text == unknown or not unit else f"{text} {unit}"


def summary_value(row: ItemRow, summary: Summary, unknown: str = UNKNOWN) -> str:
    """A summary value of an item as text for its column."""
    return number(row.summary.get(summary.key), summary.digits, unknown)


def age(seconds: float | None, unknown: str = UNKNOWN) -> str:
    """A duration in one or two words; in steps of 5 s, so that it does not repaint each second."""
    if seconds is None:
        return unknown
    if seconds < 5:
        return "<5 s"
    if seconds < 90:
        return f"{int(seconds) // 5 * 5} s"
    if seconds < 5400:
        return f"{int(seconds) // 60} min"
    if seconds < 172800:
        return f"{seconds / 3600:.1f} h"
    return f"{int(seconds) // 86400} d"


def size(n_bytes: float | None, unknown: str = UNKNOWN) -> str:
    """A number of bytes in decimal units, as on the label of a disk."""
    if n_bytes is None:
        return unknown
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.{1 if n_bytes < 10 * scale else 0}f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


def clock(at: float, unknown: str = UNKNOWN) -> str:
    """Local time of day; with the date if it was not today."""
    if not at:
        return unknown
    then, now = time.localtime(at), time.localtime()
    same_day = then[:3] == now[:3]
    return time.strftime("%H:%M:%S" if same_day else "%m-%d %H:%M", then)


def time_of_day(at: float, *, seconds: bool = True) -> str:
    """Local time of day without the date."""
    return time.strftime("%H:%M:%S" if seconds else "%H:%M", time.localtime(at))


def day(at: float) -> str:
    """Local date without the year."""
    return time.strftime("%m-%d", time.localtime(at))


def short_clock(at: float, unknown: str = UNKNOWN) -> str:
    """As `clock`, without seconds."""
    text = clock(at, unknown)
    return text[:5] if text.count(":") == 2 else text


def shorten_left(text: str, width: int, ellipsis: str) -> str:
    """``text`` shortened at its beginning, since the names of a session differ at their ends."""
    if len(text) <= width:
        return text
    return ellipsis + text[len(text) - width + 1 :] if width > 1 else text[:width]


def shorten_name(name: str, width: int, ellipsis: str) -> str:
    """An item's name in ``width`` characters: the ending that all names share is cut first."""
    common = _COMMON_END.search(name)
    if len(name) > width and common and width > 2 * len(ellipsis) + 4:
        name = name[: common.start()] + ellipsis
    return shorten_left(name, width, ellipsis)


def shorten_right(text: str, width: int, ellipsis: str) -> str:
    """``text`` shortened at its end."""
    if len(text) <= width:
        return text
    return text[: width - 1] + ellipsis if width > 1 else text[:width]
