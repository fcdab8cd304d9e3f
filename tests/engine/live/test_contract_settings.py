"""The same of settings, exports and training."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
import test_contract
from contract import (
    CHECKED,
    ExportPreview,
    Preview,
    Subject,
    TrainingPreview,
    conforms,
    subject,
    verb,
)
from pretend_project import until

from tests.screens.fake_engine import FakeEngine
from warptui.engine.api import protocol
from warptui.engine.api.verbs import VERBS
from warptui.engine.config.settings import Config
from warptui.engine.errors import (
    ExportError,
    InputError,
    ItemError,
    SettingsError,
    TrainingError,
)
from warptui.engine.model import codec
from warptui.engine.model.detail import Trial
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.item import State
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest
from warptui.engine.planning.target import as_json
from warptui.engine.stages.registry import STAGES

__all__ = ["subject"]

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
    answer = engine.preview({"motion": {"b_factor": -200.0}})
    conforms(Preview, answer)
    n = engine.status().counts[State.DONE]
    assert (answer["problems"], answer["n_items"], answer["outdated"]["motion"]) == ({}, n, n)
    assert answer["seconds"] is not None and answer["seconds"] >= 0
    answer = engine.preview({"optics": {"voltage": -3}})
    conforms(Preview, answer)
    assert list(answer["problems"]) == ["optics.voltage"] and answer["outdated"] == {}
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
    ("changes", "message"),
    [({"optics": {"voltage": -3}}, r"optics\.voltage"), ({"nonsense": {"a": 1}}, "nonsense")],
)
def test_a_wrong_change_is_refused_and_changes_nothing(
    subject: Subject, changes: dict[str, Any], message: str
) -> None:
    before = subject.engine.config()
    with pytest.raises(SettingsError, match=message):
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
    conforms(Trial, codec.encode(trial))
    assert codec.decode(Trial, json.loads(json.dumps(codec.encode(trial)))) == trial
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
    wanted = ExportRequest(switches=("without_ctf",))
    # items may still be on their way after a test before this one
    until(lambda: engine.preview_export(wanted)["n"] == engine.status().choices["selected"])
    answer = engine.preview_export(wanted)
    conforms(ExportPreview, answer)
    assert answer["problem"] == ""
    assert answer["rows"] and answer["path"].endswith("/micrographs.star")
    assert answer["path"].startswith(engine.status().project)
    names = (subject.done[0], subject.failed)
    assert engine.preview_export(ExportRequest(items="named", names=names))["n"] == 2
    assert engine.preview_export(ExportRequest(items="all"))["n"] == len(engine.items())
    wanted = ExportRequest(items="done")
    until(lambda: engine.preview_export(wanted)["n"] == engine.status().counts[State.DONE])
    for wrong, message in (
        (ExportRequest(path="list.txt"), "must end with .star"),
        (ExportRequest(kind="poems"), "nothing can be exported as 'poems'"),
    ):
        answer = engine.preview_export(wrong)
        conforms(ExportPreview, answer)
        assert message in answer["problem"] and answer["path"] == ""


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
    ("request_", "message"),
    [
        (ExportRequest(path="list.txt"), r"must end with \.star"),
        (ExportRequest(kind="poems"), "nothing can be exported as 'poems'"),
        (ExportRequest(items="named"), "nothing was written"),
    ],
)
def test_an_impossible_export_is_refused(
    subject: Subject, request_: ExportRequest, message: str
) -> None:
    before = subject.engine.status().exports
    with pytest.raises(ExportError, match=message):
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
    answer = engine.preview_training(TrainingRequest())
    conforms(TrainingPreview, answer)
    assert answer["problem"] and answer["n_examples"] == 0 and answer["start_from"] == "boxnet"
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
        assert codec.decode(ModelInfo, json.loads(json.dumps(asdict(model)))) == model
    with pytest.raises(InputError, match="gone"):
        engine.use_model("gone")
    with pytest.raises(TrainingError, match="boxnet comes with the program"):
        engine.discard_model("boxnet")
    with pytest.raises(TrainingError, match="gone is no model of this project"):
        engine.discard_model("gone")
    assert engine.models() == models


@pytest.mark.slow
@verb("training_examples")
def test_examples_of_the_fake_are_of_the_type_of_the_real_ones() -> None:
    for example in FakeEngine(300).training_examples():
        conforms(TrainingExample, asdict(example))


def test_every_call_has_a_test() -> None:
    assert test_contract
    assert {*VERBS, protocol.SUBSCRIBE} == CHECKED
