"""The rules of [alerts], as pure code: a problem becomes one notice, kept until seen.

An *event* (an item fails, a worker dies) makes a notice immediately, and later events of the same
rule update this notice: fifty failures in a minute are one notice. A *condition* (no new file,
little disk space) makes a notice when it begins, and again only after it was clearly over. Times
are of one steady clock.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import dataclass, replace

from warptui.engine.config.sections import AlertSettings
from warptui.engine.model.notices import Notice

WINDOW_S = 60.0  # after a command ran for a rule, further events are collected this long
LONGEST_WINDOW_S = 3600.0  # the window doubles while notices stay unseen
AGAIN_S = 600.0  # shortest time between notices of one condition
MOTION_OVER = 0.9  # of the limit: below, the motion is normal again
STOPPED = "processing has stopped"
MOST_RESTORED = 100  # unseen notices of earlier engines
DISK_OVER = 1.25  # of the limit: above, there is room again


@dataclass(frozen=True)
class Facts:
    """The measured values from which conditions are checked."""

    newest_age_s: float  # since the last file arrived, or since the watch began
    newest_name: str = ""
    free_bytes: int | None = None
    hours_left: float | None = None
    trouble: str = ""  # why processing stopped without a request by the user


class Alerts:
    """Turns events and conditions into notices. Used from one thread."""

    def __init__(self, settings: AlertSettings) -> None:
        self.settings = settings
        self._notices: dict[int, Notice] = {}
        self._last_id = 0
        many = "{n:,} items failed, the last: {last}"
        self._failed = _Happening("failed_item", many, each_once=True)
        self._died = _Happening("engine_trouble", "{n:,} deaths, the last: {last}")
        self._holding: dict[str, _Holding] = {}
        self._motion: dict[int, float] = {}  # of the newest items, by order of arrival

    def restore(self, notices: Collection[Notice]) -> None:
        """Take over unseen notices of an earlier engine."""
        for notice in sorted(notices, key=lambda notice: notice.id)[-MOST_RESTORED:]:
            self._keep(notice)

    @property
    def unseen(self) -> tuple[Notice, ...]:
        """The unseen notices, oldest first."""
        return tuple(self._notices.values())

    def acknowledge(self, ids: Collection[int]) -> None:
        """Remove notices that the user has seen."""
        for number in ids:
            self._notices.pop(number, None)
        for happening in (self._failed, self._died):
            if happening.notice is not None and happening.notice.id in ids:
                happening.seen()

    def item_failed(self, name: str, reason: str) -> None:
        """Report an item that failed and is not tried again automatically."""
        if self.settings.failed_item:
            self._failed.happens(f"{name}: {reason}", f"{name} failed: {reason}", name)

    def died(self, text: str, item: str = "") -> None:
        """Report a worker or an engine that died."""
        if self.settings.engine_trouble:
            self._died.happens(text, text, item)

    def item_done(self, sequence: int, motion: float | None) -> None:
        """Report a finished item; ``motion`` in Å/frame, None if unknown."""
        if motion is None:
            return
        self._motion[sequence] = motion
        while len(self._motion) > self.settings.motion_items:
            del self._motion[min(self._motion)]

    def look(self, now: float, at: float, facts: Facts) -> list[Notice]:
        """Check the rules; returns notices to run the command for, dated ``at``."""
        due = []
        for happening in (self._failed, self._died):
            if happening.news:
                notice = happening.update(now, at, self._last_id + 1)
                if notice is not None:
                    due.append(notice)
                self._keep(happening.notice)
        for rule, level, text, bad, good in self._conditions(facts):
            holding = self._holding.setdefault(rule + level, _Holding())
            if holding.begins(now, bad=bad, good=good):
                self._drop(rule, level)
                notice = Notice(self._last_id + 1, at, rule, level, text)
                self._keep(notice)
                due.append(notice)
        return due

    def _keep(self, notice: Notice | None) -> None:
        if notice is not None:
            self._notices[notice.id] = notice
            self._last_id = max(self._last_id, notice.id)

    def _drop(self, rule: str, level: str) -> None:
        """Remove the earlier notice of a condition, which a newer notice replaces."""
        for number, notice in list(self._notices.items()):
            happened = rule == "engine_trouble" and not notice.text.startswith(STOPPED)
            if (notice.rule, notice.level) == (rule, level) and not happened:
                del self._notices[number]

    def _conditions(self, facts: Facts) -> list[tuple[str, str, str, bool, bool]]:
        """Rule, level, text, whether the condition holds, whether it is over, of each condition."""
        wanted = self.settings
        found = []
        if limit := wanted.no_new_file_minutes * 60:
            newest = f" (the newest: {facts.newest_name})" if facts.newest_name else ""
            text = f"no new file for {wanted.no_new_file_minutes:g} min{newest}"
            late = facts.newest_age_s >= limit
            found.append(("no_new_file_minutes", "warning", text, late, not late))
        if limit := wanted.motion_above:
            enough = len(self._motion) >= wanted.motion_items
            median = statistics.median(self._motion.values()) if enough else 0.0
            text = (
                f"motion {median:.2f} Å/frame, median of the newest {len(self._motion)} items: "
                f"above {limit:g}"
            )
            high, low = median > limit, enough and median < MOTION_OVER * limit
            found.append(("motion_above", "warning", text, high, low))
        if (limit := wanted.disk_low_gb) and facts.free_bytes is not None:
            gb = facts.free_bytes / 1e9
            text = f"{gb:.1f} GB are free on the disk, less than {limit:g} GB"
            found.append(("disk_low_gb", "error", text, gb < limit, gb > DISK_OVER * limit))
        if limit := wanted.disk_low_hours:
            hours = facts.hours_left
            text = f"the disk is full in {hours or 0:.1f} h at this rate, less than {limit:g} h"
            low = hours is not None and hours < limit
            high = hours is None or hours > DISK_OVER * limit
            found.append(("disk_low_hours", "warning", text, low, high))
        if wanted.engine_trouble:
            text = f"{STOPPED}: {facts.trouble}"
            found.append(("engine_trouble", "error", text, bool(facts.trouble), not facts.trouble))
        return found


class _Happening:
    """Collects the events of one rule in one notice at a time.

    ``each_once``: count items, not events: an item that fails twice counts once.
    """

    def __init__(self, rule: str, many: str, *, each_once: bool = False) -> None:
        self.notice: Notice | None = None  # while unseen
        self.news = False  # an event for which no command was run yet
        self._rule, self._many = rule, many
        self._n = 0  # events since the last seen notice
        self._each_once, self._items = each_once, set[str]()
        self._last, self._one, self._item = "", "", ""
        self._window_s = WINDOW_S
        self._until = float("-inf")  # the end of the window

    def happens(self, last: str, one: str, item: str) -> None:
        if not (self._each_once and item in self._items):
            self._n += 1
            self._items.add(item)
        self._last, self._one, self._item = last, one, item
        self.news = True

    def seen(self) -> None:
        self.notice, self._window_s = None, WINDOW_S
        if not self.news:
            self._n = 0
            self._items.clear()

    def update(self, now: float, at: float, new_id: int) -> Notice | None:
        """Update the notice; returns the notice if the command must run for it."""
        text = self._one if self._n == 1 else self._many.format(n=self._n, last=self._last)
        if self.notice is not None and self.notice.text != text:
            self.notice = replace(self.notice, at=at, text=text, item=self._item)
        if now < self._until:
            return None
        if self.notice is None:
            self.notice = Notice(new_id, at, self._rule, "error", text, self._item)
        self._until = now + self._window_s
        self._window_s = min(LONGEST_WINDOW_S, 2 * self._window_s)
        self.news = False
        return self.notice


class _Holding:
    """State of a condition, with hysteresis between its beginning and its end."""

    def __init__(self) -> None:
        self._holds = False
        self._noticed_at = float("-inf")

    def begins(self, now: float, *, bad: bool, good: bool) -> bool:
        """Whether the condition begins now, so that a notice is due."""
        if self._holds:
            self._holds = not good
            return False
        if not bad or now - self._noticed_at < AGAIN_S:
            return False
        self._holds, self._noticed_at = True, now
        return True
