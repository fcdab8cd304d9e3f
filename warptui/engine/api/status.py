"""The engine's status: state, counts, rates, disk, devices, notices in one record."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import warptui
from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.events import StatusChanged
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.items.entry import Entry
from warptui.engine.model.exports import Export
from warptui.engine.model.notices import Notice
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import TrainingStatus
from warptui.engine.planning.target import visible_summaries
from warptui.engine.project import filesystem

COUNTING_SHARE = 20  # counting takes at most one part in so many of the time
DISK_STEP = 100_000_000  # smaller changes of much free space are not sent
TREND_STEP = 0.03  # nor are smaller changes of a rate, relative to the last one sent


class StatusPublisher:
    """Builds the status and sends it to the viewers. Used from the engine's thread."""

    def __init__(self, project: Path, dispatcher: Dispatcher, hub: EventHub) -> None:
        self.free_bytes: int | None = None
        self._project, self._dispatcher, self._hub = project, dispatcher, hub
        self._counts = dispatcher.items.table.counts()
        self._counted_at = (dispatcher.items.n_shown, 0.0)
        self._rate, self._hours = Trend(0), Trend(1)

    def publish(
        self,
        input_folder: str,
        watch_mode: str,
        *,
        stopping: bool,
        problem: str,
        notices: tuple[Notice, ...],
        exports: tuple[Export, ...],
        training: TrainingStatus | None = None,
    ) -> None:
        """Send the status, if anything changed that is worth a message."""
        dispatcher, now = self._dispatcher, time.monotonic()
        items, places = dispatcher.items, dispatcher.places
        self.free_bytes = filesystem.free_bytes(self._project)
        if self.free_bytes is not None:
            dispatcher.rates.disk_seen(now, self.free_bytes)
        counts, choices = self._count(now)
        newest = items.table.newest()
        problems = [*places.problems, *([problem] if problem else ())]
        self._hub.publish(
            StatusChanged(
                EngineStatus(
                    state=self._state(stopping),
                    project=str(self._project),
                    input_folder=str(self._project / input_folder),
                    counts=counts,
                    choices=choices,
                    rate_per_hour=self._rate.shown(dispatcher.rates.per_hour(now)),
                    newest_age_s=_coarse(newest, now),
                    newest_name=newest.name if newest else "",
                    disk_free_bytes=_coarse_bytes(self.free_bytes),
                    disk_hours_left=self._hours.shown(dispatcher.rates.disk_hours_left()),
                    devices=tuple(place.to_json() for place in places),
                    seconds_per_stage=dispatcher.rates.seconds_per_stage(),
                    watch_mode=watch_mode,
                    message="; ".join([*items.holds.values(), *problems]),
                    pid=os.getpid(),
                    host=socket.gethostname(),
                    version=warptui.__version__,
                    summaries=visible_summaries(items.table.target),
                    notices=notices,
                    exports=exports,
                    settings_version=dispatcher.settings_version,
                    filters=items.table.target.config.filters.limits(),
                    astigmatism=items.table.session_astigmatism(),
                    training=training,
                )
            )
        )

    def recount(self) -> None:
        """Count again before the next status, however lately that was done."""
        self._counted_at = (-1, 0.0)

    def _count(self, now: float) -> tuple[dict[str, int], dict[str, int]]:
        """Counts as they are, or as they were a moment ago where counting takes long."""
        n_shown = self._dispatcher.items.n_shown
        if n_shown != self._counted_at[0] and now >= self._counted_at[1]:
            self._counts = self._dispatcher.items.table.counts()
            end = time.monotonic()
            self._counted_at = (n_shown, end + COUNTING_SHARE * (end - now))
        return self._counts

    def _state(self, stopping: bool) -> str:
        if stopping:
            return "stopped"
        dispatcher = self._dispatcher
        if "storage" in dispatcher.items.holds:
            return "disk full"
        broken = dispatcher.executor is not None and dispatcher.places.unusable
        if dispatcher.paused or dispatcher.items.holds or broken:
            return "paused"
        return "running" if dispatcher.busy else "idle"


def _coarse(newest: Entry | None, now: float) -> float | None:
    """The age in steps, since a viewer counts on by itself: an idle engine has no news."""
    if newest is None:
        return None
    age = now - newest.arrived
    step = 5.0 if age < 90 else 60.0
    return age // step * step


def _coarse_bytes(free: int | None) -> int | None:
    if free is None or free < 100 * DISK_STEP:
        return free
    return free // DISK_STEP * DISK_STEP


class Trend:
    """A number that varies all the time; what is shown of it changes only now and then."""

    def __init__(self, digits: int) -> None:
        self._digits = digits
        self._last: float | None = None

    def shown(self, value: float | None) -> float | None:
        """The value to show now."""
        last = self._last
        if value is None or last is None or abs(value - last) > TREND_STEP * abs(last):
            self._last = None if value is None else round(value, self._digits)
        return self._last
