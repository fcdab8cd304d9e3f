"""What the engine promises to viewers, checked of the real engine and of the fake of the tests.

The real one defines the truth: a fake that promises less or otherwise would let screens pass that
fail in use.
"""

from __future__ import annotations

import inspect
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from contract import (
    KINDS,
    UNKNOWN_NAME,
    Device,
    Run,
    Subject,
    conforms,
    made,
    subject,
    verb,
)
from pretend_project import until

from tests.screens.fake_engine import FakeEngine
from warptui.client import Client
from warptui.engine.api.events import Event, ItemChanged, Snapshot, StatusChanged
from warptui.engine.api.verbs import VERBS, Verb
from warptui.engine.errors import (
    EngineError,
)
from warptui.engine.model import codec
from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.edits import Edits
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.service import Session

__all__ = ["subject"]

# --- the calls --------------------------------------------------------------------------


@pytest.mark.parametrize("call", VERBS)
def test_arguments_have_the_same_names_and_defaults(call: str) -> None:
    def arguments(engine: type) -> list[tuple[str, Any, Any]]:
        given = inspect.signature(getattr(engine, call)).parameters.values()
        return [(one.name, one.kind, one.default) for one in given]

    assert arguments(FakeEngine) == arguments(Client) == arguments(Session)


@pytest.mark.parametrize("call", ["events", "close", "training_metrics", "training_report"])
def test_what_the_client_adds_the_fake_has_too(call: str) -> None:
    ours, theirs = (inspect.signature(getattr(kind, call)) for kind in (FakeEngine, Client))
    assert list(ours.parameters) == list(theirs.parameters)


def test_a_call_that_does_not_exist_is_refused(subject: Subject) -> None:
    if subject.kind == "fake":
        pytest.skip("its methods are called without a socket")
    with pytest.raises(EngineError, match="unknown request 'dance'"):
        subject.engine.send(Verb("dance", lambda self: None), {})


# --- records ----------------------------------------------------------------------------


@verb("status")
def test_the_status_has_every_value_and_survives_json(subject: Subject) -> None:
    status = subject.engine.status()
    record = codec.encode(status)
    conforms(EngineStatus, record)
    assert codec.decode(EngineStatus, json.loads(json.dumps(record))) == status
    assert record["devices"]
    for device in record["devices"]:
        conforms(Device, device)
    assert set(status.counts) == set(State)
    assert set(status.choices) == {
        *Choice, "selected", "filtered", "edited", "examples", "held-out", "particles"
    }  # fmt: skip
    rows = subject.engine.items()
    for state in State:
        assert status.counts[state] == sum(row.state is state for row in rows)
    assert status.choices["selected"] == sum(row.selected for row in rows)
    assert status.newest_name in {row.name for row in rows}
    assert status.summaries


@verb("items")
def test_rows_have_every_value_and_survive_json(subject: Subject) -> None:
    status, rows = subject.engine.status(), subject.engine.items()
    assert [row.sequence for row in rows] == sorted(row.sequence for row in rows)
    keys = {summary.key for summary in status.summaries}
    for row in rows:
        conforms(ItemRow, codec.encode(row))
        assert codec.decode(ItemRow, json.loads(json.dumps(codec.encode(row)))) == row
        if row.state is State.DONE:
            assert keys <= row.summary.keys()
            assert row.seconds.keys() == {key.partition(".")[0] for key in keys}
            assert 0 < row.arrived_at <= row.finished_at
        if row.state is State.FAILED:
            assert row.reason and row.failed_at and row.tries and not row.selected
        if not row.summary:
            assert row.finished_at == 0 and not row.seconds and not row.filtered


@verb("item")
def test_a_detail_has_every_value_and_survives_json(subject: Subject) -> None:
    name = subject.done[0]
    detail = subject.engine.item(name)
    record = codec.encode(detail)
    conforms(ItemDetail, record)
    assert codec.decode(ItemDetail, json.loads(json.dumps(record))) == detail
    assert detail.row == subject.row(name)
    assert detail.results.keys() == detail.settings.keys() == detail.row.seconds.keys()
    for stage, sections in detail.settings.items():
        assert stage in sections
    for run in record["history"]:
        conforms(Run, run)
    assert detail.history and not detail.outdated
    assert Path(detail.raw_path).name == name
    assert not (detail.failed_stage or detail.log_tail or detail.traceback)


