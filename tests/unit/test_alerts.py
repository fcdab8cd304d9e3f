"""What is told, when, and how often."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from warptui.engine.alerts.inbox import Unseen
from warptui.engine.alerts.rules import AGAIN_S, WINDOW_S, Alerts, Facts
from warptui.engine.alerts.service import AlertService
from warptui.engine.config.sections import AlertSettings
from warptui.engine.execution.executor import Places
from warptui.engine.execution.trainer import HOLD as TRAINING
from warptui.engine.model.notices import Notice

WELL = Facts(newest_age_s=1.0, free_bytes=10**13, hours_left=500.0)


def alerts(**settings) -> Alerts:
    return Alerts(AlertSettings(**settings))


def test_nothing_is_told_while_all_is_well() -> None:
    rules = alerts(no_new_file_minutes=5, motion_above=1.0)
    assert rules.look(0.0, 0.0, WELL) == [] and rules.unseen == ()


def test_a_failed_item_is_told_with_its_name_and_reason() -> None:
    rules = alerts()
    rules.item_failed("a.tif", "frame 3 does not decode")
    (told,) = rules.look(0.0, 77.0, WELL)
    assert told == Notice(
        1, 77.0, "failed_item", "error", "a.tif failed: frame 3 does not decode", "a.tif"
    )
    assert rules.unseen == (told,)
    assert rules.look(1.0, 78.0, WELL) == []


def test_fifty_failures_in_a_minute_are_one_notice_and_two_commands() -> None:
    rules = alerts()
    commands: list[Notice] = []
    ids = set()
    for second in range(50):
        rules.item_failed(f"m{second}.tif", "truncated")
        commands += rules.look(float(second), 0.0, WELL)
        ids.update(notice.id for notice in rules.unseen)
    commands += rules.look(WINDOW_S + 1, 0.0, WELL)
    assert len(ids) == 1
    (notice,) = rules.unseen
    assert notice.text == "50 items failed, the last: m49.tif: truncated"
    assert [command.text for command in commands] == ["m0.tif failed: truncated", notice.text]


def test_an_item_that_fails_again_is_no_second_one() -> None:
    rules = alerts()
    told = []
    for name in ("a.tif", "a.tif", "b.tif", "a.tif"):
        rules.item_failed(name, "truncated")
        rules.look(0.0, 0.0, WELL)
        told.append(rules.unseen[0].text)
    one, both = "a.tif failed: truncated", "2 items failed, the last: {}.tif: truncated"
    assert told == [one, one, both.format("b"), both.format("a")]


def test_the_pauses_between_commands_grow_while_nobody_looks() -> None:
    rules = alerts()
    n = 0
    for second in range(0, 24 * 3600, 10):
        rules.item_failed("a.tif", "truncated")
        n += len(rules.look(float(second), 0.0, WELL))
    assert n < 32 and len(rules.unseen) == 1


def test_what_was_seen_is_told_anew_only_when_it_happens_again() -> None:
    rules = alerts()
    rules.item_failed("a.tif", "truncated")
    (first,) = rules.look(0.0, 0.0, WELL)
    rules.acknowledge([first.id, 99])
    assert rules.unseen == ()
    assert rules.look(WINDOW_S + 1, 0.0, WELL) == []
    rules.item_failed("b.tif", "truncated")
    (second,) = rules.look(WINDOW_S + 2, 0.0, WELL)
    assert second.id != first.id and second.text == "b.tif failed: truncated"


def test_failures_right_after_one_was_seen_wait_for_the_end_of_the_minute() -> None:
    rules = alerts()
    rules.item_failed("a.tif", "truncated")
    (first,) = rules.look(0.0, 0.0, WELL)
    rules.acknowledge([first.id])
    for name in ("b.tif", "c.tif"):
        rules.item_failed(name, "truncated")
        assert rules.look(10.0, 0.0, WELL) == [] and rules.unseen == ()
    (second,) = rules.look(WINDOW_S + 1, 0.0, WELL)
    assert second.text == "2 items failed, the last: c.tif: truncated"


def test_a_pause_in_the_data_is_told_once_and_again_after_the_next_pause() -> None:
    rules = alerts(no_new_file_minutes=10)
    told = []
    for minute in range(60):
        told += rules.look(60.0 * minute, 0.0, Facts(60.0 * minute, "x.tif"))
    assert [notice.text for notice in told] == ["no new file for 10 min (the newest: x.tif)"]
    assert rules.look(3600.0, 0.0, WELL) == []
    (again,) = rules.look(4300.0, 0.0, Facts(700.0))
    assert again.text == "no new file for 10 min"
    assert rules.unseen == (again,)  # two of a kind say no more than one


def test_a_disk_that_wavers_around_its_limit_is_told_once() -> None:
    rules = alerts(disk_low_gb=100, disk_low_hours=0)
    told = []
    for step in range(400):
        free = (99 if step % 2 else 120) * 10**9
        told += rules.look(10.0 * step, 0.0, Facts(1.0, free_bytes=free))
    assert len(told) == 1 and "99.0 GB" in told[0].text and told[0].level == "error"
    assert rules.look(5000.0, 0.0, Facts(1.0, free_bytes=130 * 10**9)) == []
    assert len(rules.look(5001.0, 0.0, Facts(1.0, free_bytes=90 * 10**9))) == 1


def test_a_disk_that_soon_is_full_is_told_in_hours() -> None:
    rules = alerts(disk_low_hours=4)
    (told,) = rules.look(0.0, 0.0, Facts(1.0, free_bytes=10**13, hours_left=3.2))
    assert "full in 3.2 h" in told.text
    assert rules.look(1.0, 0.0, Facts(1.0, free_bytes=10**13, hours_left=None)) == []


def test_motion_is_the_median_of_the_newest_items_by_arrival() -> None:
    rules = alerts(motion_above=1.5, motion_items=5)
    for sequence in range(5):
        rules.item_done(100 + sequence, 0.5)
    for sequence in range(50):  # a backlog that is processed late tells nothing about now
        rules.item_done(sequence, 9.0)
    rules.item_done(200, None)
    assert rules.look(0.0, 0.0, WELL) == []
    for sequence in range(3):
        rules.item_done(300 + sequence, 2.0)
    (told,) = rules.look(1.0, 0.0, WELL)
    assert "2.00 Å/frame" in told.text and "1.5" in told.text
    for sequence in range(5):
        rules.item_done(400 + sequence, 1.4)  # under the limit, but hardly
    assert rules.look(AGAIN_S, 0.0, WELL) == []


def test_too_few_items_make_no_median() -> None:
    rules = alerts(motion_above=1.0, motion_items=5)
    for sequence in range(4):
        rules.item_done(sequence, 9.0)
    assert rules.look(0.0, 0.0, WELL) == []


def test_deaths_and_a_standstill_are_told_apart() -> None:
    rules = alerts()
    rules.died("gpu0: the worker died of SIGKILL at motion", "a.tif")
    stuck = Facts(1.0, trouble="No space left on device")
    told = rules.look(0.0, 0.0, stuck)
    assert [notice.text for notice in told] == [
        "gpu0: the worker died of SIGKILL at motion",
        "processing has stopped: No space left on device",
    ]
    assert rules.look(1.0, 0.0, stuck) == []


@pytest.mark.parametrize("settings", [{"failed_item": False, "engine_trouble": False}])
def test_a_rule_that_is_off_tells_nothing(settings) -> None:
    rules = alerts(disk_low_gb=0, disk_low_hours=0, **settings)
    rules.item_failed("a.tif", "x")
    rules.died("y")
    rules.item_done(1, 99.0)
    assert rules.look(0.0, 0.0, Facts(1e9, free_bytes=0, hours_left=0.0, trouble="z")) == []


def test_what_an_earlier_engine_told_stands_beside_what_this_one_tells() -> None:
    died = Notice(4, 1.0, "engine_trouble", "error", "the engine before this one died")
    full = Notice(7, 2.0, "disk_low_gb", "error", "9.0 GB are free on the disk: below 10")
    rules = alerts(disk_low_gb=10)
    rules.restore([full, died])
    assert rules.unseen == (died, full)
    rules.item_failed("a.tif", "why")
    trouble = Facts(newest_age_s=1.0, free_bytes=8 * 10**9, hours_left=500.0, trouble="no device")
    rules.look(0.0, 9.0, trouble)
    assert [notice.rule for notice in rules.unseen] == [
        "engine_trouble",
        "failed_item",
        "disk_low_gb",  # told anew, in place of the old one
        "engine_trouble",
    ]
    assert [notice.id for notice in rules.unseen] == [4, 8, 9, 10]


def test_unseen_notices_are_kept_on_disk_until_they_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "state" / "notices.json"
    unseen = Unseen(path)
    assert unseen.read() == ()
    unseen.keep(())
    assert not path.exists()
    told = (Notice(3, 1.0, "failed_item", "error", "a.tif failed: Å", "a.tif"),)
    unseen.keep(told)
    assert Unseen(path).read() == told
    unseen.keep(())
    assert Unseen(path).read() == ()
    path.write_text("[{")
    damaged = Unseen(path)
    assert damaged.read() == ()
    damaged.keep(told)
    assert Unseen(path).read() == told


def test_notices_that_cannot_be_kept_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    told = (Notice(3, 1.0, "failed_item", "error", "a", ""),)
    unseen = Unseen(tmp_path / "state" / "notices.json")
    unseen.keep(told)
    unseen.keep(told)


def test_a_training_is_no_trouble_but_what_else_holds_is(tmp_path: Path) -> None:
    service = AlertService(tmp_path, AlertSettings())
    holds = {TRAINING: "BoxNet is being trained"}
    dispatcher: Any = SimpleNamespace(
        items=SimpleNamespace(table=SimpleNamespace(newest=lambda: None), holds=holds),
        rates=SimpleNamespace(disk_hours_left=lambda: None),
        places=Places(),
    )
    service.look(dispatcher, None)
    assert not service.alerts.unseen
    holds["storage"] = "the disk is full"
    service.look(dispatcher, None)
    assert [notice.text for notice in service.alerts.unseen] == [
        "processing has stopped: the disk is full"
    ]
