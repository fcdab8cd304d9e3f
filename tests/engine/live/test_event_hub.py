"""What viewers hear, however slow they are."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from warptui.engine.api import event_hub
from warptui.engine.api.event_hub import BATCH_S, KEPT_LINES, KEPT_REMOVALS, EventHub
from warptui.engine.api.events import ItemChanged, ItemRemoved, LogLine, Snapshot, StatusChanged
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus

STATUS = EngineStatus("idle", "/p", "/r")


def row(name: str, fraction: float = 0.0) -> ItemRow:
    return ItemRow(name, 1, State.RUNNING, fraction=fraction)


def test_a_new_viewer_gets_everything_and_then_only_what_changed() -> None:
    hub = EventHub(STATUS)
    hub.publish(ItemChanged(row("a")))
    viewer = hub.follow()
    ((number, snapshot),) = next(viewer)
    assert snapshot == Snapshot((row("a"),), STATUS)
    hub.publish(ItemChanged(row("b")))
    ((later, event),) = next(viewer)
    assert event == ItemChanged(row("b")) and later > number


def test_a_slow_viewer_hears_the_latest_state_only() -> None:
    hub = EventHub(STATUS)
    viewer = hub.follow()
    next(viewer)
    for step in range(1000):
        hub.publish(ItemChanged(row("a", step / 1000)))
        hub.publish(StatusChanged(EngineStatus("running", "/p", "/r", newest_age_s=step)))
    batch = next(viewer)
    assert [type(event) for _, event in batch] == [ItemChanged, StatusChanged]
    assert batch[0][1] == ItemChanged(row("a", 0.999))


def test_what_a_viewer_missed_for_too_long_comes_as_a_snapshot() -> None:
    hub = EventHub(STATUS)
    viewer = hub.follow()
    next(viewer)
    for index in range(KEPT_REMOVALS + 10):
        hub.publish(ItemChanged(row(f"{index}")))
        hub.publish(ItemRemoved(f"{index}"))
    (number, event), *_ = next(viewer)
    assert event == Snapshot((), STATUS)
    fresh = hub.follow(after=number)
    hub.publish(ItemChanged(row("z")))
    assert [event for _, event in next(fresh)] == [ItemChanged(row("z"))]


def test_much_that_is_new_comes_as_a_snapshot() -> None:
    hub = EventHub(STATUS)
    names = [f"m{number}" for number in range(3000)]
    hub.publish(*(ItemChanged(row(name)) for name in names))
    viewer = hub.follow()
    next(viewer)
    hub.publish_rows((name, {"selected": True}) for name in names[:900])
    batch = next(viewer)
    assert len(batch) == 900 and all(isinstance(event, ItemChanged) for _, event in batch)
    hub.publish_rows((name, {"filtered": True}) for name in names[:1100])
    ((before, counts), (number, snapshot)) = next(viewer)
    assert isinstance(counts, StatusChanged) and before < number == hub._sequence
    assert isinstance(snapshot, Snapshot)
    assert [item.filtered for item in snapshot.rows].count(True) == 1100
    assert [item.selected for item in snapshot.rows].count(True) == 900


def test_numbers_of_an_earlier_engine_are_not_taken_for_this_one_s() -> None:
    earlier, later = EventHub(STATUS), EventHub(STATUS)
    ((number, _),) = next(earlier.follow())
    later.publish(ItemChanged(row("a")))
    ((_, event),) = next(later.follow(after=number))
    assert isinstance(event, Snapshot)


def test_log_lines_are_bounded_and_the_last_ones_greet_a_viewer() -> None:
    hub = EventHub(STATUS)
    for index in range(3 * KEPT_LINES):
        hub.publish(LogLine(0.0, "info", f"{index}"))
    (_, snapshot), *lines = next(hub.follow())
    assert isinstance(snapshot, Snapshot)
    assert [event.text for _, event in lines if isinstance(event, LogLine)] == [
        f"{index}" for index in range(2 * KEPT_LINES, 3 * KEPT_LINES)
    ]


def test_nothing_is_said_twice_and_at_most_four_times_a_second() -> None:
    hub = EventHub(STATUS)
    viewer = hub.follow()
    next(viewer)
    ended = threading.Event()

    def speak() -> None:
        step = 0
        while not ended.wait(0.002):
            step += 1
            hub.publish(ItemChanged(row("a", step)))

    speaker = threading.Thread(target=speak)
    speaker.start()
    began = time.monotonic()
    numbers = [number for _ in range(5) for number, _ in next(viewer)]
    assert time.monotonic() - began > 4 * BATCH_S - 0.05
    ended.set()
    speaker.join()
    assert len(numbers) == len(set(numbers)) and numbers == sorted(numbers)
    before = hub.rows()
    hub.publish(ItemChanged(before[0]))
    hub.close()
    assert len(next(hub.follow(after=numbers[-1]))) <= 1


def test_counts_by_other_limits_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "BATCH_S", 1e6)
    hub = EventHub(STATUS)
    viewer = hub.follow()
    next(viewer)
    others = replace(STATUS, filters={"motion_max": 1.5})
    threading.Timer(0.02, hub.publish, [ItemChanged(row("a"))]).start()
    threading.Timer(0.10, hub.publish, [StatusChanged(others)]).start()
    assert [event for _, event in next(viewer)] == [ItemChanged(row("a")), StatusChanged(others)]
    monkeypatch.setattr(event_hub, "BATCH_S", 0.2)
    hub.publish(ItemChanged(row("b")))
    began = time.monotonic()
    assert [event for _, event in next(viewer)] == [ItemChanged(row("b"))]
    assert time.monotonic() - began > 0.15


def test_followers_end_when_the_engine_ends() -> None:
    hub = EventHub(STATUS)
    viewer = hub.follow()
    next(viewer)
    threading.Timer(0.1, hub.close).start()
    assert list(viewer) == [[]]
