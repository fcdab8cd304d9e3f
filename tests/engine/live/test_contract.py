"""What the engine promises to viewers, checked of the real engine and of the fake of the tests.

The real one defines the truth: a fake that promises less or otherwise would let screens pass that
fail in use.
"""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from pretend_project import Engine, until
from pydantic import TypeAdapter

from tests.screens.fake_engine import FakeEngine, synthetic_notices
from tests.screens.served_engine import ServedEngine
from warptui.client import Client
from warptui.engine import wire
from warptui.engine.errors import (
    EngineError,
    ExportError,
    InputError,
    ItemError,
    SettingsError,
    TrainingError,
)
from warptui.engine.events import Event, ItemChanged, Snapshot, StatusChanged
from warptui.engine.items import (
    Choice,
    EngineStatus,
    Export,
    ExportRequest,
    ItemDetail,
    ItemRow,
    ModelInfo,
    State,
    TrainingExample,
    TrainingRequest,
    Trial,
)
from warptui.engine.server import Server
from warptui.engine.session import Session
from warptui.engine.settings import Config
from warptui.engine.stages import STAGES
from warptui.engine.wanted import as_json

KINDS = ("fake", "served fake", "real")
NOBODY = "nobody.mrc"  # no item is called so
CHECKED: set[str] = set()


def verb(*names: str) -> Callable[[Any], Any]:
    """Marks a test as that of these calls of `wire.CALLS`."""
    CHECKED.update(names)
    return lambda test: test


@dataclass(frozen=True)
class Device:
    """A slot as `EngineStatus.devices` has it."""

    slot: str
    device: str
    item: str
    stage: str
    trial: bool
    fraction: float
    seconds: int
    pid: int
    problem: str


@dataclass(frozen=True)
class Run:
    """A run of a stage as `ItemDetail.history` has it."""

    stage: str
    version: int
    finished_at: float
    device: str
    seconds: float
    program_version: str


@dataclass(frozen=True)
class Preview:
    """What `preview` answers."""

    problems: dict[str, str]
    outdated: dict[str, int]
    n_items: int
    n_restored: int
    seconds: float | None


@dataclass(frozen=True)
class ExportPreview:
    """What `preview_export` answers."""

    kinds: list[dict[str, Any]]
    n: int
    rows: list[list[str]]
    path: str
    exists: bool
    problem: str
    groups: dict[str, Any]


@dataclass(frozen=True)
class TrainingPreview:
    """What `preview_training` answers."""

    problem: str
    notes: list[str]
    model: str
    start_from: str
    n_examples: int
    n_particles: int
    n_held_out: int
    n_steps: int
    seconds: float | None
    device: str


@dataclass
class Subject:
    """An engine with at least three items that are done, and one that failed."""

    kind: str
    engine: Any  # with the methods of `warptui.client.Client`
    done: list[str] = field(default_factory=list)
    failed: str = ""
    viewer: Callable[[], Any] = lambda: None  # another connection

    def row(self, name: str) -> ItemRow:
        """One row, in the list of all."""
        return next(row for row in self.engine.items() if row.name == name)

    def until_row(self, name: str, holds: Callable[[ItemRow], bool]) -> ItemRow:
        """Wait for a row of which something holds."""
        until(lambda: holds(self.row(name)))
        return self.row(name)


