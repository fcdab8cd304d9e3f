"""``python -m tests.screens.served_engine PROJECT [N_ITEMS] [--speak] [STATE]``: the fake engine
behind the real socket, in a process of its own, for apps that run in a real terminal.

``--speak``: it works as a busy engine does: progress four times a second, an item done and another
found every second. STATE: running (default), paused.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.screens.fake_engine import FakeEngine, synthetic_rows
from warptui.engine.api.event_hub import Batch, EventHub
from warptui.engine.api.events import Event
from warptui.engine.api.server import Server
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus

TICK_S = 0.25


class ServedEngine(FakeEngine):
    """What `engine.api.server.Server` asks of an engine."""

    def __init__(self, project: Path, n_items: int, **status: Any) -> None:
        (project / "previews").mkdir(parents=True, exist_ok=True)
        super().__init__(n_items, project / "previews", **{"project": str(project), **status})
        self.project = project.resolve()
        self.ended = threading.Event()
        self.problem = ""

    def _make_hub(self, status: EngineStatus) -> EventHub:
        return EventHub(status)  # viewers wait as they do for a real engine

    def batches(self, after: int = 0) -> Iterator[Batch]:
        self.greet()
        return self._hub.follow(after)

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        for batch in self.batches(after):
            yield from batch

    def stop(self) -> None:
        self.ended.set()
        self._hub.close()

    def speak(self) -> None:
        """Work as a busy engine does, until the end."""
        sequence, tick = len(self.rows), 0
        # tilings of a session that goes on: the rows of a longer one, from here on
        longer = synthetic_rows(20_000)
        running = [row for row in self.rows.values() if row.state is State.RUNNING]
        while not self.ended.wait(TICK_S):
            tick += 1
            fraction = (tick % 4) / 4
            self.say_status(newest_age_s=float(tick % 4))
            for row in running:
                self.say(replace(row, fraction=fraction))
            if tick % 4 or not running:
                continue
            model = longer[tick % 19_000]
            old = running.pop(0)
            done = replace(model, name=old.name, sequence=old.sequence)
            self.say(replace(done, state=State.DONE, reason=""))
            name = f"FoilHole_{2900 + sequence // 12:04d}_Data_{sequence:04d}.tif"
            new = ItemRow(name, sequence, State.RUNNING, stage="motion")
            sequence += 1
            running.append(new)
            self.say(new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("n_items", type=int, nargs="?", default=1284)
    parser.add_argument("--speak", action="store_true")
    parser.add_argument("--state", default="running")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    given.project.mkdir(parents=True, exist_ok=True)
    config = given.project / "config.toml"
    if not config.exists():
        config.write_text("[input]\npixel_size = 1.0\n")
    asked: list[int] = []  # a handler that takes a lock may wait for itself
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))
    engine = ServedEngine(given.project, given.n_items, state=given.state)
    server = Server(engine)
    print("ready", flush=True)
    if given.speak:
        threading.Thread(target=engine.speak, daemon=True).start()
    while not asked and not engine.ended.wait(TICK_S):
        pass
    engine.stop()
    server.close()


if __name__ == "__main__":
    main()
