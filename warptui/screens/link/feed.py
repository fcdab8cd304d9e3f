"""Receives the engine's events in a thread, so that the screen never waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from warptui.engine.api.events import Event
from warptui.engine.api.verbs import EngineVerbs
from warptui.engine.errors import EngineError, OtherVersionError

RETRY_S = 2.0


class Engine(EngineVerbs, Protocol):
    """The methods of `warptui.client.Client` that the app uses; tests pass a fake one."""

    def training_metrics(self, name: str) -> list[dict[str, Any]]: ...
    def training_report(self, name: str) -> dict[str, Any]: ...
    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Found:
    """The engine answers."""


@dataclass(frozen=True)
class Lost:
    """The engine does not answer, or has ended; the screen keeps the last data and their age."""

    reason: str
    other: OtherVersionError | None = None  # an engine with another protocol answers


Notice = Event | Found | Lost


class Feed:
    """Keeps a connection to the engine, and collects its events until the screen takes them."""

    def __init__(self, first: Callable[[], Engine], again: Callable[[], Engine]) -> None:
        self.client: Engine | None = None
        self._first, self._again = first, again
        self.on_news: Callable[[], None] = _do_nothing  # called in the thread after events
        self._notices: list[Notice] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to connect and to receive."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and stop."""
        self.on_news = _do_nothing
        self._ended.set()
        self._wake.set()
        if self.client is not None:
            self.client.close()

    def hurry(self) -> None:
        """Try to connect now: an engine was just started."""
        self._wake.set()

    def take(self) -> list[Notice]:
        """The events since the last call, in order."""
        with self._lock:
            notices, self._notices = self._notices, []
        return notices

    def _add(self, notice: Notice) -> None:
        with self._lock:
            self._notices.append(notice)
            first = len(self._notices) == 1
        if first and not self._ended.is_set():
            self.on_news()

    def _listen(self) -> None:
        connect, notified, known = self._first, False, None
        while not self._ended.is_set():
            lost = self._attend(connect)
            connect = self._again
            other = lost.other.pid if lost.other is not None else None
            if self.client is not None or not notified or other not in (None, known):
                # the first reason is worth more than "no engine runs" from later tries
                self._add(lost)
            notified, known, self.client = True, other, None
            self._wake.wait(RETRY_S)
            self._wake.clear()

    def _attend(self, connect: Callable[[], Engine]) -> Lost:
        """Receive events until the connection ends; returns the reason."""
        try:
            client = connect()
        except OtherVersionError as other:
            return Lost(str(other), other)
        except EngineError as problem:
            return Lost(str(problem))
        self.client = client
        self._add(Found())
        try:
            for _, event in client.events(0):
                if self._ended.is_set():
                    break
                self._add(event)
        except EngineError as problem:
            return Lost(str(problem))
        finally:
            client.close()
        return Lost("the engine was stopped")


def _do_nothing() -> None:
    """The callback before `start` and after `stop`."""
