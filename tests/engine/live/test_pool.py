"""Parts of the pool that need no process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warptui.engine.config.sections import ComputeSettings
from warptui.engine.config.settings import Config
from warptui.engine.execution.child_process import LogFile, describe_exit
from warptui.engine.execution.suspend_clock import SuspendClock
from warptui.engine.planning.rates import Rates
from warptui.engine.planning.schedule import Schedule, Urgency
from warptui.engine.project.filesystem import deepest_mount, is_remote
from warptui.engine.stages.registry import STAGES
from warptui.engine.worker.devices import plan_slots
from warptui.engine.worker.protocol import Job, decode_config, encode_config
from warptui.engine.worker.roots import RawFile


def test_a_busy_loop_is_forgiven_nothing() -> None:
    clock = SuspendClock()
    assert [clock.missed(100 + t, 500 + t) for t in (0, 0.25, 3, 9)] == [0, 0, 0, 0]


def test_a_stopped_engine_forgives_its_workers_the_time_that_it_did_not_see() -> None:
    clock = SuspendClock()
    clock.missed(100, 500)
    assert clock.missed(3700, 4100) == 3600


def test_a_suspended_machine_gets_grace_though_the_monotonic_clock_stood_still() -> None:
    clock = SuspendClock()
    clock.missed(100, 500)
    assert clock.missed(100.3, 4100) == SuspendClock.GRACE_S


def test_signals_are_named() -> None:
    assert "SIGSEGV" in describe_exit(-11)
    assert "memory" in describe_exit(-9)
    assert "status 3" in describe_exit(3)


def test_the_end_of_a_log_is_that_of_the_job(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.path.write_text("earlier\n")
    log.mark()
    with log.path.open("a") as file:
        file.write("mine\n")
    assert log.tail() == "mine"
    assert LogFile(tmp_path / "absent").tail() == ""


def test_jobs_and_settings_survive_the_wire() -> None:
    motion = STAGES[0].Settings(enabled=False)
    config = Config(stages={"motion": motion})
    raw = RawFile("input", "a b/ü.mrc")
    job = Job(1, raw, ("motion",), encode_config(config), {"motion": {"x": 1.0}}, {"motion": 9.0})
    again = Job.from_json(json.loads(json.dumps(job.to_json())))
    assert again == job
    decoded = decode_config(again.config, STAGES)
    assert decoded.stage("motion") == motion and decoded.input == config.input


def test_slots_share_the_cores() -> None:
    slots, _ = plan_slots(ComputeSettings(devices="cpu", workers_per_device=2, threads=0))
    assert len({slot.name for slot in slots}) == 2
    assert all(slot.threads >= 1 for slot in slots)
    slots, _ = plan_slots(ComputeSettings(devices=("cuda:0", "cuda:1"), threads=3))
    assert [(slot.device, slot.threads) for slot in slots] == [("cuda:0", 3), ("cuda:1", 3)]


def test_fresh_items_come_newest_first_then_the_backlog_in_order_then_outdated_ones() -> None:
    schedule = Schedule()
    for name, urgency, sequence in [
        ("old1", Urgency.BACKLOG, 1),
        ("old2", Urgency.BACKLOG, 2),
        ("stale", Urgency.OUTDATED, 3),
        ("out", Urgency.EXCLUDED, 4),
        ("new1", Urgency.FRESH, 5),
        ("new2", Urgency.FRESH, 6),
        ("asked", Urgency.ASKED, 0),
    ]:
        schedule.push(name, urgency, sequence)
    schedule.push("old2", Urgency.BACKLOG, 2)  # twice is once
    schedule.discard("out")
    names = [schedule.pop() for _ in range(7)]
    assert names == ["asked", "new2", "new1", "old1", "old2", "stale", None]


def test_a_delayed_item_comes_when_it_is_due() -> None:
    schedule = Schedule()
    schedule.push("a", Urgency.FRESH, 1)
    schedule.push_later("a", 10.0, Urgency.FRESH, 1)
    assert schedule.pop() is None and schedule.n_later == 1
    schedule.ripen(9.9)
    assert schedule.pop() is None
    schedule.ripen(10.0)
    assert schedule.pop() == "a" and schedule.n_later == 0


def test_rates_use_the_last_hour_and_foretell_the_full_disk() -> None:
    rates = Rates(0.0)
    assert rates.per_hour(10.0) is None and rates.disk_hours_left() is None
    for minute in range(120):
        rates.item_done(minute * 60.0)
    assert rates.per_hour(119 * 60.0) == pytest.approx(60, rel=0.03)
    for minute in range(10):
        rates.disk_seen(minute * 60.0, 1_000_000 - minute * 1000)
    assert rates.disk_hours_left() == pytest.approx(991 / 60)
    rates.disk_seen(601.0, 2_000_000)
    assert rates.disk_hours_left() is None


def test_rates_go_on_after_a_restart() -> None:
    rates = Rates(10.0)  # the machine booted a moment ago: ages reach back behind that
    rates.restore(10.0, [60.0 * minute for minute in range(90)])
    assert rates.per_hour(10.0) == pytest.approx(60, rel=0.03)
    rates.item_done(20.0)
    assert rates.per_hour(3500.0) == pytest.approx(3, abs=1.1)
    young = Rates(0.0)
    young.restore(0.0, [600.0, 300.0, 30.0])  # the session began ten minutes ago
    assert young.per_hour(0.0) == pytest.approx(18)
    idle = Rates(0.0)
    idle.restore(0.0, [7200.0])
    assert idle.per_hour(1.0) is None


def test_the_deepest_mount_decides_and_remote_ones_are_polled() -> None:
    table = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 22 0:40 / /data rw shared:1 - nfs4 server:/x rw\n"
        "31 30 0:41 / /data/a\\040b rw - tmpfs t rw\n"
    )
    assert deepest_mount(table, Path("/home")) == "ext4"
    assert deepest_mount(table, Path("/data/raw")) == "nfs4"
    assert deepest_mount(table, Path("/database")) == "ext4"
    assert deepest_mount(table, Path("/data/a b/c")) == "tmpfs"
    assert is_remote("nfs4") and is_remote("fuse.sshfs") and not is_remote("ext4")