@pytest.fixture(scope="module", params=KINDS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """One engine of each kind for all tests, which leave it as they found it."""
    yield from made(request.param)


def made(kind: str) -> Iterator[Subject]:
    folder = Path(tempfile.mkdtemp(prefix="wc", dir="/tmp"))  # sockets have short paths
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(name, str(folder / name))
        yield from _MAKERS[kind](folder)
    shutil.rmtree(folder)


def _fake(folder: Path) -> Iterator[Subject]:
    engine = FakeEngine(300, state="paused", notices=synthetic_notices())
    engine.examples = []
    yield _described(Subject("fake", engine, viewer=lambda: engine))
    engine.close()


def _served_fake(folder: Path) -> Iterator[Subject]:
    project = folder / "project"
    project.mkdir()
    (project / "config.toml").write_text("[input]\npixel_size = 1.0\n")
    engine = ServedEngine(project, 300, state="paused", notices=synthetic_notices())
    engine.examples = []
    server = Server(cast("Session", engine))
    with Client.connect(project) as client:
        yield _described(Subject("served fake", client, viewer=lambda: Client.connect(project)))
    engine.stop()
    server.close()


def _real(folder: Path) -> Iterator[Subject]:
    engine = Engine(folder, folder / "XDG_RUNTIME_DIR")
    for name in ("a.mrc", "b.mrc", "c.mrc", "corrupt.mrc"):
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, 3)
    engine.wait_for("corrupt.mrc", State.FAILED)
    engine.client.pause()
    yield _described(Subject("real", engine.client, viewer=lambda: Client.connect(engine.project)))
    engine.end()


_MAKERS = {"fake": _fake, "served fake": _served_fake, "real": _real}


def _described(subject: Subject) -> Subject:
    rows = subject.engine.items()
    subject.done = [row.name for row in rows if row.state is State.DONE and row.selected]
    subject.failed = next(row.name for row in rows if row.state is State.FAILED)
    return subject


def conforms(kind: Any, record: Any) -> Any:
    """The record, if its JSON is strictly of this type and has every key of it."""
    adapter = TypeAdapter(kind)
    given = adapter.validate_json(json.dumps(record), strict=True)
    again = json.loads(adapter.dump_json(given))
    assert again == json.loads(json.dumps(record))
    return given


# --- the calls --------------------------------------------------------------------------


def test_every_call_has_a_test() -> None:
    assert set(wire.CALLS) == CHECKED


@pytest.mark.parametrize("call", [call for call in wire.CALLS if call != "subscribe"])
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
        subject.engine._call("dance")


# --- records ----------------------------------------------------------------------------


@verb("status")
def test_the_status_has_every_value_and_survives_json(subject: Subject) -> None:
    status = subject.engine.status()
    record = status.to_json()
    conforms(EngineStatus, record)
    assert EngineStatus.from_json(json.loads(json.dumps(record))) == status
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
        conforms(ItemRow, row.to_json())
        assert ItemRow.from_json(json.loads(json.dumps(row.to_json()))) == row
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
    record = detail.to_json()
    conforms(ItemDetail, record)
    assert ItemDetail.from_json(json.loads(json.dumps(record))) == detail
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
    conforms(ItemDetail, detail.to_json())
    assert detail.failed_stage and detail.log_tail and not detail.results