@verb("item")
def test_a_detail_says_why_an_item_failed(subject: Subject) -> None:
    detail = subject.engine.item(subject.failed)
    conforms(ItemDetail, codec.encode(detail))
    assert detail.failed_stage and detail.log_tail and not detail.results


# --- names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("item", (UNKNOWN_NAME,)),
        ("choose", ([UNKNOWN_NAME], Choice.EXCLUDE)),
        ("retry", ([UNKNOWN_NAME],)),
        ("reprocess", ([UNKNOWN_NAME],)),
        ("cancel", ([UNKNOWN_NAME],)),
        ("edit", (UNKNOWN_NAME, Edits())),
        ("try_settings", (UNKNOWN_NAME, {"motion": {}})),
        ("drop_trial", (UNKNOWN_NAME,)),
        ("export", (ExportRequest(items="named", names=(UNKNOWN_NAME,)),)),
        ("preview_export", (ExportRequest(items="named", names=(UNKNOWN_NAME,)),)),
    ],
)
def test_an_unknown_name_is_refused_and_named(
    subject: Subject, call: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(KeyError, match=f"no item is called {UNKNOWN_NAME!r}"):
        getattr(subject.engine, call)(*arguments)


def test_one_unknown_name_among_others_changes_nothing(subject: Subject) -> None:
    before = subject.engine.items()
    for call, more in (("choose", (Choice.EXCLUDE,)), ("reprocess", ()), ("cancel", ())):
        with pytest.raises(KeyError, match=UNKNOWN_NAME):
            getattr(subject.engine, call)([subject.done[0], UNKNOWN_NAME], *more)
    assert subject.engine.items() == before


# --- items ------------------------------------------------------------------------------


@verb("choose")
def test_a_choice_counts_more_than_limits(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[0]
    assert engine.choose([name], Choice.EXCLUDE) is None
    row = subject.row(name)
    assert (row.choice, row.selected, row.state) == (Choice.EXCLUDE, False, State.DONE)
    engine.choose([name], Choice.INCLUDE)
    assert (subject.row(name).choice, subject.row(name).selected) == (Choice.INCLUDE, True)
    engine.choose([name], Choice.AUTO)
    assert subject.row(name).choice is Choice.AUTO
    engine.choose([subject.failed], Choice.INCLUDE)
    assert not subject.row(subject.failed).selected
    engine.choose([subject.failed], Choice.AUTO)


@verb("reprocess", "cancel", "queue")
def test_what_is_asked_for_waits_first_and_may_be_cancelled(subject: Subject) -> None:
    engine, (first, second) = subject.engine, subject.done[:2]
    before = subject.row(first)
    assert engine.reprocess([first, second]) is None
    row = subject.row(first)
    assert row.state is State.OUTDATED and row.summary == before.summary
    queue = engine.queue()
    assert all(isinstance(one, tuple) and list(map(type, one)) == [str, str] for one in queue)
    assert {name for name, _ in queue[:2]} == {first, second}
    assert len(engine.queue(1)) == 1 and engine.queue(limit=0) == []
    assert engine.item(first).outdated.keys() == row.seconds.keys()
    assert engine.cancel([first, second]) is None
    assert subject.row(first) == before  # it was only asked for
    assert not {first, second} & {name for name, _ in engine.queue()}


@verb("retry", "cancel")
def test_what_failed_is_tried_again_and_what_waits_is_cancelled(subject: Subject) -> None:
    engine, name = subject.engine, subject.failed
    assert engine.retry([name]) is None
    row = subject.row(name)
    assert (row.state, row.tries, row.failed_at) == (State.QUEUED, 0, 0.0)
    assert name in [queued for queued, _ in engine.queue()]
    engine.cancel([name])
    row = subject.row(name)
    assert row.state is State.FAILED and row.reason.startswith("cancelled by the user")
    assert row.failed_at > 0


@verb("edit")
def test_edits_are_stored_and_mark_the_item(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[1]
    edits = Edits(training="examples")
    assert engine.edit(name, edits) is None
    row = subject.row(name)
    assert row.training == "examples" and row.edited_at > 0
    assert engine.item(name).edits["training"] == "examples"
    until(lambda: engine.status().choices["examples"] == 1)
    engine.edit(name, Edits())
    again = subject.row(name)
    assert again.training == "" and again.edited_at > row.edited_at
    assert engine.item(name).edits == {}
    until(lambda: engine.status().choices["examples"] == 0)


def test_edits_that_mean_nothing_are_refused(subject: Subject) -> None:
    if subject.kind == "fake":
        pytest.skip("its methods are called with edits, not with what came through a socket")
    before = subject.engine.items()
    with pytest.raises(EngineError, match=r"edit: edits\.training: .*found 'perhaps'"):
        given = {"name": subject.done[1], "edits": {"training": "perhaps"}}
        subject.engine.send(VERBS["edit"], given)
    assert subject.engine.items() == before


# --- the engine itself ------------------------------------------------------------------


@verb("acknowledge")
def test_a_notice_that_was_seen_is_gone(subject: Subject) -> None:
    engine = subject.engine
    until(lambda: engine.status().notices)
    notices = engine.status().notices
    assert engine.acknowledge([max(notice.id for notice in notices) + 1000]) is None
    assert engine.status().notices == notices
    engine.acknowledge([notices[0].id])
    until(lambda: engine.status().notices == notices[1:])


@verb("start", "pause")
def test_it_is_paused_and_started(subject: Subject) -> None:
    engine = subject.engine
    assert engine.status().state == "paused"
    assert engine.start() is None
    until(lambda: engine.status().state in ("running", "idle"))
    assert engine.pause() is None
    until(lambda: engine.status().state == "paused")


class Following:
    """What a viewer hears, in a thread."""

    def __init__(self, viewer: Any, after: int = 0) -> None:
        self.heard: list[tuple[int, Event]] = []
        self._viewer = viewer
        self._thread = threading.Thread(target=self._listen, args=(after,), daemon=True)
        self._thread.start()

    def _listen(self, after: int) -> None:
        for number, event in self._viewer.events(after):
            self.heard.append((number, event))

    def rows(self, name: str) -> list[tuple[int, ItemRow]]:
        """The changes of an item that came."""
        return [
            (number, event.row)
            for number, event in list(self.heard)
            if isinstance(event, ItemChanged) and event.row.name == name
        ]

    def leave(self) -> None:
        """Close the connection: the events end."""
        self._viewer.close()
        self._thread.join(60)
        assert not self._thread.is_alive()


@verb("subscribe")
def test_a_viewer_gets_a_snapshot_and_then_numbered_events(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[2]
    follower = Following(subject.viewer())
    until(lambda: follower.heard)
    number, snapshot = follower.heard[0]
    assert isinstance(snapshot, Snapshot) and number > 0
    assert list(snapshot.rows) == engine.items()
    assert snapshot.status.summaries == engine.status().summaries
    engine.choose([name], Choice.EXCLUDE)
    until(lambda: follower.rows(name))
    at, row = follower.rows(name)[-1]
    assert at > number and row == subject.row(name) and row.choice is Choice.EXCLUDE
    until(lambda: any(isinstance(event, StatusChanged) for _, event in list(follower.heard)))
    follower.leave()
    numbers = [one for one, _ in follower.heard]
    assert numbers == sorted(numbers)
    assert not any(isinstance(event, Snapshot) for _, event in follower.heard[1:])
    later = Following(subject.viewer(), after=at)  # goes on where it was
    engine.choose([name], Choice.AUTO)
    until(lambda: later.rows(name))
    later.leave()
    assert later.rows(name)[-1][1].choice is Choice.AUTO
    assert all(one > at for one, _ in later.heard)
    assert not any(isinstance(event, Snapshot) for _, event in later.heard)


def test_what_changes_nothing_is_no_event(subject: Subject) -> None:
    engine, (first, second) = subject.engine, subject.done[:2]
    follower = Following(subject.viewer())
    until(lambda: follower.heard)
    engine.choose([first], Choice.AUTO)  # as it is
    engine.choose([second], Choice.INCLUDE)
    until(lambda: follower.rows(second))  # after it
    assert not follower.rows(first)
    follower.leave()
    engine.choose([second], Choice.AUTO)


@pytest.mark.slow
@verb("stop")
@pytest.mark.parametrize("kind", KINDS)
def test_events_end_when_the_engine_stops(kind: str) -> None:
    for one in made(kind):
        viewer = one.viewer()
        follower = Following(viewer)
        until(lambda follower=follower: follower.heard)
        assert one.engine.stop() is None
        follower._thread.join(60)
        assert not follower._thread.is_alive()
        follower.leave()
