"""Viewers: many, slow, gone, and of other versions."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from pretend_project import Engine, until

from tests.work import instructions
from warptui import client
from warptui.client import Client
from warptui.commands.engine.stop import stop
from warptui.engine.api import protocol
from warptui.engine.api.events import Event, ItemChanged, Snapshot
from warptui.engine.api.verbs import Verb
from warptui.engine.errors import EngineError, ItemError, OtherVersionError, SettingsError
from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.project.paths import ProjectPaths, socket_path


class Viewer:
    """Collects what a client hears, in a thread, as the app does."""

    def __init__(self, client: Client) -> None:
        self.heard: list[tuple[int, Event]] = []
        self.problem: EngineError | None = None
        self.thread = threading.Thread(target=self._listen, args=(client,))
        self.thread.start()

    def _listen(self, client: Client) -> None:
        try:
            for event in client.events():
                self.heard.append(event)
        except EngineError as problem:
            self.problem = problem

    def rows(self, name: str) -> list[ItemRow]:
        return [
            event.row
            for _, event in self.heard
            if isinstance(event, ItemChanged) and event.row.name == name
        ]


def test_two_viewers_hear_the_same_and_their_choices_reach_each_other(engine: Engine) -> None:
    engine.start(PRETEND_SECONDS="0.5")
    with Client.connect(engine.client.project) as other:
        viewers = [Viewer(engine.client), Viewer(other)]
        engine.add("a.mrc")
        engine.wait_for("a.mrc", State.DONE)
        engine.client.choose(["a.mrc"], Choice.EXCLUDE)
        assert other.items()[0].choice is Choice.EXCLUDE
        for viewer in viewers:
            until(lambda viewer=viewer: viewer.rows("a.mrc")[-1].choice is Choice.EXCLUDE)
            assert isinstance(viewer.heard[0][1], Snapshot)
            assert State.RUNNING in [row.state for row in viewer.rows("a.mrc")]
        engine.client.stop()
        for viewer in viewers:
            viewer.thread.join(5)
            assert not viewer.thread.is_alive() and viewer.problem is None
    assert engine.process is not None and engine.process.wait(180) == 0


def test_a_killed_engine_is_told_from_one_that_stopped(engine: Engine) -> None:
    engine.start()
    viewer = Viewer(engine.client)
    until(lambda: viewer.heard)
    assert engine.process is not None
    engine.process.kill()
    viewer.thread.join(5)
    assert viewer.problem is not None
    with pytest.raises(EngineError, match="went away"):
        engine.client.status()
    engine.leave()
    engine.process.wait()
    with pytest.raises(EngineError, match="no engine"):
        Client.connect(engine.project)


@pytest.mark.slow
def test_a_viewer_that_reads_nothing_makes_nobody_wait(engine: Engine) -> None:
    engine.start()
    assert engine.client
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(socket_path(engine.project)))
        deaf.sendall(protocol.line({"id": 1, "call": "subscribe", "args": {"after": 0}}))
        for index in range(30):
            engine.add(f"m{index}.mrc")
        engine.wait_all(State.DONE, 30)
        engine.client.choose([f"m{index}.mrc" for index in range(30)], Choice.INCLUDE)
        assert {row.choice for row in engine.client.items()} == {Choice.INCLUDE}
    assert engine.end() == 0


def test_errors_reach_the_one_who_asked_with_their_type(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    client = engine.client
    with pytest.raises(KeyError, match="nobody"):
        client.item("nobody")
    with pytest.raises(KeyError, match="nobody"):
        client.choose(["a.mrc", "nobody"], Choice.EXCLUDE)
    assert client.items()[0].choice is Choice.AUTO
    engine.configure(more="[optics]\nvoltage = -3\n")
    with pytest.raises(SettingsError, match="voltage"):
        client.reload()
    assert client.config()["optics"]["voltage"] == 300
    (engine.raw / "a.mrc").unlink()
    engine.wait_for("a.mrc", State.MISSING)
    with pytest.raises(ItemError, match=r"a\.mrc"):
        client.reprocess(["a.mrc"])
    with pytest.raises(EngineError, match="unknown request"):
        client.send(Verb("dance", lambda self: None), {})
    assert engine.end() == 0


def test_garbage_on_the_socket_hurts_nobody(engine: Engine) -> None:
    engine.start()
    assert engine.client
    for garbage in (b"\xff\x00\n", b"[]\n", b"{}\n", b'{"id": 1}\n', b"no newline"):
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(str(socket_path(engine.project)))
            visitor.sendall(garbage)
    assert engine.client.status().project == str(engine.project)
    assert engine.end() == 0


def test_the_socket_is_the_user_s_alone(engine: Engine) -> None:
    engine.start()
    assert engine.client
    path = socket_path(engine.project)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert engine.end() == 0
    assert not path.exists()


@pytest.mark.slow
def test_a_second_engine_is_refused_and_says_who_is_there(
    engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.start()
    pid = engine.client.status().pid
    first, engine.process = engine.process, None
    second = engine.start().process
    assert second is not None and second.wait(180) != 0
    assert f"process {pid}" in capfd.readouterr().err
    engine.process = first
    assert engine.client.status().pid == pid
    assert engine.end() == 0


def test_an_engine_is_found_from_a_session_with_another_runtime_folder(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del engine.environment["XDG_RUNTIME_DIR"]
    engine.start()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))
    assert engine.client.status().project == str(engine.project)
    assert engine.end() == 0


def test_another_protocol_is_named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.start()
    assert engine.client
    spoken = protocol.PROTOCOL
    monkeypatch.setattr(protocol, "PROTOCOL", 99)
    with pytest.raises(EngineError, match=rf"protocol {spoken} .* 99"):
        Client.connect(engine.project)
    assert engine.end() == 0


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a second engine was started beside the one that runs")


def test_an_engine_of_another_version_is_ended_by_its_process(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.start()
    assert engine.client and engine.process is not None
    monkeypatch.setattr(protocol, "PROTOCOL", 99)
    with monkeypatch.context() as alone:
        alone.setattr(client.subprocess, "Popen", refuse)  # none begins in its stead
        for command in (client.attach, client.running, client.launch_engine):
            with pytest.raises(OtherVersionError, match="`warptui stop` ends it"):
                command(engine.project)
    assert stop(engine.project) == 0
    assert f"process {engine.process.pid}" in capsys.readouterr().err
    assert engine.process.wait(180) == 0
    assert not ProjectPaths(engine.project).lock.exists()


def test_a_snapshot_of_many_items_comes_in_small_parts_that_cost_little() -> None:
    n = 20_000
    rows = tuple(
        ItemRow(f"movie_{index:05}.tif", index, State.DONE, summary={"motion.early_motion": 0.5})
        for index in range(n)
    )
    snapshot = Snapshot(rows, EngineStatus("idle", "", ""))
    lines, decoded = [], []

    def send() -> None:
        lines.extend(protocol.line(message) for message in protocol.encode_snapshot(7, snapshot))
        *parts, last = [json.loads(line) for line in lines]
        columns = [protocol.decode_part(part["part"]) for part in parts]
        decoded.append(protocol.decode_snapshot(columns, last["snapshot"]))

    assert instructions(send) < 300 * n  # columns; a row as JSON takes twenty times as many
    ((sequence, again),) = decoded
    assert sum(len(line) for line in lines) < 200 * n
    assert max(len(line) for line in lines) < 2e6
    assert sequence == 7 and tuple(again.rows) == rows


def test_a_change_is_previewed_written_and_acted_upon_and_other_viewers_hear(
    engine: Engine,
) -> None:
    engine.configure(more="[average]\nskip_first = 0  # as ever\n")
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    client = engine.client
    changes = {"average": {"skip_first": 1}}
    told = client.preview(changes)
    assert (told["problems"], told["n_items"]) == ({}, 1)
    assert told["outdated"] == {"motion": 0, "average": 1}
    assert told["seconds"] is not None
    with Client.connect(engine.project) as other:
        before = other.status().settings_version
        client.change(changes)
        until(lambda: other.status().settings_version != before)
        assert other.config()["average"]["skip_first"] == 1
    until(lambda: client.item("a.mrc").settings["average"]["average"]["skip_first"] == 1)
    written = (engine.project / "config.toml").read_text()
    assert written.endswith("skip_first = 1  # as ever\n")
    assert engine.end() == 0


def test_a_wrong_change_or_a_broken_file_changes_nothing(engine: Engine) -> None:
    engine.start()
    client = engine.client
    path = engine.project / "config.toml"
    before = path.read_text()
    wrong = {"average": {"skip_first": -1}}
    told = client.preview(wrong)
    assert list(told["problems"]) == ["average.skip_first"]
    assert "at least 0" in told["problems"]["average.skip_first"]
    with pytest.raises(SettingsError, match=r"average\.skip_first = -1: expected a whole number"):
        client.change(wrong)
    assert path.read_text() == before
    path.write_text(before + "[average\n")
    for call in (client.preview, client.change):
        with pytest.raises(SettingsError, match="not valid TOML"):
            call({"average": {"skip_first": 1}})
    assert client.config()["average"]["skip_first"] == 0
    assert path.read_text() == before + "[average\n"
    assert engine.end() == 0


def test_an_edit_on_disk_goes_along_with_a_change(engine: Engine) -> None:
    engine.start()
    assert engine.client.config()["average"]["skip_last"] == 0
    engine.configure(more="[average]\nskip_last = 2\n")
    engine.client.change({"average": {"skip_first": 1}})
    found = engine.client.config()["average"]
    assert (found["skip_first"], found["skip_last"]) == (1, 2)
    assert engine.end() == 0
