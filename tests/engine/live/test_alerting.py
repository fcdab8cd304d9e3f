"""Notices on their way: to every viewer, to the user's command, and away again."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path

import pytest
from pretend_project import Engine, until

from warptui.client import Client
from warptui.engine.alerts.command import AlertCommand
from warptui.engine.api.events import LogLine
from warptui.engine.api.log_lines import earlier_lines
from warptui.engine.model.item import State
from warptui.engine.model.notices import Notice

NOTICE = Notice(3, 1.0, "failed_item", "error", "a$b.tif failed: 'x' \"y\" `z`", "a$b.tif")


def test_a_failure_reaches_the_command_and_all_viewers_and_is_seen_once(engine: Engine) -> None:
    told = engine.project / "told"
    command = f"cat > {told}.json; echo $WARPTUI_RULE > {told}; exit 3"
    engine.configure(more=f"[alerts]\ncommand = '{command}'\n")
    engine.add("corrupt.mrc")
    engine.start()
    engine.wait_for("corrupt.mrc", State.FAILED)
    with Client.connect(engine.project) as other:
        until(lambda: other.status().notices)
        (notice,) = other.status().notices
        assert notice.rule == "failed_item" and notice.item == "corrupt.mrc"
        assert "frame 3 of 7" in notice.text
        until(lambda: told.exists() and told.read_text() == "failed_item\n")
        said = json.loads((engine.project / "told.json").read_text())
        assert said["text"] == notice.text and said["project"] == str(engine.project)
        other.acknowledge([notice.id])
        until(lambda: engine.client.status().notices == ())
    until(lambda: "status 3" in (engine.project / ".warptui" / "engine.log").read_text())
    engine.client.cancel([])
    assert engine.end() == 0


def test_a_changed_rule_makes_nothing_outdated(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    finished = engine.wait_for("a.mrc", State.DONE).finished_at
    engine.configure(more="[alerts]\nno_new_file_minutes = 0.001\nbell = false\n")
    engine.client.reload()
    until(lambda: [n.rule for n in engine.client.status().notices] == ["no_new_file_minutes"])
    assert engine.rows()["a.mrc"].finished_at == finished
    assert engine.client.config()["alerts"]["bell"] is False
    assert engine.end() == 0


@pytest.mark.slow
def test_the_engine_after_one_that_was_killed_says_so(engine: Engine) -> None:
    engine.start()
    assert engine.client.status().notices == ()
    assert engine.process is not None
    engine.process.kill()
    engine.process.wait()
    engine.leave()
    engine.start()
    until(lambda: engine.client.status().notices)
    (notice,) = engine.client.status().notices
    assert notice.text.startswith("the engine before this one died (process ")
    assert engine.end() == 0


def test_a_viewer_that_comes_late_gets_the_log_from_before_with_items_and_levels(
    engine: Engine,
) -> None:
    engine.add("corrupt.mrc")
    engine.add("good.mrc")
    engine.start()
    engine.wait_for("corrupt.mrc", State.FAILED)
    engine.wait_for("good.mrc", State.DONE)
    lines: list[LogLine] = []
    for _, event in engine.client.events():
        if isinstance(event, LogLine):
            lines.append(event)
        if any(line.item == "good.mrc" and line.text.startswith("done in") for line in lines):
            break
    failed = [line for line in lines if line.item == "corrupt.mrc" and line.level == "warning"]
    assert failed[0].text.startswith("motion: frame 3 of 7")
    assert [line.level for line in lines if "motion took" in line.text] == ["debug"]
    assert engine.end() == 0


def test_the_log_begins_with_what_earlier_engines_wrote(engine: Engine) -> None:
    log = engine.project / ".warptui" / "engine.log"
    log.parent.mkdir()
    log.write_text(
        "torn line\n2026-11-22 10:11:12,123 INFO watching\n"
        "2026-11-22 10:11:13,000 CRITICAL the engine failed\nTraceback\n  ValueError: x\n"
    )
    first, second = earlier_lines(log)
    assert (first.level, first.text) == ("info", "watching")
    assert second.level == "error" and second.text.endswith("Traceback\n  ValueError: x")
    assert earlier_lines(log.with_name("none")) == []
    engine.start()
    heard = []
    for _, event in engine.client.events():
        heard.append(event)
        if isinstance(event, LogLine) and event.text.startswith("watching "):
            break
    assert heard[1:3] == [first, second]
    assert engine.end() == 0


def run(command: str, tmp_path: Path, limit_s: float = 10.0) -> None:
    alert_command = AlertCommand(tmp_path)
    alert_command.run(command, NOTICE, limit_s)
    alert_command.close(15.0)


def test_odd_texts_reach_the_command_as_they_are(tmp_path: Path) -> None:
    run('printf %s "$WARPTUI_TEXT|$WARPTUI_ITEM" > told', tmp_path)
    assert (tmp_path / "told").read_text() == f"{NOTICE.text}|a$b.tif"


def test_a_command_that_fails_is_logged_with_its_last_words(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        run("yes first | head -1000 >&2; echo 'no such channel' >&2; exit 7", tmp_path)
    assert "status 7: no such channel" in caplog.text


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        run("sleep 100000 & echo $! > pid; wait", tmp_path, 0.5)
    assert "longer than 0.5 s" in caplog.text
    child = Path("/proc") / (tmp_path / "pid").read_text().strip()
    until(lambda: not child.exists() or "Z" in (child / "stat").read_text().split()[2])


def test_a_command_may_leave_something_behind(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        run("sleep 100000 & echo $! > pid; exit 0", tmp_path)
    child = int((tmp_path / "pid").read_text())
    os.kill(child, signal.SIGTERM)  # it lived: nothing waited for it
    assert not caplog.text


def test_a_flood_of_hanging_commands_is_refused(tmp_path: Path, caplog) -> None:
    alert_command = AlertCommand(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            alert_command.run("sleep 2", NOTICE, 10.0)
    assert caplog.text.count("not run") == 2
    alert_command.close(10.0)


@pytest.mark.parametrize("command", ["exit 0", "true < /dev/null"])
def test_a_command_need_not_read_what_it_is_told(tmp_path: Path, command, caplog) -> None:
    run(command, tmp_path)
    assert not caplog.text


@pytest.mark.slow
def test_what_nobody_saw_is_told_by_the_next_engine_and_what_was_seen_is_not(
    engine: Engine,
) -> None:
    for name in ("corrupt.mrc", "corrupt_too.mrc"):
        engine.add(name)
    engine.start()
    until(lambda: engine.client.status().counts["failed"] == 2)
    until(lambda: engine.client.status().notices)
    before = engine.client.status().notices
    assert engine.process is not None
    engine.process.kill()
    engine.process.wait()
    engine.leave()
    engine.start()
    until(lambda: len(engine.client.status().notices) == len(before) + 1)
    notices = engine.client.status().notices
    assert notices[: len(before)] == before and notices[-1].rule == "engine_trouble"
    engine.client.acknowledge([notice.id for notice in before])
    assert engine.end() == 0
    engine.start()
    assert engine.client.status().notices == notices[-1:]
    assert engine.end() == 0