# --- names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("item", (NOBODY,)),
        ("override", ([NOBODY], Choice.EXCLUDE)),
        ("retry", ([NOBODY],)),
        ("reprocess", ([NOBODY],)),
        ("cancel", ([NOBODY],)),
        ("edit", (NOBODY, {})),
        ("try_settings", (NOBODY, {"motion": {}})),
        ("drop_trial", (NOBODY,)),
        ("export", (ExportRequest(items="named", names=(NOBODY,)),)),
        ("preview_export", (ExportRequest(items="named", names=(NOBODY,)),)),
    ],
)
def test_an_unknown_name_is_refused_and_named(
    subject: Subject, call: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(KeyError, match=f"no item is called {NOBODY!r}"):
        getattr(subject.engine, call)(*arguments)


def test_one_unknown_name_among_others_changes_nothing(subject: Subject) -> None:
    before = subject.engine.items()
    for call, more in (("override", (Choice.EXCLUDE,)), ("reprocess", ()), ("cancel", ())):
        with pytest.raises(KeyError, match=NOBODY):
            getattr(subject.engine, call)([subject.done[0], NOBODY], *more)
    assert subject.engine.items() == before


# --- items ------------------------------------------------------------------------------


@verb("override")
def test_a_choice_counts_more_than_limits(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[0]
    assert engine.override([name], Choice.EXCLUDE) is None
    row = subject.row(name)
    assert (row.choice, row.selected, row.state) == (Choice.EXCLUDE, False, State.DONE)
    engine.override([name], Choice.INCLUDE)
    assert (subject.row(name).choice, subject.row(name).selected) == (Choice.INCLUDE, True)
    engine.override([name], Choice.AUTO)
    assert subject.row(name).choice is Choice.AUTO
    engine.override([subject.failed], Choice.INCLUDE)
    assert not subject.row(subject.failed).selected
    engine.override([subject.failed], Choice.AUTO)


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
    edits = {"training": "examples"}
    assert engine.edit(name, edits) is None
    row = subject.row(name)
    assert row.training == "examples" and row.edited_at > 0
    assert engine.item(name).edits["training"] == "examples"
    until(lambda: engine.status().choices["examples"] == 1)
    engine.edit(name, {})
    again = subject.row(name)
    assert again.training == "" and again.edited_at > row.edited_at
    assert engine.item(name).edits == {}
    until(lambda: engine.status().choices["examples"] == 0)
    with pytest.raises(InputError, match=f"{name}: training"):
        engine.edit(name, {"training": "perhaps"})


# --- settings ---------------------------------------------------------------------------


@verb("config")
def test_the_settings_are_those_of_all_sections(subject: Subject) -> None:
    found = subject.engine.config()
    expected = as_json(Config(), STAGES)
    stages = {stage.name for stage in STAGES}
    assert found.keys() - stages == expected.keys() - stages
    for section in found:
        if section in ("keys", "filters"):  # nothing of them is set by default
            continue
        assert found[section].keys() == expected[section].keys()
    found["motion"]["b_factor"] = 1.0
    assert subject.engine.config()["motion"]["b_factor"] == -100.0


@verb("preview")
def test_a_preview_counts_what_becomes_outdated(subject: Subject) -> None:
    engine = subject.engine
    told = engine.preview({"motion": {"b_factor": -200.0}})
    conforms(Preview, told)
    n = engine.status().counts[State.DONE]
    assert (told["problems"], told["n_items"], told["outdated"]["motion"]) == ({}, n, n)
    assert told["seconds"] > 0
    told = engine.preview({"optics": {"voltage": -3}})
    conforms(Preview, told)
    assert list(told["problems"]) == ["optics.voltage"] and told["outdated"] == {}
    assert engine.preview({"filters": {"motion_max": 0.1}})["n_items"] == 0


@verb("change")
def test_a_changed_limit_filters_and_one_taken_out_does_not(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[0]
    before, version = engine.status(), engine.status().settings_version
    assert engine.change({"filters": {"motion_max": 0.0001}}) is None
    assert engine.status().filters["motion_max"] == 0.0001
    assert engine.status().settings_version > version
    row = subject.row(name)
    assert row.filtered and not row.selected and row.reason.startswith("filtered: motion ")
    assert row.reason.endswith("> 0.0001 Å/frame")
    assert engine.status().choices["filtered"] > before.choices["filtered"]
    assert engine.config()["filters"]["motion_max"] == 0.0001
    engine.change({"filters": {"motion_max": None}})
    assert "motion_max" not in engine.status().filters
    assert subject.row(name).selected
    engine.change({"filters": {"motion_max": before.filters.get("motion_max")}})
    assert engine.status().choices == before.choices


@verb("change")
def test_a_changed_setting_makes_items_outdated_and_says_which(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[0]
    engine.change({"motion": {"b_factor": -200.0}})
    row = subject.row(name)
    assert row.state is State.OUTDATED and row.selected
    assert row.reason.startswith("motion: motion.b_factor -100 -> -200; average: needs motion")
    assert engine.item(name).outdated["motion"] == "motion.b_factor -100 -> -200"
    assert name in [queued for queued, _ in engine.queue()]
    engine.change({"motion": {"b_factor": None}})
    assert subject.row(name).state is State.DONE


@verb("change")
@pytest.mark.parametrize(
    ("changes", "said"),
    [({"optics": {"voltage": -3}}, r"optics\.voltage"), ({"nonsense": {"a": 1}}, "nonsense")],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    subject: Subject, changes: dict[str, Any], said: str
) -> None:
    before = subject.engine.config()
    with pytest.raises(SettingsError, match=said):
        subject.engine.change(changes)
    assert subject.engine.config() == before


@verb("reload")
def test_reloaded_settings_have_another_number(subject: Subject) -> None:
    before = subject.engine.status().settings_version
    assert subject.engine.reload() is None
    assert subject.engine.status().settings_version > before


@verb("try_settings", "drop_trial")
def test_a_trial_shows_a_result_and_changes_nothing(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[0]
    before = engine.item(name)
    trial = engine.try_settings(name, {"average": {"skip_first": 1}})
    conforms(Trial, trial.to_json())
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
    assert (trial.name, trial.stage, trial.settings["skip_first"]) == (name, "average", 1)
    assert trial.settings.keys() == engine.config()["average"].keys()
    assert trial.result and engine.item(name) == before
    assert engine.drop_trial(name) is None  # none runs


@verb("try_settings")
def test_a_trial_is_of_one_stage_with_its_settings_and_of_what_it_needs(subject: Subject) -> None:
    engine, name = subject.engine, subject.done[0]
    for changes in ({}, {"motion": {}, "average": {}}, {"filters": {}}):
        with pytest.raises(SettingsError, match="a trial takes the settings of one stage"):
            engine.try_settings(name, changes)
    with pytest.raises(SettingsError, match=r"average\.skip_first"):
        engine.try_settings(name, {"average": {"skip_first": -1}})
    with pytest.raises(ItemError, match=subject.failed):
        engine.try_settings(subject.failed, {"average": {}})


# --- exports ----------------------------------------------------------------------------


@verb("preview_export")
def test_an_export_is_previewed(subject: Subject) -> None:
    engine = subject.engine
    told = engine.preview_export(ExportRequest(switches=("without_ctf",)))
    conforms(ExportPreview, told)
    assert told["n"] == engine.status().choices["selected"] and told["problem"] == ""
    assert told["rows"] and told["path"].endswith("/micrographs.star")
    assert told["path"].startswith(engine.status().project)
    names = (subject.done[0], subject.failed)
    assert engine.preview_export(ExportRequest(items="named", names=names))["n"] == 2
    assert engine.preview_export(ExportRequest(items="all"))["n"] == len(engine.items())
    done = engine.preview_export(ExportRequest(items="done"))
    assert done["n"] == engine.status().counts[State.DONE]
    for wrong, said in (
        (ExportRequest(path="list.txt"), "must end with .star"),
        (ExportRequest(kind="poems"), "nothing can be exported as 'poems'"),
    ):
        told = engine.preview_export(wrong)
        conforms(ExportPreview, told)
        assert said in told["problem"] and told["path"] == ""


@verb("export", "cancel_export")
def test_an_export_is_begun_and_told_by_the_status(subject: Subject) -> None:
    engine = subject.engine
    number = engine.export(ExportRequest(switches=("without_ctf",), path="contract.star"))
    assert isinstance(number, str)
    until(lambda: engine.status().exports)
    newest = engine.status().exports[0]
    conforms(Export, asdict(newest))
    assert (newest.id, newest.kind, newest.writer) == (number, "micrographs", "engine")
    assert newest.name == "contract.star" and newest.state in ("running", "done")
    assert newest.total == engine.status().choices["selected"]
    with pytest.raises(KeyError, match="does not run in the engine"):
        engine.cancel_export("no such number")


@verb("export")
@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (ExportRequest(path="list.txt"), r"must end with \.star"),
        (ExportRequest(kind="poems"), "nothing can be exported as 'poems'"),
        (ExportRequest(items="named"), "nothing was written"),
    ],
)
def test_an_impossible_export_is_refused(
    subject: Subject, request_: ExportRequest, said: str
) -> None:
    before = subject.engine.status().exports
    with pytest.raises(ExportError, match=said):
        subject.engine.export(request_)
    assert subject.engine.status().exports == before


@verb("optics_groups")
def test_there_are_no_optics_groups_by_beam_shift_by_default(subject: Subject) -> None:
    assert subject.engine.optics_groups() == {}


# --- training ---------------------------------------------------------------------------


@verb("training_examples", "preview_training", "train", "cancel_training")
def test_nothing_is_trained_without_examples(subject: Subject) -> None:
    engine = subject.engine
    assert engine.training_examples() == []
    told = engine.preview_training(TrainingRequest())
    conforms(TrainingPreview, told)
    assert told["problem"] and told["n_examples"] == 0 and told["start_from"] == "boxnet"
    with pytest.raises(TrainingError, match=r"example|marked"):
        engine.train(TrainingRequest())
    with pytest.raises(TrainingError, match="nothing is being trained"):
        engine.cancel_training()
    with pytest.raises(TrainingError, match="nothing is being trained"):
        engine.cancel_training(keep_best=True)
    assert engine.status().training is None
    assert not engine.training_examples()


@verb("models", "use_model", "discard_model")
def test_models_are_listed_and_the_bundled_one_stays(subject: Subject) -> None:
    engine = subject.engine
    models = engine.models()
    assert [model.name for model in models if model.used] == ["boxnet"]
    for model in models:
        conforms(ModelInfo, asdict(model))
        assert ModelInfo.from_json(json.loads(json.dumps(asdict(model)))) == model
    with pytest.raises(InputError, match="gone"):
        engine.use_model("gone")
    with pytest.raises(TrainingError, match="boxnet comes with the program"):
        engine.discard_model("boxnet")
    with pytest.raises(TrainingError, match="gone is no model of this project"):
        engine.discard_model("gone")
    assert engine.models() == models


@verb("training_examples")
def test_examples_of_the_fake_are_of_the_type_of_the_real_ones() -> None:
    for example in FakeEngine(300).training_examples():
        conforms(TrainingExample, asdict(example))


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
    engine.override([name], Choice.EXCLUDE)
    until(lambda: follower.rows(name))
    at, row = follower.rows(name)[-1]
    assert at > number and row == subject.row(name) and row.choice is Choice.EXCLUDE
    until(lambda: any(isinstance(event, StatusChanged) for _, event in list(follower.heard)))
    follower.leave()
    numbers = [one for one, _ in follower.heard]
    assert numbers == sorted(numbers)
    assert not any(isinstance(event, Snapshot) for _, event in follower.heard[1:])
    later = Following(subject.viewer(), after=at)  # goes on where it was
    engine.override([name], Choice.AUTO)
    until(lambda: later.rows(name))
    later.leave()
    assert later.rows(name)[-1][1].choice is Choice.AUTO
    assert all(one > at for one, _ in later.heard)
    assert not any(isinstance(event, Snapshot) for _, event in later.heard)


def test_what_changes_nothing_is_no_event(subject: Subject) -> None:
    engine, (first, second) = subject.engine, subject.done[:2]
    follower = Following(subject.viewer())
    until(lambda: follower.heard)
    engine.override([first], Choice.AUTO)  # as it is
    engine.override([second], Choice.INCLUDE)
    until(lambda: follower.rows(second))  # after it
    assert not follower.rows(first)
    follower.leave()
    engine.override([second], Choice.AUTO)


@verb("stop")
@pytest.mark.parametrize("kind", KINDS)
def test_events_end_when_the_engine_stops(kind: str) -> None:
    for subject in made(kind):
        viewer = subject.viewer()
        follower = Following(viewer)
        until(lambda follower=follower: follower.heard)
        assert subject.engine.stop() is None
        follower._thread.join(60)
        assert not follower._thread.is_alive()
        follower.leave()
