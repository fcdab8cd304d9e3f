"""One engine per project, whoever else shares the folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from warptui.engine.errors import EngineError
from warptui.engine.project import lock
from warptui.engine.project.lock import Holder, ProjectLock, end_holder, myself, read_holder


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    return tmp_path / "project" / ".warptui" / "engine.lock"


def write(path: Path, holder: Holder) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(holder)))


def take(path: Path) -> ProjectLock:
    return ProjectLock(path, lambda reason: None, stall_s=0.4)


def a_living_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def test_a_project_is_free_again_after_release(path: Path) -> None:
    held = take(path)
    assert read_holder(path) is not None
    held.release()
    assert not path.exists()
    take(path).release()


def test_the_holder_is_named_to_the_second_engine(path: Path) -> None:
    with a_living_process() as other:
        started = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        write(path, replace(myself(), pid=other.pid, started=started))
        with pytest.raises(EngineError, match=f"{other.pid} on {socket.gethostname()}"):
            take(path)
        other.kill()


def test_a_dead_holder_on_this_boot_is_replaced_at_once(path: Path) -> None:
    other = a_living_process()
    other.kill()
    other.wait()
    write(path, replace(myself(), pid=other.pid, started="12345"))
    held = take(path)
    assert held.taken_from is not None and held.taken_from.pid == other.pid
    held.release()


def test_a_reused_process_number_is_not_the_holder(path: Path) -> None:
    with a_living_process() as other:
        write(path, replace(myself(), pid=other.pid, started="1"))
        take(path).release()
        other.kill()


def test_a_lock_from_before_a_reboot_is_stale(path: Path) -> None:
    write(path, replace(myself(), boot_id="another boot", pid=os.getppid()))
    take(path).release()


def test_a_torn_lock_file_from_a_power_loss_is_stale(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text('{"host": "a')
    take(path).release()


def test_a_foreign_holder_lives_as_long_as_its_counter_advances(path: Path) -> None:
    foreign = replace(myself(), host="elsewhere", boot_id="other")
    write(path, foreign)
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(0.05):
            count += 1
            beside = path.with_name("beside")
            write(beside, replace(foreign, beat=count))
            beside.replace(path)

    beating = threading.Thread(target=beat)
    beating.start()
    with pytest.raises(EngineError, match="elsewhere"):
        take(path)
    ended.set()
    beating.join()
    held = take(path)  # it stands still now
    assert held.taken_from is not None and held.taken_from.host == "elsewhere"
    held.release()


def test_an_engine_whose_project_was_taken_over_learns_of_it(path: Path) -> None:
    lost = threading.Event()
    held = ProjectLock(path, lambda reason: lost.set(), stall_s=0.4)
    write(path, replace(myself(), host="elsewhere"))
    assert lost.wait(180)
    held.release()
    holder = read_holder(path)
    assert holder is not None and holder.host == "elsewhere"  # not ours to remove


def test_of_many_engines_that_start_at_once_one_gets_the_project(
    path: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from warptui.engine.errors import EngineError\n"
        "from warptui.engine.project.lock import ProjectLock\n"
        "try:\n"
        "    ProjectLock(Path(sys.argv[1]), print)\n"
        "except EngineError:\n"
        "    print('refused')\n"
        "else:\n"
        "    print('held', flush=True)\n"
        "time.sleep(1.5)\n"
    )
    write(path, replace(myself(), pid=1, started="1"))
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        for _ in range(5)
    ]
    said = [racer.communicate()[0].decode().strip() for racer in racers]
    assert sorted(said) == ["held", *["refused"] * 4]


def test_the_holder_is_ended_on_its_own_host_alone(path: Path) -> None:
    with a_living_process() as other:
        started = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        write(path, replace(myself(), pid=other.pid, started="1"))  # the number was given anew
        end_holder(path)
        assert other.poll() is None
        write(path, replace(myself(), pid=other.pid, started=started, host="krios3"))
        with pytest.raises(EngineError, match="krios3: it can be stopped there only"):
            end_holder(path)
        assert other.poll() is None
        write(path, replace(myself(), pid=other.pid, started=started))
        end_holder(path)
        assert other.wait(180) == -signal.SIGTERM
