"""Crashes, hangs and bad input: nothing is lost, nothing blocks, and what happened is said."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pretend_project import Engine, movie_bytes, until

from warptui.client import Client
from warptui.engine.api import server
from warptui.engine.core import workers
from warptui.engine.errors import EngineError
from warptui.engine.model.item import Choice, State

CRASH_POINTS = [
    "motion.before",
    "motion.after",
    "motion.said",
    "average.before",
    "average.writing",
    "average.written",
    "average.renamed",
    "average.after",
    "average.said",
]
CHOICE_CRASH_POINTS = {  # and whether the choices hold after the restart
    "choices.unwritten": False,
    "choices.written": True,
    "choices.applying": True,
    "choices.applied": True,
}
ENGINE_CRASH_POINTS = ["motion.unsaved", "motion.saved", "average.unsaved", "average.saved"]
NAMES = ("a.mrc", "b.mrc")


_undisturbed: dict[str, bytes] = {}


def undisturbed(engine: Engine) -> dict[str, bytes]:
    """What a run without faults makes of the same movies, which are then there as if new."""
    for name in NAMES:
        engine.add(name)
    if not _undisturbed:
        engine.start()
        engine.wait_all(State.DONE, len(NAMES))
        engine.end()
        _undisturbed.update(engine.products())
        for path in [*engine.project.glob("*.xml"), *engine.project.glob("average/*")]:
            path.unlink()
    return _undisturbed


def leftovers(engine: Engine) -> list[Path]:
    return list(engine.project.rglob("*.warptui-tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("point", ENGINE_CRASH_POINTS)
def test_an_engine_killed_between_two_steps_leaves_the_same_bytes_after_a_restart(
    engine: Engine, point: str, tmp_path: Path
) -> None:
    expected = undisturbed(engine)
    engine.start(WARPTUI_CRASH_AT=point)
    assert engine.process is not None
    assert engine.process.wait(180) == -signal.SIGKILL
    engine.start()
    engine.wait_all(State.DONE, len(NAMES))
    assert engine.products() == expected
    assert engine.end() == 0  # a beat of the lock writes one, too
    assert leftovers(engine) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_an_engine_killed_while_its_worker_is_anywhere_leaves_the_same_bytes_after_a_restart(
    engine: Engine, point: str
) -> None:
    expected = undisturbed(engine)
    engine.start(WARPTUI_CRASH_AT=f"{point}:stop")  # the worker stands still there
    until(lambda: any(device["item"] for device in engine.client.status().devices))
    (device,) = engine.client.status().devices
    until(lambda: "T (stopped)" in Path(f"/proc/{device['pid']}/status").read_text())
    assert engine.process is not None
    engine.leave()
    engine.process.kill()
    engine.process.wait()
    until(lambda: not Path(f"/proc/{device['pid']}").exists(), 5.0)  # no orphan
    engine.start()
    engine.wait_all(State.DONE, len(NAMES))
    assert engine.products() == expected
    assert engine.end() == 0  # a beat of the lock writes one, too
    assert leftovers(engine) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_worker_killed_anywhere_costs_a_second_try_and_nothing_else(
    engine: Engine, point: str, tmp_path: Path
) -> None:
    expected = undisturbed(engine)
    once = tmp_path / "once"
    engine.start(WARPTUI_CRASH_AT=point, WARPTUI_CRASH_ONCE=str(once))
    engine.wait_all(State.DONE, len(NAMES))
    assert once.exists()
    assert engine.products() == expected
    assert engine.end() == 0  # a beat of the lock writes one, too
    assert leftovers(engine) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", CHOICE_CRASH_POINTS)
def test_an_engine_killed_while_it_stores_choices_keeps_all_of_them_or_none(
    engine: Engine, point: str
) -> None:
    names = [f"m{number}.mrc" for number in range(4)]
    for name in names:
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, len(names))
    engine.end()
    engine.start(WARPTUI_CRASH_AT=point)
    engine.wait_all(State.DONE, len(names))
    with suppress(EngineError):  # it may be killed before it answers
        engine.client.choose(names, Choice.EXCLUDE)
    assert engine.process is not None
    assert engine.process.wait(180) == -signal.SIGKILL
    engine.leave()
    engine.start()
    engine.wait_all(State.DONE, len(names))
    holds = CHOICE_CRASH_POINTS[point]
    expected = Choice.EXCLUDE if holds else Choice.AUTO
    assert {row.choice for row in engine.rows().values()} == {expected}
    journal = engine.project / ".warptui" / "choices.jsonl"
    until(lambda: not journal.exists() or journal.read_bytes() == b"")
    written = b'UnselectManual="True"' if holds else b'UnselectManual="null"'
    for name in names:
        assert written in (engine.project / f"{Path(name).stem}.xml").read_bytes()
    assert all(len(engine.client.item(name).history) == 2 for name in names)  # nothing ran again
    assert engine.end() == 0
    assert leftovers(engine) == []


def test_the_details_of_an_item_on_a_hanging_disk_hold_up_nothing_else(engine: Engine) -> None:
    for name in NAMES:
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, 2)
    path = engine.project / "a.xml"
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)  # to open it takes until another program writes
    found = []
    with Client.connect(engine.project) as other:
        asking = threading.Thread(target=lambda: found.append(other.item("a.mrc")))
        asking.start()
        engine.client.choose(["b.mrc"], Choice.EXCLUDE)  # goes through the engine's own thread
        assert engine.client.queue() == []
        assert engine.client.item("b.mrc").row.choice is Choice.EXCLUDE
        assert asking.is_alive()
        path.write_bytes(content)
        asking.join(30)
    assert found and len(found[0].history) == 2
    assert engine.end() == 0


def test_bad_items_fail_with_a_reason_and_the_rest_goes_on(engine: Engine) -> None:
    for name in ("corrupt.mrc", "bug.mrc", "good.mrc", "hiccup.mrc"):
        engine.add(name)
    before = {path: path.read_bytes() for path in engine.raw.iterdir()}
    engine.start()
    corrupt = engine.wait_for("corrupt.mrc", State.FAILED)
    assert "frame 3 of 7" in corrupt.reason
    assert corrupt.choice is Choice.AUTO and corrupt.tries == 1
    bug = engine.wait_for("bug.mrc", State.FAILED)
    assert "ZeroDivisionError" in bug.reason
    assert "run_motion" in engine.client.item("bug.mrc").traceback
    engine.wait_for("good.mrc", State.DONE)
    engine.wait_for("hiccup.mrc", State.DONE)
    assert {path: path.read_bytes() for path in engine.raw.iterdir()} == before
    engine.client.retry(["corrupt.mrc"])
    until(lambda: engine.rows()["corrupt.mrc"].tries == 1)
    engine.wait_for("corrupt.mrc", State.FAILED)
    assert engine.end() == 0


@pytest.mark.slow
def test_an_item_that_kills_its_workers_is_poisoned_and_the_signal_is_named(
    engine: Engine,
) -> None:
    engine.add("segfault.mrc")
    engine.add("good.mrc")
    engine.start()
    row = engine.wait_for("segfault.mrc", State.FAILED)
    assert "SIGSEGV" in row.reason and row.tries == 3
    assert "about to fall over" in engine.client.item("segfault.mrc").log_tail
    engine.wait_for("good.mrc", State.DONE)
    engine.end()
    engine.start()
    assert engine.wait_for("segfault.mrc", State.FAILED).tries == 3  # not tried again
    assert engine.end() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "said"), [("hang", "longer than 1 s"), ("stop", "silent for 3 s")]
)
def test_a_hung_worker_is_replaced(engine: Engine, kind: str, said: str, tmp_path: Path) -> None:
    engine.add("a.mrc")
    engine.start(
        PRETEND_DEADLINE="1" if kind == "hang" else "30",
        PRETEND_BEAT_LIMIT="3",
        WARPTUI_CRASH_AT=f"motion.before:{kind}",
        WARPTUI_CRASH_ONCE=str(tmp_path / "once"),
    )
    engine.wait_for("a.mrc", State.DONE)
    assert said in (engine.project / ".warptui" / "engine.log").read_text()
    assert engine.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_engine_and_nothing_is_lost(engine: Engine, number: int) -> None:
    engine.add("slow.mrc")
    engine.start(PRETEND_SECONDS="60")
    engine.wait_for("slow.mrc", State.RUNNING)
    (device,) = engine.client.status().devices
    assert engine.end(number) == 0
    assert not Path(f"/proc/{device['pid']}").exists()
    assert leftovers(engine) == []
    assert not (engine.project / ".warptui" / "engine.lock").exists()


def test_an_engine_ends_within_five_seconds_of_a_signal_whatever_hangs() -> None:
    assert server.HARD_LIMIT_S < 5.0
    assert workers.STOP_GRACE_S + server.GOODBYE_S < server.HARD_LIMIT_S


@pytest.mark.slow
def test_a_user_s_choice_during_a_run_is_kept(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start(PRETEND_SECONDS="1")
    engine.wait_for("a.mrc", State.RUNNING)
    engine.client.choose(["a.mrc"], Choice.EXCLUDE)
    row = engine.wait_for("a.mrc", State.DONE)
    assert row.choice is Choice.EXCLUDE and not row.selected
    engine.end()
    engine.start()
    assert engine.wait_for("a.mrc", State.DONE).choice is Choice.EXCLUDE
    assert engine.end() == 0


@pytest.mark.slow
def test_what_is_up_to_date_is_never_processed_again(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    finished = engine.wait_for("a.mrc", State.DONE).finished_at
    product = (engine.project / "average" / "a.mrc").stat()
    metadata = (engine.project / "a.xml").stat()
    engine.end()
    engine.start()
    assert engine.wait_for("a.mrc", State.DONE).finished_at == finished
    engine.client.retry(["a.mrc"])
    engine.add("b.mrc")
    engine.wait_for("b.mrc", State.DONE)  # the one worker was free for the other before
    assert (engine.project / "average" / "a.mrc").stat() == product
    assert (engine.project / "a.xml").stat() == metadata
    assert engine.end() == 0


def test_a_changed_setting_runs_exactly_the_stages_that_it_concerns(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    before = engine.products()
    engine.client.pause()
    engine.configure(more="[average]\nskip_first = 1\n")
    engine.client.reload()
    row = engine.wait_for("a.mrc", State.OUTDATED)
    assert "skip_first" in row.reason
    assert set(engine.client.item("a.mrc").outdated) == {"average"}
    engine.client.start()
    engine.wait_for("a.mrc", State.DONE)
    runs = [run["stage"] for run in engine.client.item("a.mrc").history]
    assert runs == ["motion", "average", "average"]
    assert engine.products() != before
    assert engine.end() == 0


def test_a_replaced_raw_file_is_processed_again_and_a_deleted_one_keeps_its_results(
    engine: Engine,
) -> None:
    engine.add("a.mrc", seed=1)
    engine.add("b.mrc")
    engine.start()
    engine.wait_all(State.DONE, 2)
    before = engine.products()
    engine.add("a.mrc", seed=2)
    until(lambda: engine.products() != before)
    engine.wait_for("a.mrc", State.DONE)
    (engine.raw / "b.mrc").unlink()
    row = engine.wait_for("b.mrc", State.MISSING)
    assert row.selected and "gone" in row.reason
    assert engine.products()["average/b.mrc"] == before["average/b.mrc"]
    assert engine.end() == 0


def test_a_folder_that_goes_away_pauses_and_comes_back_with_the_same_items(
    engine: Engine,
) -> None:
    for name in NAMES:
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, 2)
    before = engine.rows()
    engine.raw.rename(engine.project / "away")
    engine.wait_all(State.MISSING, 2)
    status = engine.client.status()
    assert status.state == "paused" and str(engine.raw) in status.message
    (engine.project / "away").rename(engine.raw)
    engine.wait_all(State.DONE, 2)
    assert engine.rows() == before
    assert engine.client.status().message == ""
    engine.add("c.mrc")
    engine.wait_for("c.mrc", State.DONE)
    assert engine.end() == 0


def test_a_truncated_movie_waits_then_fails_and_its_good_copy_is_picked_up(
    engine: Engine,
) -> None:
    engine.raw.joinpath("a.mrc").write_bytes(movie_bytes()[:1300])
    engine.start()
    assert engine.wait_for("a.mrc", State.WAITING).reason
    engine.add("a.mrc")
    engine.wait_for("a.mrc", State.DONE)
    assert engine.end() == 0


def test_two_files_whose_results_would_collide_are_told_apart(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    engine.add("a.mrcs")
    row = engine.wait_for("a.mrcs", State.FAILED)
    assert "a.mrc" in row.reason and "rename" in row.reason
    assert engine.rows()["a.mrc"].state is State.DONE
    assert engine.end() == 0


def test_odd_names_are_names(engine: Engine) -> None:
    names = ["with blank.mrc", "#hash'\".mrc", "-dash.mrc", "ümläut.mrc", "u\u0308.mrc", "a\nb.mrc"]
    names += [f"{'long' * 62}.mrc"[-240:], "two.dots.mrc"]
    for name in names:
        engine.add(name)
    engine.start()
    for name in names:
        engine.wait_for(name, State.DONE)
        assert (engine.project / "average" / name).exists()
    assert engine.end() == 0


@pytest.mark.slow
def test_no_room_pauses_and_processing_resumes_by_itself(engine: Engine) -> None:
    engine.add("a.mrc")
    average = engine.project / "average"
    average.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(average)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        engine.start()
        until(lambda: engine.client.status().state == "disk full")
        assert (
            "No space" in engine.client.status().message or "full" in engine.client.status().message
        )
        assert not list(average.glob("*.mrc"))
        subprocess.run(["mount", "-o", "remount,size=4m", str(average)], check=True)
        engine.wait_for("a.mrc", State.DONE)
        assert engine.client.status().message == ""
        assert engine.end() == 0
    finally:
        engine.leave()
        subprocess.run(["umount", "-l", str(average)], check=True)


@pytest.mark.slow
def test_a_suspended_engine_poisons_nothing(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start(PRETEND_SECONDS="2", PRETEND_DEADLINE="4", PRETEND_BEAT_LIMIT="4", PRETEND_GAP="2")
    engine.wait_for("a.mrc", State.RUNNING)
    (device,) = engine.client.status().devices
    assert engine.process is not None
    for pid in (device["pid"], engine.process.pid):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5)
    for pid in (engine.process.pid, device["pid"]):
        os.kill(pid, signal.SIGCONT)
    row = engine.wait_for("a.mrc", State.DONE)
    assert row.tries == 0
    assert engine.end() == 0


@pytest.mark.slow
def test_a_device_that_is_lost_costs_its_process_and_not_the_item(
    engine: Engine,
) -> None:
    engine.add("lost.mrc")
    engine.start()
    engine.wait_for("lost.mrc", State.DONE)
    assert "CUDA error" in (engine.project / ".warptui" / "engine.log").read_text()
    assert engine.end() == 0


@pytest.mark.slow
def test_a_burst_of_many_files_needs_few_descriptors(engine: Engine) -> None:
    engine.start()
    engine.client.pause()
    assert engine.process is not None
    resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE, (256, 256))
    content = movie_bytes()
    n = 2_000  # ten times as many as there are descriptors
    for index in range(n):
        (engine.raw / f"m{index:05}.mrc").write_bytes(content)
    engine.wait_all(State.QUEUED, n)
    assert len(engine.client.items()) == n
    assert len(list(Path(f"/proc/{engine.process.pid}/fd").iterdir())) < 40
    assert engine.end() == 0
