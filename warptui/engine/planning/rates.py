"""Pure: how fast it goes and how long the disk lasts. All times are of the monotonic clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

WINDOW_S = 3600.0
SHORTEST_S = 120.0  # of watching the disk, before a forecast is made
DISK_EVERY_S = 15.0
SMOOTHING = 0.2  # weight of the newest duration


class Rates:
    """Collects durations and free space, and computes trends."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._done: deque[float] = deque(maxlen=100_000)
        self._disk: deque[tuple[float, int]] = deque()
        self._seconds: dict[str, float] = {}

    def item_done(self, now: float) -> None:
        """An item is finished."""
        self._done.append(now)

    def restore(self, now: float, ages_s: Iterable[float]) -> None:
        """So long ago items were finished under earlier engines."""
        ages = sorted((age for age in ages_s if age >= 0), reverse=True)
        if ages:
            self._began = min(self._began, now - min(ages[0], WINDOW_S))
            self._done.extendleft(now - age for age in reversed(ages) if age <= WINDOW_S)

    def stage_done(self, stage: str, seconds: float) -> None:
        """A stage took ``seconds``."""
        before = self._seconds.get(stage, seconds)
        self._seconds[stage] = before + SMOOTHING * (seconds - before)

    def disk_seen(self, now: float, free_bytes: int) -> None:
        """So much is free."""
        if not self._disk or now - self._disk[-1][0] >= DISK_EVERY_S:
            self._disk.append((now, free_bytes))
        while now - self._disk[0][0] > WINDOW_S:
            self._disk.popleft()

    def per_hour(self, now: float) -> float | None:
        """Items finished per hour, over the last hour at most; None while nothing is."""
        while self._done and now - self._done[0] > WINDOW_S:
            self._done.popleft()
        passed = min(WINDOW_S, now - self._began)
        if not self._done or passed <= 0:
            return None
        return len(self._done) / max(passed, 1.0) * 3600.0

    def disk_hours_left(self) -> float | None:
        """Until the disk is full at the present trend; None when it does not fill up."""
        if len(self._disk) < 2:
            return None
        (first, free_then), (last, free_now) = self._disk[0], self._disk[-1]
        used = free_then - free_now
        if last - first < SHORTEST_S or used <= 0:
            return None
        return free_now / used * (last - first) / 3600.0

    def seconds_per_stage(self) -> dict[str, float]:
        """Smoothed duration of each stage."""
        return {stage: round(seconds, 3) for stage, seconds in self._seconds.items()}
